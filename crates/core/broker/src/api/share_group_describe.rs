//! ShareGroupDescribe, v1: share groups (KIP-932) and what each member reads.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::RangeInclusive;
use systole_coordinator::group::Durable;
use systole_group::consumer::Partitions;
use systole_group::share::{ASSIGNOR, Described, DescribedMember};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::message::share_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use systole_wire::message::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};
use systole_wire::{ErrorCode, Rejected, Str};

pub(crate) struct ShareGroupDescribe;

impl Handler for ShareGroupDescribe {
    type Request = ShareGroupDescribeRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=1;
    const NEEDS: &'static [Need] =
        &[(Operation::Describe, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ShareGroupDescribeRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let with_operations = request.include_authorized_operations;
        let one = |id: Str| (describe(&call, &id), id);
        let described: Vec<_> = request.group_ids.into_iter().map(one).collect();
        async move {
            let mut groups = Vec::new();
            for (described, id) in described {
                let done = match described {
                    Ok((it, durable)) => match durable.await {
                        Ok(()) => Ok(it),
                        Err(code) => Err(Rejected::new(code, "The group is not durable.")),
                    },
                    Err(rejected) => Err(rejected),
                };
                let group = match done {
                    Ok(it) => DescribedGroup {
                        authorized_operations: operations(&call, &id, with_operations),
                        ..found(&call, it)
                    },
                    Err(rejected) => {
                        let (error_code, error_message) = call.error(&rejected);
                        DescribedGroup { error_code, error_message, ..Default::default() }
                    }
                };
                groups.push(DescribedGroup { group_id: id, ..group });
            }
            Reply::Send(ShareGroupDescribeResponse { groups, ..Default::default() })
        }
    }
}

fn describe(call: &Call, group_id: &str) -> Result<(Described, Durable), Rejected> {
    call.authorize(Operation::Describe, Resource::group(group_id))?;
    if group_id.is_empty() {
        return Err(Rejected::new(ErrorCode::InvalidGroupId, "The group id is empty."));
    }
    let (described, durable) = call.ctx.groups.describe_share(group_id)?;
    for id in described.members.iter().flat_map(|it| it.assigned.keys()) {
        let Some(topic) = call.ctx.topics.by_id(*id) else { continue };
        if call.authorize(Operation::Describe, Resource::topic(&topic.name)).is_err() {
            let text = "The group has described topic(s) that the client is not authorized to \
                        describe.";
            return Err(Rejected::new(ErrorCode::TopicAuthorizationFailed, text));
        }
    }
    Ok((described, durable))
}

fn operations(call: &Call, group_id: &str, asked: bool) -> i32 {
    if asked { call.granted(Resource::group(group_id)) } else { NOT_ASKED }
}

fn found(call: &Call, it: Described) -> DescribedGroup {
    DescribedGroup {
        group_state: it.state.into(),
        group_epoch: it.epoch,
        assignment_epoch: it.target_epoch,
        assignor_name: ASSIGNOR.into(),
        members: it.members.into_iter().map(|it| member(call, it)).collect(),
        ..Default::default()
    }
}

fn member(call: &Call, it: DescribedMember) -> Member {
    let subscription = it.subscription;
    Member {
        member_id: (&*it.id).into(),
        rack_id: subscription.rack_id.as_deref().map(Str::from),
        member_epoch: it.epoch,
        client_id: (&*subscription.client_id).into(),
        client_host: (&*subscription.client_host).into(),
        subscribed_topic_names: subscription.topics.iter().map(|it| (&**it).into()).collect(),
        assignment: assignment(call, &it.assigned),
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
