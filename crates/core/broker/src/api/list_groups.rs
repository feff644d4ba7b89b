//! ListGroups, v0-5: every group with its kind and state. v4+: filter by state. v5: filter by type
//! (KIP-848): `classic`, `consumer`, `share`, `streams`.
//!
//! Names in filters are read without regard to case.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::Str;
use systole_wire::message::list_groups_response::ListedGroup;
use systole_wire::message::{ListGroupsRequest, ListGroupsResponse};

pub(crate) struct ListGroups;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Cluster), (Operation::Describe, ResourceType::Group)];

    fn handle(
        call: Call,
        request: ListGroupsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let passes = |filter: &[Str], value: &str| {
            filter.is_empty() || filter.iter().any(|it| it.eq_ignore_ascii_case(value))
        };
        let sees_all = call.may(Operation::Describe, Resource::CLUSTER);
        let sees = |id: &str| sees_all || call.may(Operation::Describe, Resource::group(id));
        let listed = call.ctx.groups.list().into_iter().filter(|it| {
            passes(&request.types_filter, it.kind)
                && passes(&request.states_filter, it.state)
                && sees(&it.id)
        });
        let groups = listed.map(|it| ListedGroup {
            group_id: (&*it.id).into(),
            protocol_type: (&*it.protocol_type).into(),
            group_state: it.state.into(),
            group_type: it.kind.into(),
            ..Default::default()
        });
        let groups = groups.collect();
        ready(Reply::Send(ListGroupsResponse { groups, ..Default::default() }))
    }
}
