//! The coordinator's work with streams groups (KIP-1071).
//!
//! Owns: what each request asks of such a group, and that a classic group without members makes
//! place for one. Does not own: decisions (`systole_group::streams`), records (`facts`), the
//! creation of internal topics (whoever asks).

use super::coordinator::{Coordinator, Shared};
use super::facts::failed;
use super::journal::Durable;
use super::kind::Kind;
use super::slot::{Inner, Slot};
use std::sync::Arc;
use systole_group::streams::{Beat, Described, Group, Heartbeat};
use systole_wire::{ErrorCode, Rejected};

/// Said by the first heartbeat of a member.
const JOINING: i32 = 0;

impl Coordinator {
    /// StreamsGroupHeartbeat. The answer counts once the future is ready.
    ///
    /// # Errors  As `Group::heartbeat`, and `GROUP_ID_NOT_FOUND`.
    pub fn beat_streams(
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
            let answer = self.0.beat_streams(slot, inner, beat);
            self.0.forget_if_unused(slot, inner);
            answer
        });
        answer.unwrap_or_else(|| Err(absent(group_id)))
    }

    /// StreamsGroupDescribe. What is told counts once the future is ready.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND`.
    pub fn describe_streams(&self, group_id: &str) -> Result<(Described, Durable), Rejected> {
        let described = self.enter(group_id, false, |_, inner| match &inner.kind {
            Kind::Streams(group) => Ok((group.described(), inner.durable())),
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Share(_) => Err(other(group_id)),
        });
        described.unwrap_or_else(|| Err(absent(group_id)))
    }
}

impl Shared {
    fn beat_streams(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        beat: &Heartbeat,
    ) -> Result<(Beat, Durable), Rejected> {
        let before = match &inner.kind {
            Kind::Streams(_) => None,
            Kind::Classic(group) if beat.epoch == JOINING && group.is_vacant() => {
                let fresh = Kind::Streams(Box::new(Group::new(self.config.streams())));
                // The record of the classic group goes with the first facts of the new one.
                if inner.kind.was_saved() {
                    inner.prefix = inner.kind.tombstones(&slot.id).map_err(failed)?;
                }
                Some(std::mem::replace(&mut inner.kind, fresh))
            }
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Share(_) => return Err(other(&slot.id)),
        };
        let turn = self.turn_by_facts(slot, inner, |kind, topics, now| match kind {
            Kind::Streams(group) => {
                group.heartbeat(beat, topics, now).map_err(|it| Rejected::new(it.code, it.message))
            }
            Kind::Classic(_) | Kind::Consumer(_) | Kind::Share(_) => Err(other(&slot.id)),
        });
        let answer = turn.and_then(|it| it);
        inner.prefix.clear();
        if let Some(before) = before
            && answer.is_err()
        {
            inner.kind = before;
        }
        answer
    }
}

fn absent(group_id: &str) -> Rejected {
    Rejected::new(
        ErrorCode::GroupIdNotFound,
        format!("Streams group {} not found.", shown(group_id)),
    )
}

fn other(group_id: &str) -> Rejected {
    let text = format!("Group {} is not a streams group.", shown(group_id));
    Rejected::new(ErrorCode::GroupIdNotFound, text)
}

/// A name that is too long for a text.
fn shown(group_id: &str) -> String {
    group_id.chars().take(249).collect()
}
