//! StreamsGroupDescribe, v0: streams groups (KIP-1071), their topology, and what each member has
//! and is to have. Offsets of tasks are empty, as in Kafka 4.3.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_coordinator::group::Durable;
use systole_group::streams::{
    self, Described, DescribedMember, InternalTopic, Task, Tasks, by_subtopology,
};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::streams_group_describe_response::{
    Assignment, DescribedGroup, Endpoint, KeyValue, Member, Subtopology, TaskIds, TopicInfo,
    Topology,
};
use systole_wire::message::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};
use systole_wire::{Rejected, Str};

pub(crate) struct StreamsGroupDescribe;

impl Handler for StreamsGroupDescribe {
    type Request = StreamsGroupDescribeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: StreamsGroupDescribeRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let with_operations = request.include_authorized_operations;
        let one = |id: Str| (describe(&call, &id), operations(&call, &id, with_operations), id);
        let described: Vec<_> = request.group_ids.into_iter().map(one).collect();
        async move {
            let mut groups = Vec::new();
            for (described, operations, id) in described {
                let done = match described {
                    Ok((it, durable)) => match durable.await {
                        Ok(()) => Ok(it),
                        Err(code) => Err(Rejected::new(code, "The group is not durable.")),
                    },
                    Err(rejected) => Err(rejected),
                };
                let mut group = done.map_or_else(|it| refused(&call, &it), found);
                group.group_id = id;
                group.authorized_operations = operations;
                groups.push(group);
            }
            Reply::Send(StreamsGroupDescribeResponse { groups, ..Default::default() })
        }
    }
}

fn describe(call: &Call, group_id: &str) -> Result<(Described, Durable), Rejected> {
    call.authorize(Operation::Describe, Resource::group(group_id))?;
    let (described, durable) = call.ctx.groups.describe_streams(group_id)?;
    let topology = described.topology.as_ref();
    let subtopologies = topology.iter().flat_map(|it| it.subtopologies.values());
    let sinks = subtopologies.flat_map(|it| &it.repartition_sinks);
    for name in topology.iter().flat_map(|it| it.required()).chain(sinks) {
        call.authorize(Operation::Describe, Resource::topic(name))?;
    }
    Ok((described, durable))
}

fn operations(call: &Call, group_id: &str, asked: bool) -> i32 {
    let group = Resource::group(group_id);
    if asked && call.may(Operation::Describe, group) { call.granted(group) } else { NOT_ASKED }
}

fn refused(call: &Call, rejected: &Rejected) -> DescribedGroup {
    let (error_code, error_message) = call.error(rejected);
    DescribedGroup { error_code, error_message, ..Default::default() }
}

fn found(it: Described) -> DescribedGroup {
    DescribedGroup {
        group_state: it.state.into(),
        group_epoch: it.epoch,
        assignment_epoch: it.target_epoch,
        topology: it.topology.as_ref().map(topology),
        members: it.members.into_iter().map(member).collect(),
        ..Default::default()
    }
}

fn topology(it: &streams::Topology) -> Topology {
    let subtopologies = it.subtopologies.iter().map(subtopology).collect();
    Topology { epoch: it.epoch, subtopologies: Some(subtopologies), ..Default::default() }
}

/// As in Kafka, lists are in the order of names.
fn subtopology((id, it): (&Arc<str>, &streams::Subtopology)) -> Subtopology {
    let names = |those: &[Arc<str>]| -> Vec<Str> {
        let sorted: BTreeSet<_> = those.iter().collect();
        sorted.into_iter().map(|it| (&**it).into()).collect()
    };
    let topics = |those: &[InternalTopic]| {
        let mut topics: Vec<_> = those.iter().map(topic).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    };
    Subtopology {
        subtopology_id: (&**id).into(),
        source_topics: names(&it.sources),
        repartition_sink_topics: names(&it.repartition_sinks),
        state_changelog_topics: topics(&it.changelogs),
        repartition_source_topics: topics(&it.repartition_sources),
        ..Default::default()
    }
}

fn topic(it: &InternalTopic) -> TopicInfo {
    TopicInfo {
        name: (&*it.name).into(),
        partitions: it.partitions,
        replication_factor: it.replication_factor,
        topic_configs: it.configs.iter().map(|(key, value)| pair(key, value)).collect(),
        ..Default::default()
    }
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.into(), value: value.into(), ..Default::default() }
}

fn member(it: DescribedMember) -> Member {
    let member = it.member;
    let endpoint = |(host, port): (Arc<str>, u16)| Endpoint {
        host: (&*host).into(),
        port,
        ..Default::default()
    };
    Member {
        member_id: (&*it.id).into(),
        member_epoch: it.epoch,
        rack_id: member.rack_id.as_deref().map(Str::from),
        client_id: (&*member.client_id).into(),
        client_host: (&*member.client_host).into(),
        topology_epoch: member.topology_epoch,
        process_id: (&*member.process_id).into(),
        user_endpoint: member.endpoint.map(endpoint),
        client_tags: member.tags.iter().map(|(key, value)| pair(key, value)).collect(),
        assignment: assignment(&it.assigned),
        target_assignment: assignment(&it.target),
        ..Default::default()
    }
}

fn assignment(it: &Tasks) -> Assignment {
    let lists = |tasks: &BTreeSet<Task>| {
        let list = |(id, partitions): (&Arc<str>, Vec<i32>)| TaskIds {
            subtopology_id: (&**id).into(),
            partitions,
            ..Default::default()
        };
        by_subtopology(tasks).into_iter().map(list).collect()
    };
    Assignment {
        active_tasks: lists(&it.active),
        standby_tasks: lists(&it.standby),
        ..Default::default()
    }
}
