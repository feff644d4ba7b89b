//! The life of a topic: made, grown, deleted, and still so after a restart and a crash.

use crate::harness::{Client, Harness};
use crate::metadata::ask;
use expect_test::expect;
use systole_wire::Str;
use systole_wire::message::create_partitions_request::CreatePartitionsTopic;
use systole_wire::message::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use systole_wire::message::delete_topics_request::DeleteTopicState;
use systole_wire::message::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
};

pub(crate) fn topic(name: &str, num_partitions: i32) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor: -1,
        ..Default::default()
    }
}

pub(crate) fn with(mut topic: CreatableTopic, name: &str, value: &str) -> CreatableTopic {
    let value = Some(Str::from(value));
    topic.configs.push(CreatableTopicConfig { name: name.into(), value, ..Default::default() });
    topic
}

/// Code and message of each, in lines.
pub(crate) async fn create(client: &mut Client, topics: Vec<CreatableTopic>) -> String {
    let request = CreateTopicsRequest { topics, ..Default::default() };
    let response = client.call(7, request).await;
    let line = |it: &systole_wire::message::create_topics_response::CreatableTopicResult| {
        let message = it.error_message.as_deref().unwrap_or_default();
        let (code, count) = (it.error_code, it.num_partitions);
        format!("{:.12}: {code} {count} {message:.80}\n", &*it.name)
    };
    response.topics.iter().map(line).collect()
}

async fn delete(client: &mut Client, names: &[&str]) -> Vec<i16> {
    let state = |it: &&str| DeleteTopicState { name: Some((*it).into()), ..Default::default() };
    let topics = names.iter().map(state).collect();
    let response = client.call(6, DeleteTopicsRequest { topics, ..Default::default() }).await;
    response.responses.iter().map(|it| it.error_code).collect()
}

async fn grow(client: &mut Client, name: &str, count: i32) -> i16 {
    let topics = vec![CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: None,
        ..Default::default()
    }];
    let request = CreatePartitionsRequest { topics, ..Default::default() };
    client.call(3, request).await.results[0].error_code
}

/// `name:partitions` of every topic.
async fn listing(client: &mut Client) -> String {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let topics = client.call(12, request).await.topics;
    let show = |it: &systole_wire::message::metadata_response::MetadataResponseTopic| {
        format!("{}:{}", it.name.as_deref().unwrap_or("?"), it.partitions.len())
    };
    topics.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_topic_that_breaks_a_rule_is_refused_and_the_others_are_made() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let assigned = |name: &str, broker: i32| CreatableTopic {
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: vec![broker],
            ..Default::default()
        }],
        ..topic(name, -1)
    };
    let topics = vec![
        topic("plain", 2),
        topic("default", -1),
        topic("twice", 1),
        topic("twice", 1),
        topic("no partition", 1),
        topic("zero", 0),
        CreatableTopic { replication_factor: 3, ..topic("copies", 1) },
        assigned("here", 1),
        assigned("elsewhere", 7),
        with(topic("kept", 1), "retention.ms", "5"),
        with(topic("unknown", 1), "no.such.setting", "5"),
        with(topic("illegal", 1), "retention.ms", "soon"),
        topic("__cluster_metadata", 1),
    ];
    expect![[r"
        plain: 0 2 
        default: 0 1 
        twice: 42 -1 Duplicate topic name.
        no partition: 17 -1 Topic name is invalid: 'no partition' contains one or more characters other than
        zero: 37 -1 Number of partitions was set to an invalid non-positive value.
        copies: 38 -1 Unable to replicate the partition 3 time(s): The target replication factor of 3 
        here: 0 1 
        elsewhere: 39 -1 The manual partition assignment includes broker 7, but no such broker is registe
        kept: 0 1 
        unknown: 40 -1 Unknown topic config name: no.such.setting
        illegal: 40 -1 Invalid value soon for configuration retention.ms: Not a number of type LONG
        __cluster_me: 42 -1 Creation of internal topic __cluster_metadata is prohibited.
    "]]
    .assert_eq(&create(&mut client, topics).await);
    assert_eq!(listing(&mut client).await, "default:1 here:1 kept:1 plain:2");
}

#[tokio::test]
async fn names_are_unique_dots_and_underscores_being_one() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("pa.case", 1)]).await;
    let topics = vec![topic("pa.case", 1), topic("pa_case", 1), topic("pa-case", 1)];
    expect![[r"
        pa.case: 36 -1 Topic 'pa.case' already exists.
        pa_case: 17 -1 Topic 'pa_case' collides with existing topic: pa.case
        pa-case: 0 1 
    "]]
    .assert_eq(&create(&mut client, topics).await);
}

#[tokio::test]
async fn validate_only_changes_nothing() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    for version in 2..=7 {
        let topics = vec![topic("t", 4)];
        let request = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
        assert_eq!(client.call(version, request).await.topics[0].error_code, 0, "v{version}");
    }
    assert_eq!(listing(&mut client).await, "");
}

#[tokio::test]
async fn topics_survive_a_restart_and_a_crash_with_ids_partitions_and_settings() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    let topics = vec![with(topic("kept", 3), "retention.ms", "86400000"), topic("gone", 2)];
    create(&mut client, topics).await;
    assert_eq!(grow(&mut client, "kept", 5).await, 0);
    assert_eq!(grow(&mut client, "kept", 5).await, 37);
    assert_eq!(grow(&mut client, "kept", 1).await, 37);
    assert_eq!(grow(&mut client, "absent", 1).await, 3);
    assert_eq!(delete(&mut client, &["gone", "absent"]).await, [0, 3]);
    let before = client.call(12, ask(&["kept"])).await;
    for crash in [false, true, true, false] {
        if crash {
            harness.crash().await;
        } else {
            harness.restart().await;
        }
        let mut client = harness.client().await;
        assert_eq!(listing(&mut client).await, "kept:5");
        let after = client.call(12, ask(&["kept"])).await;
        assert_eq!(after.topics[0].topic_id, before.topics[0].topic_id);
        assert_eq!(after.cluster_id, before.cluster_id);
    }
}

#[tokio::test]
async fn a_deleted_topic_leaves_its_name_and_not_its_id() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let id = client.call(12, ask(&["t"])).await.topics[0].topic_id;
    let by_id = DeleteTopicState { topic_id: id, name: None, ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![by_id.clone()], ..Default::default() };
    let response = client.call(6, request.clone()).await;
    assert_eq!(
        (response.responses[0].error_code, response.responses[0].name.as_deref()),
        (0, Some("t"))
    );
    assert_ne!(client.call(12, ask(&["t"])).await.topics[0].topic_id, id);
    assert_eq!(client.call(6, request).await.responses[0].error_code, 100);
    let both = DeleteTopicState { name: Some("t".into()), ..by_id };
    let request = DeleteTopicsRequest { topics: vec![both], ..Default::default() };
    assert_eq!(client.call(6, request).await.responses[0].error_code, 42);
    for version in 1..=5 {
        let topic_names = vec!["absent".into()];
        let request = DeleteTopicsRequest { topic_names, ..Default::default() };
        assert_eq!(client.call(version, request).await.responses[0].error_code, 3);
    }
}

#[tokio::test]
async fn a_thousand_changes_leave_a_short_journal_after_a_restart() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    for _ in 0..520 {
        create(&mut client, vec![topic("t", 1)]).await;
        delete(&mut client, &["t"]).await;
    }
    create(&mut client, vec![topic("last", 1)]).await;
    for _ in 0..3 {
        harness.restart().await;
        assert_eq!(listing(&mut harness.client().await).await, "last:1");
    }
}
