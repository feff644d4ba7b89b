//! How far a group got in each partition.
//!
//! Owns: the committed offsets of one group, their limits and their age. Does not own: who may
//! commit (`sync`), the records (`record`).
//!
//! Invariant: what is shown is durable, and changes show in the order of their records.

use super::Retention;
use crate::code::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Timestamp, Uuid};

/// One committed offset, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    /// Of the last record read; -1 if the client does not know.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Arc<str>,
    pub(crate) at: Timestamp,
    /// Set by clients before v5 that asked for their own retention.
    pub(crate) expires_at: Option<Timestamp>,
    /// Of the topic at the time; zero if not known.
    pub(crate) topic_id: Uuid,
}

/// What an offset takes beside its fields: an estimate of its place in the maps.
const ENTRY_BYTES: usize = 64;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// A commit, or (`None`) the deletion of one.
pub(crate) type Change = (Place, Option<Committed>);

/// The committed offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    by_topic: HashMap<Arc<str>, BTreeMap<i32, Committed>>,
    len: usize,
    bytes: usize,
    /// Changes that are appended and not yet known to be durable, each with the position of its
    /// last record in the partition of `__consumer_offsets`, ascending.
    in_flight: VecDeque<(i64, Vec<Change>)>,
}

impl Offsets {
    /// Committed partitions, those in flight not counted.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What they take in memory, those in flight included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// No offsets, and none under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && self.in_flight.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.by_topic.get(topic)?.get(&partition)
    }

    /// All of them, by topic and partition.
    pub(crate) fn all(&self) -> BTreeMap<&Arc<str>, &BTreeMap<i32, Committed>> {
        self.by_topic.iter().collect()
    }

    /// Takes in changes whose last record was appended at `position`. They show once durable.
    pub(crate) fn appended(&mut self, position: i64, changes: Vec<Change>) {
        debug_assert!(self.in_flight.back().is_none_or(|(last, _)| *last < position));
        self.bytes += bytes(&changes);
        self.in_flight.push_back((position, changes));
    }

    /// Everything below `end` is durable: what was in flight there shows from now on.
    pub(crate) fn durable_below(&mut self, end: i64) {
        while self.in_flight.front().is_some_and(|(position, _)| *position < end) {
            let Some((_, changes)) = self.in_flight.pop_front() else { return };
            self.bytes -= bytes(&changes);
            for (place, committed) in changes {
                self.apply(place, committed);
            }
        }
    }

    /// Takes in a change that is durable.
    pub(crate) fn apply(&mut self, place: Place, committed: Option<Committed>) {
        let Place { topic, partition } = place;
        let Some(committed) = committed else { return self.forget(&topic, partition) };
        self.bytes += committed.bytes();
        match self.by_topic.entry(topic).or_default().insert(partition, committed) {
            None => self.len += 1,
            Some(old) => self.bytes -= old.bytes(),
        }
    }

    fn forget(&mut self, topic: &str, partition: i32) {
        let Some(partitions) = self.by_topic.get_mut(topic) else { return };
        if let Some(old) = partitions.remove(&partition) {
            self.len -= 1;
            self.bytes -= old.bytes();
        }
        if partitions.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    /// The places whose offsets are too old to keep.
    pub(crate) fn expired(
        &self,
        rule: &Retention<'_>,
        retention: Duration,
        now: Timestamp,
    ) -> Vec<Place> {
        let is_old = |topic: &Arc<str>, it: &Committed| {
            let base = match rule {
                Retention::Forever => return false,
                Retention::UnlessSubscribed(topics) if topics.contains(topic) => return false,
                Retention::FromCommit | Retention::UnlessSubscribed(_) => it.at,
                Retention::FromInstant(since) => *since,
            };
            now >= it.expires_at.unwrap_or_else(|| base.plus(retention))
        };
        let old = |it: &(&Arc<str>, i32, &Committed)| is_old(it.0, it.2);
        self.iter().filter(old).map(|(topic, partition, _)| place(topic, partition)).collect()
    }

    /// The places of `topic`, or of every topic, those in flight included.
    pub(crate) fn places(&self, topic: Option<&str>) -> BTreeSet<Place> {
        let durable = self.iter().map(|(topic, partition, _)| place(topic, partition));
        let in_flight = self.in_flight.iter().flat_map(|(_, changes)| changes);
        let all = durable.chain(in_flight.map(|(place, _)| place.clone()));
        all.filter(|it| topic.is_none_or(|topic| *it.topic == *topic)).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &Committed)> {
        self.by_topic.iter().flat_map(|(topic, those)| {
            those.iter().map(move |(it, committed)| (topic, *it, committed))
        })
    }
}

impl Committed {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.metadata.len() + ENTRY_BYTES
    }
}

fn bytes(changes: &[Change]) -> usize {
    let one = |(place, committed): &Change| {
        place.topic.len() + ENTRY_BYTES + committed.as_ref().map_or(0, Committed::bytes)
    };
    changes.iter().map(one).sum()
}

fn place(topic: &Arc<str>, partition: i32) -> Place {
    Place { topic: Arc::clone(topic), partition }
}

/// The part of a commit that a client may fill with what it likes, measured as Kafka does: in
/// UTF-16 units.
pub(crate) fn check_metadata(metadata: &str, length_max: usize) -> Result<(), ErrorCode> {
    if metadata.len() <= length_max || metadata.encode_utf16().count() <= length_max {
        Ok(())
    } else {
        Err(ErrorCode::OffsetMetadataTooLarge)
    }
}
