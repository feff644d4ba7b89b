//! Groups: who belongs to one, who reads what, and how far each got.
//!
//! Owns: the life of a group ([`classic::Group`], [`consumer::Group`], [`share::Group`]), its
//! committed offsets ([`Offsets`]), their records in `__consumer_offsets` ([`record`]), and what
//! became of each record that a share group reads ([`share_partition`]).
//! Does not own: the answers on the wire, locks, timers and the topics (the coordinator), partition
//! assignment in a classic group (its leader).
//! Reading order: [`classic`] -> [`consumer`] -> [`share`] -> [`share_partition`] -> [`offsets`] ->
//! [`record`].
//! Bytes: `docs/formats/consumer-offsets.md`.
//!
//! Invariants
//! - Nothing here does input or output or reads a clock: what is to be done comes out as data, and
//!   time goes in as [`Now`]. One seed repeats a whole simulation.
//! - An assignment or an offset is shown to a client only after its record is durable.

pub mod classic;
pub mod consumer;
mod now;
pub mod offsets;
pub mod record;
pub mod share;
pub mod share_partition;
pub mod streams;
mod timers;

pub use now::Now;
pub use offsets::{Change, Committed, Offsets, Place, Retention, check_metadata};
