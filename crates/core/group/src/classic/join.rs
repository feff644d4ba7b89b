//! JoinGroup: becoming a member, staying one through a rebalance, coming back as a static one.
//!
//! Owns: who gets in and what that starts. Does not own: the rebalance itself (`state`).

use super::member::{self, Waiting};
use super::state::{Phase, State};
use super::{Effect, Group, JoinRefused, Joined, Member, Now, Protocol, Saved, Token};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use systole_wire::ErrorCode;

/// How long a member may wait for the answer to its first JoinGroup. Until then it cannot send
/// heartbeats, so a shorter session would throw it out of a slow rebalance.
///
/// # Source  Kafka's `CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`
const NEW_MEMBER_PATIENCE: Duration = Duration::from_mins(5);

/// A JoinGroup, as far as the group is concerned.
#[derive(Debug, Clone)]
pub struct Join {
    /// Empty if the client has none yet.
    pub member_id: Arc<str>,
    /// The id for this client if it needs one: randomness comes from outside.
    pub fresh_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub protocol_type: Arc<str>,
    pub protocols: Vec<Protocol>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// The client comes back with the id that it is given before it counts (v4+, KIP-394).
    pub returns_with_id: bool,
    /// The client understands "you lead, but do not assign" (v9+, KIP-814).
    pub may_skip_assignment: bool,
}

impl Join {
    /// The bytes that the member keeps in memory.
    pub fn bytes(&self) -> usize {
        let named = self.fresh_id.len() + self.client_id.len() + self.client_host.len();
        let instance = self.instance_id.as_ref().map_or(0, |it| it.len());
        named + instance + member::bytes(&self.protocols)
    }
    fn is_unknown(&self) -> bool {
        self.member_id.is_empty()
    }
}

impl Group {
    /// Takes in a JoinGroup. Its answer comes out as an [`Effect::Join`], now or later.
    pub fn join(&mut self, token: Token, join: Join, now: Now) {
        let member_id = Arc::clone(&join.member_id);
        if let Err(refused) = self.try_join(token, join, now) {
            let member_id = refused.named.unwrap_or(member_id);
            self.effects
                .push(Effect::Join(token, Err(JoinRefused { code: refused.code, member_id })));
        }
    }

    fn try_join(&mut self, token: Token, join: Join, now: Now) -> Result<(), Refusal> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable.into());
        }
        if !self.has_room_for(&join) {
            let named = Some(Arc::default());
            return Err(Refusal { code: ErrorCode::GroupMaxSizeReached, named });
        }
        if !self.agrees_with(&join) {
            return Err(ErrorCode::InconsistentGroupProtocol.into());
        }
        if join.is_unknown() {
            self.join_unknown(token, join, now)
        } else {
            self.join_known(token, join, now)
        }
    }

    fn join_unknown(&mut self, token: Token, join: Join, now: Now) -> Result<(), Refusal> {
        let owner = join.instance_id.as_ref().and_then(|it| self.instances.get(it));
        if let Some(old) = owner.cloned() {
            self.replace_static(&old, token, join, now);
            return Ok(());
        }
        if join.instance_id.is_none() && join.returns_with_id {
            let id = join.fresh_id;
            self.pending.insert(Arc::clone(&id), now.instant.plus(join.session_timeout));
            return Err(Refusal { code: ErrorCode::MemberIdRequired, named: Some(id) });
        }
        self.admit(Arc::clone(&join.fresh_id), token, join, now);
        Ok(())
    }

    fn join_known(&mut self, token: Token, join: Join, now: Now) -> Result<(), Refusal> {
        if self.pending.contains_key(&join.member_id) && join.instance_id.is_none() {
            self.admit(Arc::clone(&join.member_id), token, join, now);
            return Ok(());
        }
        self.check_member(&join.member_id, join.instance_id.as_deref())?;
        let leads = self.is_leader(&join.member_id);
        let changed =
            self.members.get(&join.member_id).is_none_or(|it| it.protocols != join.protocols);
        match self.state {
            State::Empty | State::Dead => return Err(ErrorCode::UnknownMemberId.into()),
            // The answer got lost, or the member changed its mind.
            State::CompletingRebalance { .. } if !changed => {
                self.answer_again(token, &join.member_id, now);
            }
            // A leader joins again because the topics changed: a rebalance is what it wants.
            State::Stable { .. } if !changed && !leads => {
                self.answer_again(token, &join.member_id, now);
            }
            State::PreparingRebalance(_)
            | State::CompletingRebalance { .. }
            | State::Stable { .. } => self.rejoin(token, join, now),
        }
        Ok(())
    }

    /// Kafka counts joined members only; the pending ones count here too, because each costs memory
    /// and a client can ask for as many as it likes.
    fn has_room_for(&self, join: &Join) -> bool {
        let is_inside = self.members.contains_key(&join.member_id)
            || self.pending.contains_key(&join.member_id)
            || join.instance_id.as_ref().is_some_and(|it| self.instances.contains_key(it));
        is_inside || self.members.len() + self.pending.len() < self.limits.members_max
    }

    /// Shares the member a protocol with all the others?
    fn agrees_with(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let spoken_by_all = |name: &str| self.members.values().all(|it| it.speaks(name));
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|it| spoken_by_all(&it.name))
    }

    /// A new member, with its first JoinGroup waiting.
    fn admit(&mut self, id: Arc<str>, token: Token, join: Join, now: Now) {
        if let State::PreparingRebalance(Phase::Initial { newcomer, .. }) = &mut self.state {
            *newcomer = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::clone(&join.protocol_type));
        }
        let member = Member {
            id,
            number: self.next_number(),
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            waiting: Waiting::Join(token),
            is_new: true,
            owes_sync: false,
            session_until: now.instant.plus(NEW_MEMBER_PATIENCE),
        };
        self.insert(member);
        self.rebalance(now);
    }

    /// A member is back, with its new data.
    fn rejoin(&mut self, token: Token, join: Join, now: Now) {
        let Some(mut member) = self.members.remove(&join.member_id) else { return };
        // Only one JoinGroup of a member can wait. The older one's connection is gone, or it learns
        // that it has to ask again.
        self.answer_error(&mut member, ErrorCode::RebalanceInProgress);
        member.update(join, now);
        member.waiting = Waiting::Join(token);
        self.members.insert(Arc::clone(&member.id), member);
        self.rebalance(now);
    }

    /// Tells a member of the present generation once more what it missed.
    fn answer_again(&mut self, token: Token, member_id: &Arc<str>, now: Now) {
        let joined = self.joined(member_id);
        if let Some(member) = self.members.get_mut(member_id) {
            member.touch(now.instant);
        }
        self.effects.push(Effect::Join(token, Ok(joined)));
    }

    /// A static member came back without its id, so it was restarted: the new incarnation takes the
    /// old one's place and fences it off (KIP-345).
    fn replace_static(&mut self, old: &Arc<str>, token: Token, join: Join, now: Now) {
        let Some(mut member) = self.members.remove(old) else { return };
        self.answer_error(&mut member, ErrorCode::FencedInstanceId);
        let may_skip = join.may_skip_assignment;
        let led = self.is_leader(old);
        member.id = Arc::clone(&join.fresh_id);
        member.update(join, now);
        member.waiting = Waiting::Join(token);
        let id = Arc::clone(&member.id);
        if led {
            self.leader = Some(Arc::clone(&id));
        }
        self.insert(member);
        match self.state {
            // Nothing changes for the others, so nobody needs a rebalance: that is the point of
            // static members. The new id must be durable before anyone acts under it.
            State::Stable { .. } if self.vote() == self.protocol => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.waiting = Waiting::No;
                }
                let leader = if led && !may_skip { Some(old) } else { None };
                let joined = self.joined_as_before(&id, may_skip, leader);
                let snapshot = self.snapshot(&HashMap::new());
                self.effects.push(Effect::Save(snapshot, Saved::Replacement { token, joined }));
            }
            _ => self.rebalance(now),
        }
    }

    /// What a replaced static member learns. A leader that cannot be told to skip the assignment is
    /// given its old id as the leader's, so that it takes itself for a follower and leaves the
    /// assignment alone.
    fn joined_as_before(&self, id: &Arc<str>, may_skip: bool, leader: Option<&Arc<str>>) -> Joined {
        let mut joined = self.joined(id);
        joined.skip_assignment = may_skip && self.is_leader(id);
        if let Some(old) = leader {
            joined.leader = Arc::clone(old);
            joined.members = Vec::new();
        }
        joined
    }
}

impl Member {
    fn update(&mut self, join: Join, now: Now) {
        self.client_id = join.client_id;
        self.client_host = join.client_host;
        self.protocols = join.protocols;
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
        self.touch(now.instant);
    }
}

/// Why not, and which member id goes back with it if it is not the one that came.
struct Refusal {
    code: ErrorCode,
    named: Option<Arc<str>>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, named: None }
    }
}
