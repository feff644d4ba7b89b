//! CreatePartitions, v0-3: gives topics more partitions.
//!
//! Ours: the answer leaves when they are on disk, so `timeout_ms` is accepted and ignored.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::Durable;
use systole_guard::quota::Key;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::create_partitions_request::CreatePartitionsTopic;
use systole_wire::message::create_partitions_response::CreatePartitionsTopicResult;
use systole_wire::message::{CreatePartitionsRequest, CreatePartitionsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct CreatePartitions;

/// From this version on, clients know THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_FROM_VERSION: i16 = 3;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: CreatePartitionsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begin = |it: &CreatePartitionsTopic| {
            if request.topics.iter().filter(|other| other.name == it.name).count() > 1 {
                return Err(Rejected::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
            }
            call.authorize(Operation::Alter, Resource::topic(&it.name))?;
            grow(&call, it, request.validate_only)
        };
        let begun: Vec<_> = request.topics.iter().map(begin).collect();
        async move {
            let mut results = Vec::new();
            for (asked, begun) in request.topics.into_iter().zip(begun) {
                let (error_code, error_message) = call.finish(begun).await;
                let name = asked.name;
                results.push(CreatePartitionsTopicResult {
                    name,
                    error_code,
                    error_message,
                    ..Default::default()
                });
            }
            Reply::Send(CreatePartitionsResponse { results, ..Default::default() })
        }
    }
}

fn grow(
    call: &Call,
    asked: &CreatePartitionsTopic,
    only_check: bool,
) -> Result<Option<Durable>, Rejected> {
    let assignments: Option<Vec<_>> =
        asked.assignments.as_ref().map(|all| all.iter().map(|it| it.broker_ids.clone()).collect());
    let (topics, assignments) = (&call.ctx.topics, assignments.as_deref());
    let checked = || topics.check_grow(&asked.name, asked.count, assignments);
    if call.has_quota(Key::ControllerMutationRate) {
        let before = topics.by_name(&asked.name).map_or(0, |it| it.partition_count);
        call.count_mutations(checked()?.partition_count - before, STRICT_FROM_VERSION)?;
    }
    if only_check {
        return checked().map(|_| None);
    }
    topics.grow(&asked.name, asked.count, assignments).map(Some)
}
