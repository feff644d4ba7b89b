//! ShareGroupHeartbeat, v1: joining, staying in and leaving a share group (KIP-932).
//!
//! The answer leaves when what it tells is durable.
//!
//! Ours: the state of a share partition begins within the heartbeat that first asks for it, and the
//! partition is assigned in its answer; Kafka begins the state beside and assigns with a later
//! heartbeat, two group epochs on. The target is made in the heartbeat that asks for it, where
//! Kafka waits up to a second (`group.share.assignment.interval.ms`). A subscription above 1 MiB is
//! an `INVALID_REQUEST`.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_coordinator::group::{Durable, MEMBER_BYTES_MAX, NAME_BYTES_MAX};
use systole_group::consumer::Partitions;
use systole_group::share::{Beat, Heartbeat};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::share_group_heartbeat_response::{Assignment, TopicPartitions};
use systole_wire::message::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use systole_wire::{ErrorCode, Rejected, Str};

const JOINING: i32 = 0;
const LEFT: i32 = -1;
/// Longest member id, in characters: a UUID as text.
pub(super) const MEMBER_ID_MAX: usize = 36;

pub(crate) struct ShareGroupHeartbeat;

impl Handler for ShareGroupHeartbeat {
    type Request = ShareGroupHeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=1;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Describe, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ShareGroupHeartbeatRequest,
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
            Reply::Send(done.map_or_else(
                |rejected| {
                    let (error_code, error_message) = call.error(&rejected);
                    ShareGroupHeartbeatResponse { error_code, error_message, ..Default::default() }
                },
                accepted,
            ))
        }
    }
}

fn begin(call: &Call, request: &ShareGroupHeartbeatRequest) -> Result<(Beat, Durable), Rejected> {
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    check_member_id(&request.member_id)?;
    for topic in request.subscribed_topic_names.iter().flatten() {
        call.authorize(Operation::Describe, Resource::topic(topic))?;
    }
    check_form(request)?;
    check_sizes(call, request)?;
    call.ctx.groups.beat_share(&request.group_id, &heartbeat(call, request))
}

/// The same for all APIs of share groups.
pub(super) fn check_member_id(id: &str) -> Result<(), Rejected> {
    if id.is_empty() || id.chars().count() > MEMBER_ID_MAX {
        let text = "Invalid member id in the request.";
        return Err(Rejected::new(ErrorCode::InvalidRequest, text));
    }
    Ok(())
}

/// # Source  Kafka's `GroupCoordinatorService.throwIfShareGroupHeartbeatRequestIsInvalid`
fn check_form(it: &ShareGroupHeartbeatRequest) -> Result<(), Rejected> {
    let rule = |holds: bool, text: &str| {
        if holds { Ok(()) } else { Err(Rejected::new(ErrorCode::InvalidRequest, text)) }
    };
    rule(!it.member_id.trim().is_empty(), "MemberId can't be empty.")?;
    rule(!it.group_id.trim().is_empty(), "GroupId can't be empty.")?;
    let rack = it.rack_id.as_ref().is_none_or(|it| !it.trim().is_empty());
    rule(rack, "RackId can't be empty.")?;
    if it.member_epoch == JOINING {
        let subscribes = it.subscribed_topic_names.as_ref().is_some_and(|it| !it.is_empty());
        return rule(subscribes, "SubscribedTopicNames must be set in first request.");
    }
    rule(it.member_epoch >= LEFT, "MemberEpoch is invalid.")
}

/// What a member brings along stays in memory and in the log.
fn check_sizes(call: &Call, it: &ShareGroupHeartbeatRequest) -> Result<(), Rejected> {
    let length = |it: &Option<Str>| it.as_ref().map_or(0, |it| it.len());
    let names = [length(&call.client_id), length(&it.rack_id)];
    let topics = it.subscribed_topic_names.iter().flatten().map(|it| it.len() + size_of::<Str>());
    if names.iter().any(|it| *it > NAME_BYTES_MAX) || topics.sum::<usize>() > MEMBER_BYTES_MAX {
        return Err(Rejected::new(ErrorCode::InvalidRequest, "A text of the request is too long."));
    }
    Ok(())
}

fn heartbeat(call: &Call, it: &ShareGroupHeartbeatRequest) -> Heartbeat {
    let names = it.subscribed_topic_names.as_ref();
    Heartbeat {
        member_id: Arc::from(&*it.member_id),
        epoch: it.member_epoch,
        rack_id: it.rack_id.as_deref().map(Arc::from),
        client_id: call.client_id.as_deref().unwrap_or_default().into(),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        topics: names.map(|it| it.iter().map(|it| Arc::from(&**it)).collect()),
    }
}

fn accepted(it: Beat) -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse {
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
