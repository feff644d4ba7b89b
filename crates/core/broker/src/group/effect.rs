//! What a group wants done, as data.
//!
//! Owns: the vocabulary between [`super::Group`] and whoever drives it. Does not own: doing it.

use crate::code::ErrorCode;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;

/// Names a request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// One thing to do. The order among the effects of one call counts.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Answer a JoinGroup that waits.
    Join(Token, JoinAnswer),
    /// Answer a SyncGroup that waits.
    Sync(Token, SyncAnswer),
    /// Write the group's record; when it is durable (or cannot be), hand the second part to
    /// [`super::Group::saved`].
    Save(Snapshot, Saved),
}

pub(crate) type JoinAnswer = Result<Joined, JoinRefused>;
pub(crate) type SyncAnswer = Result<Synced, ErrorCode>;

/// The member is in, and this is its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) leader: Arc<str>,
    pub(crate) member_id: Arc<str>,
    /// The leader needs everyone's metadata but shall not assign anew (KIP-814).
    pub(crate) skip_assignment: bool,
    /// All members, for the leader; empty for the others.
    pub(crate) members: Vec<JoinedMember>,
}

/// One member as the leader learns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) metadata: Bytes,
}

/// The member is not in. `member_id` goes back with the error: the id that it is told to use
/// (`MEMBER_ID_REQUIRED`), or the one that it named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    pub(crate) code: ErrorCode,
    pub(crate) member_id: Arc<str>,
}

/// What the member has to read in this generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) assignment: Bytes,
}

/// The group as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    /// When the group entered its state; `None` in records of old Kafka versions.
    pub(crate) state_since: Option<Timestamp>,
    pub(crate) members: Vec<SavedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedMember {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) session_timeout: Duration,
    /// The metadata of the chosen protocol; the others are not kept.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

/// What follows once the record is durable.
#[derive(Debug)]
pub(crate) enum Saved {
    /// Everyone gets what the leader assigned.
    Assignment { generation: i32, by_member: HashMap<Arc<str>, Bytes> },
    /// The new incarnation of a static member learns that it is in.
    Replacement { token: Token, joined: Joined },
    /// Nobody waits: the group became empty.
    Nothing,
}
