//! From the way a request names a partition to the partition.
//!
//! Owns: the look-up, its error codes, and the check of a leader epoch. Does not own: topics
//! (`topic`), partitions (the log).

use super::Call;
use crate::ctx::Ctx;
use crate::fetch_session::TopicRef;
use std::sync::Arc;
use systole_catalogue::Topic;
use systole_guard::{Operation, Resource};
use systole_kit::Uuid;
use systole_log::{LEADER_EPOCH, Partition};
use systole_wire::ErrorCode;

/// The topic by name, if the caller may do this to it: who may not is not told whether it is there.
/// Unknown: UNKNOWN_TOPIC_OR_PARTITION.
pub(super) fn topic_named(
    call: &Call,
    operation: Operation,
    name: &str,
) -> Result<Arc<Topic>, ErrorCode> {
    call.authorize(operation, Resource::topic(name))?;
    call.ctx.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
}

/// The topic by id, if the caller may do this to it. Unknown: UNKNOWN_TOPIC_ID.
pub(super) fn topic_with_id(
    call: &Call,
    operation: Operation,
    id: Uuid,
) -> Result<Arc<Topic>, ErrorCode> {
    let topic = call.ctx.topics.by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
    call.authorize(operation, Resource::topic(&topic.name))?;
    Ok(topic)
}

/// The topic as a Fetch request names it.
pub(super) fn topic(
    call: &Call,
    operation: Operation,
    named: &TopicRef,
) -> Result<Arc<Topic>, ErrorCode> {
    match named {
        TopicRef::Name(name) => topic_named(call, operation, name),
        TopicRef::Id(id) => topic_with_id(call, operation, *id),
    }
}

/// The topic for who has the rights of a replica, which reads everything.
pub(super) fn topic_of_follower(call: &Call, named: &TopicRef) -> Result<Arc<Topic>, ErrorCode> {
    let topics = &call.ctx.topics;
    match named {
        TopicRef::Name(name) => topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicRef::Id(id) => topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId),
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
