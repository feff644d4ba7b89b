//! Producers and transactions as a list of batches implies them, in the plainest way: the model
//! that the log's incremental state is compared with.
//!
//! Owns: the replay, and how a consumer of committed records uses the list of aborted transactions.

use crate::{Aborted, Offset, ProducerState};
use std::collections::{BTreeMap, BTreeSet};
use systole_kit::Timestamp;
use systole_wire::record::{BatchHeader, EndMarker, Outcome};

/// What one appended batch was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Data { sequence: Option<i32>, transactional: bool },
    Marker { outcome: Outcome, coordinator_epoch: i32 },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) first: Offset,
    pub(super) last: Offset,
    /// Id and epoch.
    pub(super) producer: Option<(i64, i16)>,
    pub(super) act: Act,
}

/// A marker and what it says.
type End = (Offset, Outcome);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) producers: BTreeMap<i64, ProducerState>,
    /// The marker of the producer's present epoch.
    pub(super) ended: BTreeMap<i64, Offset>,
    /// The first data batch of each transaction, and its marker and outcome if it has one.
    pub(super) transactions: Vec<(i64, Offset, Option<End>)>,
    pub(super) aborted: Vec<Aborted>,
    /// Offsets of data batches with the transaction that they belong to.
    data: Vec<(Offset, Offset, Option<usize>)>,
}

impl Ledger {
    pub(super) fn of(lines: impl Iterator<Item = Line>) -> Self {
        let mut it = Self::default();
        lines.for_each(|line| it.enter(line));
        it
    }

    pub(super) fn enter(&mut self, line: Line) {
        let count = i32::try_from(line.last.raw() - line.first.raw()).unwrap() + 1;
        let Some((id, epoch)) = line.producer else {
            self.data.push((line.first, line.last, None));
            return;
        };
        let fresh = ProducerState {
            id,
            epoch,
            last_sequence: None,
            last_append_at: Timestamp::default(),
            coordinator_epoch: None,
            transaction_start: None,
        };
        let known = self.producers.entry(id).or_insert(fresh);
        if known.epoch != epoch {
            (known.epoch, known.last_sequence) = (epoch, None);
            self.ended.remove(&id);
        }
        match line.act {
            Act::Data { sequence, transactional } => {
                if let Some(it) = sequence {
                    known.last_sequence = Some(it + count - 1);
                }
                if transactional && known.transaction_start.is_none() {
                    known.transaction_start = Some(line.first);
                    self.transactions.push((id, line.first, None));
                }
                let open = self.transactions.iter().position(|it| it.0 == id && it.2.is_none());
                self.data.push((line.first, line.last, open.filter(|_| transactional)));
            }
            Act::Marker { outcome, coordinator_epoch } => {
                known.coordinator_epoch = Some(coordinator_epoch);
                known.transaction_start = None;
                self.ended.insert(id, line.first);
                self.decide(id, line.first, outcome);
            }
        }
    }

    fn decide(&mut self, id: i64, marker: Offset, outcome: Outcome) {
        let open = self.transactions.iter_mut().find(|it| it.0 == id && it.2.is_none());
        let Some((producer_id, first, end)) = open else { return };
        *end = Some((marker, outcome));
        let (producer_id, first) = (*producer_id, *first);
        if outcome == Outcome::Abort {
            let last_stable = self.open_first(|_| true).unwrap_or(marker.next());
            self.aborted.push(Aborted { producer_id, first, last: marker, last_stable });
        }
    }

    /// Where the first transaction begins that has no marker, or one that does not count.
    pub(super) fn open_first(&self, counts: impl Fn(Offset) -> bool) -> Option<Offset> {
        let open = self.transactions.iter().filter(|it| it.2.is_none_or(|it| !counts(it.0)));
        open.map(|it| it.1).min()
    }

    /// First offsets of the data batches that a reader of committed records gets from `from` on.
    pub(super) fn visible(&self, (from, end): (Offset, Offset)) -> Vec<Offset> {
        let committed = |transaction: &usize| {
            self.transactions[*transaction].2.is_some_and(|it| it.1 == Outcome::Commit)
        };
        let within = self.data.iter().filter(|it| it.1 >= from && it.1 < end);
        within.filter(|it| it.2.as_ref().is_none_or(committed)).map(|it| it.0).collect()
    }
}

/// What a consumer makes of one answer: first offsets of the data batches that it hands on.
///
/// Source: Kafka `CompletedFetch`.
pub(super) fn consume(batches: &[Vec<u8>], aborted: &[Aborted]) -> Vec<Offset> {
    let mut waiting = aborted.to_vec();
    waiting.sort_by_key(|it| std::cmp::Reverse(it.first));
    let mut out_now = BTreeSet::new();
    let mut handed_on = Vec::new();
    for batch in batches {
        let header = BatchHeader::read(batch).unwrap();
        while waiting.last().is_some_and(|it| it.first.raw() <= header.last_offset()) {
            out_now.extend(waiting.pop().map(|it| it.producer_id));
        }
        if header.attributes.is_control() {
            if EndMarker::read(batch).is_ok_and(|it| it.outcome == Outcome::Abort) {
                out_now.remove(&header.producer_id);
            }
        } else if !header.attributes.is_transactional() || !out_now.contains(&header.producer_id) {
            handed_on.push(Offset::new(header.base_offset));
        }
    }
    handed_on
}
