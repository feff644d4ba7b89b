//! Classic consumer groups: who belongs to a group, who reads what, and how far each got.
//!
//! Owns: the life of a group ([`Group`]), its committed offsets ([`Offsets`]), their records in
//! `__consumer_offsets` and the shell that feeds them requests and time
//! ([`Coordinator`]). Does not own: the answers on the wire (`api`), partition assignment (the
//! client that is elected leader does it), the next-generation protocol (KIP-848).
//! Reading order: `state` -> `join` -> `sync` -> `time` -> `offsets` -> [`Coordinator`].
//! Bytes: `docs/formats/consumer-offsets.md`.
//!
//! Invariants
//! - A [`Group`] does no input or output and reads no clock: what it wants done comes out as
//!   [`Effect`]s, and time goes in as [`Now`]. One seed repeats a whole simulation.
//! - Generations only grow while the group exists, and one generation has one leader.
//! - Every request that waits has a deadline: it is answered, with an error if need be.
//! - An assignment or an offset is shown to a client only after its record is durable.
//! - Nothing here looks inside a member's metadata, except for the topics of a `consumer`.

mod alarm;
mod commits;
mod config;
mod coordinator;
mod effect;
mod join;
mod journal;
mod leave;
mod member;
mod offsets;
mod record;
mod replay;
mod slot;
mod state;
mod store;
mod subscription;
mod sync;
mod time;
mod view;

#[cfg(test)]
mod coordinator_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use config::GroupConfig;
pub(crate) use config::{MEMBER_BYTES_MAX, NAME_BYTES_MAX};
pub(crate) use coordinator::Coordinator;
pub(crate) use effect::{
    Effect, JoinAnswer, JoinRefused, Joined, JoinedMember, Saved, SavedMember, Snapshot,
    SyncAnswer, Synced, Token,
};
pub(crate) use join::Join;
pub(crate) use journal::Durable;
pub(crate) use leave::Leaver;
pub(crate) use member::{Member, Protocol};
pub(crate) use offsets::{Change, Committed, Offsets, Place, check_metadata};
pub(crate) use state::{Group, Limits, Now, Retention};
pub(crate) use store::Store;
pub(crate) use sync::{Caller, Sync};
pub(crate) use view::{Described, DescribedMember};
