//! What is known of a share group, in the pieces that its records keep.
//!
//! # Source  Kafka's `ShareGroup*Value` records

use crate::consumer::{Epoch, Partitions, TargetEpoch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use systole_kit::Uuid;

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
    /// Which share partitions have a state.
    Known(Option<Box<Known>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub topics: BTreeSet<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Current {
    /// Of the target that the member has come to.
    pub epoch: i32,
    /// The one before: the answer that told of `epoch` may be lost.
    pub previous_epoch: i32,
    pub assigned: Partitions,
}

/// Share partitions by what became of their state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Begun by a coordinator that did not come to an end; we begin and end at once.
    pub initializing: BTreeMap<Uuid, Named>,
    pub initialized: BTreeMap<Uuid, Named>,
    /// The state is being deleted: names by topic.
    pub deleting: BTreeMap<Uuid, Arc<str>>,
}

/// Partitions of a topic, with the name that it had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    pub name: Arc<str>,
    pub partitions: BTreeSet<i32>,
}
