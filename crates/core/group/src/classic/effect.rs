//! What a group wants done, as data.
//!
//! Owns: the vocabulary between [`super::Group`] and whoever drives it. Does not own: doing it.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::ErrorCode;

/// Names a request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One thing to do. The order among the effects of one call counts.
#[derive(Debug)]
pub enum Effect {
    /// Answer a JoinGroup that waits.
    Join(Token, JoinAnswer),
    /// Answer a SyncGroup that waits.
    Sync(Token, SyncAnswer),
    /// Write the group's record; when it is durable (or cannot be), hand the second part to
    /// [`super::Group::saved`].
    Save(Snapshot, Saved),
}

pub type JoinAnswer = Result<Joined, JoinRefused>;
pub type SyncAnswer = Result<Synced, ErrorCode>;

/// The member is in, and this is its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Arc<str>,
    pub member_id: Arc<str>,
    /// The leader needs everyone's metadata but shall not assign anew (KIP-814).
    pub skip_assignment: bool,
    /// All members, for the leader; empty for the others.
    pub members: Vec<JoinedMember>,
}

/// One member as the leader learns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub metadata: Bytes,
}

/// The member is not in. `member_id` goes back with the error: the id that it is told to use
/// (`MEMBER_ID_REQUIRED`), or the one that it named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRefused {
    pub code: ErrorCode,
    pub member_id: Arc<str>,
}

/// What the member has to read in this generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// The group as its record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub protocol_type: Option<Arc<str>>,
    pub generation: i32,
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    /// When the group entered its state; `None` in records of old Kafka versions.
    pub state_since: Option<Timestamp>,
    pub members: Vec<SavedMember>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedMember {
    pub id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout: Duration,
    pub session_timeout: Duration,
    /// The metadata of the chosen protocol; the others are not kept.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// What follows once the record is durable.
#[derive(Debug)]
pub enum Saved {
    /// Everyone gets what the leader assigned.
    Assignment { generation: i32, by_member: HashMap<Arc<str>, Bytes> },
    /// The new incarnation of a static member learns that it is in.
    Replacement { token: Token, joined: Joined },
    /// Nobody waits: the group became empty.
    Nothing,
}
