//! What the tests of the data path share: topics, batches, and one-line calls.

use crate::harness::{Client, Harness};
use crate::topics::{create, topic, with};
use bytes::Bytes;
use systole_wire::message::fetch_request::{FetchPartition, FetchTopic};
use systole_wire::message::fetch_response::PartitionData;
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::produce_response::PartitionProduceResponse;
use systole_wire::message::{FetchRequest, FetchResponse, ProduceRequest};
use systole_wire::record::{BatchBuilder, BatchOptions, Batches, NewRecord, Producer, RecordSet};

/// A node with the topic `t` of `partitions` partitions and these settings, and a client.
pub(crate) async fn node(partitions: i32, configs: &[(&str, &str)]) -> (Harness, Client) {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let wanted =
        configs.iter().fold(topic("t", partitions), |it, (name, value)| with(it, name, value));
    let said = create(&mut client, vec![wanted]).await;
    assert!(said.starts_with("t: 0"), "{said}");
    (harness, client)
}

pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A batch of values, all of now.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_with(BatchOptions::default(), now(), values)
}

pub(crate) fn batch_of(producer: Producer, values: &[&str]) -> Bytes {
    batch_with(BatchOptions { producer, ..BatchOptions::default() }, now(), values)
}

/// Timestamps count up from `timestamp`, one millisecond each.
pub(crate) fn batch_with(options: BatchOptions, timestamp: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (value, timestamp) in values.iter().zip(timestamp..) {
        let value = Some(value.as_bytes());
        builder.push(&NewRecord { timestamp, value, ..NewRecord::default() });
    }
    builder.build().unwrap()
}

pub(crate) fn produce_request(partitions: Vec<(i32, Bytes)>) -> ProduceRequest {
    let data = |(index, records)| PartitionProduceData {
        index,
        records: Some(records),
        ..Default::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: partitions.into_iter().map(data).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Sends one batch to `t-0` and gives the answer.
pub(crate) async fn produce(client: &mut Client, batch: Bytes) -> PartitionProduceResponse {
    let response = client.call(12, produce_request(vec![(0, batch)])).await;
    response.responses[0].partition_responses[0].clone()
}

/// Code and first offset, as tests like to compare them.
pub(crate) async fn put(client: &mut Client, batch: Bytes) -> (i16, i64) {
    let it = produce(client, batch).await;
    (it.error_code, it.base_offset)
}

/// A fetch of `t` without a session.
pub(crate) fn fetch_request(partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: partitions.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Reads `t-0` from `offset`.
pub(crate) async fn fetch(client: &mut Client, offset: i64) -> PartitionData {
    let response = client.call(12, fetch_request(&[(0, offset)])).await;
    response.responses[0].partitions[0].clone()
}

/// Offset, timestamp and value of every record.
pub(crate) fn records(data: &PartitionData) -> Vec<(i64, i64, String)> {
    let mut found = Vec::new();
    for batch in Batches::new(data.records.clone().unwrap()) {
        let batch = batch.unwrap();
        for record in &RecordSet::open(&batch.bytes, 1 << 24).unwrap() {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap();
            found.push((record.offset, record.timestamp, value));
        }
    }
    found
}

pub(crate) fn values(data: &PartitionData) -> Vec<String> {
    records(data).into_iter().map(|it| it.2).collect()
}

/// What a fetch said: an error of the whole, and a line for each partition.
pub(crate) fn said(response: &FetchResponse) -> Vec<String> {
    let mut lines = Vec::new();
    if response.error_code != 0 {
        lines.push(format!("error {}", response.error_code));
    }
    for topic in &response.responses {
        for it in &topic.partitions {
            let place = format!("{}-{}", &*topic.topic, it.partition_index);
            let bytes = it.records.as_ref().map_or(0, Bytes::len);
            let (start, hw, lso) = (it.log_start_offset, it.high_watermark, it.last_stable_offset);
            lines.push(match it.error_code {
                0 => format!("{place}: {start}..{hw} stable {lso}, {bytes} bytes"),
                code => format!("{place}: error {code}, {start}..{hw} stable {lso}"),
            });
        }
    }
    lines
}

/// The id of a topic.
pub(crate) async fn topic_id(client: &mut Client, name: &str) -> systole_kit::Uuid {
    let response = client.call(13, crate::metadata::ask(&[name])).await;
    response.topics[0].topic_id
}
