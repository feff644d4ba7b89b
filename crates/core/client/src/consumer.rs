//! Reading records.
//!
//! Owns: the trait, its events and options. Does not own: assignment strategies or prefetching
//! (`librdkafka`).

use crate::{Answer, Error, Offset, Record, TopicPartition};
use std::fmt::Debug;
use std::time::Duration;
use systole_kit::{ByteSize, Timestamp};

/// Reads records, as a member of a group or from chosen positions.
///
/// Dropping it without [`Consumer::close`] leaves the group too, but in the background.
pub trait Consumer: Debug + Send {
    /// The next thing that happened. Safe to cancel: nothing is lost when the future is dropped.
    /// # Errors  [`crate::Class::Retry`]: ask again. [`crate::Class::Abort`]: what was processed
    /// since the last commit may come again; ask again. [`crate::Class::Fatal`]: close it.
    fn next(&mut self) -> Answer<'_, Event>;
    /// No more records of these partitions, after those already prefetched.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error>;
    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error>;
    /// The offset after the last record that [`Consumer::next`] gave, for each partition that gave
    /// one and was not revoked since.
    fn position(&self) -> Vec<(TopicPartition, Offset)>;
    /// What the group has committed, `None` where nothing.
    fn committed<'a>(
        &'a self,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<(TopicPartition, Option<Offset>)>>;
    /// Commits positions (the offset after the last processed record) and waits for the answer.
    fn commit<'a>(&'a self, positions: &'a [(TopicPartition, Offset)]) -> Answer<'a, ()>;
    /// Leaves the group at once and ends the threads and connections. Commits nothing by itself.
    fn close(self: Box<Self>) -> Answer<'static, ()>;
}

/// What [`Consumer::next`] gives.
#[derive(Debug)]
pub enum Event {
    /// At least one record; those of one partition in offset order. Neighbours share buffers of
    /// 64 KiB, so a small part that is kept for long should be copied.
    Records(Vec<Record>),
    /// The group gave us these partitions.
    Assigned(Vec<TopicPartition>),
    /// The group takes these partitions back. They are still ours, to commit what was processed,
    /// until the next call of [`Consumer::next`].
    Revoked(Vec<TopicPartition>),
    /// As [`Event::Revoked`], but they already belong to another member: commits would be refused.
    Lost(Vec<TopicPartition>),
    /// Only without a group: the reader has seen everything up to here. Comes again after more.
    Ended(TopicPartition, Offset),
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is still there.
    Beginning,
    /// Only what is written from now on.
    End,
    At(Offset),
    /// The first record whose timestamp is at or after this; the end if there is none.
    Time(Timestamp),
}

/// Where to go on when a position is missing or its records have been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    Earliest,
    Latest,
    /// An error of kind [`crate::Kind::OffsetOutOfRange`].
    Error,
}

/// How partitions move between members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignment {
    /// Only those that move are revoked (KIP-429).
    #[default]
    Cooperative,
    /// All are revoked, then assigned anew (range, then round robin).
    Eager,
}

/// How a member of a group reads.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    pub group: String,
    /// Static membership (KIP-345): a restart within the session timeout moves no partition.
    pub instance: Option<String>,
    pub assignment: Assignment,
    pub reset: Reset,
    pub fetch: Fetch,
    /// The group gives up a member of which it has not heard for so long.
    pub session_timeout: Duration,
    /// The group gives up a member that has not taken what is prefetched for so long.
    pub poll_interval_max: Duration,
}

impl GroupOptions {
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            instance: None,
            assignment: Assignment::default(),
            reset: Reset::Earliest,
            fetch: Fetch::default(),
            session_timeout: Duration::from_secs(45),
            poll_interval_max: Duration::from_mins(5),
        }
    }
}

/// How a reader without a group reads.
#[derive(Debug, Clone)]
pub struct DirectOptions {
    pub reset: Reset,
    pub fetch: Fetch,
}

impl Default for DirectOptions {
    fn default() -> Self {
        Self { reset: Reset::Error, fetch: Fetch::default() }
    }
}

/// How much is read ahead, and what is seen of transactions.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Records read ahead of [`Consumer::next`], in bytes (with 128 bytes per record for
    /// bookkeeping). librdkafka holds as much again before them.
    pub prefetch_max: ByteSize,
    /// How long the broker may hold a fetch to which it has nothing to say.
    pub wait_max: Duration,
    /// Records of transactions that are open or aborted are shown too.
    pub read_uncommitted: bool,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            prefetch_max: ByteSize::mib(8),
            wait_max: Duration::from_millis(500),
            read_uncommitted: false,
        }
    }
}
