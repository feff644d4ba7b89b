//! One producer in one partition.
//!
//! Owns: what a batch or a marker does to it. Does not own: whether it may be appended
//! ([`Producers::check`](super::Producers::check)).

use super::WINDOW;
use crate::batch::{Header, Producer as Writer};
use crate::partition::Stored;
use crate::position::Offset;
use crate::transactions::Change;
use std::collections::VecDeque;
use systole_kit::Timestamp;
use systole_wire::record::EndMarker;

/// No marker was written yet.
pub(super) const NO_COORDINATOR: i32 = -1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) epoch: i16,
    /// Of the newest marker, [`NO_COORDINATOR`] without one.
    pub(super) coordinator_epoch: i32,
    /// The newest of this epoch, at most [`WINDOW`].
    pub(super) batches: VecDeque<Written>,
    /// Where the open transaction began.
    pub(super) transaction: Option<Offset>,
    /// The marker of this epoch that was written last.
    pub(super) ended: Option<Offset>,
    /// Last offset of its newest batch or marker.
    pub(super) newest: Offset,
    pub(super) last_append_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) first_sequence: i32,
    pub(super) last_sequence: i32,
    pub(super) first: Offset,
    pub(super) last: Offset,
}

/// What a partition knows of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    pub id: i64,
    pub epoch: i16,
    /// `None` if nothing of this epoch had one.
    pub last_sequence: Option<i32>,
    pub last_append_at: Timestamp,
    /// `None` if no marker was written.
    pub coordinator_epoch: Option<i32>,
    /// First offset of the open transaction.
    pub transaction_start: Option<Offset>,
}

impl Entry {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            epoch: writer.epoch,
            coordinator_epoch: NO_COORDINATOR,
            batches: VecDeque::new(),
            transaction: None,
            ended: None,
            newest: Offset::ZERO,
            last_append_at: Timestamp::default(),
        }
    }

    pub(super) fn take_in(&mut self, stored: &Stored, at: Timestamp) -> Option<Change> {
        let header = &stored.header;
        let writer = header.producer?;
        if writer.epoch != self.epoch {
            self.epoch = writer.epoch;
            self.batches.clear();
            self.ended = None;
        }
        self.newest = header.last();
        self.last_append_at = at;
        if header.control {
            // A control batch that compaction emptied, or of another kind, ends nothing.
            return self.end(EndMarker::read(&stored.bytes).ok()?, header, writer.id);
        }
        if let Some(first_sequence) = writer.first_sequence {
            self.batches.push_back(Written {
                first_sequence,
                last_sequence: advance(first_sequence, header.last_delta),
                first: header.base,
                last: header.last(),
            });
            let surplus = self.batches.len().saturating_sub(WINDOW);
            self.batches.drain(..surplus);
        }
        if header.transactional && self.transaction.is_none() {
            self.transaction = Some(header.base);
            return Some(Change::Began { producer_id: writer.id, first: header.base });
        }
        None
    }

    fn end(&mut self, marker: EndMarker, header: &Header, producer_id: i64) -> Option<Change> {
        self.coordinator_epoch = marker.coordinator_epoch;
        self.ended = Some(header.base);
        let first = self.transaction.take()?;
        let (marker_at, outcome) = (header.base, marker.outcome);
        Some(Change::Ended { producer_id, first, marker_at, outcome })
    }

    /// The offsets of the first time, if this batch was written before. `header` is of this epoch.
    pub(super) fn repeated(
        &self,
        header: &Header,
        first_sequence: i32,
    ) -> Option<(Offset, Offset)> {
        let asked = (first_sequence, advance(first_sequence, header.last_delta));
        let found = self.batches.iter().find(|it| (it.first_sequence, it.last_sequence) == asked);
        found.map(|it| (it.first, it.last))
    }

    /// `None`: nothing of this epoch had one.
    pub(super) fn next_sequence(&self) -> Option<i32> {
        self.batches.back().map(|it| advance(it.last_sequence, 1))
    }

    pub(super) fn state(&self, id: i64) -> ProducerState {
        ProducerState {
            id,
            epoch: self.epoch,
            last_sequence: self.batches.back().map(|it| it.last_sequence),
            last_append_at: self.last_append_at,
            coordinator_epoch: Some(self.coordinator_epoch).filter(|it| *it != NO_COORDINATOR),
            transaction_start: self.transaction,
        }
    }
}

/// Sequences run from 0 to the largest `i32` and start again at 0.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(by)) % (i64::from(i32::MAX) + 1);
    i32::try_from(sum).unwrap_or(0)
}
