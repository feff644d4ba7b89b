//! ShareAcknowledge, v1-2: what is to become of the records that a member of a share group got
//! (KIP-932). v2: a member may ask for more time (KIP-1222).
//!
//! The answer leaves when it is durable.

use super::share_ack::{self, Said};
use super::share_group_heartbeat::check_member_id;
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::share_acknowledge_response::{
    PartitionData, ShareAcknowledgeTopicResponse,
};
use systole_wire::message::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use systole_wire::{ErrorCode, Rejected, Str};

pub(crate) struct ShareAcknowledge;

/// The session epoch that ends a session.
const FINAL: i32 = -1;

impl Handler for ShareAcknowledge {
    type Request = ShareAcknowledgeRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ShareAcknowledgeRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, request);
        async move {
            let (begun, group) = match begun {
                Ok(begun) => begun,
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    let error_message = error_message.filter(|it| !it.is_empty());
                    return Reply::Send(ShareAcknowledgeResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    });
                }
            };
            let mut responses: Vec<ShareAcknowledgeTopicResponse> = Vec::new();
            for ((topic_id, partition_index), error_code, error_message) in
                share_ack::finish(&call, begun).await
            {
                let data = PartitionData {
                    partition_index,
                    error_code,
                    error_message,
                    ..Default::default()
                };
                match responses.iter_mut().find(|it| it.topic_id == topic_id) {
                    Some(it) => it.partitions.push(data),
                    None => responses.push(ShareAcknowledgeTopicResponse {
                        topic_id,
                        partitions: vec![data],
                        ..Default::default()
                    }),
                }
            }
            Reply::Send(ShareAcknowledgeResponse {
                acquisition_lock_timeout_ms: lock_ms(&call, &group),
                responses,
                ..Default::default()
            })
        }
    }
}

/// How long a record of the group is a member's.
pub(super) fn lock_ms(call: &Call, group: &str) -> i32 {
    let lock = call.ctx.shares.settings(group).rules.lock;
    i32::try_from(lock.as_millis()).unwrap_or(i32::MAX)
}

/// The group of the request, if the caller may read in it.
pub(super) fn group(call: &Call, id: Option<&Str>, member: Option<&Str>) -> Result<Str, Rejected> {
    let text = "Invalid group id in the request.";
    let group = id.ok_or_else(|| Rejected::new(ErrorCode::InvalidRequest, text))?;
    call.authorize(Operation::Read, Resource::group(group))?;
    check_member_id(member.map_or("", |it| it))?;
    Ok(group.clone())
}

fn begin(
    call: &Call,
    request: ShareAcknowledgeRequest,
) -> Result<(share_ack::Begun, Str), Rejected> {
    let group = group(call, request.group_id.as_ref(), request.member_id.as_ref())?;
    let member = request.member_id.unwrap_or_default();
    let epoch = request.share_session_epoch;
    let stepped = call.ctx.share_sessions.acknowledge(&group, &member, epoch);
    stepped.map_err(|code| Rejected::new(code, ""))?;
    let mut said = Vec::new();
    for topic in request.topics {
        for it in topic.partitions {
            let batches = it.acknowledgement_batches.into_iter();
            let batches = batches.map(|it| (it.first_offset, it.last_offset, it.acknowledge_types));
            let place = (topic.topic_id, it.partition_index);
            said.push(Said { place, batches: batches.collect() });
        }
    }
    let begun = share_ack::begin(call, (&group, &member), request.is_renew_ack, said);
    if epoch == FINAL {
        let ended = call.ctx.share_sessions.end(&group, &member);
        share_ack::take_back(&call.ctx, ended.as_slice());
    }
    Ok((begun, group))
}
