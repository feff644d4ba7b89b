//! SyncGroup, Heartbeat and the right to commit: what a member does within its generation.
//!
//! Owns: the checks of member and generation, and the way of the assignment from the leader to the
//! members. Does not own: deadlines (`time`), offsets (`offsets`).

use super::member::Waiting;
use super::state::State;
use super::{Effect, Group, Member, Now, Saved, SyncAnswer, Synced, Token};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use systole_wire::ErrorCode;

/// Who a request claims to come from.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    pub generation: i32,
}

/// A SyncGroup. `protocol_type` and `protocol` are what the member believes (v5+, KIP-559).
#[derive(Debug)]
pub struct Sync<'a> {
    pub caller: Caller<'a>,
    pub protocol_type: Option<&'a str>,
    pub protocol: Option<&'a str>,
    /// From the leader: what each member is to read.
    pub assignments: HashMap<Arc<str>, Bytes>,
}

impl Group {
    /// Takes in a SyncGroup. Its answer comes out as an [`Effect::Sync`], now or later.
    pub fn sync(&mut self, token: Token, sync: &Sync<'_>, now: Now) {
        match self.try_sync(token, sync, now) {
            Ok(None) => {}
            Ok(Some(synced)) => self.effects.push(Effect::Sync(token, Ok(synced))),
            Err(code) => self.effects.push(Effect::Sync(token, Err(code))),
        }
    }

    fn try_sync(
        &mut self,
        token: Token,
        sync: &Sync<'_>,
        now: Now,
    ) -> Result<Option<Synced>, ErrorCode> {
        self.check_caller(sync.caller)?;
        let differs = |said: Option<&str>, ours: &Option<Arc<str>>| {
            said.is_some_and(|it| ours.as_deref().is_some_and(|ours| ours != it))
        };
        if differs(sync.protocol_type, &self.protocol_type)
            || differs(sync.protocol, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Dead => Err(ErrorCode::CoordinatorNotAvailable),
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance(_) => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance { is_saving, .. } => {
                self.await_sync(token, sync, is_saving);
                Ok(None)
            }
            State::Stable { .. } => Ok(self.synced_now(sync.caller.member_id, now)),
        }
    }

    fn await_sync(&mut self, token: Token, sync: &Sync<'_>, is_saving: bool) {
        let id = sync.caller.member_id;
        let Some(mut member) = self.members.remove(id) else { return };
        self.answer_error(&mut member, ErrorCode::RebalanceInProgress);
        member.waiting = Waiting::Sync(token);
        member.owes_sync = false;
        self.members.insert(Arc::clone(&member.id), member);
        if !self.is_leader(id) || is_saving {
            return;
        }
        if let State::CompletingRebalance { is_saving, .. } = &mut self.state {
            *is_saving = true;
        }
        // Whoever the leader forgot has nothing to read; whoever is no member is not remembered.
        let by_member: HashMap<_, _> = self
            .members
            .keys()
            .map(|id| (Arc::clone(id), sync.assignments.get(id).cloned().unwrap_or_default()))
            .collect();
        let snapshot = self.snapshot(&by_member);
        let saved = Saved::Assignment { generation: self.generation, by_member };
        self.effects.push(Effect::Save(snapshot, saved));
    }

    /// In a stable group the assignment is there for whoever asks.
    fn synced_now(&mut self, member_id: &str, now: Now) -> Option<Synced> {
        let member = self.members.get_mut(member_id)?;
        member.owes_sync = false;
        member.touch(now.instant);
        let assignment = member.assignment.clone();
        if let State::Stable { sync_until } = &mut self.state
            && self.members.values().all(|it| !it.owes_sync)
        {
            *sync_until = None;
        }
        Some(self.synced(assignment))
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        Synced { protocol_type, protocol, assignment }
    }

    /// The outcome of an [`Effect::Save`]: `stored` is an error if the record is not durable.
    pub fn saved(&mut self, saved: Saved, stored: Result<(), ErrorCode>, now: Now) {
        match saved {
            Saved::Nothing => {}
            Saved::Replacement { token, joined } => {
                let is_in = self.members.contains_key(&joined.member_id);
                let answer = match stored {
                    Ok(()) if is_in => Ok(joined),
                    Ok(()) => Err(refused(ErrorCode::FencedInstanceId, joined.member_id)),
                    Err(code) => Err(refused(code, joined.member_id)),
                };
                self.effects.push(Effect::Join(token, answer));
            }
            Saved::Assignment { generation, by_member } => {
                let State::CompletingRebalance { sync_until, is_saving: true } = self.state else {
                    return;
                };
                if generation != self.generation {
                    return; // another rebalance overtook the disk
                }
                match stored {
                    Ok(()) => self.distribute(by_member, sync_until, now),
                    Err(code) => {
                        self.reset_assignments(code, now);
                        self.rebalance(now);
                    }
                }
            }
        }
    }

    fn distribute(
        &mut self,
        mut by_member: HashMap<Arc<str>, Bytes>,
        sync_until: systole_kit::Instant,
        now: Now,
    ) {
        for member in self.members.values_mut() {
            member.assignment = by_member.remove(&member.id).unwrap_or_default();
        }
        let somebody_owes = self.members.values().any(|it| it.owes_sync);
        self.enter(State::Stable { sync_until: somebody_owes.then_some(sync_until) }, now);
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        let answer = |member: &Member| -> SyncAnswer {
            Ok(Synced {
                protocol_type: protocol_type.clone(),
                protocol: protocol.clone(),
                assignment: member.assignment.clone(),
            })
        };
        self.answer_syncs(&answer, now);
    }

    /// A sign of life. `REBALANCE_IN_PROGRESS` is how the member learns that it must join again.
    pub fn heartbeat(&mut self, caller: Caller<'_>, now: Now) -> Result<(), ErrorCode> {
        self.check_caller(caller)?;
        if self.state == State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        if let Some(member) = self.members.get_mut(caller.member_id) {
            member.touch(now.instant);
        }
        match self.state {
            State::PreparingRebalance(_) => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// May `caller` commit offsets now? Counts as a sign of life.
    ///
    /// Without a generation (negative) and a member id it is a simple consumer, which assigns
    /// partitions to itself: it may commit as long as nobody is in the group.
    pub fn may_commit(&mut self, caller: Caller<'_>, now: Now) -> Result<(), ErrorCode> {
        match self.state {
            State::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            State::Empty if caller.generation < 0 => return Ok(()),
            _ => {}
        }
        let is_named =
            caller.generation >= 0 || !caller.member_id.is_empty() || caller.instance_id.is_some();
        if !is_named {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_caller(caller)?;
        if matches!(self.state, State::CompletingRebalance { .. }) {
            return Err(ErrorCode::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(caller.member_id) {
            member.touch(now.instant);
        }
        Ok(())
    }

    /// May `caller` commit offsets as part of a transaction? Its producer has proven itself to the
    /// transaction coordinator, so one that names no member is taken in every state.
    pub fn may_commit_in_transaction(&self, caller: Caller<'_>) -> Result<(), ErrorCode> {
        let is_named =
            caller.generation >= 0 || !caller.member_id.is_empty() || caller.instance_id.is_some();
        match self.state {
            State::Dead => Err(ErrorCode::CoordinatorNotAvailable),
            State::Empty if caller.generation < 0 => Ok(()),
            _ if is_named => self.check_caller(caller),
            _ => Ok(()),
        }
    }

    fn check_caller(&self, caller: Caller<'_>) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.check_member(caller.member_id, caller.instance_id)?;
        if caller.generation == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::IllegalGeneration)
        }
    }
}

fn refused(code: ErrorCode, member_id: Arc<str>) -> super::JoinRefused {
    super::JoinRefused { code, member_id }
}
