//! OffsetForLeaderEpoch, v2-4: how far a leader's records go.
//!
//! One node leads for ever: its one epoch ends where the log ends, and no other epoch has records.

use super::{Call, Handler, Need, Reply, place};
use crate::fetch_session::TopicRef;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_log::LEADER_EPOCH;
use systole_wire::ErrorCode;
use systole_wire::message::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use systole_wire::message::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use systole_wire::message::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

pub(crate) struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=4;
    const NEEDS: &'static [Need] = &[
        (Operation::Describe, ResourceType::Topic),
        (Operation::ClusterAction, ResourceType::Cluster),
    ];

    fn handle(
        call: Call,
        request: OffsetForLeaderEpochRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let topics = request.topics.iter().map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.clone(),
            partitions: topic.partitions.iter().map(|it| answer(&call, &topic.topic, it)).collect(),
            ..Default::default()
        });
        let topics = topics.collect();
        ready(Reply::Send(OffsetForLeaderEpochResponse { topics, ..Default::default() }))
    }
}

fn answer(call: &Call, name: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let partition = asked.partition;
    match end_of(call, name, asked) {
        Ok(None) => EpochEndOffset { partition, ..Default::default() },
        Ok(Some(end_offset)) => EpochEndOffset {
            partition,
            leader_epoch: LEADER_EPOCH,
            end_offset,
            ..Default::default()
        },
        Err(code) => {
            EpochEndOffset { partition, error_code: call.code(code), ..Default::default() }
        }
    }
}

/// `None`: no record is of that epoch.
fn end_of(
    call: &Call,
    name: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<i64>, ErrorCode> {
    // Followers need no right of the topic; nobody follows this node, but Kafka answers so.
    let topic = if call.may(Operation::ClusterAction, Resource::CLUSTER) {
        place::topic_of_follower(call, &TopicRef::Name(name.into()))?
    } else {
        place::topic_named(call, Operation::Describe, name)?
    };
    let partition = place::partition(&call.ctx, &topic, asked.partition)?;
    place::check_leader_epoch(asked.current_leader_epoch)?;
    let is_ours = asked.leader_epoch == LEADER_EPOCH;
    Ok(is_ours.then(|| partition.bounds().high_watermark.raw()))
}
