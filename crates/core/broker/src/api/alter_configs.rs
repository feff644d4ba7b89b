//! AlterConfigs, v0-2: replaces all settings of a topic or of this node by those given.
//!
//! Deprecated in Kafka in favour of IncrementalAlterConfigs, and still used by old tools. Ours:
//! unknown settings of the node are refused, where Kafka keeps them.

use super::resource::{self, Asked, Edit};
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::{Overrides, Scope};
use systole_guard::{Operation, ResourceType};
use systole_wire::message::alter_configs_request::AlterConfigsResource;
use systole_wire::message::alter_configs_response::AlterConfigsResourceResponse;
use systole_wire::message::{AlterConfigsRequest, AlterConfigsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[
        (Operation::AlterConfigs, ResourceType::Topic),
        (Operation::AlterConfigs, ResourceType::Cluster),
        (Operation::AlterConfigs, ResourceType::Group),
    ];

    fn handle(
        call: Call,
        request: AlterConfigsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begin = |it: &AlterConfigsResource| {
            let (kind, name, only_check) =
                (it.resource_type, &*it.resource_name, request.validate_only);
            let asked = Asked { kind, name, only_check };
            resource::alter(&call, asked, |scope, _| replace(it, scope))
        };
        let begun: Vec<_> = request.resources.iter().map(begin).collect();
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
            Reply::Send(AlterConfigsResponse { responses, ..Default::default() })
        }
    }
}

fn replace(asked: &AlterConfigsResource, scope: &Scope) -> Result<Overrides, Rejected> {
    let mut overrides = Overrides::new();
    for config in &asked.configs {
        let Some(value) = config.value.as_deref() else {
            let text = "A value may not be null.";
            return Err(Rejected::new(ErrorCode::InvalidRequest, text));
        };
        resource::edit(scope, &mut overrides, &config.name, &Edit::Set(value))?;
    }
    Ok(overrides)
}
