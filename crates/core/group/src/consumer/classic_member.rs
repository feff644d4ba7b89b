//! Members of a consumer group that speak the classic protocol, while an application moves from one
//! to the other (`group.consumer.migration.policy=bidirectional`).
//!
//! Owns: what JoinGroup, SyncGroup and Heartbeat mean in a consumer group, and the two changes of a
//! whole group. Does not own: classic groups (`classic`).
//!
//! # Source  KIP-848, "Group Upgrade/Downgrade"; Kafka's `classicGroup*ToConsumerGroup`

use super::{
    ClassicMember, Current, Epoch, Fact, Group, MemberState, Refused, Subscription, TargetEpoch,
    Topics, embedded, heartbeat,
};
use crate::Now;
use crate::classic::{
    Caller, Join, JoinAnswer, JoinRefused, Joined, Migrant, SavedMember, Sync, Synced,
};
use crate::timers::Timer;
use bytes::Bytes;
use std::sync::Arc;
use systole_wire::ErrorCode;

const PROTOCOL_TYPE: &str = "consumer";

impl Group {
    /// JoinGroup: the member takes its next step. The answer may go out when its facts are durable.
    ///
    /// # Errors  As [`Group::heartbeat`], and `INCONSISTENT_GROUP_PROTOCOL`.
    pub fn join_classic(
        &mut self,
        join: &Join,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<JoinAnswer, Refused> {
        let answer = self.try_join_classic(join, topics, now);
        if answer.is_err() {
            self.undo();
        }
        answer
    }

    fn try_join_classic(
        &mut self,
        join: &Join,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<JoinAnswer, Refused> {
        let is_unknown = join.member_id.is_empty();
        let id = if is_unknown { &join.fresh_id } else { &join.member_id };
        self.check_room(id)?;
        let (metadata, protocol) = self.agreed(join)?;
        if is_unknown && join.instance_id.is_none() && join.returns_with_id {
            let (code, member_id) = (ErrorCode::MemberIdRequired, Arc::clone(id));
            return Ok(Err(JoinRefused { code, member_id }));
        }
        if let Some(instance) = &join.instance_id {
            match self.instances.get(instance).cloned() {
                Some(owner) if is_unknown => self.replace(&owner, id),
                None if is_unknown => {}
                None => return Err(heartbeat::unknown_member()),
                Some(owner) if owner != *id => {
                    let message = "Another member has taken over this instance id.";
                    return Err(Refused::new(ErrorCode::FencedInstanceId, message));
                }
                Some(_) => {}
            }
        }
        let said = embedded::subscription(&metadata, topics).ok_or_else(inconsistent)?;
        let wanted = Subscription {
            instance_id: join.instance_id.clone(),
            rack_id: said.rack_id,
            client_id: Arc::clone(&join.client_id),
            client_host: Arc::clone(&join.client_host),
            topics: said.topics,
            pattern: Arc::default(),
            rebalance_timeout: join.rebalance_timeout,
            assignor: None,
            classic: Some(ClassicMember {
                session_timeout: join.session_timeout,
                protocols: join.protocols.clone(),
            }),
        };
        let changed = self.subscribe(id, wanted)?;
        self.refresh(changed, topics, now);
        self.retarget(topics, now);
        let current = self.reconcile(id, changed, Some(&said.owned), topics);
        self.timers.cancel(Timer::Join, id);
        self.timers.cancel(Timer::Revoke, id);
        self.timers.set(Timer::Session, id, now.instant.plus(join.session_timeout));
        self.timers.set(Timer::Sync, id, now.instant.plus(join.rebalance_timeout));
        Ok(Ok(Joined {
            generation: current.epoch,
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol: Some(protocol),
            leader: Arc::default(),
            member_id: Arc::clone(id),
            skip_assignment: false,
            members: Vec::new(),
        }))
    }

    /// The member's first protocol, if it shares one with every other classic member.
    fn agreed(&self, join: &Join) -> Result<(Bytes, Arc<str>), Refused> {
        let classic = || self.subscriptions.values().filter_map(|it| it.classic.as_ref());
        let spoken =
            |name: &str| classic().all(|it| it.protocols.iter().any(|it| *it.name == *name));
        let agrees = join.protocols.iter().any(|it| spoken(&it.name));
        match join.protocols.first() {
            Some(first) if agrees && *join.protocol_type == *PROTOCOL_TYPE => {
                Ok((first.metadata.clone(), Arc::clone(&first.name)))
            }
            _ => Err(inconsistent()),
        }
    }

    /// SyncGroup: what the member has now.
    ///
    /// # Errors  `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`, `ILLEGAL_GENERATION`,
    /// `INCONSISTENT_GROUP_PROTOCOL`, `REBALANCE_IN_PROGRESS`.
    pub fn sync_classic(
        &mut self,
        sync: &Sync<'_>,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<Synced, ErrorCode> {
        let (id, classic) = self.check_classic(sync.caller)?;
        let first = classic.protocols.first().ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let differs = sync.protocol_type.is_some_and(|it| it != PROTOCOL_TYPE)
            || sync.protocol.is_some_and(|it| it != &*first.name);
        if differs {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let current = self.current(&id);
        if self.target_epoch() > current.epoch && current.state != MemberState::Unrevoked {
            self.ask_to_join(&id, now);
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.timers.cancel(Timer::Sync, &id);
        self.timers.set(Timer::Session, &id, now.instant.plus(classic.session_timeout));
        let assigned = super::fact::partitions(&current.assigned);
        Ok(Synced {
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol: Some(Arc::clone(&first.name)),
            assignment: embedded::assignment(&assigned, &first.metadata, topics),
        })
    }

    /// Heartbeat: the member is alive, and learns whether it has to join again.
    ///
    /// # Errors  As [`Group::sync_classic`].
    pub fn heartbeat_classic(&mut self, caller: Caller<'_>, now: Now) -> Result<(), ErrorCode> {
        let (id, classic) = self.check_classic(caller)?;
        self.timers.set(Timer::Session, &id, now.instant.plus(classic.session_timeout));
        let current = self.current(&id);
        let may_advance = match current.state {
            MemberState::Unrevoked => true,
            MemberState::Unreleased => !self.waits_for_others(&id, &current),
            MemberState::Stable => false,
        };
        if current.epoch < self.target_epoch() || may_advance {
            self.ask_to_join(&id, now);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn check_classic(&self, caller: Caller<'_>) -> Result<(Arc<str>, ClassicMember), ErrorCode> {
        if let Some(instance) = caller.instance_id {
            let owner = self.instances.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if **owner != *caller.member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        let found = self.subscriptions.get_key_value(caller.member_id);
        let (id, subscription) = found.ok_or(ErrorCode::UnknownMemberId)?;
        let classic = subscription.classic.clone().ok_or(ErrorCode::UnknownMemberId)?;
        if self.current(id).epoch != caller.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok((Arc::clone(id), classic))
    }

    /// Who is told to join again has its rebalance time for it.
    fn ask_to_join(&mut self, id: &Arc<str>, now: Now) {
        if !self.timers.is_set(Timer::Join, id) {
            let patience = self.subscriptions.get(id).map(|it| it.rebalance_timeout);
            self.timers.set(Timer::Join, id, now.instant.plus(patience.unwrap_or_default()));
        }
    }

    fn waits_for_others(&self, id: &str, current: &Current) -> bool {
        let has = |topic, it: &i32| {
            current.assigned.get(topic).is_some_and(|those| those.contains_key(it))
        };
        self.targets.get(id).into_iter().flatten().any(|(topic, those)| {
            those.iter().any(|it| !has(topic, it) && self.is_held_by_other(id, *topic, *it))
        })
    }

    /// Takes over the members of a classic group as they are. On a group that nobody has joined.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND` if their assignments cannot be understood.
    pub fn adopt(
        &mut self,
        (generation, migrants): (i32, &[Migrant]),
        topics: &dyn Topics,
        now: Now,
    ) -> Result<(), Refused> {
        for it in migrants {
            let first = it.protocols.first().map(|it| &it.metadata);
            let said = first.and_then(|it| embedded::subscription(it, topics));
            let target = embedded::read_assignment(&it.member.assignment, topics);
            let (Some(said), Some(target)) = (said, target) else {
                self.undo();
                let message = "The classic group cannot be taken over: its members assign by rules \
                               of their own.";
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            };
            let assigned = target
                .iter()
                .map(|(topic, those)| (*topic, those.iter().map(|it| (*it, generation)).collect()))
                .collect();
            let current = Current {
                epoch: generation,
                previous_epoch: generation,
                assigned,
                ..Current::default()
            };
            let id = &it.member.id;
            let wanted = subscription_of(it, said);
            self.put(Fact::Member(Arc::clone(id), Some(Box::new(wanted))));
            self.put(Fact::Target(Arc::clone(id), Some(target)));
            self.put(Fact::Current(Arc::clone(id), Some(current)));
            self.timers.set(Timer::Session, id, now.instant.plus(it.member.session_timeout));
        }
        let metadata_hash = self.metadata_hash(topics);
        self.put(Fact::Epoch(Some(Epoch { number: generation, metadata_hash })));
        let target_epoch = TargetEpoch { number: generation, at: now.calendar };
        self.put(Fact::TargetEpoch(Some(target_epoch)));
        Ok(())
    }

    /// Nobody speaks the new protocol any more: the group is to become a classic one again.
    pub fn is_all_classic(&self) -> bool {
        let mut members = self.subscriptions.values();
        !self.is_empty() && members.all(|it| it.classic.is_some())
    }

    /// The group's epoch and its members, for a classic group.
    pub fn hand_over(&self, topics: &dyn Topics) -> (i32, Vec<Migrant>) {
        let migrant = |(id, it): (&Arc<str>, &Subscription)| {
            let classic = it.classic.clone()?;
            let nothing = Bytes::new();
            let metadata = classic.protocols.first().map_or(&nothing, |it| &it.metadata);
            let target = self.targets.get(id).cloned().unwrap_or_default();
            let member = SavedMember {
                id: Arc::clone(id),
                instance_id: it.instance_id.clone(),
                client_id: Arc::clone(&it.client_id),
                client_host: Arc::clone(&it.client_host),
                rebalance_timeout: it.rebalance_timeout,
                session_timeout: classic.session_timeout,
                subscription: metadata.clone(),
                assignment: embedded::assignment(&target, metadata, topics),
            };
            Some(Migrant { member, protocols: classic.protocols })
        };
        (self.epoch(), self.subscriptions.iter().filter_map(migrant).collect())
    }
}

fn subscription_of(it: &Migrant, said: embedded::Subscription) -> Subscription {
    let member = &it.member;
    Subscription {
        instance_id: member.instance_id.clone(),
        rack_id: said.rack_id,
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        topics: said.topics,
        pattern: Arc::default(),
        rebalance_timeout: member.rebalance_timeout,
        assignor: None,
        classic: Some(ClassicMember {
            session_timeout: member.session_timeout,
            protocols: it.protocols.clone(),
        }),
    }
}

fn inconsistent() -> Refused {
    let message = "The member shares no protocol with the group's other classic members.";
    Refused::new(ErrorCode::InconsistentGroupProtocol, message)
}
