//! Which transactions of a partition are open and which were aborted: what a reader of committed
//! records may see.
//!
//! Owns: the last stable offset and the index of aborted transactions. Does not own: a producer's
//! epochs and sequences (`producers`), or the coordinator's decision (`broker`).
//!
//! The whole index is in memory and in every checkpoint: 32 bytes for each transaction that was
//! aborted within the retention of the partition.
//!
//! # Source  Kafka `ProducerStateManager`, `TransactionIndex`, `AbortedTxn`; KIP-98

use crate::field;
use crate::position::{Offset, PartitionId};
use std::collections::{BTreeMap, VecDeque};
use systole_wire::record::Outcome;

/// Most aborted transactions that a checkpoint may name: a bound for reading damaged bytes.
const ABORTED_MAX: u32 = 1 << 28;
const ABORTED_LEN: usize = 32;

/// What a batch did to the transactions of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Began { producer_id: i64, first: Offset },
    Ended { producer_id: i64, first: Offset, marker_at: Offset, outcome: Outcome },
}

/// A transaction whose records count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    pub producer_id: i64,
    pub first: Offset,
    /// Of its marker.
    pub last: Offset,
    /// The last stable offset after it: every transaction that began before was decided.
    pub last_stable: Offset,
}

/// A transaction without a marker yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    pub partition: PartitionId,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub first: Offset,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    /// By first offset, with the producer.
    open: BTreeMap<Offset, i64>,
    /// Ended by a marker that is not durable yet: first offset, and the marker's.
    ending: Vec<(Offset, Offset)>,
    /// In the order of their markers.
    aborted: VecDeque<Aborted>,
}

impl Transactions {
    pub(crate) fn new(
        open: impl Iterator<Item = (Offset, i64)>,
        aborted: VecDeque<Aborted>,
    ) -> Self {
        Self { open: open.collect(), ending: Vec::new(), aborted }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Began { producer_id, first } => {
                self.open.insert(first, producer_id);
            }
            Change::Ended { producer_id, first, marker_at, outcome } => {
                self.open.remove(&first);
                self.ending.push((first, marker_at));
                if outcome == Outcome::Abort {
                    let undecided = self.open.first_key_value().map(|it| *it.0);
                    let last_stable = undecided.unwrap_or(marker_at.next());
                    let it = Aborted { producer_id, first, last: marker_at, last_stable };
                    self.aborted.push_back(it);
                }
            }
        }
    }

    /// Markers below `end` are durable.
    pub(crate) fn note_durable(&mut self, end: Offset) {
        self.ending.retain(|it| it.1 >= end);
    }

    /// The first offset that belongs to a transaction of which it is not certain how it ends.
    pub(crate) fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.first_key_value().map(|it| *it.0);
        let ending = self.ending.iter().map(|it| it.0).min();
        match (open, ending) {
            (Some(open), Some(ending)) => Some(open.min(ending)),
            (open, ending) => open.or(ending),
        }
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = (Offset, i64)> {
        self.open.iter().map(|(first, producer_id)| (*first, *producer_id))
    }

    /// Records below `start` are gone.
    pub(crate) fn trim(&mut self, start: Offset) {
        while self.aborted.pop_front_if(|it| it.last < start).is_some() {}
    }

    /// The markers at `markers` are gone with everything of their transactions.
    pub(crate) fn forget(&mut self, markers: &[Offset]) {
        self.aborted.retain(|it| markers.binary_search(&it.last).is_err());
    }

    /// Back to the end of the segments at `settled`, where `open` were open. The caller applies
    /// again what is left behind it and then calls [`Transactions::end_roll_back`].
    pub(crate) fn begin_roll_back(
        &mut self,
        settled: Offset,
        open: impl Iterator<Item = (Offset, i64)>,
    ) -> Ending {
        while self.aborted.pop_back_if(|it| it.last >= settled).is_some() {}
        self.open = open.collect();
        Ending(std::mem::take(&mut self.ending))
    }
    /// The log ends at `end` now.
    pub(crate) fn end_roll_back(&mut self, end: Offset, Ending(before): Ending) {
        self.ending = before;
        self.ending.retain(|it| it.1 < end);
    }

    /// The aborted transactions with a record from `from` on and below `end`, in the order of their
    /// markers.
    pub(crate) fn overlapping(&self, from: Offset, end: Offset) -> Vec<Aborted> {
        let start = self.aborted.partition_point(|it| it.last < from);
        let mut found = Vec::new();
        for it in self.aborted.iter().skip(start) {
            if it.first < end {
                found.push(*it);
            }
            if it.last_stable >= end {
                break; // whatever was aborted later began later
            }
        }
        found
    }

    /// The aborted transactions whose markers lie below `end`.
    pub(crate) fn aborted_below(&self, end: Offset) -> VecDeque<Aborted> {
        self.aborted.iter().take_while(|it| it.last < end).copied().collect()
    }
}

/// What [`Transactions::begin_roll_back`] hands to its second half.
#[derive(Debug)]
pub(crate) struct Ending(Vec<(Offset, Offset)>);

pub(crate) fn encode_aborted(aborted: &VecDeque<Aborted>, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(aborted.len()).unwrap_or(u32::MAX).to_le_bytes());
    for it in aborted {
        out.extend_from_slice(&it.producer_id.to_le_bytes());
        for offset in [it.first, it.last, it.last_stable] {
            out.extend_from_slice(&offset.raw().to_le_bytes());
        }
    }
}

/// The inverse of [`encode_aborted`]; moves `at` behind what was read.
pub(crate) fn decode_aborted(bytes: &[u8], at: &mut usize) -> Option<VecDeque<Aborted>> {
    let count = field::le_u32(bytes, *at).filter(|it| *it <= ABORTED_MAX)?;
    *at += 4;
    let mut aborted = VecDeque::new();
    for _ in 0..count {
        let offset = |from: usize| Offset::from_wire(field::le_i64(bytes, *at + from)?);
        aborted.push_back(Aborted {
            producer_id: field::le_i64(bytes, *at)?,
            first: offset(8)?,
            last: offset(16)?,
            last_stable: offset(24)?,
        });
        *at += ABORTED_LEN;
    }
    Some(aborted)
}
