//! Compaction as clients see it: of each key the newest record stays, at its offset, whatever the
//! node does meanwhile.

use crate::harness::{Client, Harness, PATIENCE};
use crate::records::{fetch, now, put};
use crate::topics::{create, topic, with};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::message::FetchRequest;
use systole_wire::message::fetch_request::{FetchPartition, FetchTopic};
use systole_wire::record::{BatchBuilder, BatchOptions, Batches, NewRecord, RecordSet};
use systole_world::World;
use systole_world::sim::HandClock;

const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Bytes of a value: some 12 records fill a segment of the smallest size.
const VALUE_BYTES: usize = 90_000;
/// What no pass touches: the active segment, and as much again that is not in a segment yet.
const OPEN_RECORDS: usize = 24;

/// Key and value of each record, by offset.
type Kept = BTreeMap<i64, (String, Option<u8>)>;

/// A node that looks for work every second, and the topic `t` with the smallest segments.
async fn start(settings: &[(&str, &str)]) -> (Harness, Client) {
    let harness = Harness::start_with(|it| it.maintenance_interval = Duration::from_secs(1)).await;
    let mut client = harness.client().await;
    create_compacted(&mut client, settings).await;
    (harness, client)
}

async fn create_compacted(client: &mut Client, settings: &[(&str, &str)]) {
    let always = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let mut wanted = topic("t", 1);
    for (name, value) in always.iter().chain(settings) {
        wanted = with(wanted, name, value);
    }
    assert!(create(client, vec![wanted]).await.starts_with("t: 0"));
}

/// One record; its value, if it has one, is `mark` many times.
fn record(key: &str, mark: Option<u8>) -> Bytes {
    let value = mark.map(|it| vec![it; VALUE_BYTES]);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(&NewRecord {
        timestamp: now(),
        key: Some(key.as_bytes()),
        value: value.as_deref(),
        ..NewRecord::default()
    });
    builder.build().unwrap()
}

/// Writes each of four keys as often as it takes to close `segments` segments.
async fn overwrite(client: &mut Client, segments: u8) {
    for mark in 0..segments * 3 {
        for key in ["a", "b", "c", "d"] {
            assert_eq!(put(client, record(key, Some(mark))).await.0, 0);
        }
    }
}

/// Everything that a reader from the beginning gets.
async fn read_all(client: &mut Client) -> Kept {
    let (mut found, mut offset) = (Kept::new(), 0);
    loop {
        let request = FetchRequest {
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: "t".into(),
                partitions: vec![FetchPartition {
                    fetch_offset: offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = client.call(12, request).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, 0);
        if offset == data.high_watermark {
            return found;
        }
        for batch in Batches::new(data.records.clone().unwrap()) {
            let batch = batch.unwrap();
            for record in &RecordSet::open(&batch.bytes, 1 << 24).unwrap() {
                let record = record.unwrap();
                let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                let mark = record.value.map(|it| {
                    assert_eq!(it.len(), VALUE_BYTES);
                    it[0]
                });
                found.insert(record.offset, (key, mark));
            }
            offset = batch.header.next_offset();
        }
    }
}

/// Asks until the answer is yes.
async fn eventually(wrong: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{wrong} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads until no more than `count` records are left.
async fn read_compacted(client: &mut Client, count: usize) -> Kept {
    let mut kept = Kept::new();
    eventually("too many records are left", async || {
        kept = read_all(client).await;
        kept.len() <= count
    })
    .await;
    kept
}

/// The newest record of each key.
fn newest(all: &Kept) -> BTreeMap<&str, (i64, Option<u8>)> {
    all.iter().map(|(offset, (key, mark))| (key.as_str(), (*offset, *mark))).collect()
}

#[tokio::test]
async fn of_each_key_the_newest_record_stays_at_its_offset_across_a_crash() {
    let (mut harness, mut client) = start(&[]).await;
    overwrite(&mut client, 5).await;
    let all = read_all(&mut client).await;
    let kept = read_compacted(&mut client, OPEN_RECORDS + 4).await;
    assert_eq!(newest(&kept), newest(&all));
    assert!(kept.iter().all(|it| all.get(it.0) == Some(it.1)), "nothing was changed");
    harness.crash().await;
    let mut client = harness.client().await;
    // A pass is on disk with the next checkpoint; until then a crash undoes all of it.
    assert_eq!(newest(&read_all(&mut client).await), newest(&all));
    overwrite(&mut client, 4).await;
    let all = read_all(&mut client).await;
    let kept = read_compacted(&mut client, OPEN_RECORDS + 4).await;
    assert_eq!(newest(&kept), newest(&all));
}

#[tokio::test]
async fn a_deleted_key_leaves_with_its_tombstone_once_the_retention_of_deletes_is_over() {
    let (_harness, mut client) = start(&[("delete.retention.ms", "0")]).await;
    overwrite(&mut client, 1).await;
    assert_eq!(put(&mut client, record("a", None)).await.0, 0);
    eventually("the tombstone stays", async || {
        // Other keys close its segment; the pass after the one that saw it first removes it.
        for key in ["b", "c", "d"].iter().cycle().take(12) {
            assert_eq!(put(&mut client, record(key, Some(99))).await.0, 0);
        }
        !newest(&read_all(&mut client).await).contains_key("a")
    })
    .await;
}

#[tokio::test]
async fn with_both_policies_old_segments_go_and_the_rest_is_compacted() {
    let both = [("cleanup.policy", "compact,delete"), ("retention.bytes", "1048576")];
    let (_harness, mut client) = start(&both).await;
    assert_eq!(put(&mut client, record("once", Some(7))).await.0, 0);
    overwrite(&mut client, 6).await;
    eventually("the only record of its key stays", async || {
        fetch(&mut client, 0).await.error_code == OFFSET_OUT_OF_RANGE
    })
    .await;
}

#[tokio::test]
async fn young_records_stay_as_long_as_the_topic_says() {
    let clock = HandClock::starting_at(Timestamp::from_millis(now()));
    let world = World { clock: Arc::new(clock.clone()), ..World::os() };
    let harness = Harness::start_in(world, |_| {}).await;
    let mut client = harness.client().await;
    create_compacted(&mut client, &[("min.compaction.lag.ms", "3600000")]).await;
    overwrite(&mut client, 4).await;
    let all = read_all(&mut client).await;
    let rounds = harness.metric("maintenance_rounds_total");
    clock.turn(harness.config.maintenance_interval);
    harness.until_metric("maintenance_rounds_total", |it| it > rounds).await;
    assert_eq!(read_all(&mut client).await, all);
    clock.turn(Duration::from_hours(2));
    // Nothing was heard on the old connection for so long that it was closed.
    let mut client = harness.client().await;
    let kept = read_compacted(&mut client, OPEN_RECORDS + 4).await;
    assert_eq!(newest(&kept), newest(&all));
}
