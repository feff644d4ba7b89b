//! From the way a request names a partition to the partition.
//!
//! Owns: the look-up, its error codes, and the check of a leader epoch. Does not own: topics
//! (`topic`), partitions (the log).

use crate::code::ErrorCode;
use crate::ctx::Ctx;
use crate::fetch_session::TopicRef;
use crate::topic::Topic;
use std::sync::Arc;
use systole_kit::Uuid;
use systole_log::{LEADER_EPOCH, Partition};

/// The topic by name. Unknown: UNKNOWN_TOPIC_OR_PARTITION.
pub(super) fn topic_named(ctx: &Ctx, name: &str) -> Result<Arc<Topic>, ErrorCode> {
    ctx.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// The topic by id. Unknown: UNKNOWN_TOPIC_ID.
pub(super) fn topic_with_id(ctx: &Ctx, id: Uuid) -> Result<Arc<Topic>, ErrorCode> {
    ctx.topics.by_id(id).ok_or(ErrorCode::UnknownTopicId)
}

/// The topic as a Fetch request names it.
pub(super) fn topic(ctx: &Ctx, named: &TopicRef) -> Result<Arc<Topic>, ErrorCode> {
    match named {
        TopicRef::Name(name) => topic_named(ctx, name),
        TopicRef::Id(id) => topic_with_id(ctx, *id),
    }
}

/// One of a topic's partitions. Out of range, or deleted meanwhile: UNKNOWN_TOPIC_OR_PARTITION.
pub(super) fn partition(ctx: &Ctx, topic: &Topic, index: i32) -> Result<Partition, ErrorCode> {
    let found = topic.partition(index).and_then(|id| ctx.log.partition(id));
    found.ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// A client that heard of a later epoch than ours heard it from someone else. Negative: it does not
/// say.
pub(super) fn check_leader_epoch(said: i32) -> Result<(), ErrorCode> {
    if said > LEADER_EPOCH { Err(ErrorCode::UnknownLeaderEpoch) } else { Ok(()) }
}
