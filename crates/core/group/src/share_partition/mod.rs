//! What became of each record of a share partition: a partition, as the members of one share group
//! read it.
//!
//! Owns: which records are acquired by whom and until when, how often each was delivered, where the
//! window of undecided records begins and ends. Does not own: the records, clocks, the topic
//! `__share_group_state` (the coordinator), who is a member ([`share`](crate::share)).
//! Reading order: [`Partition`] (`state`) -> `acquire` -> `acknowledge` -> `saved` -> `record`.
//!
//! Invariants
//! - Runs tile the window: every record from its start to its end is in exactly one run.
//! - An acquired record has one holder and a deadline, and goes to nobody else before.
//! - An acknowledged or archived record is never delivered again.
//! - The window begins at a record that is not decided, or is empty.
//! - Runs are at most as many as records that may be in flight, and those of one batch more.
//!
//! # Source  KIP-932; Kafka's `SharePartition`, whose state by batches and offsets is one map of
//! runs here

mod acknowledge;
mod acquire;
pub mod record;
mod saved;
mod state;

#[cfg(test)]
mod tests;

pub use acknowledge::{Ack, AckKind, Refused};
pub use acquire::{Acquired, Ask, Batch, Fetched, Mode};
pub use saved::{Saved, SavedBatch, Update};
pub use state::{Partition, Rules, State};
