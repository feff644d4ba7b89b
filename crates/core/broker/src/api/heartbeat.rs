//! Heartbeat, v0-4: a member is alive, and learns whether it has to join again.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_group::classic::Caller;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::message::{HeartbeatRequest, HeartbeatResponse};

pub(crate) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const NEEDS: &'static [Need] = &[(Operation::Read, ResourceType::Group)];

    fn handle(
        call: Call,
        request: HeartbeatRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let beat = beat(&call, &request.group_id, caller);
        let error_code = call.code(beat.err().unwrap_or(ErrorCode::None));
        ready(Reply::Send(HeartbeatResponse { error_code, ..Default::default() }))
    }
}

fn beat(call: &Call, group_id: &str, caller: Caller<'_>) -> Result<(), ErrorCode> {
    call.authorize(Operation::Read, Resource::group(group_id))?;
    if group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    call.ctx.groups.heartbeat(group_id, caller)
}
