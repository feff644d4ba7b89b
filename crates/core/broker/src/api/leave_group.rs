//! LeaveGroup, v0-5: members go, or an administrator removes static ones by instance id (v3+).
//!
//! v5: the reason is accepted and not kept (KIP-800).

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_group::classic::Leaver;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::message::leave_group_request::MemberIdentity;
use systole_wire::message::leave_group_response::MemberResponse;
use systole_wire::message::{LeaveGroupRequest, LeaveGroupResponse};

pub(crate) struct LeaveGroup;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[(Operation::Read, ResourceType::Group)];

    fn handle(
        call: Call,
        request: LeaveGroupRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(answer(&call, request)))
    }
}

fn answer(call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let allowed = call.authorize(Operation::Read, Resource::group(&request.group_id));
    let refused = match allowed {
        Err(denied) => Some(denied.into()),
        Ok(()) => request.group_id.is_empty().then_some(ErrorCode::InvalidGroupId),
    };
    if let Some(code) = refused {
        let error_code = call.code(code);
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let is_single = call.version < 3;
    let members = if is_single {
        vec![MemberIdentity { member_id: request.member_id, ..Default::default() }]
    } else {
        request.members
    };
    let leavers: Vec<_> = members
        .iter()
        .map(|it| Leaver { member_id: &it.member_id, instance_id: it.group_instance_id.as_deref() })
        .collect();
    let results = call.ctx.groups.leave(&request.group_id, &leavers);
    let codes = results.iter().map(|it| call.code(it.err().unwrap_or(ErrorCode::None)));
    if is_single {
        let error_code = codes.last().unwrap_or_default();
        return LeaveGroupResponse { error_code, ..Default::default() };
    }
    let codes: Vec<_> = codes.collect();
    let member = |(it, error_code): (MemberIdentity, i16)| MemberResponse {
        member_id: it.member_id,
        group_instance_id: it.group_instance_id,
        error_code,
        ..Default::default()
    };
    let members = members.into_iter().zip(codes).map(member).collect();
    LeaveGroupResponse { members, ..Default::default() }
}
