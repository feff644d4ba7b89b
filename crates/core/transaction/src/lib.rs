//! What a transactional id may do next: the transaction coordinator without IO.
//!
//! Owns: the states of a transactional id and the moves between them ([`Transaction`]), who is
//! refused and why ([`Refused`]), and their records in `__transaction_state` ([`record`]).
//! Does not own: order and durability (the broker's driver), markers and the last stable offset
//! (the log), the answers on the wire (the broker's APIs).
//! Reading order: [`Transaction`] -> `add` -> `end` -> `initialize` -> `time` -> [`record`].
//! Semantics: `docs/formats/transactions.md`.
//!
//! Invariants
//! - A move gives a new [`Transaction`] and changes none: the caller writes it down first, and
//!   only then does it hold. Whatever is lost with its record was never there.
//! - A decision is written before its markers ([`State::PrepareCommit`]), and once written it is
//!   never changed.
//! - Epochs of one producer id only grow; an exhausted one is replaced by a new producer id.

mod add;
mod end;
mod initialize;
pub mod record;
mod refused;
mod state;
mod time;
mod transaction;

#[cfg(test)]
mod tests;

pub use end::{End, Ended};
pub use initialize::{Initialize, Initialized};
pub use refused::Refused;
pub use state::{State, Version};
pub use systole_wire::record::Outcome;
pub use time::Stop;
pub use transaction::{Facts, Markers, Place, Producer, Transaction};
