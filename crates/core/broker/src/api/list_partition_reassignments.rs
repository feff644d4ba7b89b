//! ListPartitionReassignments, v0: none is ever under way on one node.

use super::{Call, Handler, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::message::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub(crate) struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn handle(
        _: Call,
        _: ListPartitionReassignmentsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(ListPartitionReassignmentsResponse {
            error_message: None,
            ..Default::default()
        }))
    }
}
