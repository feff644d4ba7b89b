//! CreateTopics, v2-7: adds topics, each for itself.
//!
//! Ours: the answer leaves when the topic is on disk, so `timeout_ms` is accepted and ignored. The
//! settings that v5+ shows are those in force, with a source of topic, node or default.

use super::resource;
use super::{Call, Handler, Need, Reply};
use std::collections::HashMap;
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::{Durable, NewTopic, Overrides};
use systole_guard::quota::Key;
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::Str;
use systole_wire::message::create_topics_request::CreatableTopic;
use systole_wire::message::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use systole_wire::message::{CreateTopicsRequest, CreateTopicsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct CreateTopics;

/// From this version on, clients know THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_FROM_VERSION: i16 = 6;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=7;
    const NEEDS: &'static [Need] = &[
        (Operation::Create, ResourceType::Cluster),
        (Operation::Create, ResourceType::Topic),
        (Operation::DescribeConfigs, ResourceType::Topic),
    ];

    fn handle(
        call: Call,
        request: CreateTopicsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut times = HashMap::<Str, usize>::new();
        request.topics.iter().for_each(|it| *times.entry(it.name.clone()).or_default() += 1);
        let mut begun = Vec::new();
        for topic in request.topics {
            match times.get(&topic.name) {
                Some(1) => begun.push(begin(&call, topic, request.validate_only)),
                Some(0) | None => {} // answered with the first of its name
                Some(_) => {
                    let twice = Rejected::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
                    times.insert(topic.name.clone(), 0);
                    begun.push((topic.name, Err(twice)));
                }
            }
        }
        async move {
            let mut topics = Vec::new();
            for (name, made) in begun {
                topics.push(finish(&call, name, made).await);
            }
            Reply::Send(CreateTopicsResponse { topics, ..Default::default() })
        }
    }
}

struct Made {
    id: Uuid,
    partition_count: i32,
    overrides: Overrides,
    durable: Option<Durable>,
}

fn begin(call: &Call, topic: CreatableTopic, only_check: bool) -> (Str, Result<Made, Rejected>) {
    let name = topic.name.clone();
    let wanted = NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|it| (it.partition_index, it.broker_ids))
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|it| (it.name.to_string(), it.value.map(|it| it.to_string())))
            .collect(),
    };
    if let Err(denied) = call.authorize_creation(&name) {
        return (name, Err(denied.into()));
    }
    if let Err(rejected) = count(call, &wanted) {
        return (name, Err(rejected));
    }
    let made = if only_check {
        call.ctx.topics.check_create(&wanted).map(|(partition_count, overrides)| Made {
            id: Uuid::ZERO,
            partition_count,
            overrides,
            durable: None,
        })
    } else {
        call.ctx.topics.create(&wanted).map(|(topic, durable)| Made {
            id: topic.id,
            partition_count: topic.partition_count,
            overrides: topic.overrides.clone(),
            durable: Some(durable),
        })
    };
    (name, made)
}

/// What cannot be made is not counted.
fn count(call: &Call, wanted: &NewTopic) -> Result<(), Rejected> {
    if !call.has_quota(Key::ControllerMutationRate) {
        return Ok(());
    }
    let (partition_count, _) = call.ctx.topics.check_create(wanted)?;
    call.count_mutations(partition_count, STRICT_FROM_VERSION)
}

async fn finish(call: &Call, name: Str, made: Result<Made, Rejected>) -> CreatableTopicResult {
    let failed = |rejected: Rejected| {
        let (error_code, error_message) = call.error(&rejected);
        let name = name.clone();
        CreatableTopicResult { name, error_code, error_message, ..Default::default() }
    };
    let made = match made {
        Ok(made) => made,
        Err(rejected) => return failed(rejected),
    };
    if let Some(durable) = made.durable
        && let Err(rejected) = durable.await
    {
        return failed(rejected);
    }
    let is_told = call.version >= 5;
    let sees_configs = call.may(Operation::DescribeConfigs, Resource::topic(&name));
    let shown = is_told && sees_configs;
    CreatableTopicResult {
        name: name.clone(),
        topic_id: if call.version >= 7 { made.id } else { Uuid::ZERO },
        num_partitions: if shown { made.partition_count } else { -1 },
        replication_factor: if shown { 1 } else { -1 },
        topic_config_error_code: if is_told && !sees_configs {
            ErrorCode::TopicAuthorizationFailed.number()
        } else {
            ErrorCode::None.number()
        },
        configs: if shown { configs(call, &made.overrides) } else { Vec::new() }.into(),
        error_message: None,
        ..Default::default()
    }
}

fn configs(call: &Call, overrides: &Overrides) -> Vec<CreatableTopicConfigs> {
    let entries = resource::of_topic(&call.ctx, overrides);
    let config = |it: resource::Entry| CreatableTopicConfigs {
        name: it.name.into(),
        value: Some(it.value().into()),
        read_only: it.read_only,
        config_source: it.source(),
        ..Default::default()
    };
    entries.into_iter().map(config).collect()
}
