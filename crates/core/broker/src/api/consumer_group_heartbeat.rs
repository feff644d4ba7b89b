//! ConsumerGroupHeartbeat, v0-1: joining, staying in and leaving a group of KIP-848.
//!
//! The answer leaves when what it tells is durable. v1: the client makes its member id; topics may
//! be subscribed by a pattern.
//!
//! Ours: the target is made within the heartbeat that asks for it, where Kafka waits up to a second
//! (`group.consumer.assignment.interval.ms`); a pattern is looked up at once, where Kafka does it
//! beside; heartbeats are asked for oftener while partitions move. Texts above 1 KiB and
//! subscriptions above 1 MiB are `INVALID_REQUEST`.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_coordinator::group::{Durable, MEMBER_BYTES_MAX, NAME_BYTES_MAX};
use systole_group::consumer::{Beat, Heartbeat, Partitions};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::Str;
use systole_wire::message::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use systole_wire::message::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use systole_wire::{ErrorCode, Rejected};

const JOINING: i32 = 0;
const LEFT: i32 = -1;
const LEFT_FOR_A_WHILE: i32 = -2;

pub(crate) struct ConsumerGroupHeartbeat;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ConsumerGroupHeartbeatRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let done = match begun {
                Ok((beat, durable)) => match durable.await {
                    Ok(()) => Ok(beat),
                    Err(code) => Err(Rejected::new(code, "The group's records are not durable.")),
                },
                Err(rejected) => Err(rejected),
            };
            Reply::Send(match done {
                Ok(beat) => accepted(beat),
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    ConsumerGroupHeartbeatResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    }
                }
            })
        }
    }
}

fn begin(
    call: &Call,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(Beat, Durable), Rejected> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    for topic in request.subscribed_topic_names.iter().flatten() {
        call.authorize(Operation::Describe, Resource::topic(topic))?;
    }
    check_form(call, request)?;
    check_sizes(call, request)?;
    // A pattern matches what its member may see.
    let sees = |topic: &str| call.may(Operation::Describe, Resource::topic(topic));
    call.ctx.groups.beat(&request.group_id, &heartbeat(call, request), &sees)
}

/// # Source  Kafka's `GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid`
fn check_form(call: &Call, it: &ConsumerGroupHeartbeatRequest) -> Result<(), Rejected> {
    let rule = |holds: bool, text: &str| {
        if holds { Ok(()) } else { Err(Rejected::new(ErrorCode::InvalidRequest, text)) }
    };
    let is_filled = |it: &Option<Str>| it.as_ref().is_none_or(|it| !it.trim().is_empty());
    let has_id = !it.member_id.trim().is_empty();
    let may_lack_id = call.version < 1 && matches!(it.member_epoch, JOINING | LEFT_FOR_A_WHILE);
    rule(has_id || may_lack_id, "MemberId can't be empty.")?;
    rule(!it.group_id.trim().is_empty(), "GroupId can't be empty.")?;
    rule(is_filled(&it.instance_id), "InstanceId can't be empty.")?;
    rule(is_filled(&it.rack_id), "RackId can't be empty.")?;
    match it.member_epoch {
        JOINING => {
            let text = "RebalanceTimeoutMs must be provided in first request.";
            rule(it.rebalance_timeout_ms != -1, text)?;
            let has_nothing = it.topic_partitions.as_ref().is_some_and(Vec::is_empty);
            rule(has_nothing, "TopicPartitions must be empty when (re-)joining.")?;
            let subscribes =
                it.subscribed_topic_names.is_some() || it.subscribed_topic_regex.is_some();
            let text = "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                        (re-)joining.";
            rule(subscribes, text)?;
        }
        LEFT_FOR_A_WHILE => rule(it.instance_id.is_some(), "InstanceId can't be null.")?,
        epoch => rule(epoch >= LEFT, "MemberEpoch is invalid.")?,
    }
    let known = &call.ctx.config.groups.consumer_assignors;
    match &it.server_assignor {
        Some(name) if !known.iter().any(|it| **it == **name) => {
            let names = known.join(", ");
            let text = format!("The server assignor is not supported; these are: {names}.");
            Err(Rejected::new(ErrorCode::UnsupportedAssignor, text))
        }
        _ => Ok(()),
    }
}

/// What a member brings along stays in memory and in the log.
fn check_sizes(call: &Call, it: &ConsumerGroupHeartbeatRequest) -> Result<(), Rejected> {
    let length = |it: &Option<Str>| it.as_ref().map_or(0, |it| it.len());
    let client = length(&call.client_id);
    let names = [it.member_id.len(), client, length(&it.instance_id), length(&it.rack_id)];
    let topics = it.subscribed_topic_names.iter().flatten().map(|it| it.len() + size_of::<Str>());
    let subscription = topics.sum::<usize>() + length(&it.subscribed_topic_regex);
    if names.iter().any(|it| *it > NAME_BYTES_MAX) || subscription > MEMBER_BYTES_MAX {
        return Err(Rejected::new(ErrorCode::InvalidRequest, "A text of the request is too long."));
    }
    Ok(())
}

fn heartbeat(call: &Call, it: &ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let text = |it: &Option<Str>| it.as_deref().map(Arc::from);
    let member_id = if it.member_id.is_empty() {
        call.ctx.world.random.uuid().to_string().into()
    } else {
        Arc::from(&*it.member_id)
    };
    let rebalance = u64::try_from(it.rebalance_timeout_ms).ok().map(Duration::from_millis);
    let names = it.subscribed_topic_names.as_ref();
    let owned = it.topic_partitions.as_ref().map(|those| {
        let mut owned = Partitions::new();
        for it in those {
            owned.entry(it.topic_id).or_default().extend(&it.partitions);
        }
        owned
    });
    Heartbeat {
        member_id,
        epoch: it.member_epoch,
        instance_id: text(&it.instance_id),
        rack_id: text(&it.rack_id),
        client_id: call.client_id.as_deref().unwrap_or_default().into(),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        rebalance_timeout: rebalance,
        topics: names.map(|it| it.iter().map(|it| Arc::from(&**it)).collect()),
        pattern: text(&it.subscribed_topic_regex),
        assignor: text(&it.server_assignor),
        owned,
    }
}

fn accepted(it: Beat) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        member_id: Some((&*it.member_id).into()),
        member_epoch: it.epoch,
        heartbeat_interval_ms: i32::try_from(it.interval.as_millis()).unwrap_or(i32::MAX),
        assignment: it.assignment.map(assignment),
        ..Default::default()
    }
}

fn assignment(it: Partitions) -> Assignment {
    let topic = |(topic_id, those): (_, std::collections::BTreeSet<i32>)| TopicPartitions {
        topic_id,
        partitions: those.into_iter().collect(),
        ..Default::default()
    };
    let topic_partitions = it.into_iter().map(topic).collect();
    Assignment { topic_partitions, ..Default::default() }
}
