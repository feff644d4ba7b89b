//! The ways out of a group: leaving, being fenced.
//!
//! Owns: what a member leaves behind. Does not own: when one is fenced (`time`).

use super::heartbeat::unknown_member;
use super::{Beat, Epoch, Fact, Group, Heartbeat};
use crate::consumer::Refused;
use std::sync::Arc;

impl Group {
    /// A heartbeat that says goodbye.
    pub(super) fn leave(&mut self, beat: &Heartbeat) -> Result<Beat, Refused> {
        let id = Arc::clone(&beat.member_id);
        if !self.members.contains_key(&id) {
            return Err(unknown_member());
        }
        if beat.shuts_down {
            self.shutdown_by.get_or_insert_with(|| Arc::clone(&id));
        }
        self.fence(&[Arc::clone(&id)]);
        Ok(Beat { member_id: id, epoch: beat.epoch, ..Beat::default() })
    }

    /// Puts members out. The others learn of it with their next heartbeat, when a new target is
    /// made.
    pub(super) fn fence(&mut self, ids: &[Arc<str>]) {
        let mut is_changed = false;
        for id in ids {
            let Some(it) = self.members.get(id) else { continue };
            is_changed = true;
            if it.endpoint.is_some() {
                self.endpoint_epoch += 1;
            }
            self.remove(id);
        }
        if let Some(epoch) = self.epoch.filter(|_| is_changed) {
            self.put(Fact::Epoch(Some(Epoch { number: epoch.number + 1, ..epoch })));
        }
        if self.is_empty() {
            self.shutdown_by = None;
            self.delayed_until = None;
        }
    }

    fn remove(&mut self, id: &Arc<str>) {
        if self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), None));
        }
        if self.targets.contains_key(id) {
            self.put(Fact::Target(Arc::clone(id), None));
        }
        self.put(Fact::Member(Arc::clone(id), None));
    }
}
