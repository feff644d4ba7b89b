//! A producer begins, or begins again.
//!
//! Owns: which incarnation of a producer gets which epoch. Does not own: giving out producer ids.
//!
//! # Source  KIP-98; KIP-360 for a producer that says who it was; Kafka `TransactionCoordinator`

use crate::transaction::{NO_EPOCH, NO_ID};
use crate::{Facts, Producer, Refused, State, Transaction};
use std::collections::BTreeSet;

/// A request to begin under a transactional id.
#[derive(Debug, Clone, Copy)]
pub struct Initialize {
    pub timeout_ms: i32,
    /// Who the producer was until now, if it goes on after an error (KIP-360).
    pub expected: Option<Producer>,
}

/// What becomes of an accepted [`Initialize`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initialized {
    /// [`Transaction::producer`] is the answer.
    Ready(Transaction),
    /// An open transaction of an older incarnation is aborted first; the client comes again.
    Fenced(Transaction),
}

impl Transaction {
    pub fn initialize(&self, ask: Initialize, facts: Facts) -> Result<Initialized, Refused> {
        if facts.pending {
            return Err(Refused::ConcurrentTransactions);
        }
        if ask.expected.is_some_and(|it| !self.was(it)) {
            return Err(Refused::ProducerFenced);
        }
        match self.state {
            State::PrepareCommit | State::PrepareAbort => Err(Refused::ConcurrentTransactions),
            State::Ongoing => Ok(Initialized::Fenced(self.fenced(facts.now))),
            _ => self.begin(ask, facts).map(Initialized::Ready),
        }
    }

    /// Could this be the producer, as far as its id tells?
    fn was(&self, it: Producer) -> bool {
        let was_renamed = self.previous_id != NO_ID && it.id == self.previous_id;
        self.producer.epoch == NO_EPOCH
            || it.id == self.producer.id
            || (was_renamed && it.is_exhausted())
    }

    fn begin(&self, ask: Initialize, facts: Facts) -> Result<Self, Refused> {
        let (producer, last_epoch) = self.next_producer(ask.expected, facts)?;
        Ok(Self {
            producer,
            last_epoch,
            timeout_ms: ask.timeout_ms,
            places: BTreeSet::new(),
            started_at_ms: -1,
            ..self.moved(State::Empty, facts.now)
        })
    }

    /// The producer from now on, and the epoch that it had before.
    fn next_producer(
        &self,
        expected: Option<Producer>,
        facts: Facts,
    ) -> Result<(Producer, i16), Refused> {
        let current = self.producer;
        if current.is_exhausted() && expected.is_none_or(|it| it.epoch == current.epoch) {
            let id = facts.fresh_id.ok_or(Refused::FreshIdNeeded)?;
            let last_epoch = if expected.is_some() { current.epoch } else { NO_EPOCH };
            return Ok((Producer { id, epoch: 0 }, last_epoch));
        }
        match expected {
            None => Ok((current.bumped(), NO_EPOCH)),
            Some(it) if current.epoch == NO_EPOCH || it.epoch == current.epoch => {
                Ok((current.bumped(), current.epoch))
            }
            // The answer to this very request was lost: it is given again.
            Some(it) if it.epoch == self.last_epoch => Ok((current, self.last_epoch)),
            Some(_) => Err(Refused::ProducerFenced),
        }
    }
}
