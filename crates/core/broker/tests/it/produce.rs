//! Produce and InitProducerId, compared with what Apache Kafka 4.3.1 answers to the same bytes
//! where it is subtle; differences are those that the APIs' headers name.

use crate::harness::{Client, Harness};
use crate::records::{
    batch, batch_of, batch_with, fetch, node, now, produce, produce_request, put, records,
    topic_id, values,
};
use crate::topics::{create, topic};
use bytes::Bytes;
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::compression::Codec;
use systole_wire::message::{InitProducerIdRequest, ProduceRequest};
use systole_wire::record::{BatchOptions, Batches, Producer, TimestampType, position};

async fn init(
    client: &mut Client,
    version: i16,
    transactional_id: Option<&str>,
) -> (i16, i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id: transactional_id.map(Into::into),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let it = client.call(version, request).await;
    (it.error_code, it.producer_id, it.producer_epoch)
}

/// The batch with another value at a position, and the checksum that fits.
fn altered(batch: &Bytes, at: usize, value: &[u8]) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = crc32c::crc32c(&bytes[position::ATTRIBUTES..]);
    bytes[position::CRC..position::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

#[tokio::test]
async fn every_version_appends_and_its_records_are_read_back() {
    let (_harness, mut client) = node(1, &[]).await;
    let id = topic_id(&mut client, "t").await;
    for version in 3..=13 {
        let mut request = produce_request(vec![(0, batch(&[&format!("v{version}")]))]);
        request.topic_data[0].topic_id = id;
        let response = client.call(version, request).await;
        let it = &response.responses[0].partition_responses[0];
        assert_eq!((it.error_code, it.base_offset), (0, i64::from(version) - 3), "v{version}");
        assert_eq!(it.log_append_time_ms, -1);
    }
    let expected: Vec<_> = (3..=13).map(|it| format!("v{it}")).collect();
    assert_eq!(values(&fetch(&mut client, 0).await), expected);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let (mut harness, mut client) = node(2, &[]).await;
    for at in 0..20 {
        let request = produce_request(vec![(0, batch(&[&format!("a{at}")])), (1, batch(&["b"]))]);
        let response = client.call(9, request).await;
        assert!(response.responses[0].partition_responses.iter().all(|it| it.error_code == 0));
    }
    harness.crash().await;
    let mut client = harness.client().await;
    let expected: Vec<_> = (0..20).map(|it| format!("a{it}")).collect();
    assert_eq!(values(&fetch(&mut client, 0).await), expected);
}

#[tokio::test]
async fn every_codec_is_stored_as_it_came() {
    let (_harness, mut client) = node(1, &[]).await;
    for codec in Codec::ALL {
        let options = BatchOptions { codec, ..BatchOptions::default() };
        let sent = batch_with(options, now(), &["one", "two"]);
        let (code, offset) = put(&mut client, sent.clone()).await;
        assert_eq!(code, 0, "{codec:?}");
        let stored = fetch(&mut client, offset).await.records.unwrap();
        assert_eq!(stored[position::MAGIC..], sent[position::MAGIC..], "{codec:?}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_with_consecutive_offsets() {
    let (_harness, mut client) = node(1, &[]).await;
    let mut sent = Vec::new();
    for at in 0..100 {
        let request = produce_request(vec![(0, batch(&[&at.to_string()]))]);
        sent.push(client.send(9, &request).await);
    }
    for (id, offset) in sent.into_iter().zip(0..) {
        let response = client.receive::<ProduceRequest>(9, id).await;
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
}

#[tokio::test]
async fn bad_batches_get_kafkas_codes() {
    let (_harness, mut client) = node(1, &[]).await;
    let good = batch(&["a", "b"]);
    let cases = [
        ("magic 0", altered(&good, position::MAGIC, &[0])),
        ("magic 1", altered(&good, position::MAGIC, &[1])),
        ("magic 3", altered(&good, position::MAGIC, &[3])),
        ("checksum", [&good[..good.len() - 1], b"x"].concat().into()),
        ("base offset", altered(&good, position::BASE_OFFSET, &5_i64.to_be_bytes())),
        ("empty", Bytes::new()),
        ("two batches", [good.clone(), good.clone()].concat().into()),
        ("no records", altered(&good, position::RECORDS_COUNT, &[0; 4])),
        ("more records", altered(&good, position::RECORDS_COUNT, &3_i32.to_be_bytes())),
        ("last delta", altered(&good, position::LAST_OFFSET_DELTA, &5_i32.to_be_bytes())),
        ("control", altered(&good, position::ATTRIBUTES, &0x20_i16.to_be_bytes())),
        ("transactional", altered(&good, position::ATTRIBUTES, &0x10_i16.to_be_bytes())),
        ("codec 5", altered(&good, position::ATTRIBUTES, &5_i16.to_be_bytes())),
        ("not gzip", altered(&good, position::ATTRIBUTES, &1_i16.to_be_bytes())),
        ("cut", good.slice(..good.len() - 2)),
        ("cut header", good.slice(..30)),
        ("short length", altered(&good, position::BATCH_LENGTH, &10_i32.to_be_bytes())),
        ("id without sequence", altered(&good, position::PRODUCER_ID, &7_i64.to_be_bytes())),
    ];
    let mut shown = String::new();
    for (case, batch) in cases {
        let it = produce(&mut client, batch).await;
        assert_eq!(it.base_offset, -1, "{case}");
        writeln!(shown, "{case}: {}", it.error_code).unwrap();
    }
    expect![[r#"
        magic 0: 87
        magic 1: 87
        magic 3: 2
        checksum: 2
        base offset: 87
        empty: 87
        two batches: 87
        no records: 87
        more records: 87
        last delta: 87
        control: 87
        transactional: 53
        codec 5: 76
        not gzip: 87
        cut: 87
        cut header: 87
        short length: 2
        id without sequence: 87
    "#]]
    .assert_eq(&shown);
    assert_eq!(put(&mut client, good).await, (0, 0), "nothing of it was appended");
}

#[tokio::test]
async fn a_topics_settings_are_enforced_at_the_door() {
    let (_harness, mut client) =
        node(1, &[("max.message.bytes", "100"), ("cleanup.policy", "compact")]).await;
    assert_eq!(put(&mut client, batch(&[&"x".repeat(100)])).await, (10, -1));
    let it = produce(&mut client, batch(&["a", "b"])).await;
    let named: Vec<_> = it.record_errors.iter().map(|it| it.batch_index).collect();
    assert_eq!((it.error_code, named), (87, vec![0, 1]));
    assert!(it.error_message.is_some());
    let (_harness, mut client) = node(1, &[]).await;
    let ahead = now() + 7_200_000;
    let it = produce(&mut client, batch_with(BatchOptions::default(), ahead, &["a"])).await;
    assert_eq!((it.error_code, it.record_errors.len()), (32, 1));
}

#[tokio::test]
async fn append_time_replaces_the_producers_where_the_topic_says_so() {
    let (_harness, mut client) = node(1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let before = now();
    let it = produce(&mut client, batch_with(BatchOptions::default(), 5, &["a", "b"])).await;
    assert!((before..=now()).contains(&it.log_append_time_ms));
    let stored = fetch(&mut client, 0).await;
    let times: Vec<_> = records(&stored).iter().map(|it| it.1).collect();
    assert_eq!(times, [it.log_append_time_ms; 2]);
    let batch = Batches::new(stored.records.unwrap()).next().unwrap().unwrap();
    assert_eq!(batch.header.attributes.timestamp_type(), TimestampType::LogAppend);
    systole_wire::record::verify_crc(&batch.bytes).unwrap();
}

#[tokio::test]
async fn sequences_are_judged_as_kafka_judges_them_except_of_a_producer_that_begins() {
    let (mut harness, mut client) = node(1, &[]).await;
    let (code, id, epoch) = init(&mut client, 4, None).await;
    assert_eq!((code, epoch), (0, 0));
    let of = |epoch, base_sequence, count: usize| {
        batch_of(Producer { id, epoch, base_sequence }, &vec!["x"; count])
    };
    assert_eq!(put(&mut client, of(0, 0, 1)).await, (0, 0));
    assert_eq!(put(&mut client, of(0, 0, 1)).await, (0, 0), "the same again");
    assert_eq!(put(&mut client, of(0, 2, 1)).await, (45, -1), "a gap");
    assert_eq!(put(&mut client, of(0, 1, 3)).await, (0, 1));
    assert_eq!(put(&mut client, of(0, 1, 3)).await, (0, 1), "the same again");
    assert_eq!(put(&mut client, of(0, 1, 2)).await, (45, -1), "a part of it");
    assert_eq!(put(&mut client, of(1, 5, 1)).await, (45, -1), "a new epoch starts at 0");
    assert_eq!(put(&mut client, of(1, 0, 1)).await, (0, 4));
    assert_eq!(put(&mut client, of(0, 4, 1)).await, (47, -1), "the old epoch is fenced");
    for sequence in 1..8 {
        assert_eq!(put(&mut client, of(1, sequence, 1)).await, (0, 4 + i64::from(sequence)));
    }
    assert_eq!(put(&mut client, of(1, 1, 1)).await, (45, -1), "older than the last five");
    assert_eq!(put(&mut client, of(1, 3, 1)).await, (0, 7), "one of the last five");
    let stranger = Producer { id: 99_999, epoch: 0, base_sequence: 7 };
    let stranger = batch_of(stranger, &["x"]);
    assert_eq!(put(&mut client, stranger).await, (45, -1), "its first batch is missing");

    harness.restart().await;
    let mut client = harness.client().await;
    assert_eq!(put(&mut client, of(1, 7, 1)).await, (0, 11), "known after a restart");
    assert_eq!(put(&mut client, of(1, 9, 1)).await, (45, -1));
}

#[tokio::test]
async fn wrong_addresses_and_acks_have_their_codes() {
    let (_harness, mut client) = node(1, &[("min.insync.replicas", "2")]).await;
    create(&mut client, vec![topic("__consumer_offsets", 1)]).await;
    let code_of = async |client: &mut Client, name: &str, index, acks| {
        let mut request = produce_request(vec![(index, batch(&["x"]))]);
        request.topic_data[0].name = name.into();
        request.acks = acks;
        client.call(12, request).await.responses[0].partition_responses[0].error_code
    };
    let cases = [
        ("absent", 0, -1),
        ("", 0, -1),
        ("t", 9, 1),
        ("t", -1, 1),
        ("t", 0, 2),
        ("t", 0, -2),
        ("t", 0, -1),
        ("t", 0, 1),
        ("__consumer_offsets", 0, 1),
    ];
    let mut shown = String::new();
    for (name, index, acks) in cases {
        let code = code_of(&mut client, name, index, acks).await;
        writeln!(shown, "{name}-{index} acks {acks}: {code}").unwrap();
    }
    expect![[r#"
        absent-0 acks -1: 3
        -0 acks -1: 3
        t-9 acks 1: 3
        t--1 acks 1: 3
        t-0 acks 2: 21
        t-0 acks -2: 21
        t-0 acks -1: 19
        t-0 acks 1: 0
        __consumer_offsets-0 acks 1: 17
    "#]]
    .assert_eq(&shown);
    let unknown_id = client.call(13, produce_request(vec![(0, batch(&["x"]))])).await;
    assert_eq!(unknown_id.responses[0].partition_responses[0].error_code, 100);
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_a_refusal_ends_the_connection() {
    let (harness, mut client) = node(1, &[]).await;
    let silent = |batch| ProduceRequest { acks: 0, ..produce_request(vec![(0, batch)]) };
    client.send(9, &silent(batch(&["quiet"]))).await;
    // The next answer is the one to the next request.
    assert_eq!(put(&mut client, batch(&["loud"])).await, (0, 1));
    client.send(9, &silent(Bytes::new())).await;
    assert_eq!(client.receive_frame().await, None);
    let mut client = harness.client().await;
    assert_eq!(values(&fetch(&mut client, 0).await), ["quiet", "loud"]);
}

#[tokio::test]
async fn zstd_needs_a_producer_that_knows_it() {
    let (_harness, mut client) = node(1, &[]).await;
    let options = BatchOptions { codec: Codec::Zstd, ..BatchOptions::default() };
    for (version, code) in [(6, 76), (7, 0)] {
        let request = produce_request(vec![(0, batch_with(options, now(), &["x"]))]);
        let response = client.call(version, request).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, code, "v{version}");
    }
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let mut harness = Harness::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut client = harness.client().await;
        for version in 0..=5 {
            let (code, id, epoch) = init(&mut client, version, None).await;
            assert_eq!((code, epoch), (0, 0), "v{version}");
            ids.push(id);
        }
        harness.crash().await;
    }
    let given = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), given);
    let mut client = harness.client().await;
    assert_eq!(init(&mut client, 4, Some("")).await, (42, -1, -1));
    assert_eq!(init(&mut client, 4, Some("tx")).await.0, 0);
}
