//! DescribeShareGroupOffsets, v0-1: how far share groups have come (KIP-932). v1: their lag
//! (KIP-1226).
//!
//! A share partition without a state is at -1, and so is one that nobody has read.
//!
//! Ours: told is the beginning of what is undecided, once it is durable; Kafka tells what it wrote
//! last, which is the beginning before the last acknowledgement. The lag is the same.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_coordinator::group::Durable;
use systole_coordinator::share::Position;
use systole_group::share_partition::record::Key;
use systole_guard::{Operation, Resource, ResourceType};
use systole_log::LEADER_EPOCH;
use systole_wire::message::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup as AskedGroup,
    DescribeShareGroupOffsetsRequestTopic as AskedTopic,
};
use systole_wire::message::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup as ToldGroup,
    DescribeShareGroupOffsetsResponsePartition as ToldPartition,
    DescribeShareGroupOffsetsResponseTopic as ToldTopic,
};
use systole_wire::message::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DescribeShareGroupOffsets;

/// Where nobody has read.
const NOWHERE: i64 = -1;

impl Handler for DescribeShareGroupOffsets {
    type Request = DescribeShareGroupOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: DescribeShareGroupOffsetsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun: Vec<_> = request.groups.into_iter().map(|it| describe(&call, it)).collect();
        async move {
            let mut groups = Vec::with_capacity(begun.len());
            for (mut group, waits) in begun {
                for durable in waits {
                    if let Err(code) = durable.await {
                        let rejected = Rejected::new(code, "The group's offsets are not durable.");
                        let (error_code, error_message) = call.error(&rejected);
                        group = ToldGroup {
                            error_code,
                            error_message,
                            group_id: group.group_id,
                            ..Default::default()
                        };
                        break;
                    }
                }
                groups.push(group);
            }
            Reply::Send(DescribeShareGroupOffsetsResponse { groups, ..Default::default() })
        }
    }
}

fn describe(call: &Call, asked: AskedGroup) -> (ToldGroup, Vec<Durable>) {
    let mut waits = Vec::new();
    let group_id = asked.group_id;
    if let Err(denied) = call.authorize(Operation::Describe, Resource::group(&group_id)) {
        let error_code = call.code(denied.into());
        return (ToldGroup { group_id, error_code, ..Default::default() }, waits);
    }
    let topics = match asked.topics {
        Some(topics) => topics.iter().map(|it| topic(call, &group_id, it, &mut waits)).collect(),
        None => all(call, &group_id, &mut waits),
    };
    (ToldGroup { group_id, topics, ..Default::default() }, waits)
}

fn topic(call: &Call, group: &str, asked: &AskedTopic, waits: &mut Vec<Durable>) -> ToldTopic {
    let name = asked.topic_name.clone();
    let may = call.authorize(Operation::Describe, Resource::topic(&name));
    let found = call.ctx.topics.by_name(&name).ok_or(ErrorCode::UnknownTopicOrPartition);
    let found = may.map_err(ErrorCode::from).and(found);
    let partitions = asked.partitions.iter().map(|it| match &found {
        Ok(topic) => partition(call, (group, *it), topic, waits),
        Err(code) => {
            let (error_code, error_message) = call.error(&Rejected::new(*code, code.name()));
            let it = nowhere(*it);
            ToldPartition { error_code, error_message, ..it }
        }
    });
    let partitions = partitions.collect();
    let topic_id = found.as_ref().map(|it| it.id).unwrap_or_default();
    ToldTopic { topic_name: name, topic_id, partitions, ..Default::default() }
}

/// Every topic that the group has a state for and the caller may know of.
fn all(call: &Call, group: &str, waits: &mut Vec<Durable>) -> Vec<ToldTopic> {
    let mut topics = Vec::new();
    for (id, partitions) in call.ctx.groups.shared_partitions(group) {
        let Some(topic) = call.ctx.topics.by_id(id) else { continue };
        if !call.may(Operation::Describe, Resource::topic(&topic.name)) {
            continue;
        }
        let told = partitions.iter().map(|it| partition(call, (group, *it), &topic, waits));
        topics.push(ToldTopic {
            topic_name: (&*topic.name).into(),
            topic_id: id,
            partitions: told.collect(),
            ..Default::default()
        });
    }
    topics
}

fn partition(
    call: &Call,
    (group, index): (&str, i32),
    topic: &systole_catalogue::Topic,
    waits: &mut Vec<Durable>,
) -> ToldPartition {
    let key = Key { group: group.into(), topic: topic.id, partition: index };
    let Some((Position { start: Some(start), decided }, durable)) = call.ctx.shares.position(&key)
    else {
        return nowhere(index);
    };
    waits.push(durable);
    let end = topic.partition(index).and_then(|id| call.ctx.log.partition(id));
    let end = end.map_or(start, |it| it.bounds().high_watermark.raw());
    ToldPartition {
        start_offset: start,
        leader_epoch: LEADER_EPOCH,
        lag: (end - start - decided).max(0),
        ..nowhere(index)
    }
}

fn nowhere(partition_index: i32) -> ToldPartition {
    ToldPartition { partition_index, start_offset: NOWHERE, lag: -1, ..Default::default() }
}
