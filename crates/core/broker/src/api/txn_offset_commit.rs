//! TxnOffsetCommit, v0-5: offsets that count when the transaction is committed. v3+: by a member of
//! the group (KIP-447). v5: the offsets enter the transaction with this request (KIP-890); before,
//! AddOffsetsToTxn comes first.
//!
//! Ours: the answer does not wait for the disk. If the offsets are lost, the transaction cannot be
//! committed. A member of a consumer group that is late with its epoch for one partition commits
//! none. When the memory for groups is used up, the answer is INVALID_COMMIT_OFFSET_SIZE.

use super::{Call, Handler, Need, Reply, place};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_coordinator::transaction::Writer;
use systole_group::classic::Caller;
use systole_group::{Committed, Place, check_metadata};
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::{Producer, Version};
use systole_wire::ErrorCode;
use systole_wire::message::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use systole_wire::message::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use systole_wire::message::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

pub(crate) struct TxnOffsetCommit;

/// From this version on, clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM_VERSION: i16 = 4;
const ADDS_FROM_VERSION: i16 = 5;
/// Stands in an answer for "as the coordinators say"; no error has this number.
const PENDING: i16 = i16::MIN;

impl Handler for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::TransactionalId),
        (Operation::Read, ResourceType::Group),
        (Operation::Read, ResourceType::Topic),
    ];

    fn handle(
        call: Call,
        request: TxnOffsetCommitRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut offsets = Vec::new();
        let topics = request.topics.iter().map(|it| topic(&call, it, &mut offsets));
        let mut response =
            TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() };
        let committed = commit(&call, &request, offsets);
        let code = call.code(told(&call, committed.err().unwrap_or(ErrorCode::None)));
        let is_denied = code == ErrorCode::TransactionalIdAuthorizationFailed.number()
            || code == ErrorCode::GroupAuthorizationFailed.number();
        let all = response.topics.iter_mut().flat_map(|it| &mut it.partitions);
        all.filter(|it| is_denied || it.error_code == PENDING).for_each(|it| it.error_code = code);
        ready(Reply::Send(response))
    }
}

fn topic(
    call: &Call,
    asked: &TxnOffsetCommitRequestTopic,
    offsets: &mut Vec<(Place, Committed)>,
) -> TxnOffsetCommitResponseTopic {
    let one = |it: &TxnOffsetCommitRequestPartition| {
        let checked = check(call, &asked.name, it).map(|it| offsets.push(it));
        TxnOffsetCommitResponsePartition {
            partition_index: it.partition_index,
            error_code: checked.map_or_else(|code| call.code(code), |()| PENDING),
            ..Default::default()
        }
    };
    TxnOffsetCommitResponseTopic {
        name: asked.name.clone(),
        partitions: asked.partitions.iter().map(one).collect(),
        ..Default::default()
    }
}

fn check(
    call: &Call,
    topic: &str,
    asked: &TxnOffsetCommitRequestPartition,
) -> Result<(Place, Committed), ErrorCode> {
    let topic = place::topic_named(call, Operation::Read, topic)?;
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
        at: call.ctx.world.clock.now(),
        expires_at: None,
        topic_id: topic.id,
    };
    Ok((place, committed))
}

fn commit(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<(Place, Committed)>,
) -> Result<(), ErrorCode> {
    let id = &request.transactional_id;
    call.authorize(Operation::Write, Resource::transactional_id(id))?;
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    if offsets.is_empty() {
        return Ok(());
    }
    let write = |writer: &mut Writer<'_>| write(call, request, writer, offsets);
    call.ctx.transactions.write(id, write)?
}

fn write(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    writer: &mut Writer<'_>,
    offsets: Vec<(Place, Committed)>,
) -> Result<(), ErrorCode> {
    let from = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let place = call.ctx.groups.place_of(&request.group_id);
    if call.version >= ADDS_FROM_VERSION {
        writer.add(from, &[place], Version::Two)?;
    } else {
        writer.verify(from, &place)?;
    }
    let caller = Caller {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id,
    };
    let producer = (from.id, from.epoch);
    let groups = &call.ctx.groups;
    let ticket = groups.commit_in_transaction(&request.group_id, caller, producer, offsets)?;
    writer.wrote(ticket);
    Ok(())
}

fn told(call: &Call, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if call.version < ABORTABLE_FROM_VERSION => {
            ErrorCode::InvalidTxnState
        }
        code => code,
    }
}
