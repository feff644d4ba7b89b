//! How a member comes from the tasks it has to those it is to have.
//!
//! Owns: the next step of one member, as a pure function. Does not own: the target (`assign`).
//!
//! As in KIP-848: a task is given only when nobody holds it, and a member holds what it was told
//! to give up until it has said that it did. A task that changes between active and standby is
//! given up first.
//!
//! # Source  KIP-1071, "Reconciliation"; Kafka's `streams.CurrentAssignmentBuilder`

use super::{Current, Held, MemberState, Task, Tasks};

/// What the step of one member depends on.
pub(super) struct Step<'a> {
    pub(super) target_epoch: i32,
    pub(super) target: &'a Tasks,
    /// What the member says it has; `None` if it does not say.
    pub(super) owned: Option<&'a Tasks>,
    /// Do others hold what keeps this member from having an active task, a standby?
    pub(super) is_active_elsewhere: &'a dyn Fn(&Task) -> bool,
    pub(super) is_held_beside: &'a dyn Fn(&Task) -> bool,
}

impl Step<'_> {
    /// Where `from` leads; `from` itself if there is nothing to do.
    pub(super) fn take(&self, from: &Current) -> Current {
        match from.state {
            MemberState::Stable if from.epoch == self.target_epoch => from.clone(),
            MemberState::Unrevoked if self.still_owns(&from.revoking) => from.clone(),
            // It has confirmed, so it may learn of a next step in the same target.
            MemberState::Unrevoked => self.advance(from, from.epoch + 1),
            MemberState::Stable | MemberState::Unreleased => self.advance(from, from.epoch),
        }
    }

    fn still_owns(&self, revoking: &Held) -> bool {
        self.owned.is_none_or(|it| it.has_any_of(revoking))
    }

    /// `epoch`: of the member if it must give up more.
    fn advance(&self, from: &Current, epoch: i32) -> Current {
        let (mut kept, mut lost) = (Held::default(), Held::default());
        for (task, since) in &from.assigned.active {
            let list = if self.target.active.contains(task) { &mut kept } else { &mut lost };
            list.active.insert(task.clone(), *since);
        }
        for task in &from.assigned.standby {
            let list = if self.target.standby.contains(task) { &mut kept } else { &mut lost };
            list.standby.insert(task.clone());
        }
        let previous_epoch = from.epoch;
        if !lost.is_empty() && self.still_owns(&lost) {
            let state = MemberState::Unrevoked;
            return Current { epoch, previous_epoch, state, assigned: kept, revoking: lost };
        }
        let mut state = MemberState::Stable;
        for task in &self.target.active {
            if kept.active.contains_key(task) {
                continue;
            }
            if (self.is_active_elsewhere)(task) {
                state = MemberState::Unreleased;
            } else {
                kept.active.insert(task.clone(), self.target_epoch);
            }
        }
        for task in &self.target.standby {
            if kept.standby.contains(task) {
                continue;
            }
            if (self.is_held_beside)(task) {
                state = MemberState::Unreleased;
            } else {
                kept.standby.insert(task.clone());
            }
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch,
            state,
            assigned: kept,
            revoking: Held::default(),
        }
    }
}
