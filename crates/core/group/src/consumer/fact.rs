//! What is known of a group, in the pieces that its records keep.
//!
//! Owns: the pieces and their types. Does not own: their bytes (`record`), what they add up to
//! ([`super::Group`]).
//!
//! # Source  Kafka's `ConsumerGroup*Value` records

use crate::classic::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Timestamp, Uuid};

/// Partitions by topic.
pub type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;
/// Partitions by topic, each with the member epoch since which the member has it.
pub type Assigned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// One piece, stated whole; `None` takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Epoch(Option<Epoch>),
    /// What a member wants; a member is whoever has one.
    Member(Arc<str>, Option<Box<Subscription>>),
    TargetEpoch(Option<TargetEpoch>),
    /// What a member is to have.
    Target(Arc<str>, Option<Partitions>),
    /// What a member has.
    Current(Arc<str>, Option<Current>),
    /// A pattern that members subscribe to, and the topics that match it.
    Pattern(Arc<str>, Option<Resolved>),
}

/// The group's epoch grows with each change that asks for a new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch {
    pub number: i32,
    /// Of the subscribed topics and their partitions: tells whether they changed.
    pub metadata_hash: i64,
}

/// The group epoch that the target assignment was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetEpoch {
    pub number: i32,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub topics: BTreeSet<Arc<str>>,
    /// Empty: none.
    pub pattern: Arc<str>,
    pub rebalance_timeout: Duration,
    pub assignor: Option<Arc<str>>,
    /// Of a member that speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// What a classic member brought along in its JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    pub session_timeout: Duration,
    pub protocols: Vec<Protocol>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Current {
    /// Of the target that the member has come to; negative while a static member is away.
    pub epoch: i32,
    /// The one before: the answer that told of `epoch` may be lost.
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Assigned,
    /// No longer the member's, and not given up by it yet.
    pub revoking: Assigned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberState {
    /// Has what it is to have, as of its epoch.
    #[default]
    Stable,
    /// Has to give partitions up before it comes to the next epoch.
    Unrevoked,
    /// Waits for partitions that others have not given up.
    Unreleased,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    pub topics: BTreeSet<Arc<str>>,
    /// Of the catalogue in which the topics were looked up.
    pub version: i64,
    pub at: Timestamp,
}

impl Current {
    /// Everything that the member may still read: nobody else may.
    pub(super) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let both = self.assigned.iter().chain(&self.revoking);
        both.flat_map(|(topic, those)| those.keys().map(move |it| (*topic, *it)))
    }
    /// Has the member come to this target?
    pub(super) fn is_at(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }
    /// The epoch since which the member has a partition.
    pub(super) fn since(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let of = |it: &Assigned| it.get(&topic).and_then(|it| it.get(&partition)).copied();
        of(&self.assigned).or_else(|| of(&self.revoking))
    }
}

/// `assigned` without its epochs.
pub(super) fn partitions(assigned: &Assigned) -> Partitions {
    assigned.iter().map(|(topic, those)| (*topic, those.keys().copied().collect())).collect()
}
