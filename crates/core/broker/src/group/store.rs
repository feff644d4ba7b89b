//! `__consumer_offsets`: the topic that remembers groups and offsets.
//!
//! Owns: its creation at the first use, its partitions, reading all of it at start. Does not own:
//! what the records say (`systole_group::record`), what becomes of them (`replay`).
//!
//! Until the log compacts, the topic keeps every commit ever made, and a start reads all of them.

use super::config::GroupConfig;
use super::journal::{Appended, Journal};
use super::replay::Replay;
use crate::code::ErrorCode;
use crate::topic::{Catalogue, NewTopic, Topic};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use systole_group::consumer::{self, Topics};
use systole_log::{AppendError, Isolation, Log, Offset, Origin, Partition, ReadError};
use systole_wire::record::Batches;

pub(crate) const TOPIC: &str = "__consumer_offsets";
/// Kafka's `offsets.topic.segment.bytes`: small, so that compaction finds closed segments.
const SEGMENT_BYTES: u32 = 100 * 1024 * 1024;
/// One read while loading.
const READ_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Store {
    log: Log,
    topics: Arc<Catalogue>,
    /// Of the topic, if it is still to be created.
    partitions_wanted: i32,
    partitions: OnceLock<Vec<Partition>>,
}

impl Store {
    pub(crate) fn new(log: &Log, topics: &Arc<Catalogue>, config: &GroupConfig) -> Self {
        let it = Self {
            log: log.clone(),
            topics: Arc::clone(topics),
            partitions_wanted: config.offsets_topic_partitions,
            partitions: OnceLock::new(),
        };
        if let Some(topic) = topics.by_name(TOPIC) {
            let _ = it.partitions.set(it.partitions_of(&topic));
        }
        it
    }

    /// Reads everything back. Blocks on file IO; cost: one pass over the topic.
    pub(super) fn replay(&self, config: consumer::Config) -> Replay {
        let mut replay = Replay::new(config);
        for partition in self.partitions.get().into_iter().flatten() {
            read_all(partition, &mut replay);
        }
        replay
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

impl Journal for Store {
    fn partition_count(&self) -> i32 {
        let there = self.partitions.get().and_then(|it| i32::try_from(it.len()).ok());
        there.unwrap_or(self.partitions_wanted)
    }

    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode> {
        let appended = self.partition(partition)?.append(&batch, Origin::Broker);
        let appended = appended.map_err(|error| refusal(&error))?;
        let log = self.log.clone();
        let durable =
            Box::pin(
                async move { log.done(appended.ticket).await.map_err(|error| refusal(&error)) },
            );
        let (last_offset, ticket) = (appended.last_offset.raw(), appended.ticket);
        Ok(Appended { last_offset, ticket, durable })
    }

    fn topics(&self) -> &dyn Topics {
        &*self.topics
    }

    fn durable_end(&self, partition: i32) -> i64 {
        let found = usize::try_from(partition).ok();
        let found = found.and_then(|it| self.partitions.get()?.get(it));
        found.map_or(0, |it| it.bounds().high_watermark.raw())
    }
}

/// What a member learns when its record cannot be written. Both make it look for the coordinator
/// again and repeat the request.
///
/// # Source  Kafka `CoordinatorOperationExceptionHelper`
fn refusal(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } | AppendError::Malformed { .. } => {
            ErrorCode::UnknownServerError
        }
        AppendError::Overloaded { .. } => ErrorCode::CoordinatorNotAvailable,
        _ => ErrorCode::NotCoordinator,
    }
}

fn wanted(partitions: i32) -> NewTopic {
    let config = |name: &str, value: String| (name.to_owned(), Some(value));
    NewTopic {
        partitions,
        configs: vec![
            config("cleanup.policy", "compact".into()),
            config("compression.type", "producer".into()),
            config("segment.bytes", SEGMENT_BYTES.to_string()),
        ],
        ..NewTopic::named(TOPIC)
    }
}

fn read_all(partition: &Partition, replay: &mut Replay) {
    let bounds = partition.bounds();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        match partition.read(next, READ_BYTES, Isolation::Uncommitted) {
            Ok(records) => {
                let before = next;
                for batch in Batches::new(records.into_bytes()).flatten() {
                    replay.batch(&batch.bytes);
                    next = Offset::new(batch.header.next_offset());
                }
                if next == before {
                    return; // nothing more can be read
                }
            }
            Err(ReadError::Damaged { first, last, .. }) => {
                tracing::error!(partition = %partition.id(), %first, %last,
                    "group records are damaged; what they said is lost");
                next = last.next();
            }
            Err(error) => {
                tracing::error!(partition = %partition.id(), %error, "groups cannot be read");
                return;
            }
        }
    }
}
