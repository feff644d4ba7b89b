//! What keeps a node from starting, and what a stop leaves.

use crate::fetch::{begin, changed};
use crate::frames::api_versions;
use crate::groups::joining;
use crate::harness::Harness;
use crate::topics::{create, topic};
use std::time::{Duration, Instant};
use systole_broker::{Broker, BrokerConfig, StartError};
use systole_telemetry::Metrics;
use systole_wire::message::{FetchRequest, JoinGroupRequest};
use systole_world::World;

async fn start(config: &BrokerConfig) -> Result<Broker, StartError> {
    Broker::start(config, &World::os(), &Metrics::default()).await
}

/// The code of the failure, and the text that a person reads.
async fn failure(config: &BrokerConfig) -> (u16, String) {
    let error = start(config).await.unwrap_err();
    (error.code().number(), error.to_string())
}

#[tokio::test]
async fn an_address_in_use_is_told_before_the_data_is_touched() {
    let first = Harness::start().await;
    let dir = tempfile::tempdir().unwrap();
    let config = BrokerConfig {
        dir: dir.path().join("broker"),
        listen: first.address(),
        ..BrokerConfig::default()
    };
    let (code, text) = failure(&config).await;
    assert_eq!(code, 2009);
    assert!(text.contains(&first.address().to_string()), "{text}");
    assert!(!config.dir.exists());
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_left_alone() {
    let mut first = Harness::start().await;
    let (code, _) = failure(&first.config).await;
    assert_eq!(code, 3001);
    first.client().await.call(3, api_versions()).await;
    first.restart().await;
}

#[tokio::test]
async fn a_door_to_the_network_is_not_opened_without_authentication() {
    let dir = tempfile::tempdir().unwrap();
    let config = BrokerConfig {
        dir: dir.path().to_owned(),
        listen: "0.0.0.0:0".parse().unwrap(),
        ..BrokerConfig::default()
    };
    assert_eq!(failure(&config).await.0, 1101);
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once() {
    let config = BrokerConfig { node_id: -1, partitions_default: 0, ..BrokerConfig::default() };
    let (code, text) = failure(&config).await;
    assert_eq!(code, 2001);
    assert!(text.contains("node_id") && text.contains("partitions_default"), "{text}");
}

#[tokio::test]
async fn a_stopped_node_lets_its_address_and_directory_go() {
    let mut harness = Harness::start().await;
    let address = harness.address();
    let mut idle = harness.client().await;
    harness.stop().await;
    assert_eq!(idle.receive_frame().await, None);
    harness.config.listen = address;
    harness.start_again().await;
    assert_eq!(harness.address(), address);
}

/// Fetches that would wait for five minutes and joins that would wait for one.
#[tokio::test]
async fn a_stop_does_not_wait_for_consumers_that_wait() {
    let wait = Duration::from_mins(1);
    let mut harness = Harness::start_with(|it| it.groups.initial_rebalance_delay = wait).await;
    create(&mut harness.client().await, vec![topic("t", 1)]).await;
    let (mut fetching, mut joins) = (Vec::new(), Vec::new());
    for group in 0..5 {
        let mut client = harness.client().await;
        let request = changed(&[(0, 0)], |it| it.max_wait_ms = 300_000);
        let id = begin(&harness, &mut client, &request).await;
        fetching.push((client, id));
        let mut client = harness.client().await;
        let in_group = |member: &str| JoinGroupRequest {
            group_id: format!("g{group}").into(),
            ..joining(member)
        };
        let member = client.call(9, in_group("")).await.member_id;
        let before = harness.metric("received_bytes_total");
        let id = client.send(9, &in_group(&member)).await;
        harness.until_metric("received_bytes_total", |it| it > before).await;
        joins.push((client, id));
    }
    let began = Instant::now();
    harness.stop().await;
    let took = began.elapsed();
    for (mut client, id) in fetching {
        let answer = client.receive::<FetchRequest>(12, id).await;
        assert_eq!(answer.responses[0].partitions[0].error_code, 0);
    }
    for (mut client, id) in joins {
        let answer = client.receive::<JoinGroupRequest>(9, id).await;
        assert_eq!(answer.error_code, 15, "COORDINATOR_NOT_AVAILABLE");
    }
    assert!(took < Duration::from_secs(1), "the stop took {took:?}");
}
