//! Classic groups: everyone joins again, and a leader among the clients assigns.
//!
//! Owns: the life of such a group. Does not own: partition assignment (the client that is elected
//! leader does it), the groups of KIP-848.
//! Reading order: `state` -> `join` -> `sync` -> `leave` -> `time` -> `view`.
//!
//! Invariants
//! - What a [`Group`] wants done comes out as [`Effect`]s.
//! - Generations only grow while the group exists, and one generation has one leader.
//! - Every request that waits has a deadline: it is answered, with an error if need be.
//! - Nothing here looks inside a member's metadata, except for the topics of a `consumer`.

mod effect;
mod join;
mod leave;
mod member;
mod migrate;
mod state;
mod subscription;
mod sync;
mod time;
mod view;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use crate::{Now, Retention};
pub use effect::{
    Effect, JoinAnswer, JoinRefused, Joined, JoinedMember, Saved, SavedMember, Snapshot,
    SyncAnswer, Synced, Token,
};
pub use join::Join;
pub use leave::Leaver;
pub use member::{Member, Protocol};
pub use migrate::Migrant;
pub use state::{Group, Limits};
pub use sync::{Caller, Sync};
pub use view::{Described, DescribedMember};
