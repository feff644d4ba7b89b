//! Transactions: the driver of the coordinator's state machine (`systole-transaction`).
//!
//! Owns: order, durability and limits of transactional ids ([`Coordinator`]), `__transaction_state`
//! and its replay, the markers of a decided transaction, time-outs and expiry.
//! Does not own: what an id may do next (the crate `transaction`), what a marker does to a
//! partition (the log), the answers on the wire (`api`).
//! Reading order: [`Coordinator`] -> [`Writer`] -> `finish` -> `round` -> `open` -> `store`.
//! Semantics: `docs/formats/transactions.md`.
//!
//! Invariants
//! - Everything that an id does, its batches included, happens under its one lock, in one order,
//!   and lies in the write-ahead log in that order: no batch can slip behind the marker of its
//!   transaction.
//! - Decision, markers and completion are queued at once and share one sync.
//! - Nothing is answered before what it says is durable, except that a batch or a partition entered
//!   an open transaction; if that is lost, so is the transaction.

mod config;
mod coordinator;
mod finish;
mod open;
mod round;
mod slot;
mod store;
mod view;
mod writer;

#[cfg(test)]
mod simulation;

pub use config::TransactionConfig;
pub use coordinator::{Begun, Coordinator, Halt};
pub use open::Parts;
pub use view::Described;
pub use writer::Writer;

use systole_transaction::Refused;
use systole_wire::ErrorCode;

/// Kafka's number for a refusal. APIs translate it for clients that do not know it.
fn code(refused: Refused) -> ErrorCode {
    match refused {
        Refused::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
        Refused::ProducerFenced => ErrorCode::ProducerFenced,
        Refused::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
        Refused::InvalidTxnState => ErrorCode::InvalidTxnState,
        Refused::TransactionAbortable => ErrorCode::TransactionAbortable,
        Refused::FreshIdNeeded => ErrorCode::CoordinatorNotAvailable,
    }
}
