//! A topic in which the node itself keeps what it must remember, in the form of Kafka's own.
//!
//! Owns: its creation at the first use, its partitions, reading all of it at start. Does not own:
//! what its records say, or what an error means to whoever asked for a write (`group`,
//! `transaction`).

use crate::{Catalogue, NewTopic, Topic};
use std::sync::{Arc, OnceLock};
use systole_log::{Isolation, Log, Offset, Partition, ReadError};
use systole_wire::ErrorCode;
use systole_wire::record::Batches;

/// Kafka's `offsets.topic.segment.bytes` and `transaction.state.log.segment.bytes`: small, so that
/// compaction finds closed segments.
const SEGMENT_BYTES: u32 = 100 * 1024 * 1024;
/// One read while loading.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes that one batch of ours decompresses to; ours are not compressed at all.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What tells one from another.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// `compression.type`
    pub compression: &'static str,
    /// What the records are, for the log.
    pub records: &'static str,
    pub cleanup: Cleanup,
}

/// How what is said no more leaves the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// The newest record of each key stays.
    Compact,
    /// The owner deletes what it needs no more; nothing goes by itself.
    ByOwner,
}

#[derive(Debug)]
pub struct InternalTopic {
    kind: Kind,
    log: Log,
    topics: Arc<Catalogue>,
    /// Of the topic, if it is still to be created.
    partitions_wanted: i32,
    partitions: OnceLock<Vec<Partition>>,
}

impl InternalTopic {
    pub fn new(kind: Kind, log: &Log, topics: &Arc<Catalogue>, partitions_wanted: i32) -> Self {
        let partitions = OnceLock::new();
        let it = Self {
            kind,
            log: log.clone(),
            topics: Arc::clone(topics),
            partitions_wanted,
            partitions,
        };
        if let Some(topic) = topics.by_name(kind.name) {
            let _ = it.partitions.set(it.partitions_of(&topic));
        }
        it
    }

    pub const fn log(&self) -> &Log {
        &self.log
    }
    pub fn topics(&self) -> &Catalogue {
        &self.topics
    }

    /// Never changes while the topic exists: the partition of an id follows from it.
    pub fn partition_count(&self) -> i32 {
        let there = self.partitions.get().and_then(|it| i32::try_from(it.len()).ok());
        there.unwrap_or(self.partitions_wanted)
    }

    /// One partition, of a topic created now if need be. An append to it is durable no sooner than
    /// the topic: both are in the one write-ahead log.
    pub fn partition(&self, index: i32) -> Result<&Partition, ErrorCode> {
        let index = usize::try_from(index).map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
        self.partitions()?.get(index).ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// One partition, if the topic exists.
    pub fn existing(&self, index: i32) -> Option<&Partition> {
        self.partitions.get()?.get(usize::try_from(index).ok()?)
    }

    /// Reads everything back, partition by partition, in the order of offsets; what is damaged is
    /// told and left out. Blocks on file IO; cost: one pass over the topic.
    pub fn read_all(&self, mut batch: impl FnMut(&[u8])) {
        for partition in self.partitions.get().into_iter().flatten() {
            self.read_partition(partition, &mut batch);
        }
    }

    fn read_partition(&self, partition: &Partition, batch: &mut impl FnMut(&[u8])) {
        let records_of = self.kind.records;
        let bounds = partition.bounds();
        let mut next = bounds.log_start;
        while next < bounds.high_watermark {
            match partition.read(next, READ_BYTES, Isolation::Uncommitted) {
                Ok(records) => {
                    let before = next;
                    for it in Batches::new(records.into_bytes()).flatten() {
                        batch(&it.bytes);
                        next = Offset::new(it.header.next_offset());
                    }
                    if next == before {
                        return; // nothing more can be read
                    }
                }
                Err(ReadError::Damaged { first, last, .. }) => {
                    tracing::error!(partition = %partition.id(), %first, %last,
                        "records of {records_of} are damaged; what they said is lost");
                    next = last.next();
                }
                Err(error) => {
                    tracing::error!(partition = %partition.id(), %error,
                        "{records_of} cannot be read");
                    return;
                }
            }
        }
    }

    fn partitions(&self) -> Result<&[Partition], ErrorCode> {
        if let Some(partitions) = self.partitions.get() {
            return Ok(partitions);
        }
        let topic = match self.topics.create(&self.wanted()) {
            Ok((topic, _durable)) => Some(topic),
            // Another request was first.
            Err(rejected) if rejected.code == ErrorCode::TopicAlreadyExists => {
                self.topics.by_name(self.kind.name)
            }
            Err(rejected) => {
                let topic = self.kind.name;
                tracing::error!(topic, %rejected, "the topic cannot be created");
                None
            }
        };
        let topic = topic.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok(self.partitions.get_or_init(|| self.partitions_of(&topic)))
    }

    fn partitions_of(&self, topic: &Topic) -> Vec<Partition> {
        topic.partitions().filter_map(|id| self.log.partition(id)).collect()
    }

    fn wanted(&self) -> NewTopic {
        let config = |name: &str, value: String| (name.to_owned(), Some(value));
        let mut configs = vec![
            config("compression.type", self.kind.compression.into()),
            config("segment.bytes", SEGMENT_BYTES.to_string()),
        ];
        match self.kind.cleanup {
            Cleanup::Compact => configs.push(config("cleanup.policy", "compact".into())),
            Cleanup::ByOwner => {
                configs.push(config("cleanup.policy", "delete".into()));
                configs.push(config("retention.ms", "-1".into()));
            }
        }
        NewTopic { partitions: self.partitions_wanted, configs, ..NewTopic::named(self.kind.name) }
    }
}
