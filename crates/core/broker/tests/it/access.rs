//! Access lists: asked by every API, changed through Kafka's own APIs, and still there after a
//! crash.

use crate::frames::api_versions;
use crate::harness::{Client, Harness};
use crate::metadata::ask;
use crate::questions::Questions;
use crate::topics::{create, topic};
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::ApiKey;
use systole_wire::message::create_acls_request::AclCreation;
use systole_wire::message::delete_acls_request::DeleteAclsFilter;
use systole_wire::message::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, DescribeClusterRequest,
    ListGroupsRequest, MetadataRequest,
};

const ALTER: i8 = 7;
const DESCRIBE: i8 = 8;
const READ: i8 = 3;
const TOPIC: i8 = 2;
const CLUSTER: i8 = 4;
const ALLOW: i8 = 3;
const DENY: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;

fn rule((kind, name): (i8, &str), operation: i8, permission_type: i8) -> AclCreation {
    AclCreation {
        resource_type: kind,
        resource_name: name.trim_end_matches("..").into(),
        resource_pattern_type: if name.ends_with("..") { PREFIXED } else { LITERAL },
        principal: "User:ANONYMOUS".into(),
        host: "*".into(),
        operation,
        permission_type,
        ..Default::default()
    }
}

async fn add(client: &mut Client, creations: Vec<AclCreation>) -> Vec<i16> {
    let response = client.call(3, CreateAclsRequest { creations, ..Default::default() }).await;
    response.results.iter().map(|it| it.error_code).collect()
}

/// Every rule that the filter of a type and a name selects, one a line.
async fn list(client: &mut Client, kind: i8, name: Option<&str>) -> String {
    let request = DescribeAclsRequest {
        resource_type_filter: kind,
        resource_name_filter: name.map(Into::into),
        pattern_type_filter: 2,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let response = client.call(3, request).await;
    let mut text = format!("{}\n", response.error_code);
    for it in &response.resources {
        let (kind, pattern, name) = (it.resource_type, it.pattern_type, &*it.resource_name);
        write!(text, "{kind} {pattern} {name}:").unwrap();
        for acl in &it.acls {
            let (who, host) = (&*acl.principal, &*acl.host);
            write!(text, " {who} {host} {} {}", acl.operation, acl.permission_type).unwrap();
        }
        text.push('\n');
    }
    text
}

/// A node on which everyone may do everything until [`close`], with the topic and group `t`, `g`.
async fn open_node() -> Harness {
    let harness = Harness::start_with(|it| {
        it.access.enforce = Some(true);
        it.access.super_users = ["User:ANONYMOUS".to_owned()].into();
    })
    .await;
    create(&mut harness.client().await, vec![topic("t", 1)]).await;
    harness
}

/// From now on only what a rule allows is allowed.
async fn close(harness: &mut Harness) {
    harness.config.access.super_users.clear();
    harness.restart().await;
}

/// What each API answers to whom nothing is allowed, one a line.
async fn refusals() -> String {
    let mut harness = open_node().await;
    close(&mut harness).await;
    let mut client = harness.client().await;
    let listed = client.call(4, api_versions()).await;
    let mut questions = Questions::to(client);
    questions.ask_all().await;
    let mut table = String::new();
    for it in &listed.api_keys {
        let name = ApiKey::from_wire(it.api_key).unwrap().name();
        let code = questions.codes.get(&it.api_key);
        let code = code.unwrap_or_else(|| panic!("{name} has no row in questions.rs"));
        writeln!(table, "{name}: {code}").unwrap();
    }
    table
}

#[tokio::test]
async fn every_api_refuses_who_may_nothing_with_kafkas_code() {
    let table = refusals().await;
    expect![[r#"
        Produce: 29
        Fetch: 29
        ListOffsets: 29
        Metadata: 29
        OffsetCommit: 30
        OffsetFetch: 30
        FindCoordinator: 30
        JoinGroup: 30
        Heartbeat: 30
        LeaveGroup: 30
        SyncGroup: 30
        DescribeGroups: 30
        ListGroups: 0
        SaslHandshake: 34
        ApiVersions: 0
        CreateTopics: 29
        DeleteTopics: 29
        DeleteRecords: 29
        InitProducerId: 31
        OffsetForLeaderEpoch: 29
        AddPartitionsToTxn: 53
        AddOffsetsToTxn: 53
        EndTxn: 53
        WriteTxnMarkers: 31
        TxnOffsetCommit: 53
        DescribeAcls: 31
        CreateAcls: 31
        DeleteAcls: 31
        DescribeConfigs: 29
        AlterConfigs: 29
        DescribeLogDirs: 31
        SaslAuthenticate: 34
        CreatePartitions: 29
        CreateDelegationToken: 64
        RenewDelegationToken: 64
        ExpireDelegationToken: 64
        DescribeDelegationToken: 64
        DeleteGroups: 30
        ElectLeaders: 31
        IncrementalAlterConfigs: 29
        AlterPartitionReassignments: 31
        ListPartitionReassignments: 31
        OffsetDelete: 30
        DescribeClientQuotas: 31
        AlterClientQuotas: 31
        DescribeUserScramCredentials: 31
        AlterUserScramCredentials: 31
        DescribeCluster: 0
        DescribeProducers: 29
        DescribeTransactions: 53
        ListTransactions: 0
        ConsumerGroupHeartbeat: 30
        ConsumerGroupDescribe: 30
        ListConfigResources: 31
        DescribeTopicPartitions: 29
        ShareGroupHeartbeat: 30
        ShareGroupDescribe: 30
        ShareFetch: 30
        ShareAcknowledge: 30
        StreamsGroupHeartbeat: 30
        StreamsGroupDescribe: 30
        DescribeShareGroupOffsets: 30
        AlterShareGroupOffsets: 30
        DeleteShareGroupOffsets: 30
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn lists_show_only_what_the_caller_may_see() {
    let mut harness = open_node().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("lab.a", 1), topic("lab.b", 1)]).await;
    let rules = vec![rule((TOPIC, "lab..."), READ, ALLOW), rule((TOPIC, "lab.b"), DESCRIBE, DENY)];
    assert_eq!(add(&mut client, rules).await, [0, 0]);
    close(&mut harness).await;
    let mut client = harness.client().await;
    let request = MetadataRequest {
        topics: None,
        include_topic_authorized_operations: true,
        include_cluster_authorized_operations: true,
        ..Default::default()
    };
    let seen = client.call(10, request).await;
    let line = |it: &systole_wire::message::metadata_response::MetadataResponseTopic| {
        let name = it.name.as_deref().unwrap_or_default();
        format!("{name} {:#b}", it.topic_authorized_operations)
    };
    assert_eq!(seen.topics.iter().map(line).collect::<Vec<_>>(), ["lab.a 0b100001000"]);
    assert_eq!(seen.cluster_authorized_operations, 0);
    let named = client.call(9, ask(&["lab.a", "lab.b", "t", "absent"])).await;
    let codes: Vec<_> = named.topics.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [0, 29, 29, 29], "who may not see a topic is not told whether it is there");
    let described = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        endpoint_type: 1,
        ..Default::default()
    };
    assert_eq!(client.call(0, described).await.cluster_authorized_operations, 0);
    assert!(client.call(5, ListGroupsRequest::default()).await.groups.is_empty());
}

#[tokio::test]
async fn rules_are_kept_through_a_crash_and_removed_by_a_filter() {
    let mut harness = open_node().await;
    let mut client = harness.client().await;
    let rules = vec![
        rule((TOPIC, "t"), READ, ALLOW),
        rule((TOPIC, "t"), ALTER, DENY),
        rule((TOPIC, "*"), DESCRIBE, ALLOW),
        rule((CLUSTER, "kafka-cluster"), ALTER, ALLOW),
        rule((TOPIC, "t"), READ, ALLOW),
    ];
    assert_eq!(add(&mut client, rules).await, [0; 5]);
    harness.crash().await;
    let mut client = harness.client().await;
    let kept = expect![[r#"
        0
        2 3 *: User:ANONYMOUS * 8 3
        2 3 t: User:ANONYMOUS * 3 3 User:ANONYMOUS * 7 2
    "#]];
    kept.assert_eq(&list(&mut client, TOPIC, Some("t")).await);
    let filters = vec![DeleteAclsFilter {
        resource_type_filter: TOPIC,
        resource_name_filter: Some("t".into()),
        pattern_type_filter: LITERAL,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: DENY,
        ..Default::default()
    }];
    let removed = client.call(3, DeleteAclsRequest { filters, ..Default::default() }).await;
    assert_eq!(removed.filter_results[0].matching_acls.len(), 1);
    harness.crash().await;
    let left = expect![[r#"
        0
        2 3 *: User:ANONYMOUS * 8 3
        2 3 t: User:ANONYMOUS * 3 3
        4 3 kafka-cluster: User:ANONYMOUS * 7 3
    "#]];
    left.assert_eq(&list(&mut harness.client().await, 1, None).await);
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused() {
    let harness = open_node().await;
    let mut client = harness.client().await;
    let good = || rule((TOPIC, "t"), READ, ALLOW);
    let wrong = vec![
        AclCreation { resource_type: 1, ..good() },
        AclCreation { resource_pattern_type: 2, ..good() },
        AclCreation { operation: 1, ..good() },
        AclCreation { permission_type: 0, ..good() },
        AclCreation { principal: "alice".into(), ..good() },
        AclCreation { host: "".into(), ..good() },
        AclCreation { resource_name: "".into(), ..good() },
        AclCreation { resource_type: CLUSTER, ..good() },
        good(),
    ];
    assert_eq!(add(&mut client, wrong).await, [42, 42, 42, 42, 42, 42, 42, 42, 0]);
}

#[tokio::test]
async fn a_node_that_asks_no_access_lists_has_none_to_show() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    assert_eq!(add(&mut client, vec![rule((TOPIC, "t"), READ, ALLOW)]).await, [54]);
    assert_eq!(list(&mut client, TOPIC, None).await, "54\n");
}
