//! The coordinator's work with groups of KIP-848.
//!
//! Owns: what each request asks of such a group, and the change of a group without members from one
//! protocol to the other. Does not own: decisions (`systole_group::consumer`), records (`facts`).

use super::coordinator::{Coordinator, Shared, answered, encoded, refuse_join};
use super::facts::failed;
use super::journal::Durable;
use super::kind::Kind;
use super::slot::{Inner, Slot};
use std::sync::Arc;
use systole_group::classic::{JoinAnswer, JoinRefused, SyncAnswer};
use systole_group::consumer::{Beat, Config, Described, Group, Heartbeat, Refused, Topic, Topics};
use systole_group::record;
use systole_group::{Now, classic};
use systole_kit::Uuid;
use systole_wire::{ErrorCode, Rejected};
use tokio::sync::oneshot;

/// Said by the first heartbeat of a member.
const JOINING: i32 = 0;

impl Coordinator {
    /// ConsumerGroupHeartbeat. The answer counts once the future is ready. `sees`: may the caller
    /// know of a topic?
    pub fn beat(
        &self,
        group_id: &str,
        beat: &Heartbeat,
        sees: &dyn Fn(&str) -> bool,
    ) -> Result<(Beat, Durable), Rejected> {
        let joins = beat.epoch == JOINING;
        if joins && self.0.is_full() {
            let text = "The memory for groups is used up.";
            return Err(Rejected::new(ErrorCode::GroupMaxSizeReached, text));
        }
        let answer = self.enter(group_id, joins, |slot, inner| {
            let answer = self.0.beat(slot, inner, (beat, sees));
            self.0.downgrade_if_due(slot, inner);
            self.0.forget_if_unused(slot, inner);
            answer
        });
        answer.unwrap_or_else(|| Err(absent(group_id)))
    }

    /// ConsumerGroupDescribe. What is told counts once the future is ready.
    pub fn describe_consumer(&self, group_id: &str) -> Result<(Described, Durable), Rejected> {
        let described = self.enter(group_id, false, |_, inner| match &inner.kind {
            Kind::Consumer(group) => Ok((group.described(), inner.durable())),
            Kind::Classic(_) | Kind::Share(_) | Kind::Streams(_) => Err(absent(group_id)),
        });
        described.unwrap_or_else(|| Err(absent(group_id)))
    }

    /// May offsets of the group be fetched by this member under this epoch?
    pub fn may_fetch(
        &self,
        group_id: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        let may = self.enter(group_id, false, |_, inner| match &inner.kind {
            Kind::Consumer(group) => group.may_fetch(member_id, epoch),
            Kind::Streams(group) => group.may_fetch(member_id, epoch),
            Kind::Classic(_) => Ok(()),
            Kind::Share(_) => Err(ErrorCode::GroupIdNotFound),
        });
        may.unwrap_or(Ok(()))
    }
}

impl Shared {
    pub(super) fn consumer_config(&self) -> Config {
        self.config.consumer()
    }

    fn beat(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        (beat, sees): (&Heartbeat, &dyn Fn(&str) -> bool),
    ) -> Result<(Beat, Durable), Rejected> {
        let mut classic = (0, Vec::new());
        match &mut inner.kind {
            Kind::Consumer(_) => {}
            Kind::Classic(group) if beat.epoch == JOINING && group.is_vacant() => {}
            Kind::Classic(group) if beat.epoch == JOINING && group.may_hand_over() => {
                classic = group.hand_over();
                inner.answer_waiters();
            }
            Kind::Classic(_) | Kind::Share(_) | Kind::Streams(_) => return Err(absent(&slot.id)),
        }
        let turn = |group: &mut Group, topics: &dyn Topics, now| {
            if !classic.1.is_empty() {
                group.adopt((classic.0, &classic.1), topics, now)?;
            }
            group.heartbeat(beat, &Seen { topics, sees }, now)
        };
        if let Kind::Consumer(_) = inner.kind {
            return self.turn(slot, inner, turn)?;
        }
        // The classic group makes place. Its record goes with the first facts of the new one.
        let was_saved = inner.kind.was_saved();
        let fresh = Kind::Consumer(Box::new(Group::new(self.consumer_config())));
        let before = std::mem::replace(&mut inner.kind, fresh);
        if was_saved {
            inner.prefix = before.tombstones(&slot.id).map_err(failed)?;
        }
        let answer = self.turn(slot, inner, turn).and_then(|it| it);
        inner.prefix.clear();
        if answer.is_err() {
            inner.kind = before;
        }
        answer
    }

    /// One turn of a consumer group.
    fn turn<R>(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        turn: impl FnOnce(&mut Group, &dyn Topics, Now) -> Result<R, Refused>,
    ) -> Result<Result<(R, Durable), Rejected>, Rejected> {
        self.turn_by_facts(slot, inner, |kind, topics, now| match kind {
            Kind::Consumer(group) => turn(group, topics, now).map_err(rejected),
            Kind::Classic(_) | Kind::Share(_) | Kind::Streams(_) => {
                let text = "Groups of this kind have no such members.";
                Err(Rejected::new(ErrorCode::UnknownMemberId, text))
            }
        })
    }

    /// LeaveGroup on a consumer group: one result for each.
    pub(super) fn remove_members(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        leavers: &[classic::Leaver<'_>],
    ) -> Vec<Result<(), ErrorCode>> {
        let remove =
            |group: &mut Group, topics: &dyn Topics, _| Ok(group.remove_members(leavers, topics));
        match self.turn(slot, inner, remove) {
            Ok(Ok((results, _))) => results,
            Ok(Err(rejected)) | Err(rejected) => vec![Err(rejected.code); leavers.len()],
        }
    }

    /// JoinGroup of a classic member of a consumer group.
    pub(super) fn join_consumer(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        join: &classic::Join,
    ) -> oneshot::Receiver<JoinAnswer> {
        let turn = |group: &mut Group, topics: &dyn Topics, now: Now| {
            group.join_classic(join, topics, now)
        };
        let member_id = Arc::clone(&join.member_id);
        match self.turn(slot, inner, turn) {
            Ok(Ok((answer, durable))) => {
                let failed = move |code| Err(JoinRefused { code, member_id });
                once_durable(durable, answer, failed)
            }
            Ok(Err(rejected)) | Err(rejected) => refuse_join(rejected.code, member_id),
        }
    }

    /// SyncGroup of such a member.
    pub(super) fn sync_consumer(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        sync: &classic::Sync<'_>,
    ) -> oneshot::Receiver<SyncAnswer> {
        let turn = |group: &mut Group, topics: &dyn Topics, now: Now| {
            Ok(group.sync_classic(sync, topics, now))
        };
        match self.turn(slot, inner, turn) {
            Ok(Ok((answer, durable))) => once_durable(durable, answer, Err),
            Ok(Err(rejected)) | Err(rejected) => answered(Err(rejected.code)),
        }
    }

    /// Heartbeat of such a member.
    pub(super) fn heartbeat_consumer(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        caller: classic::Caller<'_>,
    ) -> Result<(), ErrorCode> {
        let Kind::Consumer(group) = &mut inner.kind else {
            return Err(ErrorCode::UnknownMemberId);
        };
        let beaten = group.heartbeat_classic(caller, self.now());
        self.arm(slot, inner);
        beaten
    }

    /// A consumer group whose last member of the new protocol is gone becomes a classic one.
    pub(super) fn downgrade_if_due(self: &Arc<Self>, slot: &Arc<Slot>, inner: &mut Inner) {
        let Kind::Consumer(group) = &inner.kind else { return };
        if !group.is_all_classic() {
            return;
        }
        let members = group.hand_over(self.journal.topics());
        let next = classic::Group::taken_over(self.limits(), members, self.now());
        let appended = inner.kind.tombstones(&slot.id).and_then(|mut pairs| {
            pairs.push(encoded(record::of_group(&slot.id, Some(&next.saved_now())))?);
            self.append(slot.partition, &pairs)
        });
        match appended {
            Ok(_) => {
                inner.kind = Kind::Classic(Box::new(next));
                self.settle(slot, inner);
            }
            // The next request tries again.
            Err(code) => tracing::warn!(code = code.name(), "a group cannot become classic"),
        }
    }

    /// A group of another protocol without members makes place for a classic one.
    pub(super) fn become_classic(&self, slot: &Slot, inner: &mut Inner) -> Result<(), ErrorCode> {
        if let Kind::Consumer(_) | Kind::Streams(_) = &inner.kind {
            if inner.kind.was_saved() {
                self.append(slot.partition, &inner.kind.tombstones(&slot.id)?)?;
            }
            inner.kind = Kind::Classic(Box::new(classic::Group::new(self.limits())));
        }
        Ok(())
    }
}

/// An answer that leaves once what it tells is durable.
fn once_durable<T: Send + 'static>(
    durable: Durable,
    answer: T,
    failed: impl FnOnce(ErrorCode) -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let stored = durable.await;
        let _ = sender.send(stored.map_or_else(failed, |()| answer));
    });
    receiver
}

/// The topics that a caller may know of.
struct Seen<'a> {
    topics: &'a dyn Topics,
    sees: &'a dyn Fn(&str) -> bool,
}

impl Topics for Seen<'_> {
    fn version(&self) -> u64 {
        self.topics.version()
    }
    fn by_name(&self, name: &str) -> Option<Topic> {
        self.topics.by_name(name)
    }
    fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.topics.name_of(id)
    }
    /// What patterns are matched with.
    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.topics.names();
        names.retain(|it| (self.sees)(it));
        names
    }
}

fn rejected(it: Refused) -> Rejected {
    Rejected::new(it.code, it.message)
}

fn absent(group_id: &str) -> Rejected {
    let shown: String = group_id.chars().take(249).collect();
    Rejected::new(ErrorCode::GroupIdNotFound, format!("There is no consumer group {shown}."))
}
