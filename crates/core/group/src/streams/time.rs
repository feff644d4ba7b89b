//! Deadlines: when a member counts as gone.
//!
//! Owns: when the group wants to be woken and what happens then. Does not own: the clock.

use super::{Group, MemberState};
use crate::Now;
use crate::timers::Timer;
use std::sync::Arc;
use systole_kit::Instant;

impl Group {
    /// The earliest instant at which [`Group::advance`] may have something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first()
    }

    /// Fences whoever is late at `now`.
    pub fn advance(&mut self, now: Now) {
        let mut late = Vec::new();
        while let Some((timer, id)) = self.timers.pop_due(now.instant) {
            let is_late =
                timer != Timer::Revoke || self.current(&id).state == MemberState::Unrevoked;
            if is_late && !late.contains(&id) {
                late.push(id);
            }
        }
        self.fence(&late);
    }

    /// After a restart: sessions start anew, because nobody could reach us while we were down.
    pub fn resume(&mut self, now: Now) {
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            self.timers.set(Timer::Session, &id, now.instant.plus(self.config.session_timeout));
            if self.current(&id).state == MemberState::Unrevoked {
                self.time_revocation(&id, now);
            }
        }
    }

    /// A member that gives tasks up has its rebalance time for it.
    pub(super) fn time_revocation(&mut self, id: &Arc<str>, now: Now) {
        let patience = self.members.get(id).map(|it| it.rebalance_timeout);
        self.timers.set(Timer::Revoke, id, now.instant.plus(patience.unwrap_or_default()));
    }
}
