//! WriteTxnMarkers, v1-2: ends what a producer has open in some partitions, past the coordinator.
//! Kafka's brokers send it to each other; here only administrators do (`kafka-transactions abort`).
//!
//! Ours: a marker that ends what is ended already is not written once more, neither by this nor
//! later by the coordinator. v1 does not say which transaction protocol it is of, and is taken for
//! version 1.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_log::{Marker, Ticket};
use systole_transaction::{Outcome, Place};
use systole_wire::ErrorCode;
use systole_wire::message::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use systole_wire::message::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use systole_wire::message::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

pub(crate) struct WriteTxnMarkers;

impl Handler for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;
    const NEEDS: &'static [Need] = &[
        (Operation::Alter, ResourceType::Cluster),
        (Operation::ClusterAction, ResourceType::Cluster),
    ];

    fn handle(
        call: Call,
        request: WriteTxnMarkersRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut ticket = Ticket::NONE;
        let marked = request.markers.iter().map(|it| mark(&call, it, &mut ticket));
        let mut markers: Vec<_> = marked.collect();
        async move {
            if call.ctx.log.done(ticket).await.is_err() {
                let code = call.code(ErrorCode::KafkaStorageError);
                let topics = markers.iter_mut().flat_map(|it| &mut it.topics);
                let all = topics.flat_map(|it| &mut it.partitions);
                all.filter(|it| it.error_code == 0).for_each(|it| it.error_code = code);
            }
            Reply::Send(WriteTxnMarkersResponse { markers, ..Default::default() })
        }
    }
}

fn mark(call: &Call, asked: &WritableTxnMarker, ticket: &mut Ticket) -> WritableTxnMarkerResult {
    let is_commit = asked.transaction_result;
    let marker = Marker {
        producer_id: asked.producer_id,
        producer_epoch: asked.producer_epoch,
        outcome: if is_commit { Outcome::Commit } else { Outcome::Abort },
        coordinator_epoch: asked.coordinator_epoch,
        transaction_version: asked.transaction_version.into(),
    };
    let may_alter = call.may(Operation::Alter, Resource::CLUSTER);
    let may = if may_alter {
        Ok(())
    } else {
        call.authorize(Operation::ClusterAction, Resource::CLUSTER)
    };
    let mut partition = |topic: &str, index: i32| {
        let place = Place { topic: topic.into(), partition: index };
        let written = may.map_err(ErrorCode::from);
        let written = written.and_then(|()| call.ctx.transactions.mark(&place, marker));
        let code = match written {
            Ok(more) => {
                *ticket = ticket.and(more);
                ErrorCode::None
            }
            Err(code) => code,
        };
        WritableTxnMarkerPartitionResult {
            partition_index: index,
            error_code: call.code(code),
            ..Default::default()
        }
    };
    let topic = |it: &WritableTxnMarkerTopic| WritableTxnMarkerTopicResult {
        name: it.name.clone(),
        partitions: it.partition_indexes.iter().map(|at| partition(&it.name, *at)).collect(),
        ..Default::default()
    };
    WritableTxnMarkerResult {
        producer_id: asked.producer_id,
        topics: asked.topics.iter().map(topic).collect(),
        ..Default::default()
    }
}
