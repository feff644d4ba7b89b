//! OffsetDelete, v0: forget offsets of topics that no member of the group reads (KIP-496).

use super::{Call, Handler, Need, Reply, place};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_coordinator::group::Durable;
use systole_group::Place;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::message::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use systole_wire::message::{OffsetDeleteRequest, OffsetDeleteResponse};

pub(crate) struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] =
        &[(Operation::Delete, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: OffsetDeleteRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let done = match begun {
                Ok((response, durable)) => durable.await.map(|()| response),
                Err(code) => Err(code),
            };
            Reply::Send(done.unwrap_or_else(|code| OffsetDeleteResponse {
                error_code: call.code(code),
                ..Default::default()
            }))
        }
    }
}

fn begin(
    call: &Call,
    request: &OffsetDeleteRequest,
) -> Result<(OffsetDeleteResponse, Durable), ErrorCode> {
    call.authorize(Operation::Delete, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let known = places(call, request);
    let durable: Durable = Box::pin(async { Ok(()) });
    let (results, durable) = if known.is_empty() {
        (Vec::new(), durable)
    } else {
        call.ctx.groups.delete_offsets(&request.group_id, known)?
    };
    // One result for each known place, in the order of the request.
    let mut results = results.into_iter();
    let mut topics = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let code = match find(call, &topic.name, partition.partition_index) {
                Ok(()) => results.next().and_then(Result::err).unwrap_or(ErrorCode::None),
                Err(code) => code,
            };
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: partition.partition_index,
                error_code: call.code(code),
            });
        }
        let name = topic.name.clone();
        topics.push(OffsetDeleteResponseTopic { name, partitions });
    }
    Ok((OffsetDeleteResponse { topics, ..Default::default() }, durable))
}

fn places(call: &Call, request: &OffsetDeleteRequest) -> Vec<Place> {
    let all = request.topics.iter().flat_map(|topic| {
        let name: Arc<str> = Arc::from(&*topic.name);
        topic
            .partitions
            .iter()
            .map(move |it| Place { topic: Arc::clone(&name), partition: it.partition_index })
    });
    all.filter(|it| find(call, &it.topic, it.partition).is_ok()).collect()
}

fn find(call: &Call, topic: &str, partition: i32) -> Result<(), ErrorCode> {
    let topic = place::topic_named(call, Operation::Read, topic)?;
    let found = topic.partition(partition);
    found.map(|_| ()).ok_or(ErrorCode::UnknownTopicOrPartition)
}
