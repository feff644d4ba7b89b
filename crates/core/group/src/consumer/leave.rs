//! The ways out of a group: leaving, being removed, being fenced.
//!
//! Owns: what a member leaves behind. Does not own: when one is fenced (`time`).

use super::heartbeat::{LEFT, LEFT_FOR_A_WHILE, unknown_member};
use super::{Beat, Current, Epoch, Fact, Group, Heartbeat, Refused, Topics};
use crate::classic::Leaver;
use std::sync::Arc;
use std::time::Duration;
use systole_wire::ErrorCode;

impl Group {
    /// A heartbeat that says goodbye.
    pub(super) fn leave(&mut self, beat: &Heartbeat, topics: &dyn Topics) -> Result<Beat, Refused> {
        let id = self.check_leaver(&beat.member_id, beat.instance_id.as_deref())?;
        let is_back_soon = beat.epoch == LEFT_FOR_A_WHILE && beat.instance_id.is_some();
        if is_back_soon {
            self.put(Fact::Current(Arc::clone(&id), Some(away(self.current(&id)))));
        } else {
            self.fence(&[id], topics);
        }
        Ok(Beat {
            member_id: Arc::clone(&beat.member_id),
            epoch: if is_back_soon { LEFT_FOR_A_WHILE } else { LEFT },
            interval: Duration::ZERO,
            assignment: None,
        })
    }

    /// LeaveGroup: members that speak the classic protocol, or that an administrator removes
    /// (KIP-571); one result for each.
    pub fn remove_members(
        &mut self,
        leavers: &[Leaver<'_>],
        topics: &dyn Topics,
    ) -> Vec<Result<(), ErrorCode>> {
        let checked: Vec<_> = leavers
            .iter()
            .map(|it| match it.instance_id {
                Some(instance) if it.member_id.is_empty() => {
                    self.instances.get(instance).cloned().ok_or_else(unknown_member)
                }
                instance => self.check_leaver(it.member_id, instance),
            })
            .collect();
        let ids: Vec<_> = checked.iter().flatten().cloned().collect();
        self.fence(&ids, topics);
        checked.into_iter().map(|it| it.map(drop).map_err(|it| it.code)).collect()
    }

    fn check_leaver(&self, id: &str, instance: Option<&str>) -> Result<Arc<str>, Refused> {
        if let Some(instance) = instance {
            let owner = self.instances.get(instance).ok_or_else(unknown_member)?;
            if **owner == *id {
                return Ok(Arc::clone(owner));
            }
            let message = "Another member has this instance id.";
            return Err(Refused::new(ErrorCode::FencedInstanceId, message));
        }
        let found = self.subscriptions.get_key_value(id);
        found.map(|(id, _)| Arc::clone(id)).ok_or_else(unknown_member)
    }

    /// Puts members out. The others learn of it with their next heartbeat, when a new target is
    /// made.
    pub(super) fn fence(&mut self, ids: &[Arc<str>], topics: &dyn Topics) {
        let mut is_changed = false;
        for id in ids {
            let Some(it) = self.subscriptions.get(id) else { continue };
            let pattern = Arc::clone(&it.pattern);
            is_changed = true;
            self.remove(id);
            if !pattern.is_empty() {
                self.drop_pattern_if_unused(&pattern);
            }
        }
        // A group that becomes a classic one keeps its epoch as generation.
        if is_changed && !self.is_all_classic() {
            let (number, metadata_hash) = (self.epoch() + 1, self.metadata_hash(topics));
            self.put(Fact::Epoch(Some(Epoch { number, metadata_hash })));
        }
    }

    pub(super) fn remove(&mut self, id: &Arc<str>) {
        if self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), None));
        }
        if self.targets.contains_key(id) {
            self.put(Fact::Target(Arc::clone(id), None));
        }
        self.put(Fact::Member(Arc::clone(id), None));
    }
}

/// A static member between two lives: what it had is kept for it, from no epoch in particular.
fn away(mut current: Current) -> Current {
    current.epoch = LEFT_FOR_A_WHILE;
    current.revoking.clear();
    current.assigned.values_mut().flat_map(|it| it.values_mut()).for_each(|it| *it = 0);
    current
}
