//! The group: what its facts add up to, and how they change it.
//!
//! Owns: applying facts, taking them back, and the indexes over them. Does not own: which facts a
//! request makes (`heartbeat`, `leave`).

use super::{Current, Epoch, Fact, MemberState, Partitions, Resolved, Subscription, TargetEpoch};
use crate::timers::Timers;
use regex::Regex;
use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Uuid;
use systole_wire::ErrorCode;

/// What bounds and times a group.
#[derive(Debug, Clone)]
pub struct Config {
    pub members_max: usize,
    pub session_timeout: Duration,
    /// How often members report while nothing changes.
    pub heartbeat_interval: Duration,
    /// How often members report while the group is on its way to a new assignment.
    pub heartbeat_interval_unsettled: Duration,
    /// Names of [`super::ASSIGNORS`], the default first.
    pub assignors: Vec<Arc<str>>,
}

/// A request that changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    /// For people. May name ids that the client sent.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Of a group that nobody has joined, as in Kafka: a member that joins says 0.
const FIRST_EPOCH: i32 = 1;

#[derive(Debug)]
pub struct Group {
    pub(super) config: Config,
    pub(super) epoch: Option<Epoch>,
    pub(super) target_epoch: Option<TargetEpoch>,
    /// Whoever is here is a member.
    pub(super) subscriptions: BTreeMap<Arc<str>, Subscription>,
    pub(super) targets: BTreeMap<Arc<str>, Partitions>,
    pub(super) currents: BTreeMap<Arc<str>, Current>,
    pub(super) patterns: BTreeMap<Arc<str>, Resolved>,
    /// Group instance id → member id.
    pub(super) instances: HashMap<Arc<str>, Arc<str>>,
    /// Who holds a partition.
    pub(super) holders: HashMap<(Uuid, i32), Arc<str>>,
    /// How many members have come to a target, by its epoch.
    arrived: HashMap<i32, usize>,
    bytes: usize,
    /// Facts since the last [`Group::take_facts`], and what takes them back.
    fresh: Vec<Fact>,
    undo: Vec<Fact>,
    pub(super) timers: Timers,
    /// The version of the topics that the group's epoch takes account of; `None` after a restart.
    pub(super) topics_seen: Option<u64>,
    pub(super) compiled: HashMap<Arc<str>, Regex>,
}

impl Group {
    /// A group that nobody has joined.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            epoch: None,
            target_epoch: None,
            subscriptions: BTreeMap::new(),
            targets: BTreeMap::new(),
            currents: BTreeMap::new(),
            patterns: BTreeMap::new(),
            instances: HashMap::new(),
            holders: HashMap::new(),
            arrived: HashMap::new(),
            bytes: size_of::<Self>(),
            fresh: Vec::new(),
            undo: Vec::new(),
            timers: Timers::default(),
            topics_seen: None,
            compiled: HashMap::new(),
        }
    }

    /// Takes in a fact that was read back from the log.
    pub fn replay(&mut self, fact: Fact) {
        self.apply(fact);
    }

    /// The facts made since the last call, in order. They hold already; if they cannot be appended,
    /// [`Group::undo`] takes them back.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        mem::take(&mut self.fresh)
    }
    /// The facts taken last have their place in the log.
    pub fn appended(&mut self) {
        self.undo.clear();
    }
    /// Takes back every fact since the last [`Group::appended`].
    pub fn undo(&mut self) {
        self.fresh.clear();
        for fact in mem::take(&mut self.undo).into_iter().rev() {
            self.apply(fact);
        }
    }

    /// Is it known to the log? If not, it may be forgotten without a record.
    pub fn exists(&self) -> bool {
        self.epoch.is_some()
    }
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }
    /// What the group takes in memory: an estimate, kept up to date by each fact.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything that a tombstone must take back when the group ends.
    pub fn end(&self) -> Vec<Fact> {
        let ids = || self.subscriptions.keys();
        let mut facts: Vec<_> = ids().map(|id| Fact::Current(Arc::clone(id), None)).collect();
        facts.extend(ids().map(|id| Fact::Target(Arc::clone(id), None)));
        facts.push(Fact::TargetEpoch(None));
        facts.extend(ids().map(|id| Fact::Member(Arc::clone(id), None)));
        facts.extend(self.patterns.keys().map(|it| Fact::Pattern(Arc::clone(it), None)));
        facts.push(Fact::Epoch(None));
        facts
    }

    pub(super) fn put(&mut self, fact: Fact) {
        let before = self.apply(fact.clone());
        self.fresh.push(fact);
        self.undo.push(before);
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch.map_or(FIRST_EPOCH, |it| it.number)
    }
    pub(super) fn target_epoch(&self) -> i32 {
        self.target_epoch.map_or(0, |it| it.number)
    }
    pub(super) fn current(&self, id: &str) -> Current {
        self.currents.get(id).cloned().unwrap_or_default()
    }
    /// Has everyone what it is to have?
    pub(super) fn is_settled(&self) -> bool {
        let target = self.target_epoch();
        let arrived = self.arrived.get(&target).copied().unwrap_or(0);
        self.epoch() == target && arrived == self.subscriptions.len()
    }
    pub(super) fn is_held_by_other(&self, id: &str, topic: Uuid, partition: i32) -> bool {
        self.holders.get(&(topic, partition)).is_some_and(|it| **it != *id)
    }

    /// Makes a fact hold; what it was before.
    fn apply(&mut self, fact: Fact) -> Fact {
        match fact {
            Fact::Epoch(new) => Fact::Epoch(mem::replace(&mut self.epoch, new)),
            Fact::TargetEpoch(new) => Fact::TargetEpoch(mem::replace(&mut self.target_epoch, new)),
            Fact::Member(id, new) => {
                let old = self.apply_member(&id, new.map(|it| *it));
                Fact::Member(id, old.map(Box::new))
            }
            Fact::Target(id, new) => {
                self.bytes += new.as_ref().map_or(0, weight_of_partitions);
                let old = replace(&mut self.targets, &id, new);
                self.bytes -= old.as_ref().map_or(0, weight_of_partitions);
                Fact::Target(id, old)
            }
            Fact::Current(id, new) => {
                let old = self.apply_current(&id, new);
                Fact::Current(id, old)
            }
            Fact::Pattern(pattern, new) => {
                self.bytes += new.as_ref().map_or(0, weight_of_resolved);
                let old = replace(&mut self.patterns, &pattern, new);
                self.bytes -= old.as_ref().map_or(0, weight_of_resolved);
                Fact::Pattern(pattern, old)
            }
        }
    }

    fn apply_member(&mut self, id: &Arc<str>, new: Option<Subscription>) -> Option<Subscription> {
        let instance = new.as_ref().and_then(|it| it.instance_id.clone());
        self.bytes += new.as_ref().map_or(0, |it| weight_of_member(id, it));
        let old = replace(&mut self.subscriptions, id, new);
        self.bytes -= old.as_ref().map_or(0, |it| weight_of_member(id, it));
        if let Some(gone) = old.as_ref().and_then(|it| it.instance_id.as_ref())
            && self.instances.get(gone) == Some(id)
        {
            self.instances.remove(gone);
        }
        if let Some(instance) = instance {
            self.instances.insert(instance, Arc::clone(id));
        }
        old
    }

    fn apply_current(&mut self, id: &Arc<str>, new: Option<Current>) -> Option<Current> {
        self.bytes += new.as_ref().map_or(0, |it| it.held().count() * PARTITION_BYTES);
        let old = self.currents.remove(id);
        if let Some(old) = &old {
            self.bytes -= old.held().count() * PARTITION_BYTES;
            for place in old.held() {
                if self.holders.get(&place) == Some(id) {
                    self.holders.remove(&place);
                }
            }
            self.count_arrived(old, false);
        }
        if let Some(new) = new {
            self.holders.extend(new.held().map(|place| (place, Arc::clone(id))));
            self.count_arrived(&new, true);
            self.currents.insert(Arc::clone(id), new);
        }
        old
    }

    fn count_arrived(&mut self, current: &Current, is_new: bool) {
        if current.state != MemberState::Stable {
            return;
        }
        let count = self.arrived.entry(current.epoch).or_default();
        *count = if is_new { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.arrived.remove(&current.epoch);
        }
    }
}

/// What one partition in a target or a current assignment takes: an estimate.
const PARTITION_BYTES: usize = 48;
/// What a member takes beside its own texts.
const MEMBER_BYTES: usize = 512;

fn weight_of_partitions(it: &Partitions) -> usize {
    it.values().map(|those| (those.len() + 1) * PARTITION_BYTES).sum()
}

fn weight_of_resolved(it: &Resolved) -> usize {
    size_of::<Resolved>() + it.topics.iter().map(|it| it.len() + PARTITION_BYTES).sum::<usize>()
}

fn weight_of_member(id: &str, it: &Subscription) -> usize {
    let optional = |it: &Option<Arc<str>>| it.as_ref().map_or(0, |it| it.len());
    let topics: usize = it.topics.iter().map(|it| it.len() + PARTITION_BYTES).sum();
    let classic = it.classic.iter().flat_map(|it| &it.protocols);
    let classic: usize = classic.map(|it| it.name.len() + it.metadata.len()).sum();
    let texts = id.len() + it.client_id.len() + it.client_host.len() + it.pattern.len();
    let optional = optional(&it.instance_id) + optional(&it.rack_id) + optional(&it.assignor);
    MEMBER_BYTES + texts + optional + topics + classic
}

fn replace<V>(map: &mut BTreeMap<Arc<str>, V>, id: &Arc<str>, new: Option<V>) -> Option<V> {
    match new {
        Some(new) => map.insert(Arc::clone(id), new),
        None => map.remove(id),
    }
}
