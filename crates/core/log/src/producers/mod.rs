//! What each producer wrote last: a repeated batch is recognised, a gap refused, an open
//! transaction known.
//!
//! Owns: the rules of Kafka's idempotent and transactional producer for one partition, as a pure
//! state. Does not own: handing out producer ids, which transactions readers may see
//! (`transactions`), or when to expire (the owner passes the time).
//! Reading order: [`Producers::check`] -> [`Producers::note`] -> `entry`; bytes in `snapshot`.
//!
//! Two views of one state: `settled` is as of the end of what lies in segments, which can never be
//! rolled back, and is what a checkpoint saves; `pending` holds the producers that wrote since, and
//! shadows it. Rolling back forgets `pending` and notes the batches that are left once more.
//!
//! # A producer of which nothing is known
//! Kafka takes its first batch whatever the sequence. Then a producer whose first batch was refused
//! and whose second was not can never deliver the first: it is out of order from then on. We demand
//! sequence 0, and so must tell apart
//! - a producer that was never here: OUT_OF_ORDER_SEQUENCE_NUMBER. The Java client waits for the
//!   batch before, librdkafka starts over with a new epoch; both deliver everything in order.
//! - one that was here and may have been forgotten ([`Producers::expire`]), or wrote to a partition
//!   that was deleted and made again under the same name while it went on:
//!   UNKNOWN_PRODUCER_ID, upon which both begin a new epoch at sequence 0 and send the batch again
//!   (KIP-360; in a transaction they abort it first). The other error is fatal to librdkafka
//!   in this case, and the Java client needs the log start in the answer.
//!
//! Retention, compaction and DeleteRecords forget nobody.
//!
//! # Source  Kafka `ProducerStateManager`, `ProducerAppendInfo`; KIP-98, KIP-360, KIP-890

mod entry;
mod snapshot;
#[cfg(test)]
mod tests;

pub use entry::ProducerState;

use crate::append::{Marker, Origin};
use crate::batch::Header;
use crate::partition::Stored;
use crate::position::Offset;
use crate::transactions::Change;
use entry::Entry;
use std::collections::HashMap;
use systole_kit::Timestamp;

/// A client may have this many batches in flight and repeat any of them.
pub(crate) const WINDOW: usize = 5;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    settled: HashMap<i64, Entry>,
    pending: HashMap<i64, Entry>,
    /// Producers with lower ids may have been here and been forgotten.
    forgotten_below: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// Written before, at these offsets.
    Duplicate {
        first: Offset,
        last: Offset,
    },
    /// An older incarnation of the producer.
    Fenced {
        current: i16,
    },
    /// Decided by an older incarnation of the coordinator.
    CoordinatorFenced {
        current: i32,
    },
    OutOfOrder {
        expected: i32,
    },
    /// Its state may have been forgotten.
    Unknown,
    /// Outside a transaction while its transaction is open.
    TransactionOpen,
}

impl Producers {
    fn get(&self, id: i64) -> Option<&Entry> {
        self.pending.get(&id).or_else(|| self.settled.get(&id))
    }

    /// Whether a batch may be appended. The broker's own batches have no sequence and need only be
    /// of the current epoch.
    pub(crate) fn check(&self, header: &Header, origin: Origin) -> Verdict {
        let Some(writer) = header.producer else { return Verdict::Append };
        let sequence = writer.first_sequence.filter(|_| origin == Origin::Client);
        let entry = self.get(writer.id);
        if let Some(it) = entry.filter(|it| writer.epoch < it.epoch) {
            return Verdict::Fenced { current: it.epoch };
        }
        let Some(first_sequence) = sequence else { return Verdict::Append };
        let known = entry.filter(|it| writer.epoch == it.epoch);
        if let Some((first, last)) = known.and_then(|it| it.repeated(header, first_sequence)) {
            return Verdict::Duplicate { first, last };
        }
        let expected = known.and_then(Entry::next_sequence);
        if first_sequence != expected.unwrap_or(0) {
            let is_new = entry.is_none_or(|it| it.batches.is_empty());
            return match expected {
                None if is_new && writer.id < self.forgotten_below => Verdict::Unknown,
                expected => Verdict::OutOfOrder { expected: expected.unwrap_or(0) },
            };
        }
        match entry.and_then(|it| it.transaction) {
            Some(_) if !header.transactional => Verdict::TransactionOpen,
            _ => Verdict::Append,
        }
    }

    /// Whether a marker may and must be written.
    ///
    /// With transaction version 2 the epoch rises with each transaction and the marker carries the
    /// risen one: the same epoch once more is the same marker once more, even if the next
    /// transaction has begun. Before, the epoch stays, and a marker is a repetition if nothing was
    /// written since the last one.
    pub(crate) fn check_marker(&self, marker: &Marker) -> Verdict {
        let Some(entry) = self.get(marker.producer_id) else { return Verdict::Append };
        if marker.producer_epoch < entry.epoch {
            return Verdict::Fenced { current: entry.epoch };
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Verdict::CoordinatorFenced { current: entry.coordinator_epoch };
        }
        let epoch_rises = marker.transaction_version >= 2;
        let ended = entry.ended.filter(|_| marker.producer_epoch == entry.epoch);
        match ended {
            Some(at) if epoch_rises || entry.transaction.is_none() => {
                Verdict::Duplicate { first: at, last: at }
            }
            // A transaction that began under this epoch is not the one that this marker ends.
            None if epoch_rises
                && marker.producer_epoch == entry.epoch
                && entry.transaction.is_some() =>
            {
                Verdict::Fenced { current: entry.epoch }
            }
            _ => Verdict::Append,
        }
    }

    /// Takes note of a batch that was appended or replayed.
    pub(crate) fn note(&mut self, stored: &Stored, at: Timestamp) -> Option<Change> {
        let writer = stored.header.producer?;
        let settled = &self.settled;
        let entry = self
            .pending
            .entry(writer.id)
            .or_insert_with(|| settled.get(&writer.id).cloned().unwrap_or(Entry::new(writer)));
        entry.take_in(stored, at)
    }

    /// A batch that was noted lies in a segment now. In the order of the batches.
    pub(crate) fn settle(&mut self, stored: &Stored) {
        let Some(writer) = stored.header.producer else { return };
        let newest = self.pending.get(&writer.id).map(|it| (it.newest, it.last_append_at));
        if newest.is_some_and(|it| it.0 == stored.header.last())
            && let Some(entry) = self.pending.remove(&writer.id)
        {
            self.settled.insert(writer.id, entry);
            return;
        }
        let at = newest.map_or_else(Timestamp::default, |it| it.1);
        let entry = self.settled.entry(writer.id).or_insert_with(|| Entry::new(writer));
        entry.take_in(stored, at);
    }

    /// The state as of the end of the segments. The caller notes again what is left behind it.
    pub(crate) fn roll_back(&mut self) {
        self.pending.clear();
    }

    /// Producers with ids below `id` are older than the partition.
    pub(crate) fn begin_below(&mut self, id: i64) {
        self.forgotten_below = self.forgotten_below.max(id);
    }
    /// No producer that is or was known here has this id or a higher one.
    pub(crate) fn end(&self) -> i64 {
        let ids = self.settled.keys().chain(self.pending.keys());
        ids.max().map_or(0, |it| it.saturating_add(1)).max(self.forgotten_below)
    }

    /// Forgets those who wrote nothing since, except those with an open transaction.
    pub(crate) fn expire(&mut self, older_than: Timestamp) {
        let Self { settled, pending, forgotten_below } = self;
        settled.retain(|id, entry| {
            let keep = entry.transaction.is_some()
                || entry.last_append_at >= older_than
                || pending.contains_key(id);
            if !keep {
                *forgotten_below = (*forgotten_below).max(id.saturating_add(1));
            }
            keep
        });
    }

    /// First offset and producer of each transaction that is open as of the end of the segments.
    pub(crate) fn settled_open(&self) -> impl Iterator<Item = (Offset, i64)> {
        self.settled.iter().filter_map(|(id, it)| Some((it.transaction?, *id)))
    }

    /// Last offset of the newest batch of each, or of the marker that is all there is of its epoch.
    pub(crate) fn newest_batches(&self) -> HashMap<i64, Offset> {
        let all = self.settled.iter().chain(&self.pending);
        let newest = all
            .filter_map(|(id, it)| Some((*id, it.batches.back().map(|it| it.last).or(it.ended)?)));
        newest.collect()
    }

    /// Everyone, sorted by id.
    pub(crate) fn all(&self) -> Vec<ProducerState> {
        let settled = self.settled.iter().filter(|it| !self.pending.contains_key(it.0));
        let all = settled.chain(&self.pending);
        let mut all: Vec<_> = all.map(|(id, entry)| entry.state(*id)).collect();
        all.sort_by_key(|it| it.id);
        all
    }
    pub(crate) fn state(&self, id: i64) -> Option<ProducerState> {
        self.get(id).map(|it| it.state(id))
    }
}
