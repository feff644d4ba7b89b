//! IncrementalAlterConfigs, v0-1: sets, removes, extends and shortens single settings of topics and
//! of this node, and changes the levels of its loggers.
//!
//! Each resource changes as a whole or not at all. Ours: unknown settings of the node are refused,
//! where Kafka keeps them; an operation that does not exist is an INVALID_REQUEST, where Kafka has
//! an UNKNOWN_SERVER_ERROR.

use super::logger;
use super::resource::{self, Asked, Edit, LOGGER};
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::{Overrides, Scope};
use systole_guard::{Operation, ResourceType};
use systole_wire::message::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use systole_wire::message::incremental_alter_configs_response::AlterConfigsResourceResponse;
use systole_wire::message::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct IncrementalAlterConfigs;

/// Kafka's numbers of the operations.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[
        (Operation::AlterConfigs, ResourceType::Topic),
        (Operation::AlterConfigs, ResourceType::Cluster),
        (Operation::AlterConfigs, ResourceType::Group),
    ];

    fn handle(
        call: Call,
        request: IncrementalAlterConfigsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut begun = Vec::new();
        for it in &request.resources {
            let is_same = |other: &&AlterConfigsResource| {
                other.resource_type == it.resource_type && other.resource_name == it.resource_name
            };
            let (kind, name, only_check) =
                (it.resource_type, &*it.resource_name, request.validate_only);
            begun.push(if request.resources.iter().filter(is_same).count() > 1 {
                let text = "Each resource must appear at most once.";
                Err(Rejected::new(ErrorCode::InvalidRequest, text))
            } else if kind == LOGGER {
                let asked = (name, only_check);
                edits(&it.configs).and_then(|it| logger::alter(&call, asked, &it)).map(|()| None)
            } else {
                let asked = Asked { kind, name, only_check };
                resource::alter(&call, asked, |scope, before| edit_all(scope, before, &it.configs))
            });
        }
        async move {
            let mut responses = Vec::new();
            for (asked, begun) in request.resources.into_iter().zip(begun) {
                let (error_code, error_message) = call.finish(begun).await;
                responses.push(AlterConfigsResourceResponse {
                    error_code,
                    error_message,
                    resource_type: asked.resource_type,
                    resource_name: asked.resource_name,
                    ..Default::default()
                });
            }
            Reply::Send(IncrementalAlterConfigsResponse { responses, ..Default::default() })
        }
    }
}

fn edit_all(
    scope: &Scope,
    mut overrides: Overrides,
    configs: &[AlterableConfig],
) -> Result<Overrides, Rejected> {
    for (name, edit) in edits(configs)? {
        resource::edit(scope, &mut overrides, name, &edit)?;
    }
    Ok(overrides)
}

fn edits(configs: &[AlterableConfig]) -> Result<Vec<(&str, Edit<'_>)>, Rejected> {
    let refuse = |text: &str| Err(Rejected::new(ErrorCode::InvalidRequest, text));
    let mut edits = Vec::new();
    for config in configs {
        if configs.iter().filter(|it| it.name == config.name).count() > 1 {
            return refuse("Error due to duplicate config keys");
        }
        let edit = match (config.config_operation, config.value.as_deref()) {
            (DELETE, _) => Edit::Delete,
            (SET | APPEND | SUBTRACT, None) => return refuse("A value may not be null."),
            (SET, Some(value)) => Edit::Set(value),
            (APPEND, Some(value)) => Edit::Append(value),
            (SUBTRACT, Some(value)) => Edit::Subtract(value),
            _ => return refuse("Unknown config operation."),
        };
        edits.push((&*config.name, edit));
    }
    Ok(edits)
}
