//! The table of APIs against Apache Kafka's, and both against `docs/compatibility.md`.

use crate::frames::api_versions;
use crate::harness::Harness;
use std::collections::BTreeMap;

/// Name, key, first and last version.
type Row = (&'static str, i16, Option<(i16, i16)>);

/// What Apache Kafka 4.3.1 (one KRaft node, release defaults) answers to ApiVersions; `None`: it
/// knows the API and does not list it.
#[rustfmt::skip]
const KAFKA: &[Row] = &[
    ("Produce", 0, Some((0, 13))),
    ("Fetch", 1, Some((4, 18))),
    ("ListOffsets", 2, Some((1, 11))),
    ("Metadata", 3, Some((0, 13))),
    ("OffsetCommit", 8, Some((2, 10))),
    ("OffsetFetch", 9, Some((1, 10))),
    ("FindCoordinator", 10, Some((0, 6))),
    ("JoinGroup", 11, Some((0, 9))),
    ("Heartbeat", 12, Some((0, 4))),
    ("LeaveGroup", 13, Some((0, 5))),
    ("SyncGroup", 14, Some((0, 5))),
    ("DescribeGroups", 15, Some((0, 6))),
    ("ListGroups", 16, Some((0, 5))),
    ("SaslHandshake", 17, Some((0, 1))),
    ("ApiVersions", 18, Some((0, 4))),
    ("CreateTopics", 19, Some((2, 7))),
    ("DeleteTopics", 20, Some((1, 6))),
    ("DeleteRecords", 21, Some((0, 2))),
    ("InitProducerId", 22, Some((0, 5))),
    ("OffsetForLeaderEpoch", 23, Some((2, 4))),
    ("AddPartitionsToTxn", 24, Some((0, 5))),
    ("AddOffsetsToTxn", 25, Some((0, 4))),
    ("EndTxn", 26, Some((0, 5))),
    ("WriteTxnMarkers", 27, Some((1, 2))),
    ("TxnOffsetCommit", 28, Some((0, 5))),
    ("DescribeAcls", 29, Some((1, 3))),
    ("CreateAcls", 30, Some((1, 3))),
    ("DeleteAcls", 31, Some((1, 3))),
    ("DescribeConfigs", 32, Some((1, 4))),
    ("AlterConfigs", 33, Some((0, 2))),
    ("AlterReplicaLogDirs", 34, Some((1, 2))),
    ("DescribeLogDirs", 35, Some((1, 5))),
    ("SaslAuthenticate", 36, Some((0, 2))),
    ("CreatePartitions", 37, Some((0, 3))),
    ("CreateDelegationToken", 38, Some((1, 3))),
    ("RenewDelegationToken", 39, Some((1, 2))),
    ("ExpireDelegationToken", 40, Some((1, 2))),
    ("DescribeDelegationToken", 41, Some((1, 3))),
    ("DeleteGroups", 42, Some((0, 2))),
    ("ElectLeaders", 43, Some((0, 2))),
    ("IncrementalAlterConfigs", 44, Some((0, 1))),
    ("AlterPartitionReassignments", 45, Some((0, 1))),
    ("ListPartitionReassignments", 46, Some((0, 0))),
    ("OffsetDelete", 47, Some((0, 0))),
    ("DescribeClientQuotas", 48, Some((0, 1))),
    ("AlterClientQuotas", 49, Some((0, 1))),
    ("DescribeUserScramCredentials", 50, Some((0, 0))),
    ("AlterUserScramCredentials", 51, Some((0, 0))),
    ("DescribeQuorum", 55, Some((0, 2))),
    ("UpdateFeatures", 57, Some((0, 2))),
    ("DescribeCluster", 60, Some((0, 2))),
    ("DescribeProducers", 61, Some((0, 0))),
    ("UnregisterBroker", 64, Some((0, 0))),
    ("DescribeTransactions", 65, Some((0, 0))),
    ("ListTransactions", 66, Some((0, 2))),
    ("ConsumerGroupHeartbeat", 68, Some((0, 1))),
    ("ConsumerGroupDescribe", 69, Some((0, 1))),
    ("GetTelemetrySubscriptions", 71, None),
    ("PushTelemetry", 72, None),
    ("ListConfigResources", 74, Some((0, 1))),
    ("DescribeTopicPartitions", 75, Some((0, 0))),
    ("ShareGroupHeartbeat", 76, Some((1, 1))),
    ("ShareGroupDescribe", 77, Some((1, 1))),
    ("ShareFetch", 78, Some((1, 2))),
    ("ShareAcknowledge", 79, Some((1, 2))),
    ("AddRaftVoter", 80, Some((0, 1))),
    ("RemoveRaftVoter", 81, Some((0, 0))),
    ("InitializeShareGroupState", 83, Some((0, 0))),
    ("ReadShareGroupState", 84, Some((0, 0))),
    ("WriteShareGroupState", 85, Some((0, 1))),
    ("DeleteShareGroupState", 86, Some((0, 0))),
    ("ReadShareGroupStateSummary", 87, Some((0, 1))),
    ("StreamsGroupHeartbeat", 88, Some((0, 0))),
    ("StreamsGroupDescribe", 89, Some((0, 0))),
    ("DescribeShareGroupOffsets", 90, Some((0, 1))),
    ("AlterShareGroupOffsets", 91, Some((0, 0))),
    ("DeleteShareGroupOffsets", 92, Some((0, 0))),
];

const DOCUMENT: &str = include_str!("../../../../../docs/compatibility.md");

/// The cells of the document's rows, by API key.
fn documented() -> BTreeMap<i16, Vec<&'static str>> {
    let cells = |line: &'static str| -> Option<(i16, Vec<&'static str>)> {
        let cells: Vec<_> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        Some((cells.get(1)?.parse().ok()?, cells))
    };
    DOCUMENT.lines().filter_map(cells).collect()
}

fn shown(versions: Option<(i16, i16)>) -> String {
    match versions {
        None => "-".to_owned(),
        Some((min, max)) if min == max => min.to_string(),
        Some((min, max)) => format!("{min}-{max}"),
    }
}

#[tokio::test]
async fn every_api_of_kafka_is_served_in_all_its_versions_or_absent_for_a_written_reason() {
    let harness = Harness::start().await;
    let response = harness.client().await.call(4, api_versions()).await;
    let served: BTreeMap<_, _> =
        response.api_keys.iter().map(|it| (it.api_key, (it.min_version, it.max_version))).collect();
    let documented = documented();
    for (name, key, versions) in KAFKA {
        let row = documented.get(key).unwrap_or_else(|| panic!("{name} is not documented"));
        let here = served.get(key).map_or("absent".to_owned(), |it| shown(Some(*it)));
        assert_eq!(row[..4], [*name, &key.to_string(), &shown(*versions), &*here]);
        let differs = served.get(key).copied() != *versions;
        assert!(!differs || !row[4].is_empty(), "{name} differs without a reason");
    }
    assert_eq!(documented.len(), KAFKA.len());
    assert!(served.keys().all(|key| KAFKA.iter().any(|it| it.1 == *key)));
}
