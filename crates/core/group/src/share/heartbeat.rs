//! ShareGroupHeartbeat: joining, staying, and learning what to read.
//!
//! Owns: who gets in, which share partitions get a state, when the target is made anew. Does not
//! own: leaving (`leave`), the choice of a target (`assign`).
//!
//! A member needs no reconciliation: partitions are shared, so it comes to its target at once.
//!
//! # Source  KIP-932; Kafka's `GroupMetadataManager.shareGroupHeartbeat`. Kafka initializes states
//! beside the heartbeat and assigns their partitions with a later one; here it is one step.

use super::assign::{self, Candidate};
use super::{Current, Fact, Group, Subscription};
use crate::Now;
use crate::consumer::{Epoch, Partitions, Refused, TargetEpoch, Topics, metadata_hash};
use crate::timers::Timer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Uuid;
use systole_wire::ErrorCode;

/// The epoch of a member that joins, or joins anew.
const JOINING: i32 = 0;
/// The epoch with which a member says that it leaves.
const LEFT: i32 = -1;

/// A ShareGroupHeartbeat whose form is right. `None`: as before.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub topics: Option<BTreeSet<Arc<str>>>,
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
    /// Share partitions whose state begins with this heartbeat, and the epoch of that state.
    pub begun: Partitions,
    pub state_epoch: i32,
}

impl Group {
    /// Takes in a heartbeat. The answer may go out when the facts that it made are durable, those
    /// that were made before, and the states that it begins.
    ///
    /// # Errors  `FENCED_MEMBER_EPOCH`, `UNKNOWN_MEMBER_ID`, `GROUP_MAX_SIZE_REACHED`: nothing is
    /// changed then.
    pub fn heartbeat(
        &mut self,
        beat: &Heartbeat,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<Beat, Refused> {
        if beat.epoch == LEFT {
            self.leave(&beat.member_id, topics)?;
            return Ok(Beat {
                member_id: Arc::clone(&beat.member_id),
                epoch: LEFT,
                interval: Duration::ZERO,
                assignment: None,
                begun: Partitions::new(),
                state_epoch: 0,
            });
        }
        self.check_room(&beat.member_id)?;
        self.check_epoch(beat)?;
        Ok(self.stay(beat, topics, now))
    }

    fn stay(&mut self, beat: &Heartbeat, topics: &dyn Topics, now: Now) -> Beat {
        let id = &beat.member_id;
        let before = self.current(id);
        let changed = self.subscribe(beat);
        let begun = self.refresh(changed, topics);
        self.retarget(topics, now);
        let current = self.come_to_target(id, changed, topics);
        self.timers.set(Timer::Session, id, now.instant.plus(self.config.session_timeout));
        let tells =
            beat.epoch == JOINING || beat.topics.is_some() || before.assigned != current.assigned;
        Beat {
            member_id: Arc::clone(id),
            epoch: current.epoch,
            interval: self.config.heartbeat_interval,
            assignment: tells.then_some(current.assigned),
            begun,
            state_epoch: self.epoch(),
        }
    }

    fn check_room(&self, id: &str) -> Result<(), Refused> {
        let members_max = self.config.members_max;
        if self.has_member(id) || self.subscriptions.len() < members_max {
            return Ok(());
        }
        let text =
            format!("The share group has reached its maximum capacity of {members_max} members.");
        Err(Refused::new(ErrorCode::GroupMaxSizeReached, text))
    }

    /// An older epoch is right if the answer with the newer one may have been lost.
    fn check_epoch(&self, beat: &Heartbeat) -> Result<(), Refused> {
        if beat.epoch == JOINING {
            return Ok(());
        }
        if !self.has_member(&beat.member_id) {
            return Err(unknown_member());
        }
        let current = self.current(&beat.member_id);
        let lost = beat.epoch == current.previous_epoch && beat.epoch < current.epoch;
        if beat.epoch == current.epoch || lost {
            return Ok(());
        }
        let message = format!(
            "Member epoch {} is not {}: give up all partitions and join again.",
            beat.epoch, current.epoch
        );
        Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
    }

    /// Notes what a member wants. True if it wants other topics than before.
    fn subscribe(&mut self, beat: &Heartbeat) -> bool {
        let before = self.subscriptions.get(&beat.member_id);
        let rack_id = beat.rack_id.clone().or_else(|| before.and_then(|it| it.rack_id.clone()));
        let topics = beat.topics.clone().or_else(|| before.map(|it| it.topics.clone()));
        let wanted = Subscription {
            rack_id,
            client_id: Arc::clone(&beat.client_id),
            client_host: Arc::clone(&beat.client_host),
            topics: topics.unwrap_or_default(),
        };
        if before == Some(&wanted) {
            return false;
        }
        let changed = before.is_none_or(|it| it.topics != wanted.topics);
        self.put(Fact::Member(Arc::clone(&beat.member_id), Some(Box::new(wanted))));
        changed
    }

    /// Begins a new epoch if what members want changed, or what there is; the share partitions that
    /// get a state with it.
    fn refresh(&mut self, changed: bool, topics: &dyn Topics) -> Partitions {
        let version = topics.version();
        if !changed && self.topics_seen == Some(version) && self.epoch.is_some() {
            return Partitions::new();
        }
        let begun = self.begin_states(topics);
        let metadata_hash = self.hash(topics);
        let is_other = self.epoch.map_or(0, |it| it.metadata_hash) != metadata_hash;
        let begins = changed || is_other || !begun.is_empty();
        if begins || self.epoch.is_none() {
            let number = self.epoch() + i32::from(begins);
            self.put(Fact::Epoch(Some(Epoch { number, metadata_hash })));
        }
        self.topics_seen = Some(version);
        begun
    }

    /// Subscribed partitions without a state get one.
    fn begin_states(&mut self, topics: &dyn Topics) -> Partitions {
        let mut begun = Partitions::new();
        let mut known = self.known.as_deref().cloned().unwrap_or_default();
        for name in self.subscribed_names() {
            let Some(topic) = topics.by_name(name) else { continue };
            let there = known.initialized.entry(topic.id).or_default();
            let missing: BTreeSet<_> =
                (0..topic.partition_count).filter(|it| !there.partitions.contains(it)).collect();
            if missing.is_empty() {
                continue;
            }
            there.name = Arc::clone(name);
            there.partitions.extend(&missing);
            known.initializing.remove(&topic.id);
            known.deleting.remove(&topic.id);
            begun.insert(topic.id, missing);
        }
        if !begun.is_empty() {
            self.put(Fact::Known(Some(Box::new(known))));
        }
        begun
    }

    pub(super) fn subscribed_names(&self) -> BTreeSet<&Arc<str>> {
        self.subscriptions.values().flat_map(|it| &it.topics).collect()
    }
    pub(super) fn hash(&self, topics: &dyn Topics) -> i64 {
        metadata_hash(self.subscribed_names().into_iter(), topics)
    }

    /// The topics that a subscription asks for, those that do not exist left out.
    fn subscribed(it: &Subscription, topics: &dyn Topics) -> BTreeSet<Uuid> {
        it.topics.iter().filter_map(|name| topics.by_name(name)).map(|it| it.id).collect()
    }

    /// Makes the target anew if the group has come to a later epoch.
    fn retarget(&mut self, topics: &dyn Topics, now: Now) {
        if self.target_epoch() >= self.epoch() {
            return;
        }
        let candidates: Vec<_> = self
            .subscriptions
            .iter()
            .map(|(id, it)| Candidate {
                id: Arc::clone(id),
                topics: Self::subscribed(it, topics),
                target: self.targets.get(id).cloned().unwrap_or_default(),
            })
            .collect();
        let mut assignable = self.initialized();
        assignable.retain(|topic, _| topics.name_of(*topic).is_some());
        let targets = assign::assign(&candidates, &assignable);
        for (candidate, target) in candidates.iter().zip(targets) {
            let is_known = self.targets.contains_key(&candidate.id);
            if !is_known || candidate.target != target {
                self.put(Fact::Target(Arc::clone(&candidate.id), Some(target)));
            }
        }
        let number = self.epoch();
        self.put(Fact::TargetEpoch(Some(TargetEpoch { number, at: now.calendar })));
    }

    /// What the member has from here on.
    fn come_to_target(&mut self, id: &Arc<str>, changed: bool, topics: &dyn Topics) -> Current {
        let from = self.current(id);
        let target_epoch = self.target_epoch();
        if from.epoch == target_epoch && !changed && self.currents.contains_key(id) {
            return from;
        }
        let wanted = self.subscriptions.get(id).map(|it| Self::subscribed(it, topics));
        let wanted = wanted.unwrap_or_default();
        let mut assigned = self.targets.get(id).cloned().unwrap_or_default();
        assigned.retain(|topic, _| wanted.contains(topic));
        let to = Current { epoch: target_epoch, previous_epoch: from.epoch, assigned };
        if to != from || !self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), Some(to.clone())));
        }
        to
    }
}

pub(super) fn unknown_member() -> Refused {
    Refused::new(ErrorCode::UnknownMemberId, "The group has no such member.")
}
