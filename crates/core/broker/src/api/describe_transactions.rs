//! DescribeTransactions, v0: what transactional ids are doing (KIP-664).

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_coordinator::transaction::Described;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::describe_transactions_response::{TopicData, TransactionState};
use systole_wire::message::{DescribeTransactionsRequest, DescribeTransactionsResponse};

pub(crate) struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::TransactionalId)];

    fn handle(
        call: Call,
        request: DescribeTransactionsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let describe = |id: Str| {
            let told = match find(&call, &id) {
                Ok(it) => shown(&it),
                Err(code) => TransactionState { error_code: call.code(code), ..Default::default() },
            };
            TransactionState { transactional_id: id, ..told }
        };
        let transaction_states = request.transactional_ids.into_iter().map(describe).collect();
        ready(Reply::Send(DescribeTransactionsResponse {
            transaction_states,
            ..Default::default()
        }))
    }
}

fn find(call: &Call, id: &str) -> Result<Described, ErrorCode> {
    call.authorize(Operation::Describe, Resource::transactional_id(id))?;
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    call.ctx.transactions.describe(id).ok_or(ErrorCode::TransactionalIdNotFound)
}

fn shown(it: &Described) -> TransactionState {
    let mut topics: Vec<TopicData> = Vec::new();
    for place in &it.places {
        match topics.last_mut().filter(|last| *last.topic == *place.topic) {
            Some(last) => last.partitions.push(place.partition),
            None => topics.push(TopicData {
                topic: (&*place.topic).into(),
                partitions: vec![place.partition],
                ..Default::default()
            }),
        }
    }
    TransactionState {
        transaction_state: it.state.name().into(),
        transaction_timeout_ms: it.timeout_ms,
        transaction_start_time_ms: it.started_at_ms,
        producer_id: it.producer.id,
        producer_epoch: it.producer.epoch,
        topics,
        ..Default::default()
    }
}
