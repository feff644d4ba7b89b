//! ListOffsets, OffsetForLeaderEpoch and DeleteRecords, with the answers of Apache Kafka 4.3.1.

use crate::harness::Client;
use crate::records::{batch_with, fetch, node, put, values};
use crate::topics::{create, topic, with};
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::message::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use systole_wire::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use systole_wire::message::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use systole_wire::message::{
    DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use systole_wire::record::BatchOptions;

/// Error, timestamp, offset and leader epoch for each partition and time.
async fn list(
    client: &mut Client,
    version: i16,
    asked: &[(i32, i64)],
) -> Vec<(i16, i64, i64, i32)> {
    let partition = |&(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..Default::default()
    };
    let partitions = asked.iter().map(partition).collect();
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic { name: "t".into(), partitions, ..Default::default() }],
        ..Default::default()
    };
    let response = client.call(version, request).await;
    let answers = response.topics[0].partitions.iter();
    answers.map(|it| (it.error_code, it.timestamp, it.offset, it.leader_epoch)).collect()
}

async fn delete(client: &mut Client, name: &str, index: i32, offset: i64) -> (i16, i64) {
    let partition = DeleteRecordsPartition { partition_index: index, offset, ..Default::default() };
    let topic =
        DeleteRecordsTopic { name: name.into(), partitions: vec![partition], ..Default::default() };
    let request = DeleteRecordsRequest { topics: vec![topic], ..Default::default() };
    let response = client.call(2, request).await;
    let it = &response.topics[0].partitions[0];
    (it.error_code, it.low_watermark)
}

fn at(timestamp: i64, values: &[&str]) -> bytes::Bytes {
    batch_with(BatchOptions::default(), timestamp, values)
}

#[tokio::test]
async fn special_times_are_answered_from_the_version_that_knows_them() {
    let (_harness, mut client) = node(2, &[]).await;
    put(&mut client, at(1000, &["a", "b"])).await;
    put(&mut client, at(500, &["c"])).await;
    let mut shown = String::new();
    for (time, known_from) in [(-1, 1), (-2, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 12)] {
        for version in 1..=11 {
            let answer = list(&mut client, version, &[(0, time)]).await[0];
            assert_eq!(answer.0 == 35, version < known_from, "{time} in v{version}");
        }
        let answers = list(&mut client, 11, &[(0, time), (1, time)]).await;
        writeln!(shown, "{time}: {:?} empty {:?}", answers[0], answers[1]).unwrap();
    }
    expect![[r#"
        -1: (0, -1, 3, 0) empty (0, -1, 0, 0)
        -2: (0, -1, 0, 0) empty (0, -1, 0, 0)
        -3: (0, 1001, 1, 0) empty (0, -1, -1, -1)
        -4: (0, -1, 0, 0) empty (0, -1, 0, 0)
        -5: (0, -1, -1, -1) empty (0, -1, -1, -1)
        -6: (0, -1, -1, -1) empty (0, -1, -1, -1)
        -7: (35, -1, -1, -1) empty (35, -1, -1, -1)
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn a_time_leads_to_the_first_record_that_is_not_older() {
    let (_harness, mut client) = node(1, &[]).await;
    put(&mut client, at(1000, &["a", "b", "c"])).await;
    put(&mut client, at(500, &["late"])).await;
    put(&mut client, at(2000, &["d"])).await;
    let mut found = Vec::new();
    for time in [0, 1000, 1001, 1003, 2000, 2001] {
        found.push(list(&mut client, 5, &[(0, time)]).await[0]);
    }
    let expected = [
        (0, 1000, 0, 0),
        (0, 1000, 0, 0),
        (0, 1001, 1, 0),
        (0, 2000, 4, 0),
        (0, 2000, 4, 0),
        (0, -1, -1, -1),
    ];
    assert_eq!(found, expected);
    // A time whose records are deleted leads to the next record that is there.
    assert_eq!(delete(&mut client, "t", 0, 2).await, (0, 2));
    assert_eq!(list(&mut client, 5, &[(0, 0)]).await, [(0, 1002, 2, 0)]);
    assert_eq!(delete(&mut client, "t", 0, 3).await, (0, 3));
    assert_eq!(list(&mut client, 5, &[(0, 600)]).await, [(0, 2000, 4, 0)]);
}

#[tokio::test]
async fn bad_questions_about_offsets_have_their_codes() {
    let (_harness, mut client) = node(1, &[]).await;
    let answers = list(&mut client, 5, &[(0, -1), (9, -1), (0, -1)]).await;
    let codes: Vec<_> = answers.iter().map(|it| it.0).collect();
    assert_eq!(codes, [0, 3, 42], "the second question about a partition is refused");
}

#[tokio::test]
async fn the_one_leader_epoch_ends_where_the_log_ends() {
    let (_harness, mut client) = node(1, &[]).await;
    put(&mut client, at(1000, &["a", "b"])).await;
    let ask = async |client: &mut Client, version, (partition, current, epoch)| {
        let partitions = vec![OffsetForLeaderPartition {
            partition,
            current_leader_epoch: current,
            leader_epoch: epoch,
            ..Default::default()
        }];
        let topic = OffsetForLeaderTopic { topic: "t".into(), partitions, ..Default::default() };
        let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
        let response = client.call(version, request).await;
        let it = response.topics[0].partitions[0].clone();
        (it.error_code, it.leader_epoch, it.end_offset)
    };
    for version in 2..=4 {
        assert_eq!(ask(&mut client, version, (0, -1, 0)).await, (0, 0, 2));
        assert_eq!(ask(&mut client, version, (0, 0, 0)).await, (0, 0, 2));
        assert_eq!(ask(&mut client, version, (0, -1, -1)).await, (0, -1, -1));
        assert_eq!(ask(&mut client, version, (0, -1, 5)).await, (0, -1, -1));
        assert_eq!(ask(&mut client, version, (0, 5, 0)).await, (75, -1, -1));
        assert_eq!(ask(&mut client, version, (9, -1, 0)).await, (3, -1, -1));
    }
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_and_stay_deleted() {
    let (mut harness, mut client) = node(1, &[]).await;
    let compacted = with(topic("k", 1), "cleanup.policy", "compact");
    create(&mut client, vec![compacted, topic("__consumer_offsets", 1)]).await;
    for value in ["a", "b", "c"] {
        put(&mut client, at(1000, &[value])).await;
    }
    assert_eq!(delete(&mut client, "t", 0, 2).await, (0, 2));
    assert_eq!(delete(&mut client, "t", 0, 1).await, (0, 2), "not backwards");
    assert_eq!(delete(&mut client, "t", 0, 1000).await, (1, -1));
    assert_eq!(delete(&mut client, "t", 0, -2).await, (1, -1));
    assert_eq!(delete(&mut client, "t", 9, 0).await, (3, -1));
    assert_eq!(delete(&mut client, "absent", 0, 0).await, (3, -1));
    assert_eq!(delete(&mut client, "k", 0, 0).await, (44, -1));
    assert_eq!(delete(&mut client, "__consumer_offsets", 0, 0).await, (17, -1));
    assert_eq!(fetch(&mut client, 0).await.error_code, 1);
    assert_eq!(values(&fetch(&mut client, 2).await), ["c"]);
    assert_eq!(delete(&mut client, "t", 0, -1).await, (0, 3), "all of it");
    harness.crash().await;
    let mut client = harness.client().await;
    assert_eq!(list(&mut client, 5, &[(0, -2)]).await, [(0, -1, 3, 0)]);
    assert_eq!(put(&mut client, at(1000, &["d"])).await, (0, 3));
}
