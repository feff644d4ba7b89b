//! One question of every API about the topic `t`, the group `g` and the cluster, and the code that
//! answers it. An API without a question here fails the tests that walk the table.

use crate::frames::api_versions;
use crate::harness::Client;
use crate::records::batch;
use std::collections::BTreeMap;
use systole_wire::message::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use systole_wire::message::create_acls_request::AclCreation;
use systole_wire::message::create_partitions_request::CreatePartitionsTopic;
use systole_wire::message::create_topics_request::CreatableTopic;
use systole_wire::message::delete_acls_request::DeleteAclsFilter;
use systole_wire::message::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use systole_wire::message::delete_topics_request::DeleteTopicState;
use systole_wire::message::describe_configs_request::DescribeConfigsResource;
use systole_wire::message::describe_topic_partitions_request::TopicRequest;
use systole_wire::message::fetch_request::{FetchPartition, FetchTopic};
use systole_wire::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use systole_wire::message::metadata_request::MetadataRequestTopic;
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::offset_fetch_request::OffsetFetchRequestGroup;
use systole_wire::message::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::*;

/// The answers so far, by API key.
pub(crate) struct Questions {
    client: Client,
    pub(crate) codes: BTreeMap<i16, i16>,
    /// Not asked.
    pub(crate) skipped: Vec<i16>,
}

impl Questions {
    pub(crate) fn to(client: Client) -> Self {
        Self { client, codes: BTreeMap::new(), skipped: Vec::new() }
    }

    pub(crate) async fn ask_all(&mut self) {
        self.about_records().await;
        self.about_groups().await;
        self.about_offsets().await;
        self.about_transactions().await;
        self.about_topics().await;
        self.about_configs().await;
        self.about_the_cluster().await;
        self.about_security().await;
    }

    async fn ask<R: Request>(
        &mut self,
        version: i16,
        request: R,
        code: impl FnOnce(R::Response) -> i16,
    ) {
        if self.skipped.contains(&R::KEY) {
            return;
        }
        let response = self.client.call(version, request).await;
        self.codes.insert(R::KEY, code(response));
    }

    async fn about_records(&mut self) {
        let records = Some(batch(&["x"]));
        let partition_data = vec![PartitionProduceData { index: 0, records, ..Default::default() }];
        let topic_data =
            vec![TopicProduceData { name: "t".into(), partition_data, ..Default::default() }];
        let request = ProduceRequest { acks: -1, topic_data, ..Default::default() };
        self.ask(9, request, |it| it.responses[0].partition_responses[0].error_code).await;
        let partitions = vec![FetchPartition { partition: 0, ..Default::default() }];
        let topics = vec![FetchTopic { topic: "t".into(), partitions, ..Default::default() }];
        let request = FetchRequest { topics, session_epoch: -1, ..Default::default() };
        self.ask(12, request, |it| it.responses[0].partitions[0].error_code).await;
        let partitions = vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: "t".into(), partitions, ..Default::default() }];
        let request = ListOffsetsRequest { topics, ..Default::default() };
        self.ask(7, request, |it| it.topics[0].partitions[0].error_code).await;
        let partitions = vec![OffsetForLeaderPartition::default()];
        let topics =
            vec![OffsetForLeaderTopic { topic: "t".into(), partitions, ..Default::default() }];
        let request = OffsetForLeaderEpochRequest { topics, ..Default::default() };
        self.ask(4, request, |it| it.topics[0].partitions[0].error_code).await;
        let partitions = vec![DeleteRecordsPartition { offset: 0, ..Default::default() }];
        let topics =
            vec![DeleteRecordsTopic { name: "t".into(), partitions, ..Default::default() }];
        let request = DeleteRecordsRequest { topics, ..Default::default() };
        self.ask(2, request, |it| it.topics[0].partitions[0].error_code).await;
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        self.ask(4, request, |it| it.error_code).await;
    }

    async fn about_groups(&mut self) {
        let coordinator_keys = vec!["g".into()];
        let request = FindCoordinatorRequest { coordinator_keys, ..Default::default() };
        self.ask(4, request, |it| it.coordinators[0].error_code).await;
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: 30_000,
            ..Default::default()
        };
        self.ask(5, request, |it| it.error_code).await;
        let request = SyncGroupRequest { group_id: "g".into(), ..Default::default() };
        self.ask(3, request, |it| it.error_code).await;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            subscribed_topic_names: Some(vec!["t".into()]),
            ..Default::default()
        };
        self.ask(1, request, |it| it.error_code).await;
        let request =
            ConsumerGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        self.ask(1, request, |it| it.groups[0].error_code).await;
        let request = ShareGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            subscribed_topic_names: Some(vec!["t".into()]),
            ..Default::default()
        };
        self.ask(1, request, |it| it.error_code).await;
        let request =
            ShareGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        self.ask(1, request, |it| it.groups[0].error_code).await;
        let request = ShareFetchRequest {
            group_id: Some("g".into()),
            member_id: Some("m".into()),
            ..Default::default()
        };
        self.ask(1, request, |it| it.error_code).await;
        let request = ShareAcknowledgeRequest {
            group_id: Some("g".into()),
            member_id: Some("m".into()),
            ..Default::default()
        };
        self.ask(1, request, |it| it.error_code).await;
        let asked = describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup {
            group_id: "g".into(),
            ..Default::default()
        };
        let request =
            DescribeShareGroupOffsetsRequest { groups: vec![asked], ..Default::default() };
        self.ask(1, request, |it| it.groups[0].error_code).await;
        let request = AlterShareGroupOffsetsRequest { group_id: "g".into(), ..Default::default() };
        self.ask(0, request, |it| it.error_code).await;
        let request = DeleteShareGroupOffsetsRequest { group_id: "g".into(), ..Default::default() };
        self.ask(0, request, |it| it.error_code).await;
        self.about_streams_groups().await;
        let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
        self.ask(4, request, |it| it.error_code).await;
        let request = LeaveGroupRequest { group_id: "g".into(), ..Default::default() };
        self.ask(2, request, |it| it.error_code).await;
        let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
        self.ask(5, request, |it| it.groups[0].error_code).await;
        self.ask(4, ListGroupsRequest::default(), |it| it.error_code).await;
        let request = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
        self.ask(2, request, |it| it.results[0].error_code).await;
    }

    async fn about_streams_groups(&mut self) {
        let topology = streams_group_heartbeat_request::Topology {
            subtopologies: vec![streams_group_heartbeat_request::Subtopology {
                subtopology_id: "0".into(),
                source_topics: vec!["t".into()],
                ..Default::default()
            }],
            ..Default::default()
        };
        let request = StreamsGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            topology: Some(topology),
            ..Default::default()
        };
        self.ask(0, request, |it| it.error_code).await;
        let request =
            StreamsGroupDescribeRequest { group_ids: vec!["g".into()], ..Default::default() };
        self.ask(0, request, |it| it.groups[0].error_code).await;
    }

    async fn about_offsets(&mut self) {
        let partitions = vec![OffsetCommitRequestPartition::default()];
        let topics =
            vec![OffsetCommitRequestTopic { name: "t".into(), partitions, ..Default::default() }];
        let group_id = "g".into();
        let request = OffsetCommitRequest { group_id, topics, ..Default::default() };
        self.ask(8, request, |it| it.topics[0].partitions[0].error_code).await;
        let groups = vec![OffsetFetchRequestGroup { group_id: "g".into(), ..Default::default() }];
        let request = OffsetFetchRequest { groups, ..Default::default() };
        self.ask(8, request, |it| it.groups[0].error_code).await;
        let request = OffsetDeleteRequest { group_id: "g".into(), ..Default::default() };
        self.ask(0, request, |it| it.error_code).await;
    }

    async fn about_transactions(&mut self) {
        let id = || systole_wire::Str::from("x");
        let topics = vec![add_partitions_to_txn_request::AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0],
            ..Default::default()
        }];
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id(),
            v3_and_below_topics: topics,
            ..Default::default()
        };
        let code = |it: AddPartitionsToTxnResponse| {
            it.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        };
        self.ask(3, request, code).await;
        let (transactional_id, group_id) = (id(), "g".into());
        let request = AddOffsetsToTxnRequest { transactional_id, group_id, ..Default::default() };
        self.ask(3, request, |it| it.error_code).await;
        let request = EndTxnRequest { transactional_id: id(), ..Default::default() };
        self.ask(3, request, |it| it.error_code).await;
        let topics = vec![write_txn_markers_request::WritableTxnMarkerTopic {
            name: "t".into(),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let markers =
            vec![write_txn_markers_request::WritableTxnMarker { topics, ..Default::default() }];
        let request = WriteTxnMarkersRequest { markers, ..Default::default() };
        self.ask(1, request, |it| it.markers[0].topics[0].partitions[0].error_code).await;
        let partitions =
            vec![txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()];
        let topics = vec![txn_offset_commit_request::TxnOffsetCommitRequestTopic {
            name: "t".into(),
            partitions,
            ..Default::default()
        }];
        let request = TxnOffsetCommitRequest {
            transactional_id: id(),
            group_id: "g".into(),
            topics,
            ..Default::default()
        };
        self.ask(3, request, |it| it.topics[0].partitions[0].error_code).await;
        let transactional_ids = vec![id()];
        let request = DescribeTransactionsRequest { transactional_ids, ..Default::default() };
        self.ask(0, request, |it| it.transaction_states[0].error_code).await;
        self.ask(1, ListTransactionsRequest::default(), |it| it.error_code).await;
        let topics = vec![describe_producers_request::TopicRequest {
            name: "t".into(),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let request = DescribeProducersRequest { topics, ..Default::default() };
        self.ask(0, request, |it| it.topics[0].partitions[0].error_code).await;
    }

    async fn about_topics(&mut self) {
        let topics = vec![MetadataRequestTopic { name: Some("t".into()), ..Default::default() }];
        let request = MetadataRequest { topics: Some(topics), ..Default::default() };
        self.ask(9, request, |it| it.topics[0].error_code).await;
        let request = DescribeTopicPartitionsRequest {
            topics: vec![TopicRequest { name: "t".into(), ..Default::default() }],
            cursor: None,
            ..Default::default()
        };
        self.ask(0, request, |it| it.topics[0].error_code).await;
        let topics = vec![CreatableTopic {
            name: "new".into(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }];
        let request = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
        self.ask(7, request, |it| it.topics[0].error_code).await;
        let topics = vec![CreatePartitionsTopic {
            name: "t".into(),
            count: 2,
            assignments: None,
            ..Default::default()
        }];
        let request = CreatePartitionsRequest { topics, validate_only: true, ..Default::default() };
        self.ask(3, request, |it| it.results[0].error_code).await;
        // Asked twice: allowed or not, it stays.
        let state = || DeleteTopicState { name: Some("absent".into()), ..Default::default() };
        let request =
            DeleteTopicsRequest { topics: vec![state()], timeout_ms: 30_000, ..Default::default() };
        self.ask(6, request, |it| it.responses[0].error_code).await;
    }

    async fn about_configs(&mut self) {
        let (resource_type, resource_name) = (2, systole_wire::Str::from("t"));
        let resources = vec![DescribeConfigsResource {
            resource_type,
            resource_name: resource_name.clone(),
            configuration_keys: None,
            ..Default::default()
        }];
        let request = DescribeConfigsRequest { resources, ..Default::default() };
        self.ask(4, request, |it| it.results[0].error_code).await;
        let resources = vec![alter_configs_request::AlterConfigsResource {
            resource_type,
            resource_name: resource_name.clone(),
            ..Default::default()
        }];
        let request = AlterConfigsRequest { resources, ..Default::default() };
        self.ask(2, request, |it| it.responses[0].error_code).await;
        let resources = vec![incremental_alter_configs_request::AlterConfigsResource {
            resource_type,
            resource_name,
            ..Default::default()
        }];
        let request = IncrementalAlterConfigsRequest { resources, ..Default::default() };
        self.ask(1, request, |it| it.responses[0].error_code).await;
        self.ask(1, ListConfigResourcesRequest::default(), |it| it.error_code).await;
    }

    async fn about_the_cluster(&mut self) {
        self.ask(4, api_versions(), |it| it.error_code).await;
        let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
        self.ask(1, request, |it| it.error_code).await;
        let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
        self.ask(4, request, |it| it.error_code).await;
        let request = ElectLeadersRequest { topic_partitions: None, ..Default::default() };
        self.ask(2, request, |it| it.error_code).await;
        self.ask(0, AlterPartitionReassignmentsRequest::default(), |it| it.error_code).await;
        let request = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
        self.ask(0, request, |it| it.error_code).await;
    }

    async fn about_security(&mut self) {
        let request = DescribeAclsRequest {
            resource_type_filter: 1,
            pattern_type_filter: 1,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        };
        self.ask(3, request, |it| it.error_code).await;
        let creations = vec![AclCreation {
            resource_type: 4,
            resource_name: "no cluster".into(),
            principal: "User:x".into(),
            host: "*".into(),
            operation: 8,
            permission_type: 3,
            ..Default::default()
        }];
        let request = CreateAclsRequest { creations, ..Default::default() };
        self.ask(3, request, |it| it.results[0].error_code).await;
        let filters = vec![DeleteAclsFilter {
            resource_type_filter: 5,
            resource_name_filter: Some("none".into()),
            principal_filter: None,
            host_filter: None,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        }];
        let request = DeleteAclsRequest { filters, ..Default::default() };
        self.ask(3, request, |it| it.filter_results[0].error_code).await;
        let request = DescribeClientQuotasRequest::default();
        self.ask(1, request, |it| it.error_code).await;
        let entries = vec![alter_client_quotas_request::EntryData::default()];
        let request = AlterClientQuotasRequest { entries, ..Default::default() };
        self.ask(1, request, |it| it.entries[0].error_code).await;
        let request = DescribeUserScramCredentialsRequest { users: None, ..Default::default() };
        self.ask(0, request, |it| it.error_code).await;
        let upsertions = vec![ScramCredentialUpsertion { mechanism: 1, ..Default::default() }];
        let request = AlterUserScramCredentialsRequest { upsertions, ..Default::default() };
        self.ask(0, request, |it| it.results[0].error_code).await;
        self.ask(1, SaslHandshakeRequest::default(), |it| it.error_code).await;
        self.ask(2, SaslAuthenticateRequest::default(), |it| it.error_code).await;
        self.ask(3, CreateDelegationTokenRequest::default(), |it| it.error_code).await;
        self.ask(2, RenewDelegationTokenRequest::default(), |it| it.error_code).await;
        self.ask(2, ExpireDelegationTokenRequest::default(), |it| it.error_code).await;
        self.ask(3, DescribeDelegationTokenRequest::default(), |it| it.error_code).await;
    }
}
