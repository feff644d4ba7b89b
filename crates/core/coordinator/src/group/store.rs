//! `__consumer_offsets`: the topic that remembers groups and offsets.
//!
//! Owns: its name, and what a failed append means to a member. Does not own: the topic as such
//! ([`InternalTopic`]), what the records say (`systole_group::record`), what becomes of them
//! (`replay`).
//!
//! What compaction has not come to yet is read at a start as well.

use super::config::GroupConfig;
use super::journal::{Appended, Journal};
use super::replay::Replay;
use bytes::Bytes;
use std::sync::Arc;
use systole_catalogue::Catalogue;
use systole_catalogue::internal::{Cleanup, InternalTopic, Kind};
use systole_group::consumer::Topics;
use systole_log::{AppendError, Log, Origin};
use systole_wire::ErrorCode;

pub const TOPIC: &str = "__consumer_offsets";

#[derive(Debug)]
pub struct Store(InternalTopic);

impl Store {
    pub fn new(log: &Log, topics: &Arc<Catalogue>, config: &GroupConfig) -> Self {
        let cleanup = Cleanup::Compact;
        let kind = Kind { name: TOPIC, compression: "producer", records: "groups", cleanup };
        Self(InternalTopic::new(kind, log, topics, config.offsets_topic_partitions))
    }

    /// Reads everything back. Blocks on file IO; cost: one pass over the topic.
    pub(super) fn replay(&self, config: &GroupConfig) -> Replay {
        let mut replay = Replay::new(config);
        self.0.read_all(|it| replay.batch(it));
        replay
    }
}

impl Journal for Store {
    fn partition_count(&self) -> i32 {
        self.0.partition_count()
    }

    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode> {
        let appended = self.0.partition(partition)?.append(&batch, Origin::Broker);
        let appended = appended.map_err(|error| refusal(&error))?;
        let log = self.0.log().clone();
        let durable =
            Box::pin(
                async move { log.done(appended.ticket).await.map_err(|error| refusal(&error)) },
            );
        let (last_offset, ticket) = (appended.last_offset.raw(), appended.ticket);
        Ok(Appended { last_offset, ticket, durable })
    }

    fn topics(&self) -> &dyn Topics {
        self.0.topics()
    }

    fn durable_end(&self, partition: i32) -> i64 {
        self.0.existing(partition).map_or(0, |it| it.bounds().high_watermark.raw())
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
