//! The shell around groups: feeds them requests and time, and writes what they must not forget.
//!
//! Owns: the [`Coordinator`] of all groups, their settings, the topic `__consumer_offsets`
//! ([`Store`]). Does not own: who belongs to a group and who reads what (`systole_group`), the
//! answers on the wire (`api`).
//! Reading order: [`Coordinator`] -> `kind` -> `facts` -> `consumer` -> `share` -> `streams` ->
//! `slot` -> `commits` -> `journal` -> `store` -> `replay`.

mod alarm;
mod commits;
mod config;
mod consumer;
mod coordinator;
mod facts;
mod journal;
mod kind;
mod replay;
mod share;
mod slot;
mod store;
mod streams;
mod transactional;

#[cfg(test)]
mod coordinator_tests;

pub(crate) use alarm::Alarm;
pub use commits::{Accepted, Commit};
pub use config::GroupConfig;
pub use config::{MEMBER_BYTES_MAX, NAME_BYTES_MAX};
pub use coordinator::Coordinator;
pub(crate) use journal::Appended;
pub use journal::{Durable, partition_of};
pub use share::TopicStarts;
pub use store::{Store, TOPIC as OFFSETS_TOPIC};
pub use transactional::EndedTransaction;
