//! AddPartitionsToTxn, v0-5: partitions enter a transaction. v4+: many transactions in one request,
//! and the question whether partitions are in one (`verify_only`); Kafka's brokers send these to
//! each other.
//!
//! As in Kafka, one partition that does not exist keeps all of its transaction's partitions out:
//! the others are OPERATION_NOT_ATTEMPTED.
//! Ours: the answer does not wait for the disk. If the record is lost, so is the transaction.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::{Place, Producer, Version};
use systole_wire::ErrorCode;
use systole_wire::message::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use systole_wire::message::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use systole_wire::message::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

pub(crate) struct AddPartitionsToTxn;

/// From this version on, clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;
const MANY_FROM_VERSION: i16 = 4;

impl Handler for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::TransactionalId),
        (Operation::Write, ResourceType::Topic),
        (Operation::ClusterAction, ResourceType::Cluster),
    ];

    fn handle(
        call: Call,
        request: AddPartitionsToTxnRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut response = AddPartitionsToTxnResponse::default();
        if call.version >= MANY_FROM_VERSION
            && let Err(denied) = call.authorize(Operation::ClusterAction, Resource::CLUSTER)
        {
            response.error_code = call.code(denied.into());
        } else if call.version >= MANY_FROM_VERSION {
            response.results_by_transaction = request
                .transactions
                .iter()
                .map(|it| AddPartitionsToTxnResult {
                    transactional_id: it.transactional_id.clone(),
                    topic_results: one(&call, it),
                    ..Default::default()
                })
                .collect();
        } else {
            let only = AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                topics: request.v3_and_below_topics,
                ..Default::default()
            };
            response.results_by_topic_v3_and_below = one(&call, &only);
        }
        ready(Reply::Send(response))
    }
}

fn one(call: &Call, asked: &AddPartitionsToTxnTransaction) -> Vec<AddPartitionsToTxnTopicResult> {
    let is_client = call.version < MANY_FROM_VERSION;
    let id = Resource::transactional_id(&asked.transactional_id);
    if is_client && let Err(denied) = call.authorize(Operation::Write, id) {
        return answer(call, &asked.topics, |_| denied.into());
    }
    if asked.transactional_id.is_empty() {
        return answer(call, &asked.topics, |_| ErrorCode::InvalidRequest);
    }
    let wrong = |it: &Place| {
        if is_client
            && let Err(denied) = call.authorize(Operation::Write, Resource::topic(&it.topic))
        {
            return Some(denied.into());
        }
        let topic = call.ctx.topics.by_name(&it.topic);
        let is_there = topic.is_some_and(|topic| topic.partition(it.partition).is_some());
        (!is_there).then_some(ErrorCode::UnknownTopicOrPartition)
    };
    let places: Vec<_> = asked.topics.iter().flat_map(places).collect();
    if places.iter().any(|it| wrong(it).is_some()) {
        let code = |it: &Place| wrong(it).unwrap_or(ErrorCode::OperationNotAttempted);
        return answer(call, &asked.topics, code);
    }
    let from = Producer { id: asked.producer_id, epoch: asked.producer_epoch };
    let is_bumping = call.version >= MANY_FROM_VERSION;
    let version = if is_bumping { Version::Two } else { Version::One };
    let told = call.ctx.transactions.write(&asked.transactional_id, |writer| {
        if asked.verify_only {
            let verify = |it: &Place| told(call, writer.verify(from, it).err());
            answer(call, &asked.topics, verify)
        } else {
            let code = told(call, writer.add(from, &places, version).err());
            answer(call, &asked.topics, |_| code)
        }
    });
    told.unwrap_or_else(|code| answer(call, &asked.topics, |_| code))
}

fn told(call: &Call, refused: Option<ErrorCode>) -> ErrorCode {
    match refused.unwrap_or(ErrorCode::None) {
        ErrorCode::ProducerFenced if call.version < FENCED_FROM_VERSION => {
            ErrorCode::InvalidProducerEpoch
        }
        code => code,
    }
}

fn places(topic: &AddPartitionsToTxnTopic) -> impl Iterator<Item = Place> {
    let name: std::sync::Arc<str> = (&*topic.name).into();
    topic.partitions.iter().map(move |it| Place { topic: name.clone(), partition: *it })
}

fn answer(
    call: &Call,
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&Place) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let partition = |it: Place| AddPartitionsToTxnPartitionResult {
        partition_index: it.partition,
        partition_error_code: call.code(code(&it)),
        ..Default::default()
    };
    let topic = |it: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: it.name.clone(),
        results_by_partition: places(it).map(partition).collect(),
        ..Default::default()
    };
    topics.iter().map(topic).collect()
}
