//! ListPartitionReassignments, v0: none is ever under way on one node.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::message::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub(crate) struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Cluster)];

    fn handle(
        call: Call,
        _: ListPartitionReassignmentsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let allowed = call.authorize(Operation::Describe, Resource::CLUSTER);
        let (error_code, error_message) = match allowed {
            Ok(()) => (ErrorCode::None.number(), None),
            Err(denied) => call.error(&denied.into()),
        };
        ready(Reply::Send(ListPartitionReassignmentsResponse {
            error_code,
            error_message,
            ..Default::default()
        }))
    }
}
