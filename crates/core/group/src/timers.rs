//! Deadlines by member.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use systole_kit::Instant;

/// What a member is late with when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A sign of life.
    Session,
    /// Giving partitions up.
    Revoke,
    /// The JoinGroup that a classic member was asked for.
    Join,
    /// The SyncGroup after it.
    Sync,
}

/// Setting, cancelling and finding the earliest cost the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: HashMap<(Timer, Arc<str>), Instant>,
    queue: BTreeSet<(Instant, Timer, Arc<str>)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, member: &Arc<str>, at: Instant) {
        self.cancel(timer, member);
        self.at.insert((timer, Arc::clone(member)), at);
        self.queue.insert((at, timer, Arc::clone(member)));
    }
    pub(crate) fn cancel(&mut self, timer: Timer, member: &Arc<str>) {
        if let Some(at) = self.at.remove(&(timer, Arc::clone(member))) {
            self.queue.remove(&(at, timer, Arc::clone(member)));
        }
    }
    pub(crate) fn is_set(&self, timer: Timer, member: &Arc<str>) -> bool {
        self.at.contains_key(&(timer, Arc::clone(member)))
    }
    pub(crate) fn first(&self) -> Option<Instant> {
        self.queue.first().map(|(at, ..)| *at)
    }
    /// The earliest that is due at `now`, taken off.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Timer, Arc<str>)> {
        if self.first()? > now {
            return None;
        }
        let (_, timer, member) = self.queue.pop_first()?;
        self.at.remove(&(timer, Arc::clone(&member)));
        Some((timer, member))
    }
}
