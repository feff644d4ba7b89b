//! One member of a group, as the coordinator knows it.
//!
//! Owns: a member's data and what it waits for. Does not own: when it is thrown out (`time`).

use super::Token;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Instant;

/// A way to share the work that a member can follow, with what its leader must know about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.name, self.metadata.len())
    }
}

/// The one request of a member that may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    No,
    Join(Token),
    Sync(Token),
}

#[derive(Debug)]
pub struct Member {
    pub(super) id: Arc<str>,
    /// Counts up with each member of the group: the order of joining, for a repeatable election.
    pub(super) number: u64,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// In the order of the member's preference.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    pub(super) waiting: Waiting,
    /// Has not yet seen the answer to its first JoinGroup, so it cannot send heartbeats.
    pub(super) is_new: bool,
    /// Its SyncGroup of this generation has not come yet.
    pub(super) owes_sync: bool,
    /// When it counts as gone unless it shows up before.
    pub(super) session_until: Instant,
}

/// What protocols take in memory.
pub(super) fn bytes(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|it| it.name.len() + it.metadata.len()).sum()
}

impl Member {
    /// What the member takes in memory: what clients sent, and our own part of it.
    pub(super) fn bytes(&self) -> usize {
        let named = self.id.len() + self.client_id.len() + self.client_host.len();
        let instance = self.instance_id.as_ref().map_or(0, |it| it.len());
        size_of::<Self>() + named + instance + self.assignment.len() + bytes(&self.protocols)
    }
    /// The metadata under `protocol`; empty if the member does not speak it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|it| &*it.name == protocol);
        found.map(|it| it.metadata.clone()).unwrap_or_default()
    }
    pub(super) fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|it| &*it.name == protocol)
    }
    pub(super) fn awaits_join(&self) -> bool {
        matches!(self.waiting, Waiting::Join(_))
    }
    /// When the session runs out; `None` while the member waits for us. A new member has a
    /// deadline even then: nothing else would tell that it is gone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.waiting == Waiting::No || self.is_new).then_some(self.session_until)
    }
    pub(super) fn touch(&mut self, now: Instant) {
        self.session_until = now.plus(self.session_timeout);
    }
}
