//! StreamsGroupHeartbeat, v0: joining, staying in and leaving a streams group (KIP-1071).
//!
//! The answer leaves when what it tells is durable, internal topics that it made included. As Kafka
//! 4.3 does, static members, sources by pattern, warm-up tasks and offsets of tasks are
//! `INVALID_REQUEST`.
//!
//! Ours: the target is made within the heartbeat that asks for it, where Kafka waits three seconds
//! for more members and a second between targets; heartbeats are asked for oftener while tasks
//! move. A member that says everything is told everything. A topology that contradicts itself (one
//! id twice, a copartition group that points nowhere, a negative epoch) is
//! `STREAMS_INVALID_TOPOLOGY` or `STREAMS_INVALID_TOPOLOGY_EPOCH`, where Kafka has
//! `UNKNOWN_SERVER_ERROR`. Texts above 1 KiB and topologies above 1 MiB are `INVALID_REQUEST`.

use super::{Call, Handler, Need, Reply};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_catalogue::NewTopic;
use systole_coordinator::group::{Durable, MEMBER_BYTES_MAX, NAME_BYTES_MAX};
use systole_group::streams::{
    self, Beat, Copartition, Heartbeat, InternalTopic, Missing, Notice, Status, Subtopology, Task,
    Tasks, by_subtopology,
};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::streams_group_heartbeat_request as asked;
use systole_wire::message::streams_group_heartbeat_response as told;
use systole_wire::message::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use systole_wire::{ErrorCode, Rejected, Str};

const JOINING: i32 = 0;
const LEFT: i32 = -1;
const LEFT_FOR_A_WHILE: i32 = -2;
/// Topics that could not be made, of which an answer tells why.
const FAILURES_SHOWN_MAX: usize = 3;

pub(crate) struct StreamsGroupHeartbeat;

impl Handler for StreamsGroupHeartbeat {
    type Request = StreamsGroupHeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[
        (Operation::Read, ResourceType::Group),
        (Operation::Describe, ResourceType::Topic),
        (Operation::Create, ResourceType::Cluster),
        (Operation::Create, ResourceType::Topic),
    ];

    fn handle(
        call: Call,
        request: StreamsGroupHeartbeatRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let done = match begun {
                Ok((beat, creations, durable)) => finish(beat, creations, durable).await,
                Err(rejected) => Err(rejected),
            };
            Reply::Send(match done {
                Ok(beat) => accepted(beat),
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    StreamsGroupHeartbeatResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    }
                }
            })
        }
    }
}

/// Internal topics under way.
type Creations = Vec<(Arc<str>, Result<systole_catalogue::Durable, Rejected>)>;

fn begin(
    call: &Call,
    request: &StreamsGroupHeartbeatRequest,
) -> Result<(Beat, Creations, Durable), Rejected> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if let Some(topology) = &request.topology {
        check_topics(call, topology)?;
    }
    check_support(request)?;
    check_form(request)?;
    check_sizes(call, request)?;
    let heartbeat = heartbeat(call, request)?;
    let (mut beat, durable) = call.ctx.groups.beat_streams(&request.group_id, &heartbeat)?;
    let creations = create_missing(call, &mut beat);
    Ok((beat, creations, durable))
}

/// # Source  Kafka's `KafkaApis.handleStreamsGroupHeartbeat`
fn check_topics(call: &Call, topology: &asked::Topology) -> Result<(), Rejected> {
    let names: BTreeSet<&Str> = topology
        .subtopologies
        .iter()
        .flat_map(|it| {
            let internal = it.repartition_source_topics.iter().chain(&it.state_changelog_topics);
            let named = it.source_topics.iter().chain(&it.repartition_sink_topics);
            named.chain(internal.map(|it| &it.name))
        })
        .collect();
    let refuse = |those: Vec<&str>, before: &str, after: &str| {
        if those.is_empty() {
            return Ok(());
        }
        let text = format!("{before} {} {after}", those.join(","));
        Err(Rejected::new(ErrorCode::StreamsInvalidTopology, text))
    };
    let is_internal = |it: &&str| systole_catalogue::is_internal(it);
    let internal = names.iter().map(|it| &***it).filter(is_internal).collect();
    let after = "in a Kafka Streams topology is prohibited.";
    refuse(internal, "Use of Kafka internal topics", after)?;
    let is_illegal = |it: &&str| systole_catalogue::plan::check_name(it).is_err();
    let illegal = names.iter().map(|it| &***it).filter(is_illegal).collect();
    refuse(illegal, "Topic names", "are not valid topic names.")?;
    for name in names {
        call.authorize(Operation::Describe, Resource::topic(name))?;
    }
    Ok(())
}

fn rule(holds: bool, text: &str) -> Result<(), Rejected> {
    if holds { Ok(()) } else { Err(Rejected::new(ErrorCode::InvalidRequest, text)) }
}

/// # Source  Kafka's `throwIfStreamsGroupHeartbeatRequestIsUsingUnsupportedFeatures`
fn check_support(it: &StreamsGroupHeartbeatRequest) -> Result<(), Rejected> {
    rule(it.instance_id.is_none(), "Static membership is not yet supported.")?;
    rule(it.task_offsets.is_none(), "TaskOffsets are not supported yet.")?;
    rule(it.task_end_offsets.is_none(), "TaskEndOffsets are not supported yet.")?;
    let warms = it.warmup_tasks.as_ref().is_some_and(|it| !it.is_empty());
    rule(!warms, "WarmupTasks are not supported yet.")?;
    let mut subtopologies = it.topology.iter().flat_map(|it| &it.subtopologies);
    let text = "Regular expressions for source topics are not supported yet.";
    rule(subtopologies.all(|it| it.source_topic_regex.is_empty()), text)
}

/// # Source  Kafka's `throwIfStreamsGroupHeartbeatRequestIsInvalid`
fn check_form(it: &StreamsGroupHeartbeatRequest) -> Result<(), Rejected> {
    rule(!it.member_id.trim().is_empty(), "MemberId can't be empty.")?;
    rule(!it.group_id.trim().is_empty(), "GroupId can't be empty.")?;
    let rack = it.rack_id.as_ref();
    rule(rack.is_none_or(|it| !it.trim().is_empty()), "RackId can't be empty.")?;
    let tasks = [&it.active_tasks, &it.standby_tasks, &it.warmup_tasks];
    match it.member_epoch {
        JOINING => {
            let text = "RebalanceTimeoutMs must be provided in first request.";
            rule(it.rebalance_timeout_ms != -1, text)?;
            for (tasks, kind) in tasks.into_iter().zip(["Active", "Standby", "Warmup"]) {
                let is_empty = tasks.as_ref().is_some_and(Vec::is_empty);
                rule(is_empty, &format!("{kind}Tasks must be empty when (re-)joining."))?;
            }
            rule(it.topology.is_some(), "Topology must be non-null when (re-)joining.")?;
        }
        LEFT_FOR_A_WHILE => return rule(false, "InstanceId can't be null."),
        epoch if epoch < LEFT => {
            let text = format!("MemberEpoch is {epoch}, but must be greater than or equal to -2.");
            return rule(false, &text);
        }
        _ => {}
    }
    let told = tasks.into_iter().filter(|it| it.is_some()).count();
    let text = "If one task-type is non-null, all must be non-null.";
    rule(told == 0 || told == tasks.len(), text)?;
    let is_new = it.topology.is_some() && it.member_epoch != JOINING;
    rule(!is_new, "Topology can only be provided when (re-)joining.")
}

/// What a member brings along stays in memory and in the log.
fn check_sizes(call: &Call, it: &StreamsGroupHeartbeatRequest) -> Result<(), Rejected> {
    let length = |it: &Option<Str>| it.as_ref().map_or(0, |it| it.len());
    let host = it.user_endpoint.as_ref().map_or(0, |it| it.host.len());
    let client = length(&call.client_id);
    let names = [it.member_id.len(), client, length(&it.rack_id), length(&it.process_id), host];
    let pair = |it: &asked::KeyValue| it.key.len() + it.value.len() + size_of::<asked::KeyValue>();
    let text = |it: &Str| it.len() + size_of::<Str>();
    let topic =
        |it: &asked::TopicInfo| text(&it.name) + it.topic_configs.iter().map(pair).sum::<usize>();
    let subtopology = |it: &asked::Subtopology| {
        let names = it.source_topics.iter().chain(&it.repartition_sink_topics);
        let topics = it.repartition_source_topics.iter().chain(&it.state_changelog_topics);
        let places = it.copartition_groups.iter();
        let places = places.map(|it| it.source_topics.len() + it.repartition_source_topics.len());
        text(&it.subtopology_id)
            + names.map(text).sum::<usize>()
            + topics.map(topic).sum::<usize>()
            + places.sum::<usize>() * size_of::<i16>()
    };
    let topology = it.topology.iter().flat_map(|it| &it.subtopologies);
    let tags = it.client_tags.iter().flatten();
    let bytes = topology.map(subtopology).sum::<usize>() + tags.map(pair).sum::<usize>();
    let fits = names.iter().all(|it| *it <= NAME_BYTES_MAX) && bytes <= MEMBER_BYTES_MAX;
    rule(fits, "A text of the request is too long.")
}

fn heartbeat(call: &Call, it: &StreamsGroupHeartbeatRequest) -> Result<Heartbeat, Rejected> {
    let text = |it: &Option<Str>| it.as_deref().map(Arc::from);
    let rebalance = u64::try_from(it.rebalance_timeout_ms).ok().map(Duration::from_millis);
    let tags = it.client_tags.as_ref();
    let owned = it.active_tasks.as_ref().zip(it.standby_tasks.as_ref());
    Ok(Heartbeat {
        member_id: Arc::from(&*it.member_id),
        epoch: it.member_epoch,
        endpoint_epoch: it.endpoint_information_epoch,
        rack_id: text(&it.rack_id),
        client_id: call.client_id.as_deref().unwrap_or_default().into(),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        rebalance_timeout: rebalance,
        topology: it.topology.as_ref().map(topology).transpose()?,
        process_id: text(&it.process_id),
        endpoint: it.user_endpoint.as_ref().map(|it| (Arc::from(&*it.host), it.port)),
        tags: tags.map(|it| it.iter().map(pair).collect::<BTreeMap<_, _>>()),
        owned: owned.map(|(active, standby)| Tasks {
            active: active.iter().flat_map(tasks).collect(),
            standby: standby.iter().flat_map(tasks).collect(),
        }),
        shuts_down: it.shutdown_application,
    })
}

fn pair(it: &asked::KeyValue) -> (Arc<str>, Arc<str>) {
    (Arc::from(&*it.key), Arc::from(&*it.value))
}

fn tasks(it: &asked::TaskIds) -> impl Iterator<Item = Task> {
    let subtopology: Arc<str> = Arc::from(&*it.subtopology_id);
    it.partitions
        .iter()
        .map(move |partition| Task { subtopology: Arc::clone(&subtopology), partition: *partition })
}

fn topology(it: &asked::Topology) -> Result<Arc<streams::Topology>, Rejected> {
    let names = |those: &[Str]| those.iter().map(|it| Arc::from(&**it)).collect();
    let topics = |those: &[asked::TopicInfo]| those.iter().map(internal_topic).collect();
    let group = |it: &asked::CopartitionGroup| Copartition {
        sources: it.source_topics.clone(),
        repartition_sources: it.repartition_source_topics.clone(),
    };
    let mut subtopologies = BTreeMap::new();
    for it in &it.subtopologies {
        let described = Subtopology {
            sources: names(&it.source_topics),
            repartition_sinks: names(&it.repartition_sink_topics),
            repartition_sources: topics(&it.repartition_source_topics),
            changelogs: topics(&it.state_changelog_topics),
            copartitions: it.copartition_groups.iter().map(group).collect(),
        };
        if subtopologies.insert(Arc::from(&*it.subtopology_id), described).is_some() {
            let text = format!("Subtopology {} is there twice.", it.subtopology_id);
            return Err(Rejected::new(ErrorCode::StreamsInvalidTopology, text));
        }
    }
    let topology = streams::Topology { epoch: it.epoch, subtopologies };
    topology.check().map_err(|it| Rejected::new(it.code, it.message))?;
    Ok(Arc::new(topology))
}

fn internal_topic(it: &asked::TopicInfo) -> InternalTopic {
    InternalTopic {
        name: Arc::from(&*it.name),
        partitions: it.partitions,
        replication_factor: it.replication_factor,
        configs: it.topic_configs.iter().map(pair).collect(),
    }
}

/// Makes the internal topics that the group lacks, all or none: the members learn what keeps them
/// from being made.
fn create_missing(call: &Call, beat: &mut Beat) -> Creations {
    let missing = std::mem::take(&mut beat.missing);
    let may = |it: &&Missing| call.authorize_creation(&it.topic.name).is_err();
    let denied: Vec<_> = missing.iter().filter(may).map(|it| &*it.topic.name).collect();
    if !denied.is_empty() {
        let text = format!("Unauthorized to CREATE on topics {}.", denied.join(", "));
        add_detail(beat, &text);
        return Vec::new();
    }
    let create = |it: Missing| {
        let made = call.ctx.topics.create(&new_topic(&it)).map(|(_, durable)| durable);
        (it.topic.name, made)
    };
    missing.into_iter().map(create).collect()
}

fn new_topic(it: &Missing) -> NewTopic {
    let configs = it.topic.configs.iter();
    let factor = it.topic.replication_factor;
    NewTopic {
        name: it.topic.name.to_string(),
        partitions: it.partitions,
        replication_factor: if factor == 0 { -1 } else { factor },
        assignments: Vec::new(),
        configs: configs.map(|(key, value)| (key.to_string(), Some(value.to_string()))).collect(),
    }
}

async fn finish(mut beat: Beat, creations: Creations, durable: Durable) -> Result<Beat, Rejected> {
    let done = creations.into_iter().map(|(name, begun)| async move {
        let outcome = match begun {
            Ok(durable) => durable.await,
            Err(rejected) => Err(rejected),
        };
        (name, outcome)
    });
    // Two members may have asked for the same topic at once.
    let is_wrong = |it: &Rejected| it.code != ErrorCode::TopicAlreadyExists;
    let failures =
        join_all(done).await.into_iter().filter_map(|(name, it)| Some((name, it.err()?)));
    let failures: Vec<_> = failures.filter(|(_, it)| is_wrong(it)).collect();
    if !failures.is_empty() {
        let shown = failures.iter().take(FAILURES_SHOWN_MAX);
        let shown: Vec<_> = shown.map(|(name, it)| format!("{name} ({})", it.message)).collect();
        add_detail(&mut beat, &format!("Creation failed: {}.", shown.join(", ")));
    }
    let failed = |code| Rejected::new(code, "The group's records are not durable.");
    durable.await.map_err(failed)?;
    Ok(beat)
}

/// Tells more about the topics that are missing.
fn add_detail(beat: &mut Beat, text: &str) {
    let status = Status::MissingInternalTopics;
    match beat.notices.iter_mut().find(|it| it.status == status) {
        Some(notice) => notice.detail = format!("{}; {text}", notice.detail),
        None => beat.notices.push(Notice { status, detail: text.into() }),
    }
}

fn accepted(it: Beat) -> StreamsGroupHeartbeatResponse {
    let status = |it: Notice| told::Status {
        status_code: it.status as i8,
        status_detail: it.detail.as_str().into(),
        ..Default::default()
    };
    let tasks = it.tasks.as_ref();
    StreamsGroupHeartbeatResponse {
        member_id: (&*it.member_id).into(),
        member_epoch: it.epoch,
        heartbeat_interval_ms: i32::try_from(it.interval.as_millis()).unwrap_or(i32::MAX),
        status: Some(it.notices.into_iter().map(status).collect()),
        active_tasks: tasks.map(|it| task_ids(&it.active)),
        standby_tasks: tasks.map(|it| task_ids(&it.standby)),
        warmup_tasks: tasks.map(|_| Vec::new()),
        endpoint_information_epoch: it.endpoint_epoch,
        partitions_by_user_endpoint: it
            .endpoints
            .map(|those| those.into_iter().map(endpoint).collect()),
        ..Default::default()
    }
}

fn task_ids(tasks: &BTreeSet<Task>) -> Vec<told::TaskIds> {
    let list = |(id, partitions): (&Arc<str>, Vec<i32>)| told::TaskIds {
        subtopology_id: (&**id).into(),
        partitions,
        ..Default::default()
    };
    by_subtopology(tasks).into_iter().map(list).collect()
}

fn endpoint(it: streams::Endpoint) -> told::EndpointToPartitions {
    let topics = |inputs: streams::Inputs| {
        let topic = |(name, partitions): (Arc<str>, Vec<i32>)| told::TopicPartition {
            topic: (&*name).into(),
            partitions,
            ..Default::default()
        };
        inputs.into_iter().map(topic).collect()
    };
    told::EndpointToPartitions {
        user_endpoint: told::Endpoint {
            host: (&*it.host).into(),
            port: it.port,
            ..Default::default()
        },
        active_partitions: topics(it.active),
        standby_partitions: topics(it.standby),
        ..Default::default()
    }
}
