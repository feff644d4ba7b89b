//! ElectLeaders, v0-2: there is nothing to elect, every partition is led by its one replica.
//!
//! As Kafka does, a request for all partitions names none whose leader stays.

use super::{Call, Handler, Need, Reply};
use crate::access::Denied;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_catalogue::unknown;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::elect_leaders_request::TopicPartitions;
use systole_wire::message::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use systole_wire::message::{ElectLeadersRequest, ElectLeadersResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct ElectLeaders;

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: ElectLeadersRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let asked = request.topic_partitions.into_iter().flatten();
        let denied = call.authorize(Operation::Alter, Resource::CLUSTER).err();
        let results = asked.map(|it| elect(&call, it, denied)).collect();
        ready(Reply::Send(ElectLeadersResponse {
            error_code: denied.map_or(ErrorCode::None.number(), |it| call.code(it.into())),
            replica_election_results: results,
            ..Default::default()
        }))
    }
}

fn elect(call: &Call, asked: TopicPartitions, denied: Option<Denied>) -> ReplicaElectionResult {
    let topic = call.ctx.topics.by_name(&asked.topic);
    let result = |partition_id| {
        let found = topic.as_ref().and_then(|it| it.partition(partition_id));
        let rejected = match (denied, found) {
            (Some(denied), _) => denied.into(),
            (None, None) => unknown(&asked.topic),
            (None, Some(_)) => Rejected::new(
                ErrorCode::ElectionNotNeeded,
                "Leader election not needed for topic partition.",
            ),
        };
        let (error_code, error_message) = call.error(&rejected);
        PartitionResult { partition_id, error_code, error_message, ..Default::default() }
    };
    let partition_result = asked.partitions.iter().map(|it| result(*it)).collect();
    ReplicaElectionResult { topic: asked.topic, partition_result, ..Default::default() }
}
