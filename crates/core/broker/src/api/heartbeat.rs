//! Heartbeat, v0-4: a member is alive, and learns whether it has to join again.

use super::{Call, Handler, Reply};
use crate::code::ErrorCode;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_group::classic::Caller;
use systole_wire::message::{HeartbeatRequest, HeartbeatResponse};

pub(crate) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;

    fn handle(
        call: Call,
        request: HeartbeatRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        };
        let code = if request.group_id.is_empty() {
            ErrorCode::InvalidGroupId
        } else {
            let beat = call.ctx.groups.heartbeat(&request.group_id, caller);
            beat.err().unwrap_or(ErrorCode::None)
        };
        let error_code = call.code(code);
        ready(Reply::Send(HeartbeatResponse { error_code, ..Default::default() }))
    }
}
