//! Where a record is: which partition, which offset.
//!
//! Owns: [`Offset`], [`PartitionId`] and how a partition is named in file names. Does not own: byte
//! positions in files, which stay private to `segment` and `wal`.

use std::fmt;
use systole_kit::Uuid;

/// A place in one partition: the next record to read or to write. Not a count, not a byte position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(i64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// Negative numbers become zero; for what a peer sent use [`Offset::from_wire`].
    pub const fn new(raw: i64) -> Self {
        Self(if raw < 0 { 0 } else { raw })
    }
    /// Kafka uses negative numbers as commands (earliest, latest), never as places.
    pub const fn from_wire(raw: i64) -> Option<Self> {
        if raw < 0 { None } else { Some(Self(raw)) }
    }
    pub const fn raw(self) -> i64 {
        self.0
    }
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }
    #[must_use]
    pub const fn before(self) -> Self {
        Self::new(self.0 - 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition by its topic's id: a topic deleted and created again under the same name is another
/// partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    pub topic: Uuid,
    pub index: i32,
}

impl PartitionId {
    /// The inverse of `Display`, with which the names of the partition's files begin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (topic, index) = text.rsplit_once('-')?;
        Some(Self { topic: topic.parse().ok()?, index: index.parse().ok()? })
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}
impl fmt::Debug for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
