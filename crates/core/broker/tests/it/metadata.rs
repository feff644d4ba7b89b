//! Metadata: topics found, made, refused.

use crate::harness::Harness;
use systole_wire::Str;
use systole_wire::message::MetadataRequest;
use systole_wire::message::metadata_request::MetadataRequestTopic;

pub(crate) fn ask(names: &[&str]) -> MetadataRequest {
    let topic =
        |it: &&str| MetadataRequestTopic { name: Some(Str::from(*it)), ..Default::default() };
    MetadataRequest { topics: Some(names.iter().map(topic).collect()), ..Default::default() }
}

#[tokio::test]
async fn an_absent_topic_is_made_when_node_and_client_allow_it() {
    let harness = Harness::start_with(|it| it.partitions_default = 3).await;
    let mut client = harness.client().await;
    let mut request = ask(&["clinical.observation", "not a name"]);
    request.allow_auto_topic_creation = false;
    let response = client.call(13, request).await;
    let codes: Vec<_> = response.topics.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [3, 17]);
    let response = client.call(13, ask(&["clinical.observation"])).await;
    let topic = &response.topics[0];
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
    assert!(!topic.topic_id.is_zero());
    let mut by_id = ask(&[""]);
    by_id.topics.as_mut().unwrap()[0].topic_id = topic.topic_id;
    by_id.topics.as_mut().unwrap()[0].name = None;
    let again = client.call(12, by_id).await;
    assert_eq!(again.topics[0].name, topic.name);
    let broker = &response.brokers[0];
    assert_eq!((&*broker.host, broker.port), ("127.0.0.1", i32::from(harness.address().port())));
}

#[tokio::test]
async fn every_version_of_metadata_is_answered() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    for version in 0..=13 {
        let response = client.call(version, ask(&["t"])).await;
        assert_eq!(response.topics[0].error_code, 0, "v{version}");
        assert_eq!(response.topics[0].name.as_deref(), Some("t"));
    }
}
