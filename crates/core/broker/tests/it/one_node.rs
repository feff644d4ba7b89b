//! What one node says about a cluster of one.

use crate::harness::Harness;
use crate::topics::{create, topic};
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::message::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use systole_wire::message::describe_topic_partitions_request::{Cursor, TopicRequest};
use systole_wire::message::elect_leaders_request::TopicPartitions;
use systole_wire::message::{
    AlterPartitionReassignmentsRequest, DescribeClusterRequest, DescribeLogDirsRequest,
    DescribeTopicPartitionsRequest, ElectLeadersRequest, FindCoordinatorRequest,
    ListConfigResourcesRequest, ListPartitionReassignmentsRequest,
};

#[tokio::test]
async fn the_cluster_is_this_node() {
    let harness =
        Harness::start_with(|it| it.advertised = Some("broker.example:19092".into())).await;
    let mut client = harness.client().await;
    for version in 0..=2 {
        let response = client.call(version, DescribeClusterRequest::default()).await;
        let broker = &response.brokers[0];
        assert_eq!((broker.broker_id, &*broker.host, broker.port), (1, "broker.example", 19092));
        assert_eq!((response.controller_id, response.cluster_id.len()), (1, 22));
    }
    for (endpoint_type, code) in [(2, 114), (9, 115)] {
        let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
        assert_eq!(client.call(2, request).await.error_code, code);
    }
}

#[tokio::test]
async fn every_coordinator_is_this_node() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    for version in 0..=6 {
        let mut request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.coordinator_keys = vec!["g".into(), "h".into()];
        } else {
            request.key = "g".into();
        }
        let response = client.call(version, request).await;
        let (node, count) = match response.coordinators.first() {
            Some(it) => (it.node_id, response.coordinators.len()),
            None => (response.node_id, 2),
        };
        assert_eq!((node, count), (1, 2), "v{version}");
    }
    let keys = vec!["g:t:0".into()];
    let request =
        FindCoordinatorRequest { key_type: 2, coordinator_keys: keys, ..Default::default() };
    assert_eq!(client.call(6, request).await.coordinators[0].error_code, 42);
}

#[tokio::test]
async fn topics_are_described_page_by_page() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("a", 3), topic("b", 2), topic("c", 2)]).await;
    let mut seen = String::new();
    let mut cursor = None;
    loop {
        let request = DescribeTopicPartitionsRequest {
            response_partition_limit: 4,
            cursor: cursor.take(),
            ..Default::default()
        };
        let response = client.call(0, request).await;
        for it in &response.topics {
            let indexes: Vec<_> = it.partitions.iter().map(|it| it.partition_index).collect();
            let name = it.name.as_deref().unwrap_or("?");
            writeln!(seen, "{name} {indexes:?}").unwrap();
        }
        let Some(next) = response.next_cursor else { break };
        writeln!(seen, "-> {} {}", &*next.topic_name, next.partition_index).unwrap();
        let (topic_name, partition_index) = (next.topic_name, next.partition_index);
        cursor = Some(Cursor { topic_name, partition_index, ..Default::default() });
    }
    expect![[r"
        a [0, 1, 2]
        b [0]
        -> b 1
        b [1]
        c [0, 1]
    "]]
    .assert_eq(&seen);
    let names = ["absent", "not a name"];
    let named = |it: &&str| TopicRequest { name: (*it).into(), ..Default::default() };
    let topics = names.iter().map(named).collect();
    let request = DescribeTopicPartitionsRequest { topics, ..Default::default() };
    let response = client.call(0, request).await;
    let codes: Vec<_> = response.topics.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [3, 17]);
}

#[tokio::test]
async fn nothing_is_elected_and_nothing_moves() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    for version in 0..=2 {
        let partitions = vec![0, 1];
        let asked = vec![TopicPartitions { topic: "t".into(), partitions, ..Default::default() }];
        let request = ElectLeadersRequest { topic_partitions: Some(asked), ..Default::default() };
        let results = client.call(version, request).await.replica_election_results;
        let codes: Vec<_> = results[0].partition_result.iter().map(|it| it.error_code).collect();
        assert_eq!(codes, [84, 3]);
    }
    let move_to =
        |replicas: Option<Vec<i32>>| ReassignablePartition { replicas, ..Default::default() };
    let partitions =
        vec![move_to(Some(vec![1])), move_to(Some(vec![2])), move_to(None), move_to(Some(vec![]))];
    let topics = vec![ReassignableTopic { name: "t".into(), partitions, ..Default::default() }];
    let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
    let response = client.call(1, request).await;
    let codes: Vec<_> = response.responses[0].partitions.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [0, 39, 85, 39]);
    let listed = client.call(0, ListPartitionReassignmentsRequest::default()).await;
    assert!(listed.topics.is_empty());
}

#[tokio::test]
async fn directories_and_resources_are_listed() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 2)]).await;
    for version in 1..=5 {
        let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
        let response = client.call(version, request).await;
        assert_eq!(response.results.len(), 1);
        let dir = &response.results[0];
        assert_eq!(dir.topics[0].partitions.len(), 2);
        let (total, usable) = (dir.total_bytes, dir.usable_bytes);
        if version < 4 {
            assert_eq!((total, usable), (-1, -1));
        } else {
            assert!(0 < usable && usable <= total, "{usable} of {total} bytes");
        }
    }
    let listed = |it: &systole_wire::message::ListConfigResourcesResponse| {
        let show = |it: &systole_wire::message::list_config_resources_response::ConfigResource| {
            format!("{}:{}", it.resource_type, &*it.resource_name)
        };
        it.config_resources.iter().map(show).collect::<Vec<_>>()
    };
    let none = client.call(0, ListConfigResourcesRequest::default()).await;
    assert!(listed(&none).is_empty());
    let all = client.call(1, ListConfigResourcesRequest::default()).await;
    assert_eq!(listed(&all), ["2:t", "4:1", "8:1"]);
    let request = ListConfigResourcesRequest { resource_types: vec![99], ..Default::default() };
    assert_eq!(client.call(1, request).await.error_code, 35);
}
