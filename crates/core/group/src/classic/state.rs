//! The group: its data, its states, and the moves between them.
//!
//! Owns: membership, election, the choice of a protocol, the start and the end of a rebalance.
//! Does not own: the requests (`join`, `sync`, `leave`), deadlines (`time`), offsets (`offsets`).
//!
//! # Source  Kafka's classic group protocol: KIP-62 (sessions and rebalance time), KIP-134 (initial
//! delay), KIP-345 (static members), KIP-394 (member id first), KIP-814 (skip the assignment).

use super::member::Waiting;
use super::{Effect, JoinRefused, Joined, JoinedMember, Member, Saved, SavedMember, Snapshot};
use super::{Now, Retention, SyncAnswer, subscription};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Instant;
use systole_kit::Timestamp;
use systole_wire::ErrorCode;

/// What bounds a group.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the first generation of an empty group waits for more members.
    pub initial_delay: Duration,
    /// Members, the pending ones included.
    pub members_max: usize,
}

/// What a pending id takes beside its own bytes: an estimate.
const PENDING_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No members; there may be offsets.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance(Phase),
    /// Everyone is in; the leader works out who reads what.
    CompletingRebalance { sync_until: Instant, is_saving: bool },
    /// Everyone reads. Until then a member may fetch its assignment, if one still has to.
    Stable { sync_until: Option<Instant> },
    /// Deleted; whoever still holds it must look the group up anew.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first members of an empty group: `until` moves on while newcomers arrive, up to `end`.
    Initial {
        until: Instant,
        end: Instant,
        newcomer: bool,
    },
    Rejoin {
        until: Instant,
    },
}

#[derive(Debug)]
pub struct Group {
    pub(super) limits: Limits,
    pub(super) state: State,
    pub(super) state_since: Option<Timestamp>,
    pub(super) generation: i32,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: HashMap<Arc<str>, Member>,
    /// Group instance id → member id.
    pub(super) instances: HashMap<Arc<str>, Arc<str>>,
    /// Ids given out to members that have not come back with them, and until when they may.
    pub(super) pending: HashMap<Arc<str>, Instant>,
    /// `None`: not consumers, or one of them cannot be read.
    pub(super) subscribed: Option<BTreeSet<Arc<str>>>,
    pub(super) effects: Vec<Effect>,
    members_seen: u64,
}

impl Group {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Empty,
            state_since: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: HashMap::new(),
            instances: HashMap::new(),
            pending: HashMap::new(),
            subscribed: None,
            effects: Vec::new(),
            members_seen: 0,
        }
    }

    /// The group as its last record tells it. Sessions start anew at `now`: nobody could reach us
    /// while we were down.
    pub fn restored(limits: Limits, saved: Snapshot, now: Now) -> Self {
        let mut it = Self::new(limits);
        it.generation = saved.generation;
        it.state_since = saved.state_since;
        it.protocol_type = saved.protocol_type;
        it.protocol = saved.protocol;
        it.leader = saved.leader;
        let protocol: Arc<str> = it.protocol.clone().unwrap_or_default();
        for member in saved.members {
            let number = it.next_number();
            it.insert(Member::restored(member, &protocol, number, now.instant));
        }
        if !it.members.is_empty() {
            it.state = State::Stable { sync_until: None };
        }
        it.subscribed = it.union_of_subscriptions();
        it
    }

    /// What is to be done since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        mem::take(&mut self.effects)
    }

    /// Nobody is in it, nor about to be: with no offsets either it may be forgotten.
    pub fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty()
    }

    pub fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// What the group takes in memory. Cost: one look at each member.
    pub fn bytes(&self) -> usize {
        let pending: usize = self.pending.keys().map(|it| it.len() + PENDING_BYTES).sum();
        size_of::<Self>() + pending + self.members.values().map(Member::bytes).sum::<usize>()
    }

    /// Would `join` make a member take more memory than it does now?
    pub fn grows_by(&self, join: &super::Join) -> bool {
        self.members.get(&join.member_id).is_none_or(|it| it.bytes() < join.bytes())
    }

    /// A record of it may be in the log.
    pub fn was_saved(&self) -> bool {
        self.generation > 0
    }

    /// # Errors  `NON_EMPTY_GROUP`; `GROUP_ID_NOT_FOUND` if it is gone already.
    pub fn may_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Empty => Ok(()),
            State::Dead => Err(ErrorCode::GroupIdNotFound),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// The end of a group, if [`Group::may_delete`] allows it. The caller writes the tombstones.
    pub fn delete(&mut self) {
        if self.may_delete().is_ok() {
            self.state = State::Dead;
            self.pending.clear();
        }
    }

    /// May offsets of `topic` be deleted by an administrator?
    pub fn may_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Empty => Ok(()),
            State::Dead => Err(ErrorCode::GroupIdNotFound),
            _ if self.is_consumers() => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Does a member read `topic`? Yes if that cannot be known.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        !self.members.is_empty() && self.subscribed.as_ref().is_none_or(|it| it.contains(topic))
    }

    pub fn retention(&self) -> Retention<'_> {
        match (&self.state, &self.protocol_type, &self.subscribed) {
            (State::Empty, Some(_), _) => {
                self.state_since.map_or(Retention::FromCommit, Retention::FromInstant)
            }
            (State::Empty, None, _) => Retention::FromCommit,
            (State::Stable { .. }, Some(_), Some(topics)) if self.is_consumers() => {
                Retention::UnlessSubscribed(topics)
            }
            _ => Retention::Forever,
        }
    }

    fn is_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::CONSUMER)
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.members_seen += 1;
        self.members_seen
    }

    /// Members in the order of joining.
    pub(super) fn in_order(&self) -> Vec<&Member> {
        let mut all: Vec<_> = self.members.values().collect();
        all.sort_unstable_by_key(|it| it.number);
        all
    }

    /// Is this the living member that it claims to be?
    pub(super) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if **owner != *id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    pub(super) fn insert(&mut self, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(Arc::clone(instance), Arc::clone(&member.id));
        }
        self.pending.remove(&member.id);
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.id));
        }
        self.members.insert(Arc::clone(&member.id), member);
    }

    /// Takes a member out and answers what it waits for. The caller sees to the rebalance.
    pub(super) fn remove(&mut self, id: &str, code: ErrorCode) {
        let Some(mut member) = self.members.remove(id) else { return };
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        self.answer_error(&mut member, code);
        if self.is_leader(id) {
            self.leader =
                self.members.values().min_by_key(|it| it.number).map(|it| Arc::clone(&it.id));
        }
    }

    /// Answers whatever `member` waits for with an error.
    pub(super) fn answer_error(&mut self, member: &mut Member, code: ErrorCode) {
        match mem::replace(&mut member.waiting, Waiting::No) {
            Waiting::No => {}
            Waiting::Join(token) => {
                let member_id = Arc::clone(&member.id);
                self.effects.push(Effect::Join(token, Err(JoinRefused { code, member_id })));
            }
            Waiting::Sync(token) => self.effects.push(Effect::Sync(token, Err(code))),
        }
    }

    /// After a change of membership: start a rebalance, or see whether the one under way is done.
    pub(super) fn rebalance(&mut self, now: Now) {
        match self.state {
            State::Empty | State::Stable { .. } => self.prepare(now),
            State::CompletingRebalance { .. } => {
                self.reset_assignments(ErrorCode::RebalanceInProgress, now);
                self.prepare(now);
            }
            State::PreparingRebalance(Phase::Rejoin { .. }) => self.complete_if_all_joined(now),
            State::PreparingRebalance(Phase::Initial { .. }) | State::Dead => {}
        }
    }

    fn prepare(&mut self, now: Now) {
        let timeout = self.rebalance_timeout();
        let delay = self.limits.initial_delay.min(timeout);
        let phase = if self.state == State::Empty && !delay.is_zero() {
            let (until, end) = (now.instant.plus(delay), now.instant.plus(timeout));
            Phase::Initial { until, end, newcomer: false }
        } else {
            Phase::Rejoin { until: now.instant.plus(timeout) }
        };
        let was_empty = self.state == State::Empty;
        self.enter(State::PreparingRebalance(phase), now);
        match phase {
            Phase::Rejoin { .. } if was_empty => self.complete_join(now),
            Phase::Rejoin { .. } => self.complete_if_all_joined(now),
            Phase::Initial { .. } => {}
        }
    }

    fn complete_if_all_joined(&mut self, now: Now) {
        if self.pending.is_empty() && self.members.values().all(Member::awaits_join) {
            self.complete_join(now);
        }
    }

    /// The join phase is over: whoever is not back by now is out, static members excepted.
    pub(super) fn complete_join(&mut self, now: Now) {
        let late = self.members.values().filter(|it| !it.awaits_join() && it.instance_id.is_none());
        for id in late.map(|it| Arc::clone(&it.id)).collect::<Vec<_>>() {
            self.remove(&id, ErrorCode::UnknownMemberId);
        }
        if !self.members.is_empty() && !self.elect_from_joined() {
            // Only static members are left and none is back: give them another round. Their
            // sessions bound this, because nobody in it is waiting.
            let until = now.instant.plus(self.rebalance_timeout());
            self.state = State::PreparingRebalance(Phase::Rejoin { until });
            return;
        }
        self.next_generation(now);
    }

    fn next_generation(&mut self, now: Now) {
        // 2^31 rebalances of a millisecond take 24 days of nothing else.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.leader = None;
            self.subscribed = None;
            self.enter(State::Empty, now);
            let snapshot = self.snapshot(&HashMap::new());
            self.effects.push(Effect::Save(snapshot, Saved::Nothing));
            return;
        }
        self.protocol = self.vote();
        self.subscribed = self.union_of_subscriptions();
        let sync_until = now.instant.plus(self.rebalance_timeout());
        self.enter(State::CompletingRebalance { sync_until, is_saving: false }, now);
        let ids: Vec<_> = self.in_order().into_iter().map(|it| Arc::clone(&it.id)).collect();
        for id in ids {
            let joined = self.joined(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.is_new = false;
            member.owes_sync = true;
            member.touch(now.instant);
            if let Waiting::Join(token) = mem::replace(&mut member.waiting, Waiting::No) {
                self.effects.push(Effect::Join(token, Ok(joined)));
            }
        }
    }

    /// Makes sure that the leader is someone who is back. False if nobody is.
    fn elect_from_joined(&mut self) -> bool {
        let leads = |it: &&Member| it.awaits_join() && self.is_leader(&it.id);
        if self.members.values().any(|it| leads(&it)) {
            return true;
        }
        let back = self.members.values().filter(|it| it.awaits_join()).min_by_key(|it| it.number);
        match back.map(|it| Arc::clone(&it.id)) {
            None => false,
            leader => {
                self.leader = leader;
                true
            }
        }
    }

    /// The protocol that most members like best among those that all speak. A tie goes to the one
    /// that the earliest member prefers, so that the choice is the same whenever it is made again.
    pub(super) fn vote(&self) -> Option<Arc<str>> {
        let members = self.in_order();
        let spoken_by_all = |name: &str| members.iter().all(|it| it.speaks(name));
        let first = members.first()?;
        let candidates: Vec<_> =
            first.protocols.iter().map(|it| &it.name).filter(|it| spoken_by_all(it)).collect();
        let mut votes = vec![0_usize; candidates.len()];
        for member in &members {
            let choice = member
                .protocols
                .iter()
                .find_map(|it| candidates.iter().position(|name| **name == it.name));
            if let Some(count) = choice.and_then(|it| votes.get_mut(it)) {
                *count += 1;
            }
        }
        let most = votes.iter().max()?;
        let winner = votes.iter().position(|it| it == most)?;
        candidates.get(winner).map(|it| Arc::clone(it))
    }

    pub(super) fn union_of_subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        let protocol = self.protocol.clone()?;
        if !self.is_consumers() {
            return None;
        }
        let all: Vec<Bytes> = self.members.values().map(|it| it.metadata(&protocol)).collect();
        subscription::union(all.iter())
    }

    /// Takes back the generation's assignments and answers those who wait for theirs.
    pub(super) fn reset_assignments(&mut self, code: ErrorCode, now: Now) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(&|_| Err(code), now);
    }

    pub(super) fn answer_syncs(&mut self, answer: &dyn Fn(&Member) -> SyncAnswer, now: Now) {
        let mut waiting: Vec<_> = self.members.values_mut().collect();
        waiting.sort_unstable_by_key(|it| it.number);
        for member in waiting {
            if let Waiting::Sync(token) = member.waiting {
                member.waiting = Waiting::No;
                member.touch(now.instant);
                self.effects.push(Effect::Sync(token, answer(member)));
            }
        }
    }

    /// What a member of the present generation learns; the leader learns of everyone.
    pub(super) fn joined(&self, member_id: &Arc<str>) -> Joined {
        let leads = self.is_leader(member_id);
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: Arc::clone(member_id),
            skip_assignment: false,
            members: if leads { self.joined_members() } else { Vec::new() },
        }
    }

    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |it: &Member| JoinedMember {
            id: Arc::clone(&it.id),
            instance_id: it.instance_id.clone(),
            metadata: it.metadata(protocol),
        };
        self.in_order().into_iter().map(member).collect()
    }

    /// The group's record, with the leader's assignments where they are newer than the members'.
    pub(super) fn snapshot(&self, assigned: &HashMap<Arc<str>, Bytes>) -> Snapshot {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |it: &Member| SavedMember {
            id: Arc::clone(&it.id),
            instance_id: it.instance_id.clone(),
            client_id: Arc::clone(&it.client_id),
            client_host: Arc::clone(&it.client_host),
            rebalance_timeout: it.rebalance_timeout,
            session_timeout: it.session_timeout,
            subscription: it.metadata(protocol),
            assignment: assigned.get(&it.id).unwrap_or(&it.assignment).clone(),
        };
        Snapshot {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since,
            members: self.in_order().into_iter().map(member).collect(),
        }
    }

    pub(super) fn enter(&mut self, state: State, now: Now) {
        self.state = state;
        self.state_since = Some(now.calendar);
    }

    /// The patience of the most patient member.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|it| it.rebalance_timeout).max().unwrap_or_default()
    }
}

impl Member {
    pub(super) fn restored(
        saved: SavedMember,
        protocol: &Arc<str>,
        number: u64,
        now: Instant,
    ) -> Self {
        let mut it = Self {
            id: saved.id,
            number,
            instance_id: saved.instance_id,
            client_id: saved.client_id,
            client_host: saved.client_host,
            session_timeout: saved.session_timeout,
            rebalance_timeout: saved.rebalance_timeout,
            protocols: vec![super::Protocol {
                name: Arc::clone(protocol),
                metadata: saved.subscription,
            }],
            assignment: saved.assignment,
            waiting: Waiting::No,
            is_new: false,
            owes_sync: false,
            session_until: now,
        };
        it.touch(now);
        it
    }
}
