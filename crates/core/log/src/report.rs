//! Damage that was found and what a recovery did.
//!
//! Owns: [`Damage`], [`RecoveryReport`] and the book of all damage since the start. Does not own:
//! metrics and logs of the node (it subscribes by asking).

use crate::error::ReadError;
use crate::lock;
use crate::position::{Offset, PartitionId};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// Something on disk is not what was written. The damaged part is not served; everything else is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// These records cannot be read.
    Records { partition: PartitionId, first: Offset, last: Offset },
    /// A group of the write-ahead log that had been durable; what of it was lost and is not in a
    /// segment shows as [`Damage::Records`], unless it was the end of a partition.
    Group { sequence: u64 },
    /// A file beside the records, which was made again from its copy or from the records; or a
    /// file of the write-ahead log that has become shorter. The newest records may be gone with it.
    File { path: PathBuf },
}

/// Distinct damages kept; more are only counted.
const DAMAGES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct DamageBook(Mutex<BTreeSet<Damage>>);

impl DamageBook {
    pub(crate) fn report(&self, damage: Damage) {
        let mut book = lock(&self.0);
        if book.len() < DAMAGES_MAX && !book.contains(&damage) {
            let code = ReadError::DAMAGED;
            tracing::error!(%code, ?damage, "damage on disk; it is not served");
            book.insert(damage);
        }
    }
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
    pub(crate) fn all(&self) -> Vec<Damage> {
        lock(&self.0).iter().cloned().collect()
    }
}

/// What opening a directory found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    pub partitions: usize,
    /// Bytes of the write-ahead log that were read.
    pub wal_bytes: u64,
    pub groups_replayed: usize,
    pub batches_replayed: usize,
    /// Groups that the crash tore or that followed a torn one; nothing in them was acknowledged.
    pub groups_dropped: usize,
    /// The last stop was orderly ([`Log::close`](crate::Log::close)), or there was none. Otherwise
    /// what was answered before its ticket was done may be lost: relaxed appends, and batches of
    /// transactions that were still open.
    pub clean: bool,
    pub damage: Vec<Damage>,
    pub took: Duration,
}
