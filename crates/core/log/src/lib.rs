//! Partition logs on disk: what was acknowledged is there after a crash, and nothing else.
//!
//! Owns: the write-ahead log with group commit, segments with their indexes, checkpoints, recovery,
//! retention, compaction, the state of idempotent and transactional producers, which transactions
//! are open and which were aborted. Does not own: topics' names and configurations, groups, the
//! decision how a transaction ends, validation of what a client sends (`broker`), or when to do
//! maintenance (the owner calls [`Log::maintain`] and [`Log::compact`]).
//!
//! Reading order: [`Log`] -> [`Partition`] -> `append` -> `engine` (the commit) -> `keeper` (into
//! segments) -> `checkpoint` -> `recovery`; beside them `producers`, `transactions`, `compaction`.
//! Bytes in `docs/formats/`.
//!
//! Invariants
//! - An append is acknowledged after one fsync of the write-ahead log covers it.
//! - Readers see nothing above the high watermark, and no byte that is not what was written.
//! - Readers of committed records see nothing above the last stable offset, which passes a
//!   transaction only when its marker is durable.
//! - Offsets are contiguous; where damage left a gap, the gap is an error and never skipped in
//!   silence.
//! - A failed sync is final: nothing more is written, what waited is refused, reads go on.
//! - Every step between two writes may be the last one before a crash.
//! - Payloads stay opaque and out of logs, errors and `Debug`.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod append;
mod batch;
mod checkpoint;
mod commits;
mod compaction;
mod directory;
mod engine;
mod error;
mod field;
mod keeper;
mod log;
mod options;
mod partition;
mod position;
mod producers;
mod recovery;
mod report;
mod retention;
mod segment;
#[cfg(test)]
mod tests;
mod transactions;
mod wal;

pub use append::{Appended, Marker, Origin};
pub use batch::LEADER_EPOCH;
pub use commits::Ticket;
pub use engine::Hold;
pub use error::{AppendError, OpenError, ReadError};
pub use log::{Log, Status};
pub use options::{Compaction, Options, PartitionConfig};
pub use partition::{Bounds, DeleteError, Isolation, Partition, Records, Watch};
pub use position::{Offset, PartitionId};
pub use producers::ProducerState;
pub use report::{Damage, RecoveryReport};
pub use transactions::{Aborted, OpenTransaction};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A thread that panicked while holding a lock left the state between two steps, each of which is
/// complete in itself; going on is better than failing every later call.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
