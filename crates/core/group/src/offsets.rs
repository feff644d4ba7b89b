//! How far a group got in each partition.
//!
//! Owns: the committed offsets of one group, their limits and their age. Does not own: who may
//! commit (the group), the records (`record`).
//!
//! Invariant: what is shown is durable, and changes show in the order of their records.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Timestamp, Uuid};
use systole_wire::ErrorCode;

/// One committed offset, as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    /// Of the last record read; -1 if the client does not know.
    pub leader_epoch: i32,
    pub metadata: Arc<str>,
    pub at: Timestamp,
    /// Set by clients before v5 that asked for their own retention.
    pub expires_at: Option<Timestamp>,
    /// Of the topic at the time; zero if not known.
    pub topic_id: Uuid,
}

/// How long the offsets of a group are kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Retention<'a> {
    /// Members may still want any of them.
    Forever,
    /// The retention time counts from each commit: nobody ever joined.
    FromCommit,
    /// The group has been empty since then.
    FromInstant(Timestamp),
    /// The retention time counts from each commit, except for topics that are still subscribed.
    UnlessSubscribed(&'a BTreeSet<Arc<str>>),
}

/// What an offset takes beside its fields: an estimate of its place in the maps.
const ENTRY_BYTES: usize = 64;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// A commit, or (`None`) the deletion of one.
pub type Change = (Place, Option<Committed>);

/// The committed offsets of one group.
#[derive(Debug, Default)]
pub struct Offsets {
    by_topic: HashMap<Arc<str>, BTreeMap<i32, Committed>>,
    len: usize,
    bytes: usize,
    /// Changes that are appended and not yet known to be durable, each with the position of its
    /// last record in the partition of `__consumer_offsets`, ascending.
    in_flight: VecDeque<(i64, Vec<Change>)>,
    /// Commits of open transactions, by producer id: they count if the transaction commits.
    pending: HashMap<i64, Vec<Change>>,
}

impl Offsets {
    /// Committed partitions, those in flight not counted.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// What they take in memory, those in flight included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// No offsets, and none under way.
    pub fn is_empty(&self) -> bool {
        self.len == 0 && self.in_flight.is_empty() && self.pending.is_empty()
    }

    pub fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.by_topic.get(topic)?.get(&partition)
    }

    /// All of them, by topic and partition.
    pub fn all(&self) -> BTreeMap<&Arc<str>, &BTreeMap<i32, Committed>> {
        self.by_topic.iter().collect()
    }

    /// Takes in changes whose last record was appended at `position`. They show once durable.
    pub fn appended(&mut self, position: i64, changes: Vec<Change>) {
        debug_assert!(self.in_flight.back().is_none_or(|(last, _)| *last < position));
        self.bytes += bytes(&changes);
        self.in_flight.push_back((position, changes));
    }

    /// Everything below `end` is durable: what was in flight there shows from now on.
    pub fn durable_below(&mut self, end: i64) {
        while self.in_flight.front().is_some_and(|(position, _)| *position < end) {
            let Some((_, changes)) = self.in_flight.pop_front() else { return };
            self.bytes -= bytes(&changes);
            for (place, committed) in changes {
                self.apply(place, committed);
            }
        }
    }

    /// Takes in what a producer commits as part of its open transaction.
    pub fn pend(&mut self, producer_id: i64, changes: Vec<Change>) {
        self.bytes += bytes(&changes);
        self.pending.entry(producer_id).or_default().extend(changes);
    }

    /// The transaction of a producer was committed with a marker at `position`, or (`None`)
    /// aborted. What it committed shows once the marker is durable.
    pub fn end(&mut self, producer_id: i64, committed_at: Option<i64>) {
        let Some(changes) = self.pending.remove(&producer_id) else { return };
        self.bytes -= bytes(&changes);
        if let Some(position) = committed_at {
            self.appended(position, changes);
        }
    }

    /// Producers whose open transactions commit offsets here.
    pub fn pending_producers(&self) -> impl Iterator<Item = i64> {
        self.pending.keys().copied()
    }

    /// May this offset still change by what an open transaction, or a commit that is not durable
    /// yet, said already?
    pub fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        let in_flight = self.in_flight.iter().flat_map(|(_, changes)| changes);
        let mut under_way = in_flight.chain(self.pending.values().flatten());
        under_way.any(|(it, _)| it.partition == partition && *it.topic == *topic)
    }

    /// Takes in a change that is durable.
    pub fn apply(&mut self, place: Place, committed: Option<Committed>) {
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
    pub fn expired(&self, rule: &Retention<'_>, retention: Duration, now: Timestamp) -> Vec<Place> {
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
    pub fn places(&self, topic: Option<&str>) -> BTreeSet<Place> {
        let durable = self.iter().map(|(topic, partition, _)| place(topic, partition));
        let in_flight = self.in_flight.iter().flat_map(|(_, changes)| changes);
        let under_way = in_flight.chain(self.pending.values().flatten());
        let all = durable.chain(under_way.map(|(place, _)| place.clone()));
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
pub fn check_metadata(metadata: &str, length_max: usize) -> Result<(), ErrorCode> {
    if metadata.len() <= length_max || metadata.encode_utf16().count() <= length_max {
        Ok(())
    } else {
        Err(ErrorCode::OffsetMetadataTooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_grow_old_by_the_rule_of_the_state() {
        let day = Duration::from_hours(24);
        let at = |days: i64| Timestamp::from_millis(days * 86_400_000);
        let committed = |expires_at| Committed {
            offset: 1,
            leader_epoch: -1,
            metadata: "".into(),
            at: at(1),
            expires_at,
            topic_id: systole_kit::Uuid::ZERO,
        };
        let place = |topic: &str| Place { topic: topic.into(), partition: 0 };
        let mut it = Offsets::default();
        it.appended(5, vec![(place("t"), Some(committed(None)))]);
        it.appended(6, vec![(place("u"), Some(committed(None)))]);
        it.appended(7, vec![(place("v"), Some(committed(Some(at(3)))))]);
        assert!(it.get("t", 0).is_none(), "not durable yet");
        it.durable_below(8);
        let topics = ["t".into()].into();
        let old = |rule: Retention<'_>, days| {
            let mut those: Vec<_> =
                it.expired(&rule, 7 * day, at(days)).into_iter().map(|it| it.topic).collect();
            those.sort_unstable();
            those.join(" ")
        };
        assert_eq!(old(Retention::Forever, 99), "");
        assert_eq!(old(Retention::FromCommit, 7), "v");
        assert_eq!(old(Retention::FromCommit, 8), "t u v");
        assert_eq!(old(Retention::FromInstant(at(5)), 11), "v");
        assert_eq!(old(Retention::FromInstant(at(5)), 12), "t u v");
        assert_eq!(old(Retention::UnlessSubscribed(&topics), 99), "u v");
    }

    #[test]
    fn changes_show_in_the_order_of_their_records() {
        let place = Place { topic: Arc::from("t"), partition: 3 };
        let committed = |offset| {
            Some(Committed {
                offset,
                leader_epoch: 4,
                metadata: "".into(),
                at: Timestamp::default(),
                expires_at: None,
                topic_id: systole_kit::Uuid::ZERO,
            })
        };
        let mut it = Offsets::default();
        it.appended(0, vec![(place.clone(), committed(10))]);
        it.appended(1, vec![(place.clone(), None)]);
        it.appended(2, vec![(place.clone(), committed(20))]);
        it.durable_below(1);
        assert_eq!(it.get("t", 3).map(|it| it.offset), Some(10));
        it.durable_below(2);
        assert!(it.get("t", 3).is_none() && !it.is_empty());
        it.durable_below(3);
        assert_eq!(it.get("t", 3).map(|it| it.offset), Some(20));
        assert_eq!(it.len(), 1);
    }

    #[test]
    fn metadata_is_measured_in_the_units_of_kafka() {
        assert_eq!(check_metadata(&"é".repeat(4096), 4096), Ok(()));
        let long = "x".repeat(4097);
        assert_eq!(check_metadata(&long, 4096), Err(ErrorCode::OffsetMetadataTooLarge));
    }
}
