//! AlterShareGroupOffsets, v0: where share partitions begin anew, in a group without members
//! (KIP-932).
//!
//! Ours: in effect at once. In Kafka a share partition goes on from what is in memory as long as a
//! session of the group is open.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_coordinator::group::{Durable, TopicStarts};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::message::alter_share_group_offsets_request as request;
use systole_wire::message::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition as ToldPartition,
    AlterShareGroupOffsetsResponseTopic as ToldTopic,
};
use systole_wire::message::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct AlterShareGroupOffsets;

impl Handler for AlterShareGroupOffsets {
    type Request = AlterShareGroupOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: AlterShareGroupOffsetsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let done = match begun {
                Ok((responses, durable)) => match durable.await {
                    Ok(()) => Ok(responses),
                    Err(code) => Err(Rejected::new(code, "The offsets are not durable.")),
                },
                Err(rejected) => Err(rejected),
            };
            Reply::Send(match done {
                Ok(responses) => AlterShareGroupOffsetsResponse { responses, ..Default::default() },
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    AlterShareGroupOffsetsResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    }
                }
            })
        }
    }
}

fn begin(
    call: &Call,
    request: &AlterShareGroupOffsetsRequest,
) -> Result<(Vec<ToldTopic>, Durable), Rejected> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(Rejected::new(ErrorCode::InvalidGroupId, "The group id is empty."));
    }
    let (mut starts, mut told) = (Vec::new(), Vec::new());
    for asked in &request.topics {
        let (topic, found) = topic(call, asked);
        told.push(topic);
        starts.extend(found);
    }
    let durable = call.ctx.groups.alter_share(&request.group_id, &starts)?;
    Ok((told, durable))
}

fn topic(
    call: &Call,
    asked: &request::AlterShareGroupOffsetsRequestTopic,
) -> (ToldTopic, Option<TopicStarts>) {
    let name = &asked.topic_name;
    let may = call.authorize(Operation::Read, Resource::topic(name)).map_err(ErrorCode::from);
    let found = call.ctx.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition);
    let found = may.and(found);
    let (mut partitions, mut starts) = (Vec::new(), Vec::new());
    for it in &asked.partitions {
        let exists = found.as_ref().map_err(|code| *code).and_then(|topic| {
            let exists = topic.partition(it.partition_index).is_some();
            if exists { Ok(()) } else { Err(ErrorCode::UnknownTopicOrPartition) }
        });
        if exists.is_ok() {
            starts.push((it.partition_index, it.start_offset));
        }
        partitions.push(partition(call, it.partition_index, exists));
    }
    let topic_id = found.as_ref().map_or(Uuid::default(), |it| it.id);
    let starts = found.ok().filter(|_| !starts.is_empty()).map(|topic| TopicStarts {
        id: topic.id,
        name: Arc::from(&*topic.name),
        partitions: starts,
    });
    (ToldTopic { topic_name: name.clone(), topic_id, partitions, ..Default::default() }, starts)
}

fn partition(call: &Call, partition_index: i32, done: Result<(), ErrorCode>) -> ToldPartition {
    let (error_code, error_message) = match done {
        Ok(()) => (ErrorCode::None.number(), None),
        Err(code) => call.error(&Rejected::new(code, code.name())),
    };
    ToldPartition { partition_index, error_code, error_message, ..Default::default() }
}
