//! What happens to a transactional id without a request: it takes too long, lies idle, or the node
//! starts again.
//!
//! Owns: when. Does not own: who looks (the broker's driver).

use crate::transaction::NO_ID;
use crate::{Outcome, State, Transaction, Version};
use std::time::Duration;
use systole_kit::Timestamp;

/// How the node stopped the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Everything that was answered is on disk.
    Clean,
    /// What was answered without waiting for the disk may be lost: records of open transactions.
    Unclean,
}

impl Transaction {
    /// The open transaction is aborted under an epoch that its producer does not have.
    pub(crate) fn fenced(&self, now: Timestamp) -> Self {
        Self {
            producer: self.producer.bumped(),
            last_epoch: self.producer.epoch,
            next_id: NO_ID,
            version: Version::Two,
            ..self.moved(State::prepared(Outcome::Abort), now)
        }
    }

    /// The abort of a transaction that is open for longer than its producer said it would be.
    pub fn timed_out(&self, now: Timestamp) -> Option<Self> {
        let open_ms = now.as_millis().saturating_sub(self.started_at_ms);
        let is_due = self.state == State::Ongoing && open_ms > i64::from(self.timeout_ms);
        is_due.then(|| self.fenced(now))
    }

    /// Nobody used the id for so long that it may be forgotten.
    pub fn is_expired(&self, expiration: Duration, now: Timestamp) -> bool {
        let is_idle =
            matches!(self.state, State::Empty | State::CompleteCommit | State::CompleteAbort);
        is_idle && self.updated_at.plus(expiration) <= now
    }

    /// What a start has to do about a transaction that is not decided.
    ///
    /// After an unclean stop, open ones are aborted: their records may be gone. The same goes for a
    /// producer of version 1 whose last transaction was committed. It may have begun another one of
    /// which every trace is lost, and the commit of that one would look like a repetition of the
    /// one before, and be told "done".
    pub fn recovered(&self, stop: Stop, now: Timestamp) -> Option<Self> {
        let is_ambiguous = self.state == State::Ongoing
            || (self.state == State::CompleteCommit && self.version == Version::One);
        (stop == Stop::Unclean && is_ambiguous).then(|| self.fenced(now))
    }
}
