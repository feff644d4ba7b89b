//! The coordinator's work with share groups (KIP-932).
//!
//! Owns: what each request asks of such a group. Does not own: decisions (`systole_group::share`),
//! records (`facts`), deliveries.

use super::coordinator::{Coordinator, Shared};
use super::journal::Durable;
use super::kind::Kind;
use super::slot::{Inner, Slot};
use std::sync::Arc;
use systole_group::Now;
use systole_group::consumer::{Partitions, Refused, Topics};
use systole_group::share::{Beat, Config, Described, Group, Heartbeat};
use systole_group::share_partition::record::Key;
use systole_kit::Uuid;
use systole_wire::{ErrorCode, Rejected};

/// Where partitions of a topic are to begin.
#[derive(Debug)]
pub struct TopicStarts {
    pub id: Uuid,
    pub name: Arc<str>,
    /// Partitions with their offsets.
    pub partitions: Vec<(i32, i64)>,
}

/// Said by the first heartbeat of a member.
const JOINING: i32 = 0;

impl Coordinator {
    /// ShareGroupHeartbeat. The answer counts once the future is ready.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND` without such a group, or of another kind; what
    /// [`Group::heartbeat`] refuses; what a failed append means.
    pub fn beat_share(
        &self,
        group_id: &str,
        beat: &Heartbeat,
    ) -> Result<(Beat, Durable), Rejected> {
        let joins = beat.epoch == JOINING;
        if joins && self.0.is_full() {
            let text = "The memory for groups is used up.";
            return Err(Rejected::new(ErrorCode::GroupMaxSizeReached, text));
        }
        let answer = self.enter(group_id, joins, |slot, inner| {
            let answer = self.0.beat_share(slot, inner, beat);
            self.0.forget_if_unused(slot, inner);
            answer
        });
        let leaves = beat.epoch < JOINING;
        let absent = if leaves { missing } else { not_found };
        answer.unwrap_or_else(|| Err(absent(group_id)))
    }

    /// ShareGroupDescribe. What is told counts once the future is ready.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND` without such a group, or of another kind.
    pub fn describe_share(&self, group_id: &str) -> Result<(Described, Durable), Rejected> {
        let described = self.enter(group_id, false, |_, inner| match &inner.kind {
            Kind::Share(group) => Ok((group.described(), inner.durable())),
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Streams(_) => Err(other_kind(group_id)),
        });
        described.unwrap_or_else(|| Err(missing(group_id)))
    }
}

impl Coordinator {
    /// AlterShareGroupOffsets: partitions of topics begin anew at these offsets; a group that does
    /// not exist does from here on. A negative offset: where the group's settings say.
    ///
    /// # Errors  `NON_EMPTY_GROUP`, `GROUP_ID_NOT_FOUND` for a group of another kind, what a failed
    /// append means.
    pub fn alter_share(&self, group_id: &str, starts: &[TopicStarts]) -> Result<Durable, Rejected> {
        let altered = self.enter(group_id, !self.0.is_full(), |slot, inner| {
            if inner.is_unused() {
                inner.kind = Kind::Share(Box::new(Group::new(self.0.share_config())));
            }
            let altered = self.0.turn_share(slot, inner, |group, _, _| {
                check_empty(group)?;
                starts.iter().try_for_each(|it| self.0.alter(&slot.id, group, it))
            });
            self.0.forget_if_unused(slot, inner);
            altered.map(|((), durable)| durable)
        });
        let text = "The memory for groups is used up.";
        altered.unwrap_or_else(|| Err(Rejected::new(ErrorCode::GroupMaxSizeReached, text)))
    }

    /// DeleteShareGroupOffsets: forgets the states of topics; for each whether there were any.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`, what a failed append means.
    pub fn delete_shared_topics(
        &self,
        group_id: &str,
        topics: &[Uuid],
    ) -> Result<(Vec<bool>, Durable), Rejected> {
        let deleted = self.enter(group_id, false, |slot, inner| {
            self.0.turn_share(slot, inner, |group, _, _| {
                check_empty(group)?;
                let known: Vec<_> = topics.iter().map(|it| group.knows(*it)).collect();
                for (topic, _) in topics.iter().zip(&known).filter(|(_, known)| **known) {
                    self.0.shares.end(&slot.id, Some(*topic)).map_err(unwritten)?;
                    group.forget(*topic);
                }
                Ok(known)
            })
        });
        deleted.unwrap_or_else(|| Err(missing(group_id)))
    }

    /// The share partitions of a group that have a state; none without such a group.
    pub fn shared_partitions(&self, group_id: &str) -> Partitions {
        let found = self.enter(group_id, false, |_, inner| match &inner.kind {
            Kind::Share(group) => group.initialized(),
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Streams(_) => Partitions::new(),
        });
        found.unwrap_or_default()
    }

    /// Forgets what share groups know of a topic that is gone.
    pub fn forget_shared_topic(&self, topic: Uuid) {
        for slot in self.0.all() {
            let mut inner = slot.lock();
            if !matches!(&inner.kind, Kind::Share(it) if it.knows(topic)) {
                continue;
            }
            let forgotten = self.0.turn_share(&slot, &mut inner, |group, _, _| {
                group.forget(topic);
                Ok(())
            });
            if let Err(rejected) = forgotten {
                tracing::warn!(%rejected, "a deleted topic could not be forgotten");
            }
        }
        self.0.shares.forget_topic(topic);
    }
}

impl Shared {
    pub(super) fn share_config(&self) -> Config {
        self.config.share()
    }

    fn beat_share(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        beat: &Heartbeat,
    ) -> Result<(Beat, Durable), Rejected> {
        if inner.is_unused() && beat.epoch == JOINING {
            inner.kind = Kind::Share(Box::new(Group::new(self.share_config())));
        }
        self.turn_share(slot, inner, |group, topics, now| {
            let beaten = group.heartbeat(beat, topics, now)?;
            // Ahead of the facts that tell of them, in the same write-ahead log.
            let begun = self.shares.begin(&slot.id, &beaten.begun, beaten.state_epoch);
            begun.map_err(|code| {
                group.undo();
                unwritten(code)
            })?;
            Ok(beaten)
        })
    }

    /// One turn of a share group.
    pub(super) fn turn_share<R>(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        turn: impl FnOnce(&mut Group, &dyn Topics, Now) -> Result<R, Refused>,
    ) -> Result<(R, Durable), Rejected> {
        self.turn_by_facts(slot, inner, |kind, topics, now| match kind {
            Kind::Share(group) => turn(group, topics, now).map_err(rejected),
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Streams(_) => Err(other_kind(&slot.id)),
        })?
    }

    fn alter(
        &self,
        group_id: &Arc<str>,
        group: &mut Group,
        starts: &TopicStarts,
    ) -> Result<(), Refused> {
        let epoch = group.described().epoch;
        for (partition, start) in &starts.partitions {
            let (group, topic, partition) = (Arc::clone(group_id), starts.id, *partition);
            let start = Some(*start).filter(|it| *it >= 0);
            let begun = self.shares.begin_at(&Key { group, topic, partition }, start, epoch);
            begun.map_err(unwritten)?;
        }
        let partitions = starts.partitions.iter().map(|it| it.0).collect();
        group.initialize(starts.id, &starts.name, &partitions);
        Ok(())
    }

    /// Fences whoever is late.
    pub(super) fn advance_share(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        let late = |group: &mut Group, topics: &dyn Topics, now| {
            group.advance(topics, now);
            Ok(())
        };
        if let Err(rejected) = self.turn_share(slot, inner, late) {
            tracing::warn!(%rejected, "late members could not be fenced");
            inner.kind.resume(self.now());
            self.arm(slot, inner);
        }
    }
}

fn check_empty(group: &Group) -> Result<(), Refused> {
    if group.is_empty() {
        return Ok(());
    }
    Err(Refused { code: ErrorCode::NonEmptyGroup, message: "The group is not empty.".into() })
}

fn unwritten(code: ErrorCode) -> Refused {
    Refused { code, message: "No state can be written now.".into() }
}

fn rejected(it: Refused) -> Rejected {
    Rejected::new(it.code, it.message)
}

fn not_found(group_id: &str) -> Rejected {
    let text = format!("Share group {} not found.", shown(group_id));
    Rejected::new(ErrorCode::GroupIdNotFound, text)
}

fn missing(group_id: &str) -> Rejected {
    let text = format!("Group {} not found.", shown(group_id));
    Rejected::new(ErrorCode::GroupIdNotFound, text)
}

fn other_kind(group_id: &str) -> Rejected {
    let text = format!("Group {} is not a share group.", shown(group_id));
    Rejected::new(ErrorCode::GroupIdNotFound, text)
}

/// A name as far as an answer repeats it.
fn shown(group_id: &str) -> String {
    group_id.chars().take(249).collect()
}
