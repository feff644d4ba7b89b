//! ListConfigResources, v0-1: what has settings that can be described.
//!
//! v0 asks for client metrics alone, and there are none. Ours: groups have no settings here and
//! are never listed.

use super::resource::{BROKER, LOGGER, TOPIC};
use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::list_config_resources_response::ConfigResource;
use systole_wire::message::{ListConfigResourcesRequest, ListConfigResourcesResponse};

pub(crate) struct ListConfigResources;

/// Kinds that Kafka lists and of which there are none here: client metrics, groups.
const EMPTY_KINDS: [i8; 2] = [16, 32];

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[(Operation::DescribeConfigs, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: ListConfigResourcesRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut response = ListConfigResourcesResponse::default();
        let kinds = request.resource_types;
        let known = |it: &i8| [TOPIC, BROKER, LOGGER].contains(it) || EMPTY_KINDS.contains(it);
        if let Err(denied) = call.authorize(Operation::DescribeConfigs, Resource::CLUSTER) {
            response.error_code = call.code(denied.into());
        } else if !kinds.iter().all(known) {
            response.error_code = call.code(ErrorCode::UnsupportedVersion);
        } else if call.version >= 1 {
            response.config_resources =
                list(&call, |kind| kinds.is_empty() || kinds.contains(&kind));
        }
        ready(Reply::Send(response))
    }
}

fn list(call: &Call, wanted: impl Fn(i8) -> bool) -> Vec<ConfigResource> {
    let resource = |resource_type, resource_name| ConfigResource {
        resource_name,
        resource_type,
        ..Default::default()
    };
    let mut all = Vec::new();
    if wanted(TOPIC) {
        let topics = call.ctx.topics.all();
        all.extend(topics.iter().map(|it| resource(TOPIC, Str::from(&*it.name))));
    }
    for kind in [BROKER, LOGGER] {
        if wanted(kind) {
            all.push(resource(kind, call.ctx.config.node_id.to_string().into()));
        }
    }
    all
}
