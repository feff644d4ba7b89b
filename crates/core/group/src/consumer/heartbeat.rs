//! ConsumerGroupHeartbeat: joining, staying, and learning what to read.
//!
//! Owns: who gets in, what a change of subscription starts, when the target is made anew.
//! Does not own: leaving (`leave`), the step of a member towards its target (`reconcile`).
//!
//! # Source  KIP-848; Kafka's `GroupMetadataManager.consumerGroupHeartbeat`

use super::assign::{self, Candidate, Counts};
use super::reconcile::Step;
use super::{
    Current, Epoch, Fact, Group, MemberState, Partitions, Refused, Resolved, Subscription,
    TargetEpoch, Topics, fact, pattern, topics,
};
use crate::Now;
use crate::timers::Timer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Uuid;
use systole_wire::ErrorCode;

/// The epoch of a member that joins, or joins anew.
pub(super) const JOINING: i32 = 0;
/// The epoch with which a member says that it leaves.
pub(super) const LEFT: i32 = -1;
/// The same of a static member that will be back.
pub(super) const LEFT_FOR_A_WHILE: i32 = -2;

/// A ConsumerGroupHeartbeat whose form is right. `None`: as before.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout: Option<Duration>,
    pub topics: Option<BTreeSet<Arc<str>>>,
    pub pattern: Option<Arc<str>>,
    pub assignor: Option<Arc<str>>,
    pub owned: Option<Partitions>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    /// Until the next heartbeat; zero for one that left.
    pub interval: Duration,
    /// `None`: as before.
    pub assignment: Option<Partitions>,
}

impl Heartbeat {
    /// It says everything that a member can say, so it wants to hear everything.
    fn is_full(&self) -> bool {
        let subscribes = self.topics.is_some() || self.pattern.is_some();
        self.rebalance_timeout.is_some() && subscribes && self.owned.is_some()
    }

    fn subscription(&self, before: Option<&Subscription>) -> Subscription {
        let or = |new: &Option<Arc<str>>, old: fn(&Subscription) -> Option<Arc<str>>| {
            new.clone().or_else(|| before.and_then(old))
        };
        Subscription {
            instance_id: or(&self.instance_id, |it| it.instance_id.clone()),
            rack_id: or(&self.rack_id, |it| it.rack_id.clone()),
            client_id: Arc::clone(&self.client_id),
            client_host: Arc::clone(&self.client_host),
            topics: self
                .topics
                .clone()
                .or_else(|| before.map(|it| it.topics.clone()))
                .unwrap_or_default(),
            pattern: or(&self.pattern, |it| Some(Arc::clone(&it.pattern))).unwrap_or_default(),
            rebalance_timeout: self
                .rebalance_timeout
                .or_else(|| before.map(|it| it.rebalance_timeout))
                .unwrap_or_default(),
            assignor: or(&self.assignor, |it| it.assignor.clone()),
            classic: None,
        }
    }
}

impl Group {
    /// Takes in a heartbeat. The answer may go out when the facts that it made are durable, and
    /// those that were made before.
    ///
    /// # Errors  `FENCED_MEMBER_EPOCH`, `UNKNOWN_MEMBER_ID`, `UNRELEASED_INSTANCE_ID`,
    /// `FENCED_INSTANCE_ID`, `GROUP_MAX_SIZE_REACHED`, `INVALID_REGULAR_EXPRESSION`: nothing is
    /// changed then.
    pub fn heartbeat(
        &mut self,
        beat: &Heartbeat,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<Beat, Refused> {
        let answer = match beat.epoch {
            LEFT | LEFT_FOR_A_WHILE => self.leave(beat, topics),
            _ => self.stay(beat, topics, now),
        };
        if answer.is_err() {
            self.undo();
        }
        answer
    }

    fn stay(&mut self, beat: &Heartbeat, topics: &dyn Topics, now: Now) -> Result<Beat, Refused> {
        self.enter(beat)?;
        let id = &beat.member_id;
        let before = self.current(id);
        let subscription = beat.subscription(self.subscriptions.get(id));
        let changed = self.subscribe(id, subscription)?;
        self.refresh(changed, topics, now);
        self.retarget(topics, now);
        let current = self.reconcile(id, changed, beat.owned.as_ref(), topics);
        self.timers.set(Timer::Session, id, now.instant.plus(self.config.session_timeout));
        self.time_revocation(id, &before, &current, now);
        let tells = beat.epoch == JOINING || beat.is_full() || before.assigned != current.assigned;
        Ok(Beat {
            member_id: Arc::clone(id),
            epoch: current.epoch,
            interval: self.heartbeat_interval(),
            assignment: tells.then(|| fact::partitions(&current.assigned)),
        })
    }

    pub(super) fn heartbeat_interval(&self) -> Duration {
        if self.is_settled() {
            self.config.heartbeat_interval
        } else {
            self.config.heartbeat_interval_unsettled
        }
    }

    /// Lets a member in, or makes sure that it is the one it claims to be.
    fn enter(&mut self, beat: &Heartbeat) -> Result<(), Refused> {
        let id = &beat.member_id;
        let joins = beat.epoch == JOINING;
        self.check_room(id)?;
        let Some(instance) = &beat.instance_id else {
            if !joins && !self.subscriptions.contains_key(id) {
                return Err(unknown_member());
            }
            return self.check_epoch(beat);
        };
        match self.instances.get(instance).cloned() {
            None if joins => Ok(()),
            None => Err(unknown_member()),
            Some(owner) if joins => {
                let epoch = self.current(&owner).epoch;
                let classic = self.subscriptions.get(&owner).is_some_and(|it| it.classic.is_some());
                if epoch != LEFT_FOR_A_WHILE && !classic {
                    let message = "Another member has this instance id and has not left.";
                    return Err(Refused::new(ErrorCode::UnreleasedInstanceId, message));
                }
                self.replace(&owner, id);
                Ok(())
            }
            Some(owner) if owner != *id => {
                let message = "Another member has taken over this instance id.";
                Err(Refused::new(ErrorCode::FencedInstanceId, message))
            }
            Some(_) => self.check_epoch(beat),
        }
    }

    pub(super) fn check_room(&self, id: &str) -> Result<(), Refused> {
        if self.subscriptions.contains_key(id) || self.subscriptions.len() < self.config.members_max
        {
            return Ok(());
        }
        let message = format!("The group has {} members, its limit.", self.config.members_max);
        Err(Refused::new(ErrorCode::GroupMaxSizeReached, message))
    }

    /// An older epoch is right only if the answer with the newer one may have been lost.
    fn check_epoch(&self, beat: &Heartbeat) -> Result<(), Refused> {
        if beat.epoch == JOINING {
            return Ok(());
        }
        let current = self.current(&beat.member_id);
        let lost = beat.epoch == current.previous_epoch
            && beat.epoch < current.epoch
            && beat.owned.as_ref().is_some_and(|it| is_part(it, &current));
        if beat.epoch == current.epoch || lost {
            return Ok(());
        }
        let message = format!(
            "Member epoch {} is not {}: give up all partitions and join again.",
            beat.epoch, current.epoch
        );
        Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
    }

    /// A static member is back under a new id, and takes over what the old one was to have.
    pub(super) fn replace(&mut self, old: &Arc<str>, new: &Arc<str>) {
        let Some(subscription) = self.subscriptions.get(old).cloned() else { return };
        let target = self.targets.get(old).cloned().unwrap_or_default();
        let current = Current { epoch: 0, previous_epoch: 0, ..self.current(old) };
        self.remove(old);
        self.put(Fact::Member(Arc::clone(new), Some(Box::new(subscription))));
        self.put(Fact::Target(Arc::clone(new), Some(target)));
        self.put(Fact::Current(Arc::clone(new), Some(current)));
    }

    /// Notes what a member wants. True if it wants other topics than before.
    pub(super) fn subscribe(
        &mut self,
        id: &Arc<str>,
        wanted: Subscription,
    ) -> Result<bool, Refused> {
        let before = self.subscriptions.get(id);
        if before == Some(&wanted) {
            return Ok(false);
        }
        let topics_changed =
            before.map_or(!wanted.topics.is_empty(), |it| it.topics != wanted.topics);
        let old_pattern = before.map(|it| Arc::clone(&it.pattern)).unwrap_or_default();
        let pattern = Arc::clone(&wanted.pattern);
        if !pattern.is_empty() && !self.compiled.contains_key(&pattern) {
            let compiled = pattern::compile(&pattern)?;
            self.compiled.insert(Arc::clone(&pattern), compiled);
        }
        self.put(Fact::Member(Arc::clone(id), Some(Box::new(wanted))));
        if pattern != old_pattern {
            self.drop_pattern_if_unused(&old_pattern);
        }
        Ok(topics_changed || pattern != old_pattern)
    }

    pub(super) fn drop_pattern_if_unused(&mut self, pattern: &Arc<str>) {
        if !self.subscriptions.values().any(|it| it.pattern == *pattern) {
            self.compiled.remove(pattern);
            if self.patterns.contains_key(pattern) {
                self.put(Fact::Pattern(Arc::clone(pattern), None));
            }
        }
    }

    /// Begins a new epoch if what members want changed, or what there is.
    pub(super) fn refresh(&mut self, changed: bool, topics: &dyn Topics, now: Now) {
        let version = topics.version();
        if !changed && self.topics_seen == Some(version) && self.exists() {
            return;
        }
        let matched = self.resolve_patterns(topics, now);
        let metadata_hash = self.metadata_hash(topics);
        let is_other = self.epoch.map_or(0, |it| it.metadata_hash) != metadata_hash;
        let begins = changed || matched || is_other;
        if begins || !self.exists() {
            let number = self.epoch() + i32::from(begins);
            self.put(Fact::Epoch(Some(Epoch { number, metadata_hash })));
        }
        self.topics_seen = Some(version);
    }

    /// Looks up again which topics the patterns match. True if that changed.
    fn resolve_patterns(&mut self, topics: &dyn Topics, now: Now) -> bool {
        let wanted: BTreeSet<_> = self
            .subscriptions
            .values()
            .map(|it| Arc::clone(&it.pattern))
            .filter(|it| !it.is_empty())
            .collect();
        if wanted.is_empty() {
            return false;
        }
        let (names, mut changed) = (topics.names(), false);
        for pattern in wanted {
            // One that was read back from the log compiled when it came in.
            let Ok(compiled) = self.compiled_or_new(&pattern) else { continue };
            let matching = names.iter().filter(|it| compiled.is_match(it)).cloned().collect();
            if self.patterns.get(&pattern).is_none_or(|it| it.topics != matching) {
                changed = true;
                let version = i64::try_from(topics.version()).unwrap_or(i64::MAX);
                let resolved = Resolved { topics: matching, version, at: now.calendar };
                self.put(Fact::Pattern(pattern, Some(resolved)));
            }
        }
        changed
    }

    fn compiled_or_new(&mut self, text: &Arc<str>) -> Result<regex::Regex, Refused> {
        if let Some(it) = self.compiled.get(text) {
            return Ok(it.clone());
        }
        let it = pattern::compile(text)?;
        self.compiled.insert(Arc::clone(text), it.clone());
        Ok(it)
    }

    /// The topics that a subscription asks for, those that do not exist left out.
    pub(super) fn subscribed(&self, it: &Subscription, topics: &dyn Topics) -> BTreeSet<Uuid> {
        let matched = self.patterns.get(&it.pattern).map(|it| &it.topics);
        let names = it.topics.iter().chain(matched.into_iter().flatten());
        names.filter_map(|name| topics.by_name(name)).map(|it| it.id).collect()
    }

    pub(super) fn subscribed_names(&self) -> BTreeSet<&Arc<str>> {
        let named = self.subscriptions.values().flat_map(|it| &it.topics);
        named.chain(self.patterns.values().flat_map(|it| &it.topics)).collect()
    }

    pub(super) fn metadata_hash(&self, topics: &dyn Topics) -> i64 {
        topics::metadata_hash(self.subscribed_names().into_iter(), topics)
    }

    /// Makes the target anew if the group has come to a later epoch.
    pub(super) fn retarget(&mut self, topics: &dyn Topics, now: Now) {
        if self.target_epoch() >= self.epoch() {
            return;
        }
        let candidates: Vec<_> = self
            .subscriptions
            .iter()
            .map(|(id, it)| Candidate {
                id: Arc::clone(id),
                instance_id: it.instance_id.clone(),
                topics: self.subscribed(it, topics),
                target: self.targets.get(id).cloned().unwrap_or_default(),
            })
            .collect();
        let names = self.subscribed_names();
        let counts: Counts = names
            .into_iter()
            .filter_map(|name| topics.by_name(name))
            .map(|it| (it.id, it.partition_count))
            .collect();
        let targets = assign::assign(&self.assignor(), &candidates, &counts);
        for (candidate, target) in candidates.iter().zip(targets) {
            let is_known = self.targets.contains_key(&candidate.id);
            if !is_known || candidate.target != target {
                self.put(Fact::Target(Arc::clone(&candidate.id), Some(target)));
            }
        }
        let number = self.epoch();
        self.put(Fact::TargetEpoch(Some(TargetEpoch { number, at: now.calendar })));
    }

    /// The assignor that most members ask for; of several the first by name, of none the default.
    pub(super) fn assignor(&self) -> Arc<str> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for name in self.subscriptions.values().filter_map(|it| it.assignor.as_ref()) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().max().copied();
        let winner = votes.into_iter().find(|(_, count)| Some(*count) == most);
        let default = || self.config.assignors.first().cloned().unwrap_or_default();
        winner.map_or_else(default, |(name, _)| Arc::clone(name))
    }

    /// Takes a member one step towards its target; what it has then.
    pub(super) fn reconcile(
        &mut self,
        id: &Arc<str>,
        subscription_changed: bool,
        owned: Option<&Partitions>,
        topics: &dyn Topics,
    ) -> Current {
        let from = self.current(id);
        if from.is_at(self.target_epoch()) && !subscription_changed {
            return from;
        }
        let subscribed =
            self.subscriptions.get(id).map(|it| self.subscribed(it, topics)).unwrap_or_default();
        let nothing = Partitions::new();
        let step = Step {
            target_epoch: self.target_epoch(),
            target: self.targets.get(id).unwrap_or(&nothing),
            subscribed: &subscribed,
            subscription_changed,
            owned,
            is_held_by_other: &|topic, partition| self.is_held_by_other(id, topic, partition),
        };
        let to = step.take(&from);
        if to != from || !self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), Some(to.clone())));
        }
        to
    }

    /// A member that gives partitions up has its rebalance time for it.
    fn time_revocation(&mut self, id: &Arc<str>, before: &Current, after: &Current, now: Now) {
        if after.state != MemberState::Unrevoked {
            self.timers.cancel(Timer::Revoke, id);
        } else if before != after || !self.timers.is_set(Timer::Revoke, id) {
            let patience = self.subscriptions.get(id).map(|it| it.rebalance_timeout);
            let until = now.instant.plus(patience.unwrap_or_default());
            self.timers.set(Timer::Revoke, id, until);
        }
    }
}

pub(super) fn unknown_member() -> Refused {
    Refused::new(ErrorCode::UnknownMemberId, "The group has no such member.")
}

/// Is everything in `owned` assigned to the member?
fn is_part(owned: &Partitions, current: &Current) -> bool {
    let is_assigned = |topic: &Uuid, it: &i32| {
        current.assigned.get(topic).is_some_and(|those| those.contains_key(it))
    };
    owned.iter().all(|(topic, those)| those.iter().all(|it| is_assigned(topic, it)))
}
