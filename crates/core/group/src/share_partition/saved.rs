//! What outlives a restart.
//!
//! Owns: the state as it is written, and the window that it makes. Does not own: its bytes
//! (`record`).
//!
//! As in Kafka an acquisition is not written: what was acquired and not acknowledged is available
//! after a restart, and the deliveries before count.

use super::state::{Partition, Run, State};

/// Everything about a share partition that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saved {
    /// `None`: nobody has read yet; where to begin depends on the group's settings then.
    pub start: Option<i64>,
    /// Decided records of the window, counted for its lag.
    pub decided: i64,
    /// In the order of offsets. What lies between was never delivered, or not acknowledged.
    pub batches: Vec<SavedBatch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedBatch {
    pub first: i64,
    pub last: i64,
    /// Never acquired.
    pub state: State,
    pub deliveries: i16,
}

/// What changed since the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub start: i64,
    pub decided: i64,
    pub batches: Vec<SavedBatch>,
}

impl Partition {
    /// What is to be written of the changes since the last call; [`Partition::appended`] or
    /// [`Partition::undo`] follows.
    pub fn take_update(&mut self) -> Option<Update> {
        let changed = std::mem::take(&mut self.changed);
        if changed.is_empty() && self.start == self.start_written {
            return None;
        }
        let mut batches = Vec::new();
        for (first, last) in changed {
            let runs = self.overlapping(first.max(self.start), last);
            batches.extend(runs.filter_map(|(at, it)| {
                let saved = saved(at, it)?;
                let (first, last) = (saved.first.max(first), saved.last.min(last));
                Some(SavedBatch { first, last, ..saved })
            }));
        }
        batches.sort_by_key(|it| it.first);
        Some(Update { start: self.start, decided: self.decided(), batches })
    }

    /// Everything.
    pub fn saved(&self) -> Saved {
        let batches = self.runs.iter().filter_map(|(first, it)| saved(*first, it)).collect();
        Saved { start: Some(self.start), decided: self.decided(), batches }
    }

    /// The window that begins at `start` and in which `batches` are known.
    pub fn restored(start: i64, batches: &[SavedBatch]) -> Self {
        let mut it = Self::new(start);
        for batch in batches.iter().filter(|it| it.last >= start) {
            let first = batch.first.max(it.end);
            if first > it.end {
                let (last, state) = (first - 1, State::Available);
                it.extend(Run { last, state, deliveries: 0, holder: None });
            }
            if batch.last >= first {
                let SavedBatch { last, state, deliveries, .. } = *batch;
                it.extend(Run { last, state, deliveries, holder: None });
            }
        }
        it.advance();
        it.settle();
        it
    }
}

/// An acquired record is written as it was before.
fn saved(first: i64, run: &Run) -> Option<SavedBatch> {
    let (state, deliveries) = match run.state {
        State::Acquired => (State::Available, run.deliveries - 1),
        other => (other, run.deliveries),
    };
    let is_known = state != State::Available || deliveries > 0;
    is_known.then_some(SavedBatch { first, last: run.last, state, deliveries })
}

impl Saved {
    /// Takes in an update.
    pub fn apply(&mut self, update: &Update) {
        self.start = Some(update.start);
        self.decided = update.decided;
        for new in &update.batches {
            let mut rest = Vec::with_capacity(self.batches.len() + 2);
            for old in self.batches.drain(..) {
                if old.first < new.first {
                    rest.push(SavedBatch { last: old.last.min(new.first - 1), ..old });
                }
                if old.last > new.last {
                    rest.push(SavedBatch { first: old.first.max(new.last + 1), ..old });
                }
            }
            rest.push(*new);
            rest.sort_by_key(|it| it.first);
            self.batches = rest;
        }
        self.batches.retain(|it| it.last >= update.start);
        if let Some(first) = self.batches.first_mut() {
            first.first = first.first.max(update.start);
        }
    }
}
