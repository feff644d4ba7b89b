//! Consumer groups of KIP-848: the coordinator assigns, and members follow one by one.
//!
//! Owns: the life of such a group: members and their epochs, the target assignment, the way of each
//! member to it. Does not own: classic groups, committed offsets, locks and timers.
//! Reading order: `fact` -> [`Group`] (`state`) -> `heartbeat` -> `reconcile` -> `assign` ->
//! `leave` -> `time` -> `rights` -> `view` -> `classic_member`.
//!
//! Everything that must outlive a crash is a [`Fact`]. A request changes the group through facts
//! alone, and the driver appends them before anyone learns of the change: a group after a restart
//! is what its facts add up to, by the same code.
//!
//! Invariants
//! - A partition is held by one member at most: it is given when nobody holds it, and held until
//!   its member has said that it gave it up, left, or was fenced.
//! - The group's epoch and each member's only grow, `LEFT_FOR_A_WHILE` excepted.
//! - Every member has a session deadline, and while it gives partitions up a second one.

mod assign;
mod classic_member;
mod embedded;
mod fact;
mod heartbeat;
mod leave;
mod pattern;
mod reconcile;
mod rights;
mod state;
mod time;
mod topics;
mod view;

#[cfg(test)]
mod simulation;
#[cfg(test)]
pub(crate) mod tests;

pub use assign::ASSIGNORS;
pub use fact::{
    Assigned, ClassicMember, Current, Epoch, Fact, MemberState, Partitions, Resolved, Subscription,
    TargetEpoch,
};
pub use heartbeat::{Beat, Heartbeat};
pub use rights::Right;
pub use state::{Config, Group, Refused};
pub(crate) use topics::metadata_hash;
pub use topics::{Topic, Topics};
pub use view::{Described, DescribedMember};
