//! ConsumerGroupDescribe, v0-1: groups of KIP-848, what each member has and is to have. v1: which
//! protocol a member speaks.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::RangeInclusive;
use systole_coordinator::group::Durable;
use systole_group::consumer::{Described, DescribedMember, Partitions};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::Rejected;
use systole_wire::Str;
use systole_wire::message::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use systole_wire::message::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

/// Kafka's numbers of the protocols.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

pub(crate) struct ConsumerGroupDescribe;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ConsumerGroupDescribeRequest,
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
                let mut group = done.map_or_else(|it| refused(&call, &it), |it| found(&call, it));
                group.group_id = id;
                group.authorized_operations = operations;
                groups.push(group);
            }
            Reply::Send(ConsumerGroupDescribeResponse { groups, ..Default::default() })
        }
    }
}

fn describe(call: &Call, group_id: &str) -> Result<(Described, Durable), Rejected> {
    call.authorize(Operation::Describe, Resource::group(group_id))?;
    let (described, durable) = call.ctx.groups.describe_consumer(group_id)?;
    for member in &described.members {
        for topic in &member.subscription.topics {
            call.authorize(Operation::Describe, Resource::topic(topic))?;
        }
        // A pattern may match topics that nobody named.
        for id in member.assigned.keys().chain(member.target.keys()) {
            if let Some(topic) = call.ctx.topics.by_id(*id) {
                call.authorize(Operation::Describe, Resource::topic(&topic.name))?;
            }
        }
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

fn found(call: &Call, it: Described) -> DescribedGroup {
    DescribedGroup {
        group_state: it.state.into(),
        group_epoch: it.epoch,
        assignment_epoch: it.target_epoch,
        assignor_name: (&*it.assignor).into(),
        members: it.members.into_iter().map(|it| member(call, it)).collect(),
        ..Default::default()
    }
}

fn member(call: &Call, it: DescribedMember) -> Member {
    let text = |it: &Option<std::sync::Arc<str>>| it.as_deref().map(Str::from);
    let subscription = it.subscription;
    Member {
        member_id: (&*it.id).into(),
        instance_id: text(&subscription.instance_id),
        rack_id: text(&subscription.rack_id),
        member_epoch: it.epoch,
        client_id: (&*subscription.client_id).into(),
        client_host: (&*subscription.client_host).into(),
        subscribed_topic_names: subscription.topics.iter().map(|it| (&**it).into()).collect(),
        subscribed_topic_regex: Some((&*subscription.pattern).into()),
        assignment: assignment(call, &it.assigned),
        target_assignment: assignment(call, &it.target),
        member_type: if subscription.classic.is_some() { CLASSIC } else { CONSUMER },
        ..Default::default()
    }
}

/// Topics that are gone have no name and are left out.
fn assignment(call: &Call, it: &Partitions) -> Assignment {
    let topic = |(id, those): (&Uuid, &BTreeSet<i32>)| {
        let found = call.ctx.topics.by_id(*id)?;
        Some(TopicPartitions {
            topic_id: *id,
            topic_name: (&*found.name).into(),
            partitions: those.iter().copied().collect(),
            ..Default::default()
        })
    };
    let topic_partitions = it.iter().filter_map(topic).collect();
    Assignment { topic_partitions, ..Default::default() }
}
