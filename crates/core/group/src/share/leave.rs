//! The ways out of a share group: leaving, and being fenced.

use super::heartbeat::unknown_member;
use super::{Fact, Group};
use crate::Now;
use crate::consumer::{Epoch, Refused, Topics};
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_kit::Uuid;

impl Group {
    /// A heartbeat that says goodbye.
    pub(super) fn leave(&mut self, id: &str, topics: &dyn Topics) -> Result<(), Refused> {
        let (id, _) = self.subscriptions.get_key_value(id).ok_or_else(unknown_member)?;
        let id = Arc::clone(id);
        self.fence(&id, topics);
        Ok(())
    }

    /// Fences whoever is late at `now`; who that is.
    pub fn advance(&mut self, topics: &dyn Topics, now: Now) -> Vec<Arc<str>> {
        let mut late = Vec::new();
        while let Some((_, id)) = self.timers.pop_due(now.instant) {
            if self.has_member(&id) {
                self.fence(&id, topics);
                late.push(id);
            }
        }
        late
    }

    /// Has the group heard of this topic?
    pub fn knows(&self, topic: Uuid) -> bool {
        self.known.as_ref().is_some_and(|it| {
            let states = [&it.initializing, &it.initialized];
            states.iter().any(|it| it.contains_key(&topic)) || it.deleting.contains_key(&topic)
        })
    }

    /// These partitions of a topic have a state that an administrator gave them.
    pub fn initialize(&mut self, topic: Uuid, name: &Arc<str>, partitions: &BTreeSet<i32>) {
        let mut known = self.known.clone().unwrap_or_default();
        let there = known.initialized.entry(topic).or_default();
        there.name = Arc::clone(name);
        there.partitions.extend(partitions);
        known.initializing.remove(&topic);
        known.deleting.remove(&topic);
        self.put(Fact::Known(Some(known)));
        self.topics_seen = None;
    }

    /// The topic is gone, or its states are. Members that still want it begin anew.
    pub fn forget(&mut self, topic: Uuid) {
        let Some(mut known) = self.known.clone() else { return };
        known.initializing.remove(&topic);
        known.initialized.remove(&topic);
        known.deleting.remove(&topic);
        self.put(Fact::Known(Some(known)));
        self.topics_seen = None;
    }

    /// Puts a member out. The others take over what it read when a new target is made.
    fn fence(&mut self, id: &Arc<str>, topics: &dyn Topics) {
        if self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), None));
        }
        if self.targets.contains_key(id) {
            self.put(Fact::Target(Arc::clone(id), None));
        }
        self.put(Fact::Member(Arc::clone(id), None));
        let (number, metadata_hash) = (self.epoch() + 1, self.hash(topics));
        self.put(Fact::Epoch(Some(Epoch { number, metadata_hash })));
    }
}
