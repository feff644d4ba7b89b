//! One transactional id in the coordinator: what is certain of it, and what is under way.
//!
//! Owns: the lock of an id, and which of its moves came to pass. Does not own: moves
//! (`systole-transaction`), when they happen (`coordinator`).
//!
//! A move holds as soon as its record is queued, so that the next request sees it. If the record
//! is lost (the disk is full), the move never happened, and what came after it stands on its own:
//! each record says all of the state.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use systole_log::{Log, Ticket};
use systole_transaction::Transaction;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: Arc<str>,
    /// Of `__transaction_state`.
    pub(super) partition: i32,
    inner: Mutex<Inner>,
}

/// When a record must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before anything is answered.
    Now,
    /// With the next sync: it only says that a transaction is open.
    Later,
}

#[derive(Debug)]
pub(super) struct Inner {
    /// As of the last record that is known to be written.
    settled: Option<Transaction>,
    moves: VecDeque<Move>,
    /// Of all that the open transaction wrote: a commit needs it to have succeeded.
    pub(super) written: Ticket,
    /// Whoever still holds the slot must look the id up anew.
    pub(super) is_gone: bool,
    /// This id's part in the coordinator's count of bytes.
    pub(super) counted_bytes: usize,
}

#[derive(Debug)]
struct Move {
    ticket: Ticket,
    after: Transaction,
    sync: Sync,
}

impl Slot {
    pub(super) fn new(id: Arc<str>, partition: i32, settled: Option<Transaction>) -> Self {
        let inner = Inner {
            settled,
            moves: VecDeque::new(),
            written: Ticket::NONE,
            is_gone: false,
            counted_bytes: 0,
        };
        Self { id, partition, inner: Mutex::new(inner) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The state that the next request meets. `None`: no record of the id was written.
    pub(super) fn current(&self) -> Option<&Transaction> {
        self.moves.back().map(|it| &it.after).or(self.settled.as_ref())
    }

    /// A move is written whose end is not known yet, and it must be before anything else happens.
    pub(super) fn is_pending(&self) -> bool {
        self.moves.iter().any(|it| it.sync == Sync::Now)
    }

    pub(super) fn moved(&mut self, ticket: Ticket, after: Transaction, sync: Sync) {
        self.moves.push_back(Move { ticket, after, sync });
    }

    /// Finds out what became of the moves under way.
    pub(super) fn settle(&mut self, log: &Log) {
        while let Some(outcome) = self.moves.front().and_then(|it| log.outcome(it.ticket)) {
            let Some(it) = self.moves.pop_front() else { return };
            if outcome.is_ok() {
                self.settled = Some(it.after);
            }
        }
    }

    pub(super) fn bytes(&self, id: &str) -> usize {
        let moves: usize = self.moves.iter().map(|it| it.after.bytes()).sum();
        id.len() + self.settled.as_ref().map_or(0, Transaction::bytes) + moves
    }
}
