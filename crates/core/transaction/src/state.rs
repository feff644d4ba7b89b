//! The words of a transaction: states and protocol versions.
//!
//! Owns: their numbers in records and their names for people. Does not own: moves.
//!
//! # Source  Kafka `TransactionState`, `TransactionVersion`

use systole_wire::record::Outcome;

/// What a transactional id is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Initialized; no transaction yet.
    Empty,
    Ongoing,
    /// Committed for good; markers may be missing.
    PrepareCommit,
    /// Aborted for good; markers may be missing.
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    /// Expired. Kafka passes through it before the tombstone; no record says it.
    Dead,
    /// Kafka passes through it while it fences a producer; no record says it.
    PrepareEpochFence,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// Kafka's name, as in DescribeTransactions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// A transaction that is decided.
    pub(crate) const fn prepared(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Commit => Self::PrepareCommit,
            Outcome::Abort => Self::PrepareAbort,
        }
    }

    /// A transaction of which every partition knows the outcome.
    pub(crate) const fn completed(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Commit => Self::CompleteCommit,
            Outcome::Abort => Self::CompleteAbort,
        }
    }

    pub(crate) const fn number(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

/// The transaction protocol that a producer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// Partitions are added by a request of their own, and the epoch stays as long as the producer
    /// lives.
    One,
    /// KIP-890: each transaction has an epoch of its own, so that nothing late can enter the next
    /// one.
    Two,
}

impl Version {
    /// As records and markers say it.
    pub const fn level(self) -> i16 {
        match self {
            // Kafka writes 0 for both of the older levels.
            Self::One => 0,
            Self::Two => 2,
        }
    }

    pub(crate) const fn from_level(level: i16) -> Self {
        if level >= 2 { Self::Two } else { Self::One }
    }
}
