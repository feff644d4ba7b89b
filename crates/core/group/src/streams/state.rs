//! The group: what its facts add up to, and how they change it.
//!
//! Owns: applying facts, taking them back, and the indexes over them. Does not own: which facts a
//! request makes (`heartbeat`, `leave`).

use super::configure::Configured;
use super::{Current, Epoch, Fact, Held, Member, MemberState, TargetEpoch, Task, Tasks, Topology};
use crate::timers::Timers;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Instant;

/// What bounds and times a group.
#[derive(Debug, Clone)]
pub struct Config {
    pub members_max: usize,
    pub session_timeout: Duration,
    /// How often members report while nothing changes.
    pub heartbeat_interval: Duration,
    /// How often members report while the group is on its way to a new assignment.
    pub heartbeat_interval_unsettled: Duration,
    /// Copies of the state of each task that has some.
    pub standby_replicas: usize,
    /// How long the first member of an empty group waits for others.
    pub initial_rebalance_delay: Duration,
}

/// Of a group that nobody has joined, as in Kafka: a member that joins says 0.
const FIRST_EPOCH: i32 = 1;

#[derive(Debug)]
pub struct Group {
    pub(super) config: Config,
    pub(super) epoch: Option<Epoch>,
    pub(super) topology: Option<Arc<Topology>>,
    pub(super) target_epoch: Option<TargetEpoch>,
    /// Whoever is here is a member.
    pub(super) members: BTreeMap<Arc<str>, Member>,
    pub(super) targets: BTreeMap<Arc<str>, Tasks>,
    pub(super) currents: BTreeMap<Arc<str>, Current>,
    /// Who holds an active task, and who a standby.
    active: HashMap<Task, Arc<str>>,
    standby: HashMap<Task, BTreeSet<Arc<str>>>,
    /// How many members have come to a target, by its epoch.
    arrived: HashMap<i32, usize>,
    bytes: usize,
    /// Facts since the last [`Group::take_facts`], and what takes them back.
    fresh: Vec<Fact>,
    undo: Vec<Fact>,
    pub(super) timers: Timers,
    /// The topology over the topics of a version; `None` when it is to be looked up.
    pub(super) configured: Option<(u64, Arc<Configured>)>,
    /// No target is made before.
    pub(super) delayed_until: Option<Instant>,
    /// Who asked that the whole application stop. Not kept: it is asked again after a restart.
    pub(super) shutdown_by: Option<Arc<str>>,
    /// Grows whenever a member with an endpoint gets or loses tasks.
    pub(super) endpoint_epoch: i32,
}

impl Group {
    /// A group that nobody has joined.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            epoch: None,
            topology: None,
            target_epoch: None,
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            currents: BTreeMap::new(),
            active: HashMap::new(),
            standby: HashMap::new(),
            arrived: HashMap::new(),
            bytes: size_of::<Self>(),
            fresh: Vec::new(),
            undo: Vec::new(),
            timers: Timers::default(),
            configured: None,
            delayed_until: None,
            shutdown_by: None,
            endpoint_epoch: 0,
        }
    }

    /// Other limits and times hold from the next heartbeat on.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
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
        self.configured = None;
    }

    /// Is it known to the log? If not, it may be forgotten without a record.
    pub fn exists(&self) -> bool {
        self.epoch.is_some()
    }
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
    /// What the group takes in memory: an estimate, kept up to date by each fact.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything that a tombstone must take back when the group ends, in Kafka's order.
    pub fn end(&self) -> Vec<Fact> {
        let ids = || self.members.keys();
        let mut facts: Vec<_> = ids().map(|id| Fact::Current(Arc::clone(id), None)).collect();
        facts.extend(ids().map(|id| Fact::Target(Arc::clone(id), None)));
        facts.push(Fact::TargetEpoch(None));
        facts.extend(ids().map(|id| Fact::Member(Arc::clone(id), None)));
        facts.push(Fact::Epoch(None));
        facts.push(Fact::Topology(None));
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
    pub(super) fn validated_topology_epoch(&self) -> i32 {
        self.epoch.map_or(0, |it| it.validated_topology_epoch)
    }
    pub(super) fn current(&self, id: &str) -> Current {
        self.currents.get(id).cloned().unwrap_or_default()
    }
    /// Are the topics of its topology there?
    pub(super) fn is_ready(&self) -> bool {
        self.topology.as_ref().is_some_and(|it| it.epoch == self.validated_topology_epoch())
    }
    /// Has everyone what it is to have?
    pub(super) fn is_settled(&self) -> bool {
        let target = self.target_epoch();
        let arrived = self.arrived.get(&target).copied().unwrap_or(0);
        self.epoch() == target && arrived == self.members.len()
    }

    /// Does another hold what keeps `id` from having `task` as an active one? The process of `id`
    /// holds no task twice, and an active task is one member's alone.
    pub(super) fn is_active_elsewhere(&self, id: &str, task: &Task) -> bool {
        self.active.get(task).is_some_and(|it| **it != *id) || self.is_standby_beside(id, task)
    }
    /// The same for a standby.
    pub(super) fn is_held_beside(&self, id: &str, task: &Task) -> bool {
        self.active.get(task).is_some_and(|it| self.is_beside(id, it))
            || self.is_standby_beside(id, task)
    }
    fn is_standby_beside(&self, id: &str, task: &Task) -> bool {
        self.standby.get(task).into_iter().flatten().any(|it| self.is_beside(id, it))
    }
    /// Is `other` another member of the same process?
    fn is_beside(&self, id: &str, other: &str) -> bool {
        let process = |id: &str| self.members.get(id).map(|it| &it.process_id);
        id != other && process(id) == process(other)
    }

    /// Makes a fact hold; what it was before.
    fn apply(&mut self, fact: Fact) -> Fact {
        match fact {
            Fact::Epoch(new) => Fact::Epoch(mem::replace(&mut self.epoch, new)),
            Fact::TargetEpoch(new) => Fact::TargetEpoch(mem::replace(&mut self.target_epoch, new)),
            Fact::Topology(new) => {
                self.configured = None;
                self.bytes += new.as_deref().map_or(0, weight_of_topology);
                let old = mem::replace(&mut self.topology, new);
                self.bytes -= old.as_deref().map_or(0, weight_of_topology);
                Fact::Topology(old)
            }
            Fact::Member(id, new) => {
                self.bytes += new.as_ref().map_or(0, |it| weight_of_member(&id, it));
                let old = replace(&mut self.members, &id, new.map(|it| *it));
                self.bytes -= old.as_ref().map_or(0, |it| weight_of_member(&id, it));
                Fact::Member(id, old.map(Box::new))
            }
            Fact::Target(id, new) => {
                self.bytes += new.as_ref().map_or(0, weight_of_tasks);
                let old = replace(&mut self.targets, &id, new);
                self.bytes -= old.as_ref().map_or(0, weight_of_tasks);
                Fact::Target(id, old)
            }
            Fact::Current(id, new) => {
                let old = self.apply_current(&id, new);
                Fact::Current(id, old)
            }
        }
    }

    fn apply_current(&mut self, id: &Arc<str>, new: Option<Current>) -> Option<Current> {
        let old = self.currents.remove(id);
        if let Some(old) = &old {
            self.bytes -= weight_of_held(&old.assigned) + weight_of_held(&old.revoking);
            self.count_arrived(old, false);
            for held in [&old.assigned, &old.revoking] {
                self.release(id, held);
            }
        }
        if let Some(new) = new {
            self.bytes += weight_of_held(&new.assigned) + weight_of_held(&new.revoking);
            self.count_arrived(&new, true);
            for held in [&new.assigned, &new.revoking] {
                self.hold(id, held);
            }
            self.currents.insert(Arc::clone(id), new);
        }
        old
    }

    fn hold(&mut self, id: &Arc<str>, held: &Held) {
        for task in held.active.keys() {
            self.active.insert(task.clone(), Arc::clone(id));
        }
        for task in &held.standby {
            self.standby.entry(task.clone()).or_default().insert(Arc::clone(id));
        }
    }

    fn release(&mut self, id: &Arc<str>, held: &Held) {
        for task in held.active.keys() {
            if self.active.get(task) == Some(id) {
                self.active.remove(task);
            }
        }
        for task in &held.standby {
            let Some(holders) = self.standby.get_mut(task) else { continue };
            holders.remove(id);
            if holders.is_empty() {
                self.standby.remove(task);
            }
        }
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

/// What one task in a target or a current assignment takes: an estimate.
const TASK_BYTES: usize = 96;
/// What a member takes beside its own texts.
const MEMBER_BYTES: usize = 512;
/// What a topic in a topology takes beside its own texts.
const TOPIC_BYTES: usize = 64;

fn weight_of_tasks(it: &Tasks) -> usize {
    (it.active.len() + it.standby.len()) * TASK_BYTES
}

fn weight_of_held(it: &Held) -> usize {
    (it.active.len() + it.standby.len()) * TASK_BYTES
}

fn weight_of_member(id: &str, it: &Member) -> usize {
    let texts = id.len() + it.client_id.len() + it.client_host.len() + it.process_id.len();
    let rack = it.rack_id.as_ref().map_or(0, |it| it.len());
    let endpoint = it.endpoint.as_ref().map_or(0, |(host, _)| host.len());
    let tags: usize = it.tags.iter().map(|(key, it)| key.len() + it.len() + TOPIC_BYTES).sum();
    MEMBER_BYTES + texts + rack + endpoint + tags
}

fn weight_of_topology(it: &Topology) -> usize {
    let names =
        it.subtopologies.values().flat_map(|it| it.sources.iter().chain(&it.repartition_sinks));
    let names: usize = names.map(|it| it.len() + TOPIC_BYTES).sum();
    let internal = it.subtopologies.values();
    let internal = internal.flat_map(|it| it.repartition_sources.iter().chain(&it.changelogs));
    let internal = internal.map(|it| {
        let configs = it.configs.iter().map(|(key, it)| key.len() + it.len() + TOPIC_BYTES);
        it.name.len() + TOPIC_BYTES + configs.sum::<usize>()
    });
    let groups = it.subtopologies.values().flat_map(|it| &it.copartitions);
    let groups = groups.map(|it| (it.sources.len() + it.repartition_sources.len()) * 2);
    names + internal.sum::<usize>() + groups.sum::<usize>()
}

fn replace<V>(map: &mut BTreeMap<Arc<str>, V>, id: &Arc<str>, new: Option<V>) -> Option<V> {
    match new {
        Some(new) => map.insert(Arc::clone(id), new),
        None => map.remove(id),
    }
}
