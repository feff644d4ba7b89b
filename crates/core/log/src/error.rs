//! What can go wrong, by who asked: opening, appending, reading.
//!
//! Owns: the errors of the public functions with code and remedy. Does not own: the Kafka error
//! that each becomes (`broker`).

use crate::position::{Offset, PartitionId};
use std::io;
use std::path::{Path, PathBuf};
use systole_kit::{Code, Remedy};

/// The directory cannot be used. Damage inside it is no such case: it goes into the report.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{dir} is in use by another process{}", pid(*holder))]
    Locked { dir: PathBuf, holder: Option<u32> },
    #[error("{dir} has log format {found}, this version reads formats up to {ours}")]
    Format { dir: PathBuf, found: String, ours: u32 },
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

fn pid(holder: Option<u32>) -> String {
    holder.map(|it| format!(" (pid {it})")).unwrap_or_default()
}

impl OpenError {
    pub const fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => Code::new(3001),
            Self::Format { .. } => Code::new(3002),
            Self::Io { .. } => Code::new(3003),
        }
    }
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Locked { .. } | Self::Format { .. } => Remedy::FixConfig,
            Self::Io { .. } => Remedy::Operator,
        }
    }
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Nothing was appended, or it is not certain to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing of it counts; reads go on, and appends too once there is space.
    #[error("the disk of the log is full")]
    DiskFull,
    /// A write or sync failed: what was in flight may or may not be there after a restart. Reads
    /// go on.
    #[error("the disk of the log failed; nothing is appended until a restart")]
    DiskFailed,
    #[error("the log is closed")]
    Closed,
    #[error("the partition was deleted")]
    Deleted,
    #[error("these {bytes} bytes are not one whole record batch")]
    Malformed { bytes: usize },
    #[error("a batch of {bytes} bytes, the limit is {limit} bytes")]
    TooLarge { bytes: usize, limit: usize },
    #[error("more is waiting to be written than the limit of {limit_bytes} bytes")]
    Overloaded { limit_bytes: u64 },
    #[error("expected sequence {expected}, got {got}")]
    OutOfOrder { expected: i32, got: i32 },
    /// What it wrote before may have been forgotten: it begins again with a new epoch.
    #[error("nothing is known of the producer, whose sequence is {got}")]
    UnknownProducer { got: i32 },
    /// Its batches must belong to the transaction.
    #[error("a batch outside the producer's open transaction")]
    TransactionOpen,
    #[error("coordinator epoch {got} is older than {current}")]
    CoordinatorFenced { current: i32, got: i32 },
    #[error("producer epoch {got} is older than {current}")]
    Fenced { current: i16, got: i16 },
}

impl AppendError {
    pub const fn code(&self) -> Code {
        match self {
            Self::DiskFull => Code::new(3010),
            Self::DiskFailed => Code::new(3011),
            Self::Closed => Code::new(3012),
            Self::Deleted => Code::new(3013),
            Self::Malformed { .. } => Code::new(3014),
            Self::TooLarge { .. } => Code::new(3015),
            Self::Overloaded { .. } => Code::new(3016),
            Self::OutOfOrder { .. } => Code::new(3017),
            Self::Fenced { .. } => Code::new(3018),
            Self::UnknownProducer { .. } => Code::new(3019),
            Self::TransactionOpen => Code::new(3023),
            Self::CoordinatorFenced { .. } => Code::new(3024),
        }
    }
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Overloaded { .. } | Self::Closed => Remedy::Retry,
            Self::DiskFull | Self::DiskFailed => Remedy::Operator,
            Self::Malformed { .. } | Self::TooLarge { .. } | Self::TransactionOpen => {
                Remedy::FixRequest
            }
            Self::Deleted
            | Self::OutOfOrder { .. }
            | Self::UnknownProducer { .. }
            | Self::Fenced { .. }
            | Self::CoordinatorFenced { .. } => Remedy::Resolve,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("offset {asked} is outside {start}..={end}")]
    OutOfRange { asked: Offset, start: Offset, end: Offset },
    /// Reading goes on behind `last`.
    #[error("records {first}..={last} of {partition} are damaged on disk")]
    Damaged { partition: PartitionId, first: Offset, last: Offset },
    #[error("the partition was deleted")]
    Deleted,
    #[error("reading {partition} failed: {source}")]
    Io { partition: PartitionId, source: io::Error },
}

impl ReadError {
    /// Also of damage that was found before anyone read it.
    pub(crate) const DAMAGED: Code = Code::new(3021);

    pub const fn code(&self) -> Code {
        match self {
            Self::OutOfRange { .. } => Code::new(3020),
            Self::Damaged { .. } => Self::DAMAGED,
            Self::Deleted => Code::new(3013),
            Self::Io { .. } => Code::new(3022),
        }
    }
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::OutOfRange { .. } | Self::Deleted => Remedy::Resolve,
            Self::Damaged { .. } | Self::Io { .. } => Remedy::Operator,
        }
    }
}
