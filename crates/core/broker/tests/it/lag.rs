//! How far behind groups are, as the node's metrics say it.

use crate::frames::hand_world;
use crate::harness::{Client, Harness, eventually};
use crate::records::{batch_with, produce_request};
use crate::topics::{create, topic};
use expect_test::expect;
use std::time::Duration;
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::{DeleteGroupsRequest, OffsetCommitRequest};
use systole_wire::record::BatchOptions;

async fn commit(client: &mut Client, group: &str, offsets: &[(i32, i64)]) {
    let partition = |&(partition_index, committed_offset): &(i32, i64)| {
        OffsetCommitRequestPartition { partition_index, committed_offset, ..Default::default() }
    };
    let partitions = offsets.iter().map(partition).collect();
    let topics =
        vec![OffsetCommitRequestTopic { name: "t".into(), partitions, ..Default::default() }];
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics,
        ..Default::default()
    };
    let response = client.call(8, request).await;
    assert!(response.topics[0].partitions.iter().all(|it| it.error_code == 0));
}

fn shown(harness: &Harness) -> String {
    let text = harness.metrics.text();
    let lines = text.lines().filter(|it| it.starts_with("kafka_consumergroup_"));
    lines.map(|it| format!("{it}\n")).collect()
}

/// The age shown of what a group has not committed, 0 if none is shown.
fn seconds(text: &str, group: &str) -> f64 {
    let start = format!("kafka_consumergroup_group_max_lag_seconds{{group=\"{group}");
    let line = text.lines().find(|it| it.starts_with(&start));
    line.map_or(0.0, |it| it.rsplit(' ').next().unwrap().parse().unwrap())
}

fn rows(harness: &Harness, name: &str) -> usize {
    let start = format!("kafka_consumergroup_group_{name}");
    shown(harness).lines().filter(|it| it.starts_with(&start)).count()
}

#[tokio::test]
async fn the_lag_of_groups_is_shown_in_records_and_in_seconds_until_they_are_gone() {
    let start_ms = 1_700_000_000_000; // of the world's clock
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 2)]).await;
    for (at, values) in [(0, &["a", "b", "c"][..]), (10_000, &["d"])] {
        let batch = batch_with(BatchOptions::default(), start_ms + at, values);
        client.call(12, produce_request(vec![(0, batch)])).await;
    }
    commit(&mut client, "in the batch", &[(0, 2), (1, 0)]).await;
    commit(&mut client, "all read", &[(0, 4)]).await;
    commit(&mut client, "at a \"batch", &[(0, 3)]).await;
    let mut text = String::new();
    let is_shown = || {
        clock.turn(Duration::from_secs(7));
        text = shown(&harness);
        // The last record is of ten seconds after the clock's start.
        seconds(&text, "at a") > 0.0
    };
    eventually(is_shown, || shown(&harness)).await;
    let age = seconds(&text, "at a");
    assert!((age + 10.0) % 7.0 < 0.001, "the clock goes on by seven seconds at a time: {age}");
    let text = text.replace(&format!(" {age}\n"), " AGE\n");
    let text = text.replace(&format!(" {:.3}\n", age + 9.998), " AGE + 9.998\n");
    expect![[r#"
        kafka_consumergroup_group_lag{group="all read",topic="t",partition="0"} 0
        kafka_consumergroup_group_lag{group="at a \"batch",topic="t",partition="0"} 1
        kafka_consumergroup_group_lag{group="in the batch",topic="t",partition="0"} 2
        kafka_consumergroup_group_lag{group="in the batch",topic="t",partition="1"} 0
        kafka_consumergroup_group_lag_seconds{group="all read",topic="t",partition="0"} 0
        kafka_consumergroup_group_lag_seconds{group="at a \"batch",topic="t",partition="0"} AGE
        kafka_consumergroup_group_lag_seconds{group="in the batch",topic="t",partition="0"} AGE + 9.998
        kafka_consumergroup_group_lag_seconds{group="in the batch",topic="t",partition="1"} 0
        kafka_consumergroup_group_max_lag{group="all read"} 0
        kafka_consumergroup_group_max_lag{group="at a \"batch"} 1
        kafka_consumergroup_group_max_lag{group="in the batch"} 2
        kafka_consumergroup_group_max_lag_seconds{group="all read"} 0
        kafka_consumergroup_group_max_lag_seconds{group="at a \"batch"} AGE
        kafka_consumergroup_group_max_lag_seconds{group="in the batch"} AGE + 9.998
    "#]]
    .assert_eq(&text);
    assert_eq!(harness.metric("lag_left_out"), 0);
    let groups_names = ["in the batch", "all read", "at a \"batch"].map(Into::into).to_vec();
    client.call(2, DeleteGroupsRequest { groups_names, ..Default::default() }).await;
    let is_gone = || {
        clock.turn(Duration::from_secs(6));
        shown(&harness).is_empty()
    };
    eventually(is_gone, || shown(&harness)).await;
}

#[tokio::test]
async fn lag_beyond_ten_thousand_offsets_is_counted_instead_of_shown() {
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 100)]).await;
    let offsets: Vec<_> = (0..100).map(|it| (it, 0)).collect();
    for group in 0..101 {
        commit(&mut client, &format!("group {group}"), &offsets).await;
    }
    let is_shown = || {
        clock.turn(Duration::from_secs(6));
        !shown(&harness).is_empty()
    };
    eventually(is_shown, || shown(&harness)).await;
    assert_eq!(rows(&harness, "lag{"), 10_000);
    assert_eq!(harness.metric("lag_left_out"), 100);
}

/// A round reads 64 MiB: 68 batches of a million bytes. What it did not reach has no age until the
/// next one has.
#[tokio::test]
async fn a_round_that_has_read_enough_leaves_the_rest_to_the_next() {
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    let batch = batch_with(BatchOptions::default(), 1_700_000_000_000, &[&"x".repeat(1_000_000)]);
    client.call(12, produce_request(vec![(0, batch)])).await;
    for group in 0..80 {
        commit(&mut client, &format!("group {group}"), &[(0, 0)]).await;
    }
    for measured in [68, 80] {
        let is_measured = || {
            clock.turn(Duration::from_secs(6));
            rows(&harness, "lag_seconds{") >= measured
        };
        eventually(is_measured, || shown(&harness)).await;
        assert_eq!(rows(&harness, "lag{"), 80);
        assert_eq!(rows(&harness, "lag_seconds{"), measured);
        assert_eq!(rows(&harness, "max_lag_seconds{"), measured);
    }
}
