//! DescribeTopicPartitions, v0: topics with their partitions, page by page (KIP-966).
//!
//! Ours: there is one replica, so the lists of eligible leaders are empty.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_catalogue::{Topic, plan};
use systole_guard::{Operation, Resource, ResourceType};
use systole_log::LEADER_EPOCH;
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::describe_topic_partitions_request as request;
use systole_wire::message::describe_topic_partitions_response as response;
use systole_wire::message::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

pub(crate) struct DescribeTopicPartitions;

/// Partitions in one answer, whatever the client asks for. Kafka:
/// `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2000;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: DescribeTopicPartitionsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(page(&call, &request)))
    }
}

fn page(call: &Call, request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut room = limit.clamp(1, PARTITIONS_MAX);
    let mut hidden = Vec::new();
    let mut answer = DescribeTopicPartitionsResponse::default();
    for name in names_from(call, request) {
        let from = first_index(request.cursor.as_ref(), &name);
        if room == 0 {
            answer.next_cursor = Some(cursor(name, from));
            break;
        }
        let resource = Resource::topic(&name);
        if !call.may(Operation::Describe, resource) {
            if !request.topics.is_empty() {
                hidden.push(denied(call, name));
            }
            continue;
        }
        let Some(topic) = call.ctx.topics.by_name(&name) else {
            answer.topics.push(absent(call, name));
            continue;
        };
        let until =
            topic.partition_count.min(from.saturating_add(i32::try_from(room).unwrap_or(0)));
        let shown = found(call, &topic, from..until);
        room -= shown.partitions.len();
        answer.topics.push(shown);
        if until < topic.partition_count {
            answer.next_cursor = Some(cursor(name, until));
            break;
        }
    }
    answer.topics.extend(hidden);
    answer
}

fn denied(call: &Call, name: Str) -> response::DescribeTopicPartitionsResponseTopic {
    response::DescribeTopicPartitionsResponseTopic {
        error_code: call.code(ErrorCode::TopicAuthorizationFailed),
        name: Some(name),
        topic_authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}

/// The names asked for, all if none, in order, from the cursor on.
fn names_from(call: &Call, request: &DescribeTopicPartitionsRequest) -> BTreeSet<Str> {
    let start = request.cursor.as_ref().map(|it| it.topic_name.clone()).unwrap_or_default();
    let names: BTreeSet<Str> = if request.topics.is_empty() {
        call.ctx.topics.all().iter().map(|it| Str::from(&*it.name)).collect()
    } else {
        request.topics.iter().map(|it| it.name.clone()).collect()
    };
    names.into_iter().filter(|it| **it >= *start).collect()
}

fn first_index(cursor: Option<&request::Cursor>, name: &str) -> i32 {
    cursor.filter(|it| &*it.topic_name == name).map_or(0, |it| it.partition_index.max(0))
}

fn cursor(topic_name: Str, partition_index: i32) -> response::Cursor {
    response::Cursor { topic_name, partition_index, ..Default::default() }
}

fn absent(call: &Call, name: Str) -> response::DescribeTopicPartitionsResponseTopic {
    let code = match plan::check_name(&name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(rejected) => rejected.code,
    };
    response::DescribeTopicPartitionsResponseTopic {
        error_code: call.code(code),
        topic_authorized_operations: call.granted(Resource::topic(&name)),
        name: Some(name),
        ..Default::default()
    }
}

fn found(
    call: &Call,
    topic: &Topic,
    indexes: std::ops::Range<i32>,
) -> response::DescribeTopicPartitionsResponseTopic {
    let node_id = call.ctx.config.node_id;
    let partition = |partition_index| response::DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id: node_id,
        leader_epoch: LEADER_EPOCH,
        replica_nodes: vec![node_id],
        isr_nodes: vec![node_id],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    };
    response::DescribeTopicPartitionsResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: indexes.map(partition).collect(),
        topic_authorized_operations: call.granted(Resource::topic(&topic.name)),
        ..Default::default()
    }
}
