//! FindCoordinator, v0-6: who looks after a group, a transactional id, or since v6 the state of a
//! share partition (KIP-932). This node, always.
//!
//! Ours: who may not ask for share partitions is told for each key, where Kafka fails the request.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::Str;
use systole_wire::message::find_coordinator_response::Coordinator;
use systole_wire::message::{FindCoordinatorRequest, FindCoordinatorResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct FindCoordinator;

/// Kafka's numbers of the kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// Since this version, share partitions have a coordinator.
const SHARE_FROM_VERSION: i16 = 6;
/// Since this version, many keys are asked for at once (KIP-699).
const MANY_FROM_VERSION: i16 = 4;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const NEEDS: &'static [Need] = &[
        (Operation::Describe, ResourceType::Group),
        (Operation::Describe, ResourceType::TransactionalId),
        (Operation::ClusterAction, ResourceType::Cluster),
    ];

    fn handle(
        call: Call,
        request: FindCoordinatorRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let find = |key: Str| {
            let found = match request.key_type {
                GROUP => here(&call, Resource::group(&key)),
                TRANSACTION => here(&call, Resource::transactional_id(&key)),
                SHARE if call.version >= SHARE_FROM_VERSION => of_share_partition(&call, &key),
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
    this_node(call)
}

/// The key is `group:topic id:partition`; a group's name may have colons too.
fn of_share_partition(call: &Call, key: &str) -> Coordinator {
    if let Err(denied) = call.authorize(Operation::ClusterAction, Resource::CLUSTER) {
        return nowhere(call, &denied.into());
    }
    let mut parts = key.rsplitn(3, ':');
    let is_number = parts.next().is_some_and(|it| it.parse::<i32>().is_ok());
    let is_id = parts.next().is_some_and(|it| it.parse::<Uuid>().is_ok());
    let has_group = parts.next().is_some_and(|it| !it.trim().is_empty());
    if !(is_number && is_id && has_group) {
        let text = "The key is not of the form group:topic id:partition.";
        return nowhere(call, &Rejected::new(ErrorCode::InvalidRequest, text));
    }
    this_node(call)
}

fn this_node(call: &Call) -> Coordinator {
    let (host, port) = call.advertised();
    let node_id = call.ctx.config.node_id;
    Coordinator { node_id, host, port, error_message: None, ..Default::default() }
}

fn nowhere(call: &Call, rejected: &Rejected) -> Coordinator {
    let (error_code, error_message) = call.error(rejected);
    Coordinator { node_id: -1, port: -1, error_code, error_message, ..Default::default() }
}
