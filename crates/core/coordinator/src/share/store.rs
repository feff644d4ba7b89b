//! `__share_group_state`: the topic that remembers share partitions.
//!
//! Owns: its name, the seam to its partitions, what a failed append means to a member, what it says
//! after a start. Does not own: the topic as such ([`InternalTopic`]), the form of records
//! (`systole_group::share_partition::record`).

use super::ShareConfig;
use crate::group::{Appended, Durable};
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use systole_catalogue::Catalogue;
use systole_catalogue::internal::{BATCH_BYTES_MAX, Cleanup, InternalTopic, Kind};
use systole_group::share_partition::record::{self, Entry, Key, Snapshot};
use systole_log::{AppendError, Log, Offset, Origin};
use systole_wire::ErrorCode;
use systole_wire::record::RecordSet;

pub const TOPIC: &str = "__share_group_state";

/// The partitions of `__share_group_state`. None of the calls waits for the disk.
pub(crate) trait StateLog: Debug + Send + Sync + 'static {
    /// Never changes while the topic exists: a share partition's place follows from it.
    fn partition_count(&self) -> i32;
    /// Appends one batch. Batches of one partition lie in the order of the calls.
    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode>;
    /// The offset of the next batch.
    fn end(&self, partition: i32) -> i64;
    /// What lies before `offset` says nothing any more.
    fn delete_before(&self, partition: i32, offset: i64);
}

#[derive(Debug)]
pub struct Store(InternalTopic);

/// What the topic says.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// With the offset of the snapshot, and how many updates came after it.
    pub(super) states: HashMap<Key, (Snapshot, i64, u32)>,
    pub(super) records: u64,
    /// Records that say nothing to us: damaged, or of a later version.
    pub(super) unreadable: u64,
}

impl Store {
    pub fn new(log: &Log, topics: &Arc<Catalogue>, config: &ShareConfig) -> Self {
        let kind = Kind {
            name: TOPIC,
            compression: "producer",
            records: "share groups",
            cleanup: Cleanup::ByOwner,
        };
        Self(InternalTopic::new(kind, log, topics, config.state_topic_partitions))
    }

    /// Reads everything back. Blocks on file IO; cost: one pass over the topic.
    pub(super) fn replay(&self) -> Replayed {
        let mut replayed = Replayed::default();
        self.0.read_all(|it| replayed.batch(it));
        replayed
    }
}

impl Replayed {
    /// Takes in one batch. Those of one share partition come in the order of their offsets.
    pub(super) fn batch(&mut self, batch: &[u8]) {
        let Ok(records) = RecordSet::open(batch, BATCH_BYTES_MAX) else {
            self.unreadable += 1;
            return;
        };
        for (offset, it) in (records.header().base_offset..).zip(&records) {
            self.records += 1;
            match it.ok().and_then(|it| record::read(it.key, it.value).ok()) {
                Some(Entry::Snapshot(key, Some(it))) => {
                    self.states.insert(key, (*it, offset, 0));
                }
                Some(Entry::Snapshot(key, None)) => {
                    self.states.remove(&key);
                }
                Some(Entry::Update(key, epoch, update)) => {
                    // One that belongs to a snapshot that is no more says nothing.
                    if let Some((it, _, updates)) = self.states.get_mut(&key)
                        && it.epoch == epoch
                    {
                        it.saved.apply(&update);
                        *updates += 1;
                    }
                }
                Some(Entry::Other) => {}
                None => self.unreadable += 1,
            }
        }
    }
}

impl StateLog for Store {
    fn partition_count(&self) -> i32 {
        self.0.partition_count()
    }

    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode> {
        let appended = self.0.partition(partition)?.append(&batch, Origin::Broker);
        let appended = appended.map_err(|error| refusal(&error))?;
        let log = self.0.log().clone();
        let durable: Durable =
            Box::pin(
                async move { log.done(appended.ticket).await.map_err(|error| refusal(&error)) },
            );
        let (last_offset, ticket) = (appended.last_offset.raw(), appended.ticket);
        Ok(Appended { last_offset, ticket, durable })
    }

    fn end(&self, partition: i32) -> i64 {
        self.0.existing(partition).map_or(0, |it| it.bounds().high_watermark.raw())
    }

    fn delete_before(&self, partition: i32, offset: i64) {
        let Some(partition) = self.0.existing(partition) else { return };
        let offset = Offset::new(offset).min(partition.bounds().high_watermark);
        // The next round finds it again.
        if let Err(error) = partition.delete_before(offset) {
            tracing::warn!(%error, "old states of share groups could not be dropped");
        }
    }
}

/// What a member learns when its record cannot be written: it tries again.
fn refusal(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } | AppendError::Malformed { .. } => {
            ErrorCode::UnknownServerError
        }
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}
