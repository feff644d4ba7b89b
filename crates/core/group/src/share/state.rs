//! The group: what its facts add up to, and how they change it.
//!
//! Owns: applying facts and taking them back. Does not own: which facts a request makes
//! (`heartbeat`, `leave`).

use super::{Current, Fact, Known, Subscription};
use crate::Now;
use crate::consumer::{Epoch, Partitions, TargetEpoch};
use crate::timers::{Timer, Timers};
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Uuid};

/// What bounds and times a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    pub members_max: usize,
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
}

#[derive(Debug)]
pub struct Group {
    pub(super) config: Config,
    pub(super) epoch: Option<Epoch>,
    pub(super) target_epoch: Option<TargetEpoch>,
    /// Whoever is here is a member.
    pub(super) subscriptions: BTreeMap<Arc<str>, Subscription>,
    pub(super) targets: BTreeMap<Arc<str>, Partitions>,
    pub(super) currents: BTreeMap<Arc<str>, Current>,
    pub(super) known: Option<Box<Known>>,
    bytes: usize,
    /// Facts since the last [`Group::take_facts`], and what takes them back.
    fresh: Vec<Fact>,
    undo: Vec<Fact>,
    pub(super) timers: Timers,
    /// The version of the topics that the group's epoch takes account of; `None` after a restart.
    pub(super) topics_seen: Option<u64>,
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
            known: None,
            bytes: size_of::<Self>(),
            fresh: Vec::new(),
            undo: Vec::new(),
            timers: Timers::default(),
            topics_seen: None,
        }
    }

    /// Takes in a fact that was read back from the log.
    pub fn replay(&mut self, fact: Fact) {
        self.apply(fact);
    }
    /// The settings from here on; sessions that run keep their end.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
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
        // What was seen of the topics may be among what is taken back.
        self.topics_seen = None;
    }

    /// Is it known to the log? If not, it may be forgotten without a record.
    pub fn exists(&self) -> bool {
        self.epoch.is_some() || self.known.is_some()
    }
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }
    /// Is this one a member?
    pub fn has_member(&self, id: &str) -> bool {
        self.subscriptions.contains_key(id)
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
        facts.push(Fact::Known(None));
        facts.push(Fact::Epoch(None));
        facts
    }

    /// The earliest instant at which [`Group::advance`] may have something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first()
    }
    /// After a restart: sessions start anew, because nobody could reach us while we were down.
    pub fn resume(&mut self, now: Now) {
        let ids: Vec<_> = self.subscriptions.keys().cloned().collect();
        let until = now.instant.plus(self.config.session_timeout);
        for id in ids {
            self.timers.set(Timer::Session, &id, until);
        }
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
    /// The share partitions whose state is initialized.
    pub fn initialized(&self) -> Partitions {
        let all = self.known.iter().flat_map(|it| &it.initialized);
        all.map(|(topic, it)| (*topic, it.partitions.clone())).collect()
    }
    /// Is the state of this share partition initialized?
    pub fn is_initialized(&self, topic: Uuid, partition: i32) -> bool {
        let of_topic = self.known.as_ref().and_then(|it| it.initialized.get(&topic));
        of_topic.is_some_and(|it| it.partitions.contains(&partition))
    }

    /// Makes a fact hold; what it was before.
    fn apply(&mut self, fact: Fact) -> Fact {
        self.bytes += weight(&fact);
        let before = match fact {
            Fact::Epoch(new) => Fact::Epoch(mem::replace(&mut self.epoch, new)),
            Fact::TargetEpoch(new) => Fact::TargetEpoch(mem::replace(&mut self.target_epoch, new)),
            Fact::Member(id, new) => {
                let old = replace(&mut self.subscriptions, &id, new.map(|it| *it));
                Fact::Member(id, old.map(Box::new))
            }
            Fact::Target(id, new) => {
                let old = replace(&mut self.targets, &id, new);
                Fact::Target(id, old)
            }
            Fact::Current(id, new) => {
                let old = replace(&mut self.currents, &id, new);
                Fact::Current(id, old)
            }
            Fact::Known(new) => Fact::Known(mem::replace(&mut self.known, new)),
        };
        self.bytes -= weight(&before);
        before
    }
}

/// Of a group that nobody has joined, as in Kafka: a member that joins says 0.
const FIRST_EPOCH: i32 = 1;
/// What one partition in a target or an assignment takes: an estimate.
const PARTITION_BYTES: usize = 48;
/// What a member takes beside its own texts.
const MEMBER_BYTES: usize = 512;

fn weight(fact: &Fact) -> usize {
    let of = |it: &Partitions| it.values().map(|it| (it.len() + 1) * PARTITION_BYTES).sum();
    match fact {
        Fact::Member(id, Some(it)) => {
            let topics: usize = it.topics.iter().map(|it| it.len() + PARTITION_BYTES).sum();
            let rack = it.rack_id.as_ref().map_or(0, |it| it.len());
            MEMBER_BYTES + id.len() + rack + it.client_id.len() + it.client_host.len() + topics
        }
        Fact::Target(_, Some(it)) => of(it),
        Fact::Current(_, Some(it)) => of(&it.assigned),
        Fact::Known(Some(it)) => {
            let named = it.initializing.values().chain(it.initialized.values());
            named.map(|it| (it.partitions.len() + 1) * PARTITION_BYTES + it.name.len()).sum()
        }
        _ => 0,
    }
}

fn replace<V>(map: &mut BTreeMap<Arc<str>, V>, id: &Arc<str>, new: Option<V>) -> Option<V> {
    match new {
        Some(new) => map.insert(Arc::clone(id), new),
        None => map.remove(id),
    }
}
