//! OffsetCommit, v2-10: how far a group has read.
//!
//! The answer comes when the offsets are durable. v2-4: a retention of its own. v10: topics by id
//! (KIP-848). A group that nobody joined takes commits from anyone (generation -1).
//!
//! Ours: when the memory for groups is used up, offsets of further partitions are
//! `INVALID_COMMIT_OFFSET_SIZE`.

use super::{Call, Handler, Need, Reply, place};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_catalogue::Topic;
use systole_coordinator::group::{Accepted, Commit};
use systole_group::classic::Caller;
use systole_group::{Committed, Place, check_metadata};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Timestamp;
use systole_wire::ErrorCode;
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use systole_wire::message::{OffsetCommitRequest, OffsetCommitResponse};

pub(crate) struct OffsetCommit;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 2..=10;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: OffsetCommitRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let checked = Checked::new(&call, &request);
        let begun = checked.begin(&call, &request);
        let Checked { mut response, .. } = checked;
        async move {
            let all = response.topics.iter_mut().flat_map(|it| &mut it.partitions);
            match begun {
                Ok((results, durable)) => {
                    let stored = durable.await;
                    let pending = all.filter(|it| it.error_code == PENDING);
                    for (partition, result) in pending.zip(results) {
                        let code = result.and(stored).err().unwrap_or(ErrorCode::None);
                        partition.error_code = call.code(code);
                    }
                }
                Err(code) => {
                    let error_code = call.code(code);
                    let is_denied = code == ErrorCode::GroupAuthorizationFailed;
                    all.filter(|it| is_denied || it.error_code == PENDING)
                        .for_each(|it| it.error_code = error_code);
                }
            }
            Reply::Send(response)
        }
    }
}

/// Stands in an answer for "as the coordinator says"; no error has this number.
const PENDING: i16 = i16::MIN;

/// A request with what is wrong in it told apart.
struct Checked {
    response: OffsetCommitResponse,
    offsets: Vec<(Place, Committed)>,
}

impl Checked {
    fn new(call: &Call, request: &OffsetCommitRequest) -> Self {
        let now = call.ctx.world.clock.now();
        // Only v2-4 carry a retention; its default is -1.
        let retention = u64::try_from(request.retention_time_ms).ok().map(Duration::from_millis);
        let dates = Dates { now, expires_at: retention.map(|it| now.plus(it)) };
        let mut it = Self { response: OffsetCommitResponse::default(), offsets: Vec::new() };
        for topic in &request.topics {
            it.topic(call, topic, dates);
        }
        it
    }

    fn topic(&mut self, call: &Call, asked: &OffsetCommitRequestTopic, dates: Dates) {
        let topic = if call.version >= 10 {
            place::topic_with_id(call, Operation::Read, asked.topic_id)
        } else {
            place::topic_named(call, Operation::Read, &asked.name)
        };
        let mut partitions = Vec::new();
        for partition in &asked.partitions {
            let checked = match &topic {
                Ok(topic) => self.partition(call, (topic, partition), dates),
                Err(code) => Err(*code),
            };
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: checked.map_or_else(|code| call.code(code), |()| PENDING),
                ..Default::default()
            });
        }
        self.response.topics.push(OffsetCommitResponseTopic {
            name: asked.name.clone(),
            topic_id: asked.topic_id,
            partitions,
            ..Default::default()
        });
    }

    fn partition(
        &mut self,
        call: &Call,
        (topic, asked): (&Arc<Topic>, &OffsetCommitRequestPartition),
        dates: Dates,
    ) -> Result<(), ErrorCode> {
        if !(0..topic.partition_count).contains(&asked.partition_index) {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
        check_metadata(metadata, call.ctx.config.groups.offset_metadata_max)?;
        let place = Place { topic: Arc::clone(&topic.name), partition: asked.partition_index };
        let committed = Committed {
            offset: asked.committed_offset,
            leader_epoch: asked.committed_leader_epoch,
            metadata: metadata.into(),
            at: dates.now,
            expires_at: dates.expires_at,
            topic_id: topic.id,
        };
        self.offsets.push((place, committed));
        Ok(())
    }

    fn begin(&self, call: &Call, request: &OffsetCommitRequest) -> Result<Accepted, ErrorCode> {
        call.authorize(Operation::Read, Resource::group(&request.group_id))?;
        if self.offsets.is_empty() {
            return Ok((Vec::new(), Box::pin(async { Ok(()) })));
        }
        let caller = Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
        };
        let knows_epochs = call.version >= 9;
        let commit = Commit { caller, knows_epochs, offsets: self.offsets.clone() };
        let begun = call.ctx.groups.commit(&request.group_id, commit);
        begun.map_err(|code| match code {
            // Before v9 clients do not know the code.
            ErrorCode::GroupIdNotFound if !knows_epochs => ErrorCode::IllegalGeneration,
            code => code,
        })
    }
}

#[derive(Clone, Copy)]
struct Dates {
    now: Timestamp,
    expires_at: Option<Timestamp>,
}
