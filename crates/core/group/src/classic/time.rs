//! Deadlines: sessions, join ids never used, the two halves of a rebalance.
//!
//! Owns: when the group wants to be woken and what happens then. Does not own: the clock.

use super::state::{Phase, State};
use super::{Group, Now};
use std::sync::Arc;
use systole_kit::Instant;
use systole_wire::ErrorCode;

impl Group {
    /// The earliest instant at which [`Group::advance`] may have something to do; `None` if only a
    /// request can change the group. Cost: one look at each member.
    pub fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.state {
            State::PreparingRebalance(Phase::Initial { until, .. } | Phase::Rejoin { until }) => {
                Some(until)
            }
            // While the record is written the disk decides, and it always answers.
            State::CompletingRebalance { sync_until, is_saving: false } => Some(sync_until),
            State::Stable { sync_until } => sync_until,
            _ => None,
        };
        let sessions = self.members.values().filter_map(super::Member::deadline);
        phase.into_iter().chain(sessions).chain(self.pending.values().copied()).min()
    }

    /// Does what is due at `now`. Calling it too early or too often changes nothing.
    pub fn advance(&mut self, now: Now) {
        self.expire_pending(now);
        self.expire_sessions(now);
        match self.state {
            State::PreparingRebalance(Phase::Initial { until, end, newcomer })
                if until <= now.instant =>
            {
                self.extend_or_complete(newcomer, end, now);
            }
            State::PreparingRebalance(Phase::Rejoin { until }) if until <= now.instant => {
                self.complete_join(now);
            }
            State::CompletingRebalance { sync_until, is_saving: false }
                if sync_until <= now.instant =>
            {
                self.expire_syncs(now);
            }
            State::Stable { sync_until: Some(until) } if until <= now.instant => {
                self.expire_syncs(now);
            }
            _ => {}
        }
    }

    fn expire_pending(&mut self, now: Now) {
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > now.instant);
        if self.pending.len() < before {
            // The others may have waited for nobody else.
            if matches!(self.state, State::PreparingRebalance(_)) {
                self.rebalance(now);
            }
        }
    }

    fn expire_sessions(&mut self, now: Now) {
        let is_gone = |it: &&super::Member| it.deadline().is_some_and(|it| it <= now.instant);
        let gone: Vec<_> =
            self.members.values().filter(is_gone).map(|it| Arc::clone(&it.id)).collect();
        for id in &gone {
            self.remove(id, ErrorCode::UnknownMemberId);
        }
        if !gone.is_empty() {
            self.rebalance(now);
        }
    }

    /// The initial delay is over: once more if somebody came during it and there is time left.
    fn extend_or_complete(&mut self, newcomer: bool, end: Instant, now: Now) {
        if newcomer && now.instant < end {
            let until = now.instant.plus(self.limits.initial_delay).min(end);
            self.state = State::PreparingRebalance(Phase::Initial { until, end, newcomer: false });
        } else {
            self.complete_join(now);
        }
    }

    /// Members that joined a generation and never asked for their part keep partitions that nobody
    /// reads: they are out.
    fn expire_syncs(&mut self, now: Now) {
        let owing = self.members.values().filter(|it| it.owes_sync);
        for id in owing.map(|it| Arc::clone(&it.id)).collect::<Vec<_>>() {
            self.remove(&id, ErrorCode::UnknownMemberId);
        }
        self.rebalance(now);
    }
}
