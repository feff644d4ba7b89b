//! DescribeProducers, v0: who wrote to a partition last, and who has a transaction open (KIP-664).

use super::{Call, Handler, Need, Reply, place};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, ResourceType};
use systole_log::{Offset, ProducerState as Known};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use systole_wire::message::{DescribeProducersRequest, DescribeProducersResponse};

pub(crate) struct DescribeProducers;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: DescribeProducersRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let topics = request.topics.into_iter().map(|it| TopicResponse {
            partitions: it.partition_indexes.iter().map(|at| one(&call, &it.name, *at)).collect(),
            name: it.name,
            ..Default::default()
        });
        let topics = topics.collect();
        ready(Reply::Send(DescribeProducersResponse { topics, ..Default::default() }))
    }
}

fn one(call: &Call, name: &Str, index: i32) -> PartitionResponse {
    let found = place::topic_named(call, Operation::Read, name);
    let found = found.and_then(|topic| place::partition(&call.ctx, &topic, index));
    let (code, active_producers) = match found {
        Ok(it) => (ErrorCode::None, it.producers().iter().map(shown).collect()),
        Err(code) => (code, Vec::new()),
    };
    PartitionResponse {
        partition_index: index,
        error_code: call.code(code),
        active_producers,
        ..Default::default()
    }
}

fn shown(it: &Known) -> ProducerState {
    ProducerState {
        producer_id: it.id,
        producer_epoch: it.epoch.into(),
        last_sequence: it.last_sequence.unwrap_or(-1),
        last_timestamp: it.last_append_at.as_millis(),
        coordinator_epoch: it.coordinator_epoch.unwrap_or(-1),
        current_txn_start_offset: it.transaction_start.map_or(-1, Offset::raw),
        ..Default::default()
    }
}
