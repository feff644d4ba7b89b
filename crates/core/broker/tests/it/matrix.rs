//! Every API x every right: which single right opens which API.
//!
//! The table is what Apache Kafka 4.3.1 answers to the same questions (one it never answers, see
//! `codes`). To ask one (its users
//! `admin` and `alice` by PLAIN, their passwords `admin-secret` and `alice-secret`, access lists in
//! force):
//! `SYSTOLE_ORACLE=127.0.0.1:39092 cargo test -p systole-broker --test it every_right`.

use crate::frames::api_versions;
use crate::harness::{Client, PATIENCE};
use crate::login::{PASSWORD, sasl_node};
use crate::questions::Questions;
use crate::topics::{create, topic};
use expect_test::expect;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use systole_wire::ApiKey;
use systole_wire::message::create_acls_request::AclCreation;
use systole_wire::message::delete_acls_request::DeleteAclsFilter;
use systole_wire::message::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

/// Kafka's number and name of something.
type Word = (i8, &'static str);

/// Types of resources with the rights that one can have on them, in Kafka's numbers and words.
const RIGHTS: [(Word, &[Word]); 4] = [
    (
        (2, "TOPIC"),
        &[
            (3, "READ"),
            (4, "WRITE"),
            (5, "CREATE"),
            (6, "DELETE"),
            (7, "ALTER"),
            (8, "DESCRIBE"),
            (10, "DESCRIBE_CONFIGS"),
            (11, "ALTER_CONFIGS"),
        ],
    ),
    (
        (3, "GROUP"),
        &[
            (3, "READ"),
            (6, "DELETE"),
            (8, "DESCRIBE"),
            (10, "DESCRIBE_CONFIGS"),
            (11, "ALTER_CONFIGS"),
        ],
    ),
    (
        (4, "CLUSTER"),
        &[
            (5, "CREATE"),
            (6, "DELETE"),
            (7, "ALTER"),
            (8, "DESCRIBE"),
            (9, "CLUSTER_ACTION"),
            (10, "DESCRIBE_CONFIGS"),
            (11, "ALTER_CONFIGS"),
            (12, "IDEMPOTENT_WRITE"),
        ],
    ),
    ((5, "TRANSACTIONAL_ID"), &[(4, "WRITE"), (8, "DESCRIBE")]),
];

/// Codes that say "you may not".
const REFUSALS: [i16; 4] = [29, 30, 31, 53];

struct Asked {
    address: SocketAddr,
    passwords: [String; 2],
    is_kafka: bool,
}

impl Asked {
    async fn login(&self, user: &str, password: usize) -> Client {
        let mut client = Client::connect(self.address).await;
        assert_eq!(client.login(user, &self.passwords[password]).await.error_code, 0);
        client
    }

    /// By API, the rights of which each alone opens it.
    async fn table(&self) -> String {
        let mut admin = self.login("admin", 0).await;
        create(&mut admin, vec![topic("t", 1)]).await;
        let listed = admin.call(4, api_versions()).await;
        let served: Vec<_> = listed.api_keys.iter().map(|it| it.api_key).collect();
        let without = self.codes(&served).await;
        let mut opens = BTreeMap::<i16, Vec<String>>::new();
        for ((kind, name), operations) in RIGHTS {
            for (operation, word) in operations {
                let resource = if name == "CLUSTER" { "kafka-cluster" } else { "*" };
                grant(&mut admin, (kind, resource), *operation).await;
                until_rules(&mut admin, 1).await;
                for (api, code) in self.codes(&served).await {
                    let was_refused = REFUSALS.contains(&without[&api]);
                    if was_refused && !REFUSALS.contains(&code) {
                        opens.entry(api).or_default().push(format!("{name} {word}"));
                    }
                }
                revoke(&mut admin).await;
                until_rules(&mut admin, 0).await;
            }
        }
        let mut table = String::new();
        for (api, code) in without {
            let api_name = ApiKey::from_wire(api).unwrap().name();
            let by = opens.remove(&api).unwrap_or_default().join(", ");
            writeln!(table, "{api_name}: {code} {by}").unwrap();
        }
        table.lines().map(|it| format!("{}\n", it.trim_end())).collect()
    }

    async fn codes(&self, served: &[i16]) -> BTreeMap<i16, i16> {
        let mut questions = Questions::to(self.login("alice", 1).await);
        if self.is_kafka {
            // Apache Kafka 4.3.1 fails over its own refusal and never answers.
            questions.skipped.push(ApiKey::DescribeUserScramCredentials.number());
        }
        questions.ask_all().await;
        for it in served.iter().filter(|_| !self.is_kafka) {
            assert!(questions.codes.contains_key(it), "API {it} has no row in questions.rs");
        }
        questions.codes
    }
}

async fn grant(admin: &mut Client, (kind, name): (i8, &str), operation: i8) {
    let creations = vec![AclCreation {
        resource_type: kind,
        resource_name: name.into(),
        resource_pattern_type: 3,
        principal: "User:alice".into(),
        host: "*".into(),
        operation,
        permission_type: 3,
        ..Default::default()
    }];
    let answer = admin.call(3, CreateAclsRequest { creations, ..Default::default() }).await;
    assert_eq!(answer.results[0].error_code, 0, "{name} {operation}");
}

/// Kafka answers before a change is in force.
async fn until_rules(admin: &mut Client, count: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let request = DescribeAclsRequest {
            resource_type_filter: 1,
            resource_name_filter: None,
            pattern_type_filter: 1,
            principal_filter: None,
            host_filter: None,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        };
        if admin.call(3, request).await.resources.len() == count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{count} rules are awaited");
    }
}

async fn revoke(admin: &mut Client) {
    let filters = vec![DeleteAclsFilter {
        resource_type_filter: 1,
        resource_name_filter: None,
        pattern_type_filter: 1,
        principal_filter: None,
        host_filter: None,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    }];
    let answer = admin.call(3, DeleteAclsRequest { filters, ..Default::default() }).await;
    assert_eq!(answer.filter_results[0].matching_acls.len(), 1);
}

impl Asked {
    /// This node, or the original if there is one.
    fn of(address: SocketAddr) -> Self {
        let ours = |it: &str| it.to_owned();
        match std::env::var("SYSTOLE_ORACLE") {
            Ok(oracle) => Self {
                address: oracle.parse().unwrap(),
                passwords: [ours("admin-secret"), ours("alice-secret")],
                is_kafka: true,
            },
            Err(_) => {
                Self { address, passwords: [ours(PASSWORD), ours(PASSWORD)], is_kafka: false }
            }
        }
    }
}

#[tokio::test]
async fn every_right_opens_what_it_opens_in_kafka_and_nothing_else() {
    let node = sasl_node(|_| {}).await;
    let asked = Asked::of(node.address());
    expect![[r#"
        Produce: 29 TOPIC WRITE
        Fetch: 29 TOPIC READ
        ListOffsets: 29 TOPIC READ, TOPIC WRITE, TOPIC DELETE, TOPIC ALTER, TOPIC DESCRIBE
        Metadata: 29 TOPIC READ, TOPIC WRITE, TOPIC DELETE, TOPIC ALTER, TOPIC DESCRIBE
        OffsetCommit: 30
        OffsetFetch: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        FindCoordinator: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        JoinGroup: 30 GROUP READ
        Heartbeat: 30 GROUP READ
        LeaveGroup: 30 GROUP READ
        SyncGroup: 30 GROUP READ
        DescribeGroups: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        ListGroups: 0
        SaslHandshake: 34
        ApiVersions: 0
        CreateTopics: 29 TOPIC CREATE, CLUSTER CREATE
        DeleteTopics: 29 TOPIC READ, TOPIC WRITE, TOPIC DELETE, TOPIC ALTER, TOPIC DESCRIBE, CLUSTER DELETE
        DeleteRecords: 29 TOPIC DELETE
        InitProducerId: 31 TOPIC WRITE, CLUSTER IDEMPOTENT_WRITE
        OffsetForLeaderEpoch: 29 TOPIC READ, TOPIC WRITE, TOPIC DELETE, TOPIC ALTER, TOPIC DESCRIBE, CLUSTER CLUSTER_ACTION
        AddPartitionsToTxn: 53
        AddOffsetsToTxn: 53
        EndTxn: 53 TRANSACTIONAL_ID WRITE
        WriteTxnMarkers: 31 CLUSTER ALTER, CLUSTER CLUSTER_ACTION
        TxnOffsetCommit: 53
        DescribeAcls: 31 CLUSTER DELETE, CLUSTER ALTER, CLUSTER DESCRIBE
        CreateAcls: 31 CLUSTER ALTER
        DeleteAcls: 31 CLUSTER ALTER
        DescribeConfigs: 29 TOPIC DESCRIBE_CONFIGS, TOPIC ALTER_CONFIGS
        AlterConfigs: 29 TOPIC ALTER_CONFIGS
        DescribeLogDirs: 31 CLUSTER DELETE, CLUSTER ALTER, CLUSTER DESCRIBE
        SaslAuthenticate: 34
        CreatePartitions: 29 TOPIC ALTER
        CreateDelegationToken: 61
        RenewDelegationToken: 61
        ExpireDelegationToken: 61
        DescribeDelegationToken: 61
        DeleteGroups: 30 GROUP DELETE
        ElectLeaders: 31 CLUSTER ALTER
        IncrementalAlterConfigs: 29 TOPIC ALTER_CONFIGS
        AlterPartitionReassignments: 31 CLUSTER ALTER
        ListPartitionReassignments: 31 CLUSTER DELETE, CLUSTER ALTER, CLUSTER DESCRIBE
        OffsetDelete: 30 GROUP DELETE
        DescribeClientQuotas: 31 CLUSTER DESCRIBE_CONFIGS, CLUSTER ALTER_CONFIGS
        AlterClientQuotas: 31 CLUSTER ALTER_CONFIGS
        DescribeUserScramCredentials: 31 CLUSTER DELETE, CLUSTER ALTER, CLUSTER DESCRIBE
        AlterUserScramCredentials: 31 CLUSTER ALTER
        DescribeCluster: 0
        DescribeProducers: 29 TOPIC READ
        DescribeTransactions: 53 TRANSACTIONAL_ID WRITE, TRANSACTIONAL_ID DESCRIBE
        ListTransactions: 0
        ConsumerGroupHeartbeat: 30
        ConsumerGroupDescribe: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        ListConfigResources: 31 CLUSTER DESCRIBE_CONFIGS, CLUSTER ALTER_CONFIGS
        DescribeTopicPartitions: 29 TOPIC READ, TOPIC WRITE, TOPIC DELETE, TOPIC ALTER, TOPIC DESCRIBE
        ShareGroupHeartbeat: 30
        ShareGroupDescribe: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        ShareFetch: 30 GROUP READ
        ShareAcknowledge: 30 GROUP READ
        StreamsGroupHeartbeat: 30
        StreamsGroupDescribe: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        DescribeShareGroupOffsets: 30 GROUP READ, GROUP DELETE, GROUP DESCRIBE
        AlterShareGroupOffsets: 30 GROUP READ
        DeleteShareGroupOffsets: 30 GROUP DELETE
    "#]].assert_eq(&asked.table().await);
}
