//! How a member comes from what it has to what it is to have.
//!
//! Owns: the next step of one member, as a pure function. Does not own: the target (`assign`).
//!
//! The invariant of the protocol is kept here: a partition is given only when nobody holds it, and
//! a member holds what it was told to give up until it has said that it did.
//!
//! # Source  KIP-848, "Reconciliation"; Kafka's `CurrentAssignmentBuilder`

use super::{Assigned, Current, MemberState, Partitions};
use std::collections::BTreeSet;
use systole_kit::Uuid;

/// What the step of one member depends on.
pub(super) struct Step<'a> {
    pub(super) target_epoch: i32,
    pub(super) target: &'a Partitions,
    /// Topics that the member subscribes to and that exist.
    pub(super) subscribed: &'a BTreeSet<Uuid>,
    pub(super) subscription_changed: bool,
    /// What the member says it has; `None` if it does not say.
    pub(super) owned: Option<&'a Partitions>,
    /// Does another member hold this partition?
    pub(super) is_held_by_other: &'a dyn Fn(Uuid, i32) -> bool,
}

impl Step<'_> {
    /// Where `from` leads; `from` itself if there is nothing to do.
    pub(super) fn take(&self, from: &Current) -> Current {
        match from.state {
            MemberState::Stable if from.epoch != self.target_epoch => self.advance(from),
            MemberState::Stable if self.subscription_changed => self.shrink(from),
            MemberState::Stable => from.clone(),
            MemberState::Unrevoked if self.still_owns(&from.revoking) => {
                if self.subscription_changed { self.shrink(from) } else { from.clone() }
            }
            MemberState::Unrevoked | MemberState::Unreleased => self.advance(from),
        }
    }

    fn still_owns(&self, revoking: &Assigned) -> bool {
        let Some(owned) = self.owned else { return true };
        let is_revoking = |topic: &Uuid, it: &i32| {
            revoking.get(topic).is_some_and(|those| those.contains_key(it))
        };
        owned.iter().any(|(topic, those)| those.iter().any(|it| is_revoking(topic, it)))
    }

    /// The member left topics: they are taken at once, ahead of the next target.
    fn shrink(&self, from: &Current) -> Current {
        let mut to = from.clone();
        to.assigned.retain(|topic, _| self.subscribed.contains(topic));
        if to.assigned.len() == from.assigned.len() {
            return to;
        }
        let left = from.assigned.iter().filter(|(topic, _)| !self.subscribed.contains(topic));
        for (topic, those) in left {
            to.revoking.entry(*topic).or_default().extend(those);
        }
        to.previous_epoch = from.epoch;
        if self.still_owns(&to.revoking) {
            to.state = MemberState::Unrevoked;
        } else {
            to.revoking = from.revoking.clone();
        }
        to
    }

    fn advance(&self, from: &Current) -> Current {
        let mut kept = Assigned::new();
        let mut lost = Assigned::new();
        for (topic, those) in &from.assigned {
            for (partition, since) in those {
                let list = if self.wants(*topic, *partition) { &mut kept } else { &mut lost };
                list.entry(*topic).or_default().insert(*partition, *since);
            }
        }
        if !lost.is_empty() && self.still_owns(&lost) {
            return Current {
                epoch: from.epoch,
                previous_epoch: from.epoch,
                state: MemberState::Unrevoked,
                assigned: kept,
                revoking: lost,
            };
        }
        let mut state = MemberState::Stable;
        let wanted = self.target.iter().filter(|(topic, _)| self.subscribed.contains(topic));
        for (topic, those) in wanted {
            for partition in those {
                if kept.get(topic).is_some_and(|it| it.contains_key(partition)) {
                    continue;
                }
                if (self.is_held_by_other)(*topic, *partition) {
                    state = MemberState::Unreleased;
                } else {
                    kept.entry(*topic).or_default().insert(*partition, self.target_epoch);
                }
            }
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch: from.epoch,
            state,
            assigned: kept,
            revoking: Assigned::new(),
        }
    }

    fn wants(&self, topic: Uuid, partition: i32) -> bool {
        self.subscribed.contains(&topic)
            && self.target.get(&topic).is_some_and(|it| it.contains(&partition))
    }
}
