//! `__transaction_state`: the topic that remembers transactional ids.
//!
//! Owns: its creation at the first use, its partitions, reading all of it at start. Does not own:
//! what the records say (`systole_transaction::record`).

use super::config::TransactionConfig;
use super::slot::Sync;
use crate::code::ErrorCode;
use crate::topic::{Catalogue, NewTopic, Topic};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use systole_kit::Timestamp;
use systole_log::{AppendError, Isolation, Log, Offset, Origin, Partition, ReadError, Ticket};
use systole_transaction::Transaction;
use systole_transaction::record::{self, Pair};
use systole_wire::record::{BatchBuilder, BatchOptions, Batches, NewRecord, RecordSet};

pub(super) const TOPIC: &str = "__transaction_state";
/// Kafka's `transaction.state.log.segment.bytes`: small, so that compaction finds closed segments.
const SEGMENT_BYTES: u32 = 100 * 1024 * 1024;
/// One read while loading.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes that one batch of ours decompresses to; ours are not compressed at all.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Store {
    log: Log,
    topics: Arc<Catalogue>,
    /// Of the topic, if it is still to be created.
    partitions_wanted: i32,
    partitions: OnceLock<Vec<Partition>>,
}

/// What the topic says.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) transactions: HashMap<Arc<str>, Transaction>,
    pub(super) records: u64,
    /// Records that say nothing to us: damaged, or of a later version.
    pub(super) unreadable: u64,
}

impl Store {
    pub(super) fn new(log: &Log, topics: &Arc<Catalogue>, config: &TransactionConfig) -> Self {
        let it = Self {
            log: log.clone(),
            topics: Arc::clone(topics),
            partitions_wanted: config.state_topic_partitions,
            partitions: OnceLock::new(),
        };
        if let Some(topic) = topics.by_name(TOPIC) {
            let _ = it.partitions.set(it.partitions_of(&topic));
        }
        it
    }

    /// Never changes while the topic exists: an id's partition follows from it.
    pub(super) fn partition_count(&self) -> i32 {
        let there = self.partitions.get().and_then(|it| i32::try_from(it.len()).ok());
        there.unwrap_or(self.partitions_wanted)
    }

    /// Appends one record. Those of one partition lie in the order of the calls.
    pub(super) fn append(
        &self,
        partition: i32,
        pair: &Pair,
        at: Timestamp,
        sync: Sync,
    ) -> Result<Ticket, ErrorCode> {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.push(&NewRecord {
            timestamp: at.as_millis(),
            key: Some(&pair.key),
            value: pair.value.as_deref(),
            headers: &[],
        });
        let batch = batch.build().map_err(|_| ErrorCode::UnknownServerError)?;
        let partition = self.partition(partition)?;
        let appended = match sync {
            Sync::Now => partition.append(&batch, Origin::Broker),
            Sync::Later => partition.append_relaxed(&batch, Origin::Broker),
        };
        appended.map(|it| it.ticket).map_err(|error| refusal(&error))
    }

    /// Reads everything back. Blocks on file IO; cost: one pass over the topic.
    pub(super) fn replay(&self) -> Replayed {
        let mut replayed = Replayed::default();
        for partition in self.partitions.get().into_iter().flatten() {
            read_all(partition, &mut replayed);
        }
        replayed
    }

    /// The partitions, of a topic created now if need be. An append to them is durable no sooner
    /// than the topic: both are in the one write-ahead log.
    fn partitions(&self) -> Result<&[Partition], ErrorCode> {
        if let Some(partitions) = self.partitions.get() {
            return Ok(partitions);
        }
        let topic = match self.topics.create(&wanted(self.partitions_wanted)) {
            Ok((topic, _durable)) => Some(topic),
            // Another request was first.
            Err(rejected) if rejected.code == ErrorCode::TopicAlreadyExists => {
                self.topics.by_name(TOPIC)
            }
            Err(rejected) => {
                tracing::error!(topic = TOPIC, %rejected, "the topic cannot be created");
                None
            }
        };
        let topic = topic.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok(self.partitions.get_or_init(|| self.partitions_of(&topic)))
    }

    fn partitions_of(&self, topic: &Topic) -> Vec<Partition> {
        topic.partitions().filter_map(|id| self.log.partition(id)).collect()
    }

    fn partition(&self, index: i32) -> Result<&Partition, ErrorCode> {
        let index = usize::try_from(index).map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
        self.partitions()?.get(index).ok_or(ErrorCode::CoordinatorNotAvailable)
    }
}

/// What a producer learns when its record cannot be written: all but one make it try again.
fn refusal(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } | AppendError::Malformed { .. } => {
            ErrorCode::UnknownServerError
        }
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}

fn wanted(partitions: i32) -> NewTopic {
    let config = |name: &str, value: String| (name.to_owned(), Some(value));
    NewTopic {
        partitions,
        configs: vec![
            config("cleanup.policy", "compact".into()),
            config("compression.type", "uncompressed".into()),
            config("segment.bytes", SEGMENT_BYTES.to_string()),
        ],
        ..NewTopic::named(TOPIC)
    }
}

fn read_all(partition: &Partition, replayed: &mut Replayed) {
    let bounds = partition.bounds();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        match partition.read(next, READ_BYTES, Isolation::Uncommitted) {
            Ok(records) => {
                let before = next;
                for batch in Batches::new(records.into_bytes()).flatten() {
                    replayed.batch(&batch.bytes);
                    next = Offset::new(batch.header.next_offset());
                }
                if next == before {
                    return; // nothing more can be read
                }
            }
            Err(ReadError::Damaged { first, last, .. }) => {
                tracing::error!(partition = %partition.id(), %first, %last,
                    "records of transactions are damaged; what they said is lost");
                next = last.next();
            }
            Err(error) => {
                tracing::error!(partition = %partition.id(), %error, "transactions cannot be read");
                return;
            }
        }
    }
}

impl Replayed {
    fn batch(&mut self, batch: &[u8]) {
        let Ok(records) = RecordSet::open(batch, BATCH_BYTES_MAX) else {
            self.unreadable += 1;
            return;
        };
        for it in &records {
            self.records += 1;
            match it.ok().and_then(|it| record::read(it.key, it.value).ok()) {
                Some(record::Entry { id, transaction: Some(it) }) => {
                    self.transactions.insert(id, it);
                }
                Some(record::Entry { id, transaction: None }) => {
                    self.transactions.remove(&id);
                }
                None => self.unreadable += 1,
            }
        }
    }
}
