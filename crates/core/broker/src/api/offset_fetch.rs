//! OffsetFetch, v1-10: how far a group got. v2+: all its topics if none is named. v7+: on demand,
//! offsets that an open transaction may change are UNSTABLE_OFFSET_COMMIT. v8+: several groups.
//! v9+: a member of a consumer group says its epoch (KIP-848). v10: topics by id.
//!
//! A partition without a commit, a group that does not exist: offset -1 and no error, as in Kafka.

use super::{Call, Handler, Need, Reply, place};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_group::{Committed, Offsets};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use systole_wire::message::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use systole_wire::message::{OffsetFetchRequest, OffsetFetchResponse};

pub(crate) struct OffsetFetch;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=10;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: OffsetFetchRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(answer(&call, request)))
    }
}

fn answer(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if call.version >= 8 {
        let stable = request.require_stable;
        let groups = request.groups.into_iter().map(|it| group(call, it, stable)).collect();
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let wider = |it: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: it.name,
        partition_indexes: it.partition_indexes,
        ..Default::default()
    };
    let asked = OffsetFetchRequestGroup {
        member_epoch: -1,
        group_id: request.group_id,
        topics: request.topics.map(|it| it.into_iter().map(wider).collect()),
        ..Default::default()
    };
    let it = group(call, asked, request.require_stable);
    let topics = it.topics.into_iter().map(narrower).collect();
    OffsetFetchResponse { topics, error_code: it.error_code, ..Default::default() }
}

fn group(call: &Call, asked: OffsetFetchRequestGroup, stable: bool) -> OffsetFetchResponseGroup {
    if let Err(denied) = call.authorize(Operation::Describe, Resource::group(&asked.group_id)) {
        return refused(call, asked, denied.into());
    }
    let member_id = asked.member_id.as_deref();
    if let Err(code) = call.ctx.groups.may_fetch(&asked.group_id, member_id, asked.member_epoch) {
        return refused(call, asked, code);
    }
    let read = |offsets: &Offsets| match &asked.topics {
        Some(topics) => topics.iter().map(|it| topic(call, it, offsets, stable)).collect(),
        None => all(call, offsets, stable),
    };
    let topics = call.ctx.groups.read_offsets(&asked.group_id, read);
    let topics = topics.unwrap_or_else(|| read(&Offsets::default()));
    OffsetFetchResponseGroup { group_id: asked.group_id, topics, ..Default::default() }
}

/// Before v2 the answer has no place for the group's error but the partitions.
fn refused(
    call: &Call,
    asked: OffsetFetchRequestGroup,
    code: ErrorCode,
) -> OffsetFetchResponseGroup {
    let error_code = call.code(code);
    let one = |index: &i32| OffsetFetchResponsePartitions { error_code, ..partition(*index, None) };
    let topic = |it: OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        partitions: it.partition_indexes.iter().map(one).collect(),
        name: it.name,
        ..Default::default()
    };
    let topics = asked.topics.into_iter().flatten().filter(|_| call.version < 2);
    let topics = topics.map(topic).collect();
    OffsetFetchResponseGroup { group_id: asked.group_id, topics, error_code, ..Default::default() }
}

fn topic(
    call: &Call,
    asked: &OffsetFetchRequestTopics,
    offsets: &Offsets,
    stable: bool,
) -> OffsetFetchResponseTopics {
    let by_id = call.version >= 10;
    let named: Result<Arc<str>, ErrorCode> = if by_id {
        let topic = place::topic_with_id(call, Operation::Describe, asked.topic_id);
        topic.map(|it| Arc::clone(&it.name))
    } else {
        let allowed = call.authorize(Operation::Describe, Resource::topic(&asked.name));
        allowed.map(|()| Arc::from(&*asked.name)).map_err(Into::into)
    };
    // What was committed for an earlier topic of the same name does not count.
    let is_of_topic =
        |it: &&Committed| !by_id || it.topic_id == Uuid::ZERO || it.topic_id == asked.topic_id;
    let one = |index: &i32| match &named {
        Ok(name) if stable && offsets.is_unstable(name, *index) => unstable(call, *index),
        Ok(name) => partition(*index, offsets.get(name, *index).filter(is_of_topic)),
        Err(code) => OffsetFetchResponsePartitions {
            error_code: call.code(*code),
            ..partition(*index, None)
        },
    };
    OffsetFetchResponseTopics {
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        partitions: asked.partition_indexes.iter().map(one).collect(),
        ..Default::default()
    }
}

fn all(call: &Call, offsets: &Offsets, stable: bool) -> Vec<OffsetFetchResponseTopics> {
    let by_id = call.version >= 10;
    let mut topics = Vec::new();
    for (name, partitions) in offsets.all() {
        let found = if by_id { call.ctx.topics.by_name(name) } else { None };
        if !call.may(Operation::Describe, Resource::topic(name)) {
            continue;
        }
        if by_id && found.is_none() {
            continue; // by its id it cannot be told any more
        }
        let one = |(index, it): (&i32, &Committed)| {
            let is_unstable = stable && offsets.is_unstable(name, *index);
            if is_unstable { unstable(call, *index) } else { partition(*index, Some(it)) }
        };
        let partitions = partitions.iter();
        topics.push(OffsetFetchResponseTopics {
            name: if by_id { Str::default() } else { (&**name).into() },
            topic_id: found.map_or(Uuid::ZERO, |it| it.id),
            partitions: partitions.map(one).collect(),
            ..Default::default()
        });
    }
    topics
}

/// A transaction is about to change it: a reader that went on from here might read twice.
fn unstable(call: &Call, index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        error_code: call.code(ErrorCode::UnstableOffsetCommit),
        ..partition(index, None)
    }
}

fn partition(index: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.map_or(-1, |it| it.offset),
        committed_leader_epoch: committed.map_or(-1, |it| it.leader_epoch),
        metadata: Some(committed.map_or_else(Str::default, |it| (&*it.metadata).into())),
        ..Default::default()
    }
}

fn narrower(it: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |it: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
        ..Default::default()
    };
    OffsetFetchResponseTopic {
        name: it.name,
        partitions: it.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    }
}
