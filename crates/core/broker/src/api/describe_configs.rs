//! DescribeConfigs, v1-4: the settings of topics and of this node, and the levels of its loggers.
//!
//! Ours: a node shows the settings that it has; Kafka's others are absent, not shown with values
//! that would mean nothing here. Client metrics and groups have no settings here.

use super::logger;
use super::resource::{self, Entry, LOGGER};
use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, ResourceType};
use systole_wire::Rejected;
use systole_wire::Str;
use systole_wire::message::describe_configs_request::DescribeConfigsResource;
use systole_wire::message::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use systole_wire::message::{DescribeConfigsRequest, DescribeConfigsResponse};

pub(crate) struct DescribeConfigs;

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;
    const NEEDS: &'static [Need] = &[
        (Operation::DescribeConfigs, ResourceType::Topic),
        (Operation::DescribeConfigs, ResourceType::Cluster),
        (Operation::DescribeConfigs, ResourceType::Group),
    ];

    fn handle(
        call: Call,
        request: DescribeConfigsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let detail = Detail {
            synonyms: request.include_synonyms,
            typed: call.version >= 3,
            documentation: request.include_documentation,
        };
        let describe = |it: DescribeConfigsResource| {
            let configs = configs(&call, &it, detail);
            let mut result = DescribeConfigsResult {
                error_message: None,
                resource_type: it.resource_type,
                resource_name: it.resource_name,
                ..Default::default()
            };
            match configs {
                Ok(configs) => result.configs = configs,
                Err(it) => (result.error_code, result.error_message) = call.error(&it),
            }
            result
        };
        let results = request.resources.into_iter().map(describe).collect();
        ready(Reply::Send(DescribeConfigsResponse { results, ..Default::default() }))
    }
}

#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    typed: bool,
    documentation: bool,
}

fn configs(
    call: &Call,
    asked: &DescribeConfigsResource,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Rejected> {
    let (kind, name) = (asked.resource_type, &asked.resource_name);
    let wanted = |name: &str| match &asked.configuration_keys {
        None => true,
        Some(keys) => keys.iter().any(|key| &**key == name),
    };
    if kind == LOGGER {
        let loggers = logger::describe(call, name)?;
        return Ok(loggers.into_iter().filter(|it| wanted(&it.name)).collect());
    }
    let scope = resource::scope(call, Operation::DescribeConfigs, kind, name)?;
    let entries = resource::describe(&call.ctx, &scope)?;
    Ok(entries.into_iter().filter(|it| wanted(it.name)).map(|it| show(&it, detail)).collect())
}

fn show(entry: &Entry, detail: Detail) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): &(&'static str, String, i8)| DescribeConfigsSynonym {
        name: Str::from_static(name),
        value: Some(value.as_str().into()),
        source: *source,
        ..Default::default()
    };
    let all = if detail.synonyms { entry.synonyms.as_slice() } else { &[] };
    DescribeConfigsResourceResult {
        name: Str::from_static(entry.name),
        value: Some(entry.value().into()),
        read_only: entry.read_only,
        config_source: entry.source(),
        synonyms: all.iter().map(synonym).collect(),
        config_type: if detail.typed { entry.kind as i8 } else { 0 },
        documentation: detail.documentation.then(|| Str::from_static(entry.doc)),
        ..Default::default()
    }
}
