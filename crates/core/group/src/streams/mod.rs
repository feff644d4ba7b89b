//! Streams groups (KIP-1071): the coordinator knows the application's topology and hands out tasks.
//!
//! Owns: the life of such a group: its topology, the topics that it needs, members and their
//! epochs, the target assignment, the way of each member to it. Does not own: creating topics
//! (they come out in [`Beat`]), committed offsets, locks and timers.
//! Reading order: `topology` -> `configure` -> `fact` -> [`Group`] (`state`) -> `heartbeat` ->
//! `reconcile` -> `assign` -> `leave` -> `time` -> `rights` -> `view`.
//!
//! As in [`crate::consumer`], everything that must outlive a crash is a [`Fact`]. What Kafka 4.3
//! refuses is refused here too: warm-up tasks, sources by pattern, static members, another topology
//! in a group that has one.
//!
//! Invariants
//! - A task is active at one member at most: it is given when nobody holds it, and held until its
//!   member has said that it gave it up, left, or was fenced.
//! - No process holds a task twice, be it active or standby.
//! - The group's epoch and each member's only grow.
//! - Every member has a session deadline, and while it gives tasks up a second one.

mod assign;
mod configure;
mod fact;
mod heartbeat;
mod leave;
mod reconcile;
mod rights;
mod state;
mod time;
mod topology;
mod view;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use configure::Missing;
pub use fact::{
    Current, Epoch, Fact, Held, Member, MemberState, TargetEpoch, Task, Tasks, by_subtopology,
};
pub use heartbeat::{Beat, Endpoint, Heartbeat, Inputs, Notice, Status};
pub use rights::Right;
pub use state::{Config, Group};
pub use topology::{Copartition, InternalTopic, Subtopology, Topology};
pub use view::{Described, DescribedMember};
