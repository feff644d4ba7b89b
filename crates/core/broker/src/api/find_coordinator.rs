//! FindCoordinator, v0-6: who looks after a group or a transactional id. This node, always.
//!
//! Ours: coordinators of share groups (key type 2) are an INVALID_REQUEST, because there are none.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::Str;
use systole_wire::message::find_coordinator_response::Coordinator;
use systole_wire::message::{FindCoordinatorRequest, FindCoordinatorResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct FindCoordinator;

/// Kafka's numbers of the kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// Since this version, many keys are asked for at once (KIP-699).
const MANY_FROM_VERSION: i16 = 4;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const NEEDS: &'static [Need] = &[
        (Operation::Describe, ResourceType::Group),
        (Operation::Describe, ResourceType::TransactionalId),
    ];

    fn handle(
        call: Call,
        request: FindCoordinatorRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let find = |key: Str| {
            let found = match request.key_type {
                GROUP => here(&call, Resource::group(&key)),
                TRANSACTION => here(&call, Resource::transactional_id(&key)),
                other => {
                    let text = format!("There are no coordinators for keys of type {other}.");
                    nowhere(&call, &Rejected::new(ErrorCode::InvalidRequest, text))
                }
            };
            Coordinator { key, ..found }
        };
        ready(Reply::Send(if call.version >= MANY_FROM_VERSION {
            let coordinators = request.coordinator_keys.into_iter().map(find).collect();
            FindCoordinatorResponse { coordinators, ..Default::default() }
        } else {
            let found = find(request.key);
            FindCoordinatorResponse {
                error_code: found.error_code,
                error_message: found.error_message.filter(|_| call.version >= 1),
                node_id: found.node_id,
                host: found.host,
                port: found.port,
                ..Default::default()
            }
        }))
    }
}

fn here(call: &Call, resource: Resource<'_>) -> Coordinator {
    if let Err(denied) = call.authorize(Operation::Describe, resource) {
        return nowhere(call, &denied.into());
    }
    let (host, port) = call.advertised();
    let node_id = call.ctx.config.node_id;
    Coordinator { node_id, host, port, error_message: None, ..Default::default() }
}

fn nowhere(call: &Call, rejected: &Rejected) -> Coordinator {
    let (error_code, error_message) = call.error(rejected);
    Coordinator { node_id: -1, port: -1, error_code, error_message, ..Default::default() }
}
