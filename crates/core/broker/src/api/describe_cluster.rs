//! DescribeCluster, v0-2: the one node there is.
//!
//! Ours: none. Brokers are described (`endpoint_type` 1); controllers, asked for here, are a
//! MISMATCHED_ENDPOINT_TYPE as they are on Kafka's brokers.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, ResourceType};
use systole_wire::message::describe_cluster_response::DescribeClusterBroker;
use systole_wire::message::{DescribeClusterRequest, DescribeClusterResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DescribeCluster;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DescribeClusterRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(match request.endpoint_type {
            BROKERS => describe(&call, request.include_cluster_authorized_operations),
            CONTROLLERS => {
                let text = "This endpoint is of type BROKER, and CONTROLLER was asked for.";
                refuse(&call, &Rejected::new(ErrorCode::MismatchedEndpointType, text))
            }
            other => {
                let text = format!("Unsupported endpoint type {other}");
                refuse(&call, &Rejected::new(ErrorCode::UnsupportedEndpointType, text))
            }
        }))
    }
}

fn describe(call: &Call, with_operations: bool) -> DescribeClusterResponse {
    let (host, port) = call.advertised();
    let broker_id = call.ctx.config.node_id;
    DescribeClusterResponse {
        cluster_id: call.ctx.topics.cluster_id(),
        controller_id: broker_id,
        brokers: vec![DescribeClusterBroker { broker_id, host, port, ..Default::default() }],
        cluster_authorized_operations: if with_operations {
            call.granted_on_cluster()
        } else {
            NOT_ASKED
        },
        ..Default::default()
    }
}

fn refuse(call: &Call, rejected: &Rejected) -> DescribeClusterResponse {
    let (error_code, error_message) = call.error(rejected);
    DescribeClusterResponse { error_code, error_message, ..Default::default() }
}
