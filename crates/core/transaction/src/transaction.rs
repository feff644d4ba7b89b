//! One transactional id: who writes under it, and what its transaction touched so far.
//!
//! Owns: the data, the completion of a decided transaction. Does not own: the other moves (`add`,
//! `end`, `initialize`, `time`).
//!
//! # Source  Kafka `TransactionMetadata`; KIP-98, KIP-360, KIP-890

use crate::{Outcome, State, Version};
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_kit::Timestamp;

/// A producer id and one of its epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

impl Producer {
    /// Stands for "no producer" on the wire.
    pub const NONE: Self = Self { id: NO_ID, epoch: NO_EPOCH };

    /// The last epoch that a producer is given is one below the largest number, so that there is
    /// always one left to fence it with.
    pub const fn is_exhausted(self) -> bool {
        self.epoch >= EPOCH_LAST
    }

    pub(crate) const fn bumped(self) -> Self {
        Self { id: self.id, epoch: self.epoch.saturating_add(1) }
    }
}

pub(crate) const NO_ID: i64 = -1;
pub(crate) const NO_EPOCH: i16 = -1;
pub(crate) const EPOCH_LAST: i16 = i16::MAX - 1;

/// A partition that a transaction wrote to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// What a decision needs to know beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub now: Timestamp,
    /// A producer id that nobody had, if the caller has one in reserve. See
    /// [`crate::Refused::FreshIdNeeded`].
    pub fresh_id: Option<i64>,
    /// The last move is written and not yet durable.
    pub pending: bool,
}

/// What partitions must be told once a transaction is decided.
#[derive(Debug, Clone, Copy)]
pub struct Markers<'a> {
    pub producer: Producer,
    pub outcome: Outcome,
    pub places: &'a BTreeSet<Place>,
    pub version: Version,
}

/// What an id takes beside its fields, and a partition beside its name: estimates.
const ENTRY_BYTES: usize = 128;
const PLACE_BYTES: usize = 64;

/// The state of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) producer: Producer,
    /// The producer id before the last move, -1 if there was none.
    pub(crate) previous_id: i64,
    /// While a transaction with the last epoch is being completed: the id that follows.
    pub(crate) next_id: i64,
    /// The epoch that the same incarnation had before: a repeated request still carries it.
    pub(crate) last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) places: BTreeSet<Place>,
    /// When the transaction began; milliseconds, -1 if there is none.
    pub(crate) started_at_ms: i64,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: Version,
}

impl Transaction {
    /// A transactional id that nobody used before. It has no epoch until it is initialized.
    pub fn new(producer_id: i64, timeout_ms: i32, now: Timestamp) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: NO_EPOCH },
            previous_id: NO_ID,
            next_id: NO_ID,
            last_epoch: NO_EPOCH,
            timeout_ms,
            state: State::Empty,
            places: BTreeSet::new(),
            started_at_ms: -1,
            updated_at: now,
            version: Version::One,
        }
    }

    pub fn producer(&self) -> Producer {
        self.producer
    }
    pub fn state(&self) -> State {
        self.state
    }
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }
    /// Milliseconds since the epoch; -1 if no transaction ever began.
    pub fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }
    /// What the transaction touched. Empty once it is complete.
    pub fn places(&self) -> &BTreeSet<Place> {
        &self.places
    }
    /// Memory, estimated.
    pub fn bytes(&self) -> usize {
        let places: usize = self.places.iter().map(|it| it.topic.len() + PLACE_BYTES).sum();
        size_of::<Self>() + ENTRY_BYTES + places
    }

    /// What the partitions of a decided transaction must be told. `None`: nothing is decided.
    pub fn markers(&self) -> Option<Markers<'_>> {
        let outcome = match self.state {
            State::PrepareCommit => Outcome::Commit,
            State::PrepareAbort => Outcome::Abort,
            _ => return None,
        };
        let Self { producer, version, .. } = *self;
        Some(Markers { producer, outcome, places: &self.places, version })
    }

    /// All partitions were told. `None`: nothing was decided.
    pub fn completed(&self, now: Timestamp) -> Option<Self> {
        let outcome = self.markers()?.outcome;
        let has_next = self.version == Version::Two && self.next_id != NO_ID;
        let producer =
            if has_next { Producer { id: self.next_id, epoch: 0 } } else { self.producer };
        let next = self.moved(State::completed(outcome), now);
        Some(Self { producer, next_id: NO_ID, places: BTreeSet::new(), ..next })
    }

    /// The same in another state, with the traces that every move leaves.
    pub(crate) fn moved(&self, state: State, now: Timestamp) -> Self {
        // A clock that was set back must not make a record look older than the one before.
        let updated_at = self.updated_at.max(now);
        Self { state, updated_at, previous_id: self.producer.id, ..self.clone() }
    }
}
