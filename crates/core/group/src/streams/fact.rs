//! What is known of a streams group, in the pieces that its records keep.
//!
//! Owns: the pieces and their types. Does not own: their bytes (`record`), what they add up to
//! ([`super::Group`]).
//!
//! # Source  Kafka's `StreamsGroup*Value` records

use super::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;

/// One piece, stated whole; `None` takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Epoch(Option<Epoch>),
    Topology(Option<Arc<Topology>>),
    /// Who a member is; a member is whoever has one.
    Member(Arc<str>, Option<Box<Member>>),
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to have.
    Target(Arc<str>, Option<Tasks>),
    /// What a member has.
    Current(Arc<str>, Option<Current>),
}

/// The group's epoch grows with each change that asks for a new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    pub number: i32,
    /// Of the required topics and their partitions: tells whether they changed.
    pub metadata_hash: i64,
    /// Of the topology whose topics are all there and fit; [`Epoch::NOT_READY`] until they do.
    pub validated_topology_epoch: i32,
    /// As of the last assignment; `None` if a record does not tell.
    pub standby_replicas: Option<usize>,
}

impl Epoch {
    pub const NOT_READY: i32 = -1;
}

/// The group epoch that the target assignment was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetEpoch {
    pub number: i32,
    pub at: Timestamp,
}

/// One thread of one process of the application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout: Duration,
    pub topology_epoch: i32,
    /// Members of one process share its local state.
    pub process_id: Arc<str>,
    /// Where the application itself answers queries: host and port.
    pub endpoint: Option<(Arc<str>, u16)>,
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

/// A subtopology on one partition of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    pub subtopology: Arc<str>,
    pub partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tasks {
    pub active: BTreeSet<Task>,
    /// Copies of the state of active tasks elsewhere.
    pub standby: BTreeSet<Task>,
}

/// The same, each active task with the member epoch since which the member has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    pub active: BTreeMap<Task, i32>,
    pub standby: BTreeSet<Task>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Current {
    /// Of the target that the member has come to.
    pub epoch: i32,
    /// The one before: the answer that told of `epoch` may be lost.
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Held,
    /// No longer the member's, and not given up by it yet.
    pub revoking: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberState {
    /// Has what it is to have, as of its epoch.
    #[default]
    Stable,
    /// Has to give tasks up before it comes to the next epoch.
    Unrevoked,
    /// Waits for tasks that others have not given up.
    Unreleased,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty()
    }
    pub fn tasks(&self) -> Tasks {
        Tasks { active: self.active.keys().cloned().collect(), standby: self.standby.clone() }
    }
}

impl Tasks {
    /// Is everything here in `held`?
    pub(super) fn is_part_of(&self, held: &Held) -> bool {
        self.active.iter().all(|it| held.active.contains_key(it))
            && self.standby.is_subset(&held.standby)
    }
    pub(super) fn has_any_of(&self, held: &Held) -> bool {
        held.active.keys().any(|it| self.active.contains(it))
            || !self.standby.is_disjoint(&held.standby)
    }
}

impl Current {
    /// The epoch since which an active task is the member's.
    pub(super) fn since(&self, task: &Task) -> Option<i32> {
        self.assigned.active.get(task).or_else(|| self.revoking.active.get(task)).copied()
    }
}

/// As records and answers list tasks: partitions by subtopology.
pub fn by_subtopology<'a>(
    tasks: impl IntoIterator<Item = &'a Task>,
) -> BTreeMap<&'a Arc<str>, Vec<i32>> {
    let mut lists: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for it in tasks {
        lists.entry(&it.subtopology).or_default().push(it.partition);
    }
    lists
}
