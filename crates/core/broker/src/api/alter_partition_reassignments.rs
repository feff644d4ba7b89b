//! AlterPartitionReassignments, v0-1: partitions may move to where they are, and nowhere else.
//!
//! One node: a reassignment to this node alone is done at once; any other names a broker that does
//! not exist. None is ever under way, so there is none to cancel.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_catalogue::{plan, unknown};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use systole_wire::message::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use systole_wire::message::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct AlterPartitionReassignments;

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: AlterPartitionReassignmentsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        if let Err(denied) = call.authorize(Operation::Alter, Resource::CLUSTER) {
            let (error_code, error_message) = call.error(&denied.into());
            return ready(Reply::Send(AlterPartitionReassignmentsResponse {
                error_code,
                error_message,
                ..Default::default()
            }));
        }
        let responses = request.topics.into_iter().map(|it| of_topic(&call, it)).collect();
        ready(Reply::Send(AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: request.allow_replication_factor_change,
            responses,
            error_message: None,
            ..Default::default()
        }))
    }
}

fn of_topic(call: &Call, asked: ReassignableTopic) -> ReassignableTopicResponse {
    let partition = |it: &ReassignablePartition| {
        let mut response = ReassignablePartitionResponse {
            partition_index: it.partition_index,
            error_message: None,
            ..Default::default()
        };
        if let Err(it) = reassign(call, &asked.name, it) {
            (response.error_code, response.error_message) = call.error(&it);
        }
        response
    };
    let partitions = asked.partitions.iter().map(partition).collect();
    ReassignableTopicResponse { name: asked.name, partitions, ..Default::default() }
}

fn reassign(call: &Call, topic: &str, asked: &ReassignablePartition) -> Result<(), Rejected> {
    let found = call.ctx.topics.by_name(topic).and_then(|it| it.partition(asked.partition_index));
    found.ok_or_else(|| unknown(topic))?;
    let Some(replicas) = &asked.replicas else {
        let text = "No partition reassignment is in progress.";
        return Err(Rejected::new(ErrorCode::NoReassignmentInProgress, text));
    };
    plan::check_replicas(replicas, call.ctx.topics.site())
}
