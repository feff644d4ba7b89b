//! What keeps a node from starting, and what a stop leaves.

use crate::frames::api_versions;
use crate::harness::Harness;
use systole_broker::{Broker, BrokerConfig, StartError};
use systole_telemetry::Metrics;
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
