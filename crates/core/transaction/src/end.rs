//! A transaction is decided.
//!
//! Owns: who may commit or abort, and what a repeated request is told. Does not own: the markers
//! (`transaction`), decisions that nobody asked for (`time`).
//!
//! Version 1 keeps the epoch, so a repetition looks like the request. Version 2 bumps it, so the
//! epoch tells a repetition (the one before) from the end of the next transaction:
//!
//! | state | abort, repeated | abort | commit, repeated | commit |
//! |---|---|---|---|---|
//! | Empty | fenced | bump | fenced | invalid state |
//! | CompleteAbort | done | bump | invalid state | invalid state |
//! | CompleteCommit | invalid state | bump | done | invalid state |
//!
//! # Source  KIP-890; Kafka `TransactionCoordinator`

use crate::transaction::{EPOCH_LAST, NO_ID};
use crate::{Facts, Outcome, Producer, Refused, State, Transaction, Version};

/// A request to end a transaction.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub from: Producer,
    pub outcome: Outcome,
    pub version: Version,
}

/// What becomes of an accepted [`End`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// A repetition: this is the producer that the first time gave.
    Already(Producer),
    /// Decided. Once it is complete, [`Transaction::producer`] is the answer.
    Begun(Transaction),
}

impl Transaction {
    pub fn end(&self, ask: End, facts: Facts) -> Result<Ended, Refused> {
        match ask.version {
            Version::One => self.end_of_one(ask, facts),
            Version::Two => self.end_of_two(ask, facts),
        }
    }

    fn end_of_one(&self, ask: End, facts: Facts) -> Result<Ended, Refused> {
        let End { from, outcome, .. } = ask;
        if self.producer.id != from.id {
            return Err(Refused::InvalidProducerIdMapping);
        }
        if self.producer.epoch != from.epoch {
            return Err(Refused::ProducerFenced);
        }
        if facts.pending {
            return Err(Refused::ConcurrentTransactions);
        }
        match self.state {
            State::Ongoing => Ok(Ended::Begun(Self {
                version: Version::One,
                ..self.moved(State::prepared(outcome), facts.now)
            })),
            it if it == State::completed(outcome) => Ok(Ended::Already(self.producer)),
            it if it == State::prepared(outcome) => Err(Refused::ConcurrentTransactions),
            _ => Err(Refused::InvalidTxnState),
        }
    }

    fn end_of_two(&self, ask: End, facts: Facts) -> Result<Ended, Refused> {
        let End { from, outcome, .. } = ask;
        let repeats_across_ids =
            self.previous_id == from.id && from.epoch == EPOCH_LAST && self.producer.epoch == 0;
        let repeats = repeats_across_ids || from.bumped().epoch == self.producer.epoch;
        if self.producer.id != from.id && !repeats_across_ids {
            return Err(Refused::InvalidProducerIdMapping);
        }
        let is_current = from.epoch == self.producer.epoch;
        let is_valid = match self.state {
            State::PrepareCommit | State::PrepareAbort => repeats,
            State::CompleteCommit | State::CompleteAbort => repeats || is_current,
            _ => is_current,
        };
        if !is_valid {
            return Err(Refused::ProducerFenced);
        }
        if facts.pending {
            return Err(Refused::ConcurrentTransactions);
        }
        match (self.state, outcome) {
            (State::Ongoing, _) => self.decide(outcome, facts),
            (State::CompleteCommit | State::CompleteAbort, _) if repeats => {
                let agrees = self.state == State::completed(outcome);
                if agrees {
                    Ok(Ended::Already(self.producer))
                } else {
                    Err(Refused::InvalidTxnState)
                }
            }
            (it, _) if it == State::prepared(outcome) => Err(Refused::ConcurrentTransactions),
            // Nothing was added, but the producer does not know: a lost answer to an addition.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, Outcome::Abort) => {
                self.decide(outcome, facts)
            }
            _ => Err(Refused::InvalidTxnState),
        }
    }

    /// The decision of a version 2 transaction: the next one has another epoch.
    fn decide(&self, outcome: Outcome, facts: Facts) -> Result<Ended, Refused> {
        let next_id = if self.producer.is_exhausted() {
            facts.fresh_id.ok_or(Refused::FreshIdNeeded)?
        } else {
            NO_ID
        };
        let mut next = self.moved(State::prepared(outcome), facts.now);
        if self.state != State::Ongoing {
            next.started_at_ms = next.updated_at.as_millis();
        }
        next.last_epoch = self.producer.epoch;
        next.producer = self.producer.bumped();
        next.next_id = next_id;
        next.version = Version::Two;
        Ok(Ended::Begun(next))
    }
}
