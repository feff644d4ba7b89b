//! Share groups of KIP-932: members share partitions, and each record goes to one of them.
//!
//! Owns: the life of such a group: members and their epochs, who is to read what, which share
//! partitions have a state. Does not own: which record was delivered to whom
//! ([`share_partition`](crate::share_partition)), locks and timers.
//! Reading order: `fact` -> [`Group`] (`state`) -> `heartbeat` -> `assign` -> `leave` -> `view`.
//!
//! As in a consumer group, everything that must outlive a crash is a [`Fact`], and a request
//! changes the group through facts alone.
//!
//! Invariants
//! - A partition is assigned only once its state is initialized.
//! - The group's epoch and each member's only grow, until the member joins anew.
//! - Every member has a session deadline.

mod assign;
mod fact;
mod heartbeat;
mod leave;
mod state;
mod view;

#[cfg(test)]
mod tests;

pub use assign::NAME as ASSIGNOR;
pub use fact::{Current, Fact, Known, Named, Subscription};
pub use heartbeat::{Beat, Heartbeat};
pub use state::{Config, Group};
pub use view::{Described, DescribedMember};
