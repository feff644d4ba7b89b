//! Deadlines: when a member counts as gone.
//!
//! Owns: when the group wants to be woken and what happens then. Does not own: the clock.

use super::{Group, MemberState, Topics};
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
    pub fn advance(&mut self, topics: &dyn Topics, now: Now) {
        let mut late = Vec::new();
        while let Some((timer, id)) = self.timers.pop_due(now.instant) {
            let is_late = match timer {
                Timer::Revoke => self.current(&id).state == MemberState::Unrevoked,
                Timer::Session | Timer::Join | Timer::Sync => true,
            };
            if is_late && self.subscriptions.contains_key(&id) && !late.contains(&id) {
                late.push(id);
            }
        }
        self.fence(&late, topics);
    }

    /// After a restart: sessions start anew, because nobody could reach us while we were down.
    pub fn resume(&mut self, now: Now) {
        let ids: Vec<_> = self.subscriptions.keys().cloned().collect();
        for id in ids {
            let session = self.session_timeout(&id);
            self.timers.set(Timer::Session, &id, now.instant.plus(session));
            if self.current(&id).state == MemberState::Unrevoked {
                let patience = self.subscriptions.get(&id).map(|it| it.rebalance_timeout);
                let until = now.instant.plus(patience.unwrap_or_default());
                self.timers.set(Timer::Revoke, &id, until);
            }
        }
    }

    /// A classic member names its own; everyone else has the group's.
    pub(super) fn session_timeout(&self, id: &Arc<str>) -> std::time::Duration {
        let classic = self.subscriptions.get(id).and_then(|it| it.classic.as_ref());
        classic.map_or(self.config.session_timeout, |it| it.session_timeout)
    }
}
