//! What must not be in a history.
//!
//! Owns: the list, each with what shows it. Does not own: how it is found (`check`).

use crate::op::Place;
use std::sync::Arc;

/// Names follow Jepsen's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Anomaly {
    /// A reader passed where it was acknowledged, and nobody ever saw it (lost-write).
    #[error("lost: record {id} was acknowledged at {offset} of {at} and nobody saw it")]
    Lost { id: u64, at: Place, offset: i64 },
    /// Acknowledged beyond what readers reached at the end (unseen).
    #[error("unseen: record {id} was acknowledged at {offset} of {at}, where no reader came")]
    Unseen { id: u64, at: Place, offset: i64 },
    /// One reader passed it by that another one got (poll-skip).
    #[error("skipped: pass {pass} went over record {id} at {offset} of {at}")]
    Skipped { pass: u64, id: u64, at: Place, offset: i64 },
    /// (duplicate)
    #[error("duplicate: record {id} is at {one:?} and at {other:?}")]
    Duplicate { id: u64, one: (Place, i64), other: (Place, i64) },
    /// Two records at one offset (inconsistent-offsets).
    #[error("inconsistent offset: {offset} of {at} is record {one} and record {other}")]
    InconsistentOffset { at: Place, offset: i64, one: u64, other: u64 },
    /// A reader got what nobody sent.
    #[error("invented: record {id} at {offset} of {at} was never sent there")]
    Invented { id: u64, at: Place, offset: i64 },
    /// A reader got what the broker had refused.
    #[error("refused: record {id} is at {offset} of {at} although it was refused")]
    Refused { id: u64, at: Place, offset: i64 },
    /// A reader went back or stood still (nonmonotonic-poll).
    #[error("nonmonotonic poll: pass {pass} of {at} got {offset} when it was at {next}")]
    NonmonotonicPoll { pass: u64, at: Place, offset: i64, next: i64 },
    /// A later send lies before an earlier one (nonmonotonic-send).
    #[error(
        "nonmonotonic send: producer {producer} sent {later} after {earlier}, {at} has it before"
    )]
    NonmonotonicSend { producer: u64, at: Place, earlier: u64, later: u64 },
    /// A later send is there and an earlier one is not (send-skip).
    #[error(
        "send skip: producer {producer} sent {earlier} before {later}, {at} has only the later"
    )]
    SendSkip { producer: u64, at: Place, earlier: u64, later: u64 },
    /// A reader of committed records got one of an aborted transaction (G1a).
    #[error("aborted read: record {id} of the aborted transaction {transaction} was read")]
    AbortedRead { id: u64, transaction: u64 },
    /// A reader of committed records got one before anybody asked to commit it.
    #[error(
        "precommitted read: record {id} was read before transaction {transaction} was committed"
    )]
    PrecommittedRead { id: u64, transaction: u64 },
    /// Some of a committed transaction is there and some is not.
    #[error("torn: of transaction {transaction}, {seen:?} were seen and {missing:?} not")]
    Torn { transaction: u64, seen: Vec<u64>, missing: Vec<u64> },
    /// A group's offset is lower than one that was committed before.
    #[error("offset went back: {group} in {of} was at {committed} and is at {found:?}")]
    OffsetWentBack { group: Arc<str>, of: Place, committed: i64, found: Option<i64> },
    /// A group's offset is one that only an aborted or open transaction had (G1a of offsets).
    #[error("aborted offset: {group} in {of} is at {found}, which was never committed")]
    AbortedOffset { group: Arc<str>, of: Place, found: i64 },
    /// A group's offset is one that nobody committed.
    #[error("invented offset: {group} in {of} is at {found}, which nobody asked for")]
    InventedOffset { group: Arc<str>, of: Place, found: i64 },
}

impl Anomaly {
    /// The records and transactions that it is about.
    pub fn about(&self) -> (Vec<u64>, Vec<u64>) {
        match self {
            Self::Lost { id, .. }
            | Self::Unseen { id, .. }
            | Self::Skipped { id, .. }
            | Self::Duplicate { id, .. }
            | Self::Invented { id, .. }
            | Self::Refused { id, .. } => (vec![*id], Vec::new()),
            Self::InconsistentOffset { one, other, .. } => (vec![*one, *other], Vec::new()),
            Self::NonmonotonicSend { earlier, later, .. }
            | Self::SendSkip { earlier, later, .. } => (vec![*earlier, *later], Vec::new()),
            Self::AbortedRead { id, transaction } | Self::PrecommittedRead { id, transaction } => {
                (vec![*id], vec![*transaction])
            }
            Self::Torn { transaction, .. } => (Vec::new(), vec![*transaction]),
            Self::NonmonotonicPoll { .. }
            | Self::OffsetWentBack { .. }
            | Self::AbortedOffset { .. }
            | Self::InventedOffset { .. } => (Vec::new(), Vec::new()),
        }
    }
    /// The group and the partition whose offset it is about.
    pub fn offset_of(&self) -> Option<(&Arc<str>, &Place)> {
        match self {
            Self::OffsetWentBack { group, of, .. }
            | Self::AbortedOffset { group, of, .. }
            | Self::InventedOffset { group, of, .. } => Some((group, of)),
            _ => None,
        }
    }
}
