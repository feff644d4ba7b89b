//! Facts of streams groups as records.
//!
//! Owns: their keys and values. Does not own: what they mean (`streams`).
//!
//! Fields for what this node does not know (static members, sources by pattern, warm-up tasks) are
//! written empty and not read.

use super::consumer::pair;
use super::{Pair, Unreadable, decode, duration, millis, shared};
use crate::streams::{
    Copartition, Current, Epoch, Fact, Held, InternalTopic, Member, MemberState, Subtopology,
    TargetEpoch, Task, Tasks, Topology, by_subtopology,
};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::message::streams_group_current_member_assignment_value as current_value;
use systole_wire::message::streams_group_member_metadata_value as member_value;
use systole_wire::message::streams_group_metadata_value::LastAssignmentConfig;
use systole_wire::message::streams_group_target_assignment_member_value as target_value;
use systole_wire::message::streams_group_topology_value as topology_value;
use systole_wire::message::{
    Message, StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue,
    StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey,
    StreamsGroupMetadataValue, StreamsGroupTargetAssignmentMemberKey,
    StreamsGroupTargetAssignmentMemberValue, StreamsGroupTargetAssignmentMetadataKey,
    StreamsGroupTargetAssignmentMetadataValue, StreamsGroupTopologyKey, StreamsGroupTopologyValue,
};
use systole_wire::{EncodeError, Reader, Str};

const EPOCH: i16 = 17;
const MEMBER: i16 = 19;
const TARGET_EPOCH: i16 = 20;
const TARGET: i16 = 21;
const CURRENT: i16 = 22;
const TOPOLOGY: i16 = 23;

/// Kafka's numbers of the states.
const STABLE: i8 = 1;
const UNREVOKED: i8 = 2;
const UNRELEASED: i8 = 3;

/// Kafka's name of the one setting that the assignor takes.
const STANDBY_REPLICAS: &str = "num.standby.replicas";

/// The record that keeps a fact of `group`.
///
/// # Errors  A text too long for the format.
pub fn of_streams_fact(group: &str, fact: &Fact) -> Result<Pair, EncodeError> {
    let group_id: Str = group.into();
    match fact {
        Fact::Epoch(it) => {
            pair(EPOCH, &StreamsGroupMetadataKey { group_id }, it.as_ref().map(epoch_value))
        }
        Fact::Topology(it) => {
            let key = StreamsGroupTopologyKey { group_id };
            pair(TOPOLOGY, &key, it.as_deref().map(topology_value))
        }
        Fact::Member(id, it) => {
            let key = StreamsGroupMemberMetadataKey { group_id, member_id: (&**id).into() };
            pair(MEMBER, &key, it.as_deref().map(member_value))
        }
        Fact::TargetEpoch(it) => {
            let value = it.as_ref().map(|it| StreamsGroupTargetAssignmentMetadataValue {
                assignment_epoch: it.number,
                assignment_timestamp: it.at.as_millis(),
                ..Default::default()
            });
            pair(TARGET_EPOCH, &StreamsGroupTargetAssignmentMetadataKey { group_id }, value)
        }
        Fact::Target(id, it) => {
            let key = StreamsGroupTargetAssignmentMemberKey { group_id, member_id: (&**id).into() };
            pair(TARGET, &key, it.as_ref().map(target_value))
        }
        Fact::Current(id, it) => {
            let member_id = (&**id).into();
            let key = StreamsGroupCurrentMemberAssignmentKey { group_id, member_id };
            pair(CURRENT, &key, it.as_ref().map(current_value))
        }
    }
}

/// The group and the fact that a record of this kind keeps; `None` if the kind is another.
pub(super) fn read(
    kind: i16,
    key: &mut Reader,
    value: Option<Bytes>,
) -> Result<Option<(Arc<str>, Fact)>, Unreadable> {
    Ok(Some(match kind {
        EPOCH => {
            let key = StreamsGroupMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<StreamsGroupMetadataValue>).transpose()?;
            (shared(&key.group_id), Fact::Epoch(value.as_ref().map(epoch)))
        }
        TOPOLOGY => {
            let key = StreamsGroupTopologyKey::decode(key, 0)?;
            let value = value.map(decode::<StreamsGroupTopologyValue>).transpose()?;
            (shared(&key.group_id), Fact::Topology(value.as_ref().map(topology).map(Arc::new)))
        }
        MEMBER => {
            let key = StreamsGroupMemberMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<StreamsGroupMemberMetadataValue>).transpose()?;
            let member = value.as_ref().map(member).map(Box::new);
            (shared(&key.group_id), Fact::Member(shared(&key.member_id), member))
        }
        TARGET_EPOCH => {
            let key = StreamsGroupTargetAssignmentMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<StreamsGroupTargetAssignmentMetadataValue>);
            let epoch = value.transpose()?.map(|it| TargetEpoch {
                number: it.assignment_epoch,
                at: Timestamp::from_millis(it.assignment_timestamp),
            });
            (shared(&key.group_id), Fact::TargetEpoch(epoch))
        }
        TARGET => {
            let key = StreamsGroupTargetAssignmentMemberKey::decode(key, 0)?;
            let value = value.map(decode::<StreamsGroupTargetAssignmentMemberValue>).transpose()?;
            let target = value.as_ref().map(target);
            (shared(&key.group_id), Fact::Target(shared(&key.member_id), target))
        }
        CURRENT => {
            let key = StreamsGroupCurrentMemberAssignmentKey::decode(key, 0)?;
            let value =
                value.map(decode::<StreamsGroupCurrentMemberAssignmentValue>).transpose()?;
            let current = value.as_ref().map(current).transpose()?;
            (shared(&key.group_id), Fact::Current(shared(&key.member_id), current))
        }
        _ => return Ok(None),
    }))
}

fn epoch_value(it: &Epoch) -> StreamsGroupMetadataValue {
    let config = |count: usize| LastAssignmentConfig {
        key: STANDBY_REPLICAS.into(),
        value: count.to_string().as_str().into(),
        ..Default::default()
    };
    StreamsGroupMetadataValue {
        epoch: it.number,
        metadata_hash: it.metadata_hash,
        validated_topology_epoch: it.validated_topology_epoch,
        last_assignment_configs: it.standby_replicas.map(|it| vec![config(it)]),
        ..Default::default()
    }
}

fn epoch(it: &StreamsGroupMetadataValue) -> Epoch {
    let configs = it.last_assignment_configs.iter().flatten();
    let standbys = configs.filter(|it| &*it.key == STANDBY_REPLICAS);
    Epoch {
        number: it.epoch,
        metadata_hash: it.metadata_hash,
        validated_topology_epoch: it.validated_topology_epoch,
        standby_replicas: standbys.last().and_then(|it| it.value.parse().ok()),
    }
}

fn topology_value(it: &Topology) -> StreamsGroupTopologyValue {
    let names = |those: &[Arc<str>]| those.iter().map(|it| (&**it).into()).collect();
    let topics = |those: &[InternalTopic]| those.iter().map(topic_value).collect();
    let group = |it: &Copartition| topology_value::CopartitionGroup {
        source_topics: it.sources.clone(),
        repartition_source_topics: it.repartition_sources.clone(),
        ..Default::default()
    };
    let subtopology = |(id, it): (&Arc<str>, &Subtopology)| topology_value::Subtopology {
        subtopology_id: (&**id).into(),
        source_topics: names(&it.sources),
        state_changelog_topics: topics(&it.changelogs),
        repartition_sink_topics: names(&it.repartition_sinks),
        repartition_source_topics: topics(&it.repartition_sources),
        copartition_groups: it.copartitions.iter().map(group).collect(),
        ..Default::default()
    };
    let subtopologies = it.subtopologies.iter().map(subtopology).collect();
    StreamsGroupTopologyValue { epoch: it.epoch, subtopologies, ..Default::default() }
}

fn topic_value(it: &InternalTopic) -> topology_value::TopicInfo {
    let config = |(key, value): &(Arc<str>, Arc<str>)| topology_value::TopicConfig {
        key: (&**key).into(),
        value: (&**value).into(),
        ..Default::default()
    };
    topology_value::TopicInfo {
        name: (&*it.name).into(),
        partitions: it.partitions,
        replication_factor: it.replication_factor,
        topic_configs: it.configs.iter().map(config).collect(),
        ..Default::default()
    }
}

fn topology(it: &StreamsGroupTopologyValue) -> Topology {
    let topics = |those: &[topology_value::TopicInfo]| those.iter().map(internal_topic).collect();
    let group = |it: &topology_value::CopartitionGroup| Copartition {
        sources: it.source_topics.clone(),
        repartition_sources: it.repartition_source_topics.clone(),
    };
    let subtopology = |it: &topology_value::Subtopology| {
        let described = Subtopology {
            sources: it.source_topics.iter().map(shared).collect(),
            repartition_sinks: it.repartition_sink_topics.iter().map(shared).collect(),
            repartition_sources: topics(&it.repartition_source_topics),
            changelogs: topics(&it.state_changelog_topics),
            copartitions: it.copartition_groups.iter().map(group).collect(),
        };
        (shared(&it.subtopology_id), described)
    };
    Topology { epoch: it.epoch, subtopologies: it.subtopologies.iter().map(subtopology).collect() }
}

fn internal_topic(it: &topology_value::TopicInfo) -> InternalTopic {
    let configs = it.topic_configs.iter().map(|it| (shared(&it.key), shared(&it.value)));
    InternalTopic {
        name: shared(&it.name),
        partitions: it.partitions,
        replication_factor: it.replication_factor,
        configs: configs.collect(),
    }
}

fn member_value(it: &Member) -> StreamsGroupMemberMetadataValue {
    let endpoint = |(host, port): &(Arc<str>, u16)| member_value::Endpoint {
        host: (&**host).into(),
        port: *port,
        ..Default::default()
    };
    let tag = |(key, value): (&Arc<str>, &Arc<str>)| member_value::KeyValue {
        key: (&**key).into(),
        value: (&**value).into(),
        ..Default::default()
    };
    StreamsGroupMemberMetadataValue {
        instance_id: None,
        rack_id: it.rack_id.as_deref().map(Str::from),
        client_id: (&*it.client_id).into(),
        client_host: (&*it.client_host).into(),
        rebalance_timeout_ms: millis(it.rebalance_timeout),
        topology_epoch: it.topology_epoch,
        process_id: (&*it.process_id).into(),
        user_endpoint: it.endpoint.as_ref().map(endpoint),
        client_tags: it.tags.iter().map(tag).collect(),
        ..Default::default()
    }
}

fn member(it: &StreamsGroupMemberMetadataValue) -> Member {
    Member {
        rack_id: it.rack_id.as_ref().map(shared),
        client_id: shared(&it.client_id),
        client_host: shared(&it.client_host),
        rebalance_timeout: duration(it.rebalance_timeout_ms),
        topology_epoch: it.topology_epoch,
        process_id: shared(&it.process_id),
        endpoint: it.user_endpoint.as_ref().map(|it| (shared(&it.host), it.port)),
        tags: it.client_tags.iter().map(|it| (shared(&it.key), shared(&it.value))).collect(),
    }
}

fn target_value(it: &Tasks) -> StreamsGroupTargetAssignmentMemberValue {
    let lists = |tasks: &BTreeSet<Task>| {
        let list = |(id, partitions): (&Arc<str>, Vec<i32>)| target_value::TaskIds {
            subtopology_id: (&**id).into(),
            partitions,
            ..Default::default()
        };
        by_subtopology(tasks).into_iter().map(list).collect()
    };
    StreamsGroupTargetAssignmentMemberValue {
        active_tasks: lists(&it.active),
        standby_tasks: lists(&it.standby),
        ..Default::default()
    }
}

fn target(it: &StreamsGroupTargetAssignmentMemberValue) -> Tasks {
    let tasks = |lists: &[target_value::TaskIds]| {
        lists.iter().flat_map(|it| tasks(&it.subtopology_id, &it.partitions)).collect()
    };
    Tasks { active: tasks(&it.active_tasks), standby: tasks(&it.standby_tasks) }
}

fn tasks(subtopology: &Str, partitions: &[i32]) -> impl Iterator<Item = Task> {
    let subtopology = shared(subtopology);
    partitions
        .iter()
        .map(move |partition| Task { subtopology: Arc::clone(&subtopology), partition: *partition })
}

fn current_value(it: &Current) -> StreamsGroupCurrentMemberAssignmentValue {
    StreamsGroupCurrentMemberAssignmentValue {
        member_epoch: it.epoch,
        previous_member_epoch: it.previous_epoch,
        state: match it.state {
            MemberState::Stable => STABLE,
            MemberState::Unrevoked => UNREVOKED,
            MemberState::Unreleased => UNRELEASED,
        },
        active_tasks: active_value(&it.assigned),
        standby_tasks: standby_value(&it.assigned),
        active_tasks_pending_revocation: active_value(&it.revoking),
        standby_tasks_pending_revocation: standby_value(&it.revoking),
        ..Default::default()
    }
}

fn active_value(it: &Held) -> Vec<current_value::TaskIds> {
    let list = |(id, partitions): (&Arc<str>, Vec<i32>)| {
        let task = |partition: &i32| Task { subtopology: Arc::clone(id), partition: *partition };
        let epochs = partitions.iter().filter_map(|p| it.active.get(&task(p)).copied());
        current_value::TaskIds {
            subtopology_id: (&**id).into(),
            assignment_epochs: Some(epochs.collect()),
            partitions,
            ..Default::default()
        }
    };
    by_subtopology(it.active.keys()).into_iter().map(list).collect()
}

fn standby_value(it: &Held) -> Vec<current_value::TaskIds> {
    let list = |(id, partitions): (&Arc<str>, Vec<i32>)| current_value::TaskIds {
        subtopology_id: (&**id).into(),
        partitions,
        ..Default::default()
    };
    by_subtopology(&it.standby).into_iter().map(list).collect()
}

fn current(it: &StreamsGroupCurrentMemberAssignmentValue) -> Result<Current, Unreadable> {
    let held = |active: &[_], standby: &[current_value::TaskIds]| Held {
        active: active.iter().flat_map(|list| active_tasks(list, it.member_epoch)).collect(),
        standby: standby.iter().flat_map(|it| tasks(&it.subtopology_id, &it.partitions)).collect(),
    };
    Ok(Current {
        epoch: it.member_epoch,
        previous_epoch: it.previous_member_epoch,
        state: match it.state {
            STABLE => MemberState::Stable,
            UNREVOKED => MemberState::Unrevoked,
            UNRELEASED => MemberState::Unreleased,
            other => return Err(Unreadable::State(other)),
        },
        assigned: held(&it.active_tasks, &it.standby_tasks),
        revoking: held(&it.active_tasks_pending_revocation, &it.standby_tasks_pending_revocation),
    })
}

/// A record that tells no epochs counts as if the tasks were held since the member's own.
fn active_tasks(
    it: &current_value::TaskIds,
    member_epoch: i32,
) -> impl Iterator<Item = (Task, i32)> {
    let epochs = it.assignment_epochs.as_deref().unwrap_or_default();
    let known = if epochs.len() == it.partitions.len() { epochs } else { &[] };
    let epochs = known.iter().copied().chain(std::iter::repeat(member_epoch.max(0)));
    tasks(&it.subtopology_id, &it.partitions).zip(epochs)
}
