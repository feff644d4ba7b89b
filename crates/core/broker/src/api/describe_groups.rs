//! DescribeGroups, v0-6: members of groups, and in a stable group what each reads.
//!
//! A group that does not exist is `Dead` without an error before v6, and `GROUP_ID_NOT_FOUND` from
//! then on (KIP-1043).

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_group::classic::{Described, DescribedMember};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use systole_wire::message::{DescribeGroupsRequest, DescribeGroupsResponse};

pub(crate) struct DescribeGroups;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Group)];

    fn handle(
        call: Call,
        request: DescribeGroupsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let with_operations = request.include_authorized_operations;
        let one = |id: Str| {
            let group = Resource::group(&id);
            if let Err(denied) = call.authorize(Operation::Describe, group) {
                let error_code = call.code(denied.into());
                return DescribedGroup { error_code, group_id: id, ..Default::default() };
            }
            let operations = if with_operations { call.granted(group) } else { NOT_ASKED };
            match call.ctx.groups.describe(&id) {
                Some(it) => DescribedGroup { authorized_operations: operations, ..found(id, it) },
                None => absent(&call, id),
            }
        };
        let groups = request.groups.into_iter().map(one).collect();
        ready(Reply::Send(DescribeGroupsResponse { groups, ..Default::default() }))
    }
}

fn found(group_id: Str, it: Described) -> DescribedGroup {
    let member = |it: DescribedMember| DescribedGroupMember {
        member_id: (&*it.id).into(),
        group_instance_id: it.instance_id.as_deref().map(Str::from),
        client_id: (&*it.client_id).into(),
        client_host: (&*it.client_host).into(),
        member_metadata: it.metadata,
        member_assignment: it.assignment,
        ..Default::default()
    };
    DescribedGroup {
        group_id,
        group_state: it.state.into(),
        protocol_type: (&*it.protocol_type).into(),
        protocol_data: (&*it.protocol).into(),
        members: it.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

fn absent(call: &Call, group_id: Str) -> DescribedGroup {
    let mut it = DescribedGroup { group_state: "Dead".into(), ..Default::default() };
    if call.version >= 6 {
        it.error_code = call.code(ErrorCode::GroupIdNotFound);
        it.error_message = Some(format!("Group {} not found.", &*group_id).into());
    }
    it.group_id = group_id;
    it
}
