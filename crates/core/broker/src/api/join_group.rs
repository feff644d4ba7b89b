//! JoinGroup, v0-9: to become a member of a classic group, or to stay one through a rebalance.
//!
//! The answer comes when the rebalance has everyone it waits for. v4+: the member id comes first
//! (KIP-394). v5+: static members (KIP-345). v8+: the reason is accepted and not kept (KIP-800).
//! v9: a leader may be told to leave the assignment alone (KIP-814). In a consumer group the member
//! follows the coordinator's assignment and never leads (KIP-848).
//!
//! Ours: pending members count against `groups.members_max`; protocol metadata above 1 MiB and
//! client or instance ids above 1 KiB are `INVALID_REQUEST` (Kafka takes them in and fails when it
//! writes the group); of protocols with equally many votes the eldest member's favourite wins, in
//! Kafka any of them.

use super::{Call, Handler, Need, Reply};
use bytes::Bytes;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_coordinator::group::{MEMBER_BYTES_MAX, NAME_BYTES_MAX};
use systole_group::classic::{Join, JoinAnswer, JoinRefused, Joined, JoinedMember, Protocol};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::join_group_request::JoinGroupRequestProtocol;
use systole_wire::message::join_group_response::JoinGroupResponseMember;
use systole_wire::message::{JoinGroupRequest, JoinGroupResponse};
use tokio::sync::oneshot;

pub(crate) struct JoinGroup;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=9;
    const NEEDS: &'static [Need] = &[(Operation::Read, ResourceType::Group)];

    fn handle(
        call: Call,
        request: JoinGroupRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let member_id: Arc<str> = Arc::from(&*request.member_id);
        let asked = ask(&call, &request);
        async move {
            let answer = match asked {
                Ok(receiver) => call
                    .group_answer(receiver)
                    .await
                    .unwrap_or_else(|code| Err(JoinRefused { code, member_id })),
                Err(code) => Err(JoinRefused { code, member_id }),
            };
            Reply::Send(response(&call, answer))
        }
    }
}

fn ask(
    call: &Call,
    request: &JoinGroupRequest,
) -> Result<oneshot::Receiver<JoinAnswer>, ErrorCode> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let config = &call.ctx.config.groups;
    let session_timeout = millis(request.session_timeout_ms);
    if !(config.session_timeout_min..=config.session_timeout_max).contains(&session_timeout) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    let client_id = call.client_id.clone().unwrap_or_default();
    let instance_id = request.group_instance_id.as_deref();
    if client_id.len().max(instance_id.map_or(0, str::len)) > NAME_BYTES_MAX {
        return Err(ErrorCode::InvalidRequest);
    }
    let join = Join {
        member_id: Arc::from(&*request.member_id),
        fresh_id: call.ctx.groups.fresh_member_id(instance_id.unwrap_or(&client_id)),
        instance_id: instance_id.map(Arc::from),
        client_id: Arc::from(&*client_id),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        protocol_type: Arc::from(&*request.protocol_type),
        protocols: request.protocols.iter().map(protocol).collect(),
        session_timeout,
        // v0 knows one time for both.
        rebalance_timeout: if call.version == 0 {
            session_timeout
        } else {
            millis(request.rebalance_timeout_ms)
        },
        returns_with_id: call.version >= 4,
        may_skip_assignment: call.version >= 9,
    };
    if join.bytes() > MEMBER_BYTES_MAX {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(call.ctx.groups.join(&request.group_id, join))
}

fn protocol(it: &JoinGroupRequestProtocol) -> Protocol {
    Protocol { name: Arc::from(&*it.name), metadata: Bytes::copy_from_slice(&it.metadata) }
}

/// Negative times, which no client sends, are none at all.
fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn response(call: &Call, answer: JoinAnswer) -> JoinGroupResponse {
    match answer {
        Ok(joined) => accepted(joined),
        Err(JoinRefused { code, member_id }) => JoinGroupResponse {
            error_code: call.code(code),
            generation_id: -1,
            // Before v7 it cannot be null.
            protocol_name: (call.version < 7).then(Str::default),
            member_id: (&*member_id).into(),
            ..Default::default()
        },
    }
}

fn accepted(it: Joined) -> JoinGroupResponse {
    let member = |it: JoinedMember| JoinGroupResponseMember {
        member_id: (&*it.id).into(),
        group_instance_id: it.instance_id.as_deref().map(Str::from),
        metadata: it.metadata,
        ..Default::default()
    };
    JoinGroupResponse {
        generation_id: it.generation,
        protocol_type: it.protocol_type.as_deref().map(Str::from),
        protocol_name: it.protocol.as_deref().map(Str::from),
        leader: (&*it.leader).into(),
        skip_assignment: it.skip_assignment,
        member_id: (&*it.member_id).into(),
        members: it.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}
