//! SyncGroup, v0-5: what a member reads in this generation. The leader brings it, everyone gets it.
//!
//! The answer comes when the leader's assignment is durable. v5: the client names the protocol it
//! believes in (KIP-559).

use super::{Call, Handler, Need, Reply};
use bytes::Bytes;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_group::classic::{Caller, Sync, SyncAnswer};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::{SyncGroupRequest, SyncGroupResponse};
use tokio::sync::oneshot;

pub(crate) struct SyncGroup;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[(Operation::Read, ResourceType::Group)];

    fn handle(
        call: Call,
        request: SyncGroupRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let asked = ask(&call, &request);
        async move {
            let answer = match asked {
                Ok(receiver) => call.group_answer(receiver).await.unwrap_or_else(Err),
                Err(code) => Err(code),
            };
            Reply::Send(match answer {
                Ok(it) => SyncGroupResponse {
                    protocol_type: it.protocol_type.as_deref().map(Str::from),
                    protocol_name: it.protocol.as_deref().map(Str::from),
                    assignment: it.assignment,
                    ..Default::default()
                },
                Err(code) => {
                    SyncGroupResponse { error_code: call.code(code), ..Default::default() }
                }
            })
        }
    }
}

fn ask(
    call: &Call,
    request: &SyncGroupRequest,
) -> Result<oneshot::Receiver<SyncAnswer>, ErrorCode> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= 5 && !names_protocol {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    let assignments = request.assignments.iter();
    let sync = Sync {
        caller: Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_deref(),
        protocol: request.protocol_name.as_deref(),
        assignments: assignments
            .map(|it| (Arc::from(&*it.member_id), Bytes::copy_from_slice(&it.assignment)))
            .collect(),
    };
    Ok(call.ctx.groups.sync(&request.group_id, &sync))
}
