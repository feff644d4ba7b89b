//! The shell around groups and transactions: it feeds their state machines requests and time, and
//! writes what they must not forget.
//!
//! Owns: the coordinator of groups ([`group`]) with `__consumer_offsets`, the coordinator of
//! transactions ([`transaction`]) with `__transaction_state`, share partitions ([`share`]) with
//! `__share_group_state`, ids for producers ([`ProducerIds`]).
//! Does not own: who is in which group (`systole_group`), what a transaction may do next
//! (`systole_transaction`), topics (`systole_catalogue`), the answers on the wire (the broker).
//! Reading order: [`group`] -> [`share`] -> [`transaction`], which marks offsets of a group as it
//! marks records.

pub mod group;
mod producer_id;
pub mod share;
pub mod transaction;

pub use producer_id::ProducerIds;
