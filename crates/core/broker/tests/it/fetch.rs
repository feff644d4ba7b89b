//! Fetch: what is read, when it waits, and its sessions. Codes and watermarks are those that Apache
//! Kafka 4.3.1 gave for the same requests.

use crate::harness::{Client, Harness};
use crate::records::{batch, fetch, fetch_request, node, put, said, topic_id, values};
use std::time::{Duration, Instant};
use systole_wire::message::FetchRequest;
use systole_wire::message::fetch_request::ForgottenTopic;

/// Longer than a client waits for an answer: whoever gets one was woken.
const LONG_MS: i32 = 300_000;

async fn ask(client: &mut Client, request: FetchRequest) -> Vec<String> {
    said(&client.call(12, request).await)
}

/// Sends a fetch and waits until the node has it.
pub(crate) async fn begin(harness: &Harness, client: &mut Client, request: &FetchRequest) -> i32 {
    let before = harness.metric("received_bytes_total");
    let id = client.send(12, request).await;
    harness.until_metric("received_bytes_total", |it| it > before).await;
    id
}

pub(crate) fn changed(
    partitions: &[(i32, i64)],
    change: impl FnOnce(&mut FetchRequest),
) -> FetchRequest {
    let mut request = fetch_request(partitions);
    change(&mut request);
    request
}

#[tokio::test]
async fn every_version_reads_the_same_records() {
    let (_harness, mut client) = node(1, &[]).await;
    put(&mut client, batch(&["a", "b"])).await;
    let id = topic_id(&mut client, "t").await;
    for version in 4..=18 {
        let mut request = fetch_request(&[(0, 0)]);
        request.topics[0].topic_id = id;
        let response = client.call(version, request).await;
        let topic = &response.responses[0];
        assert_eq!(values(&topic.partitions[0]), ["a", "b"], "v{version}");
        assert_eq!((topic.topic_id == id, &*topic.topic == "t"), (version >= 13, version < 13));
        assert_eq!(topic.partitions[0].high_watermark, 2);
    }
}

#[tokio::test]
async fn places_without_records_have_kafkas_answers() {
    let (_harness, mut client) = node(1, &[]).await;
    for value in ["a", "b", "c"] {
        put(&mut client, batch(&[value])).await;
    }
    let wait = |it: &mut FetchRequest| it.max_wait_ms = LONG_MS;
    let at_end = ask(&mut client, fetch_request(&[(0, 3)])).await;
    assert_eq!(at_end, ["t-0: 0..3 stable 3, 0 bytes"]);
    // What cannot be read is answered at once.
    for offset in [4, -1] {
        let outside = ask(&mut client, changed(&[(0, offset)], wait)).await;
        assert_eq!(outside, ["t-0: error 1, -1..-1 stable -1"]);
    }
    let no_partition = ask(&mut client, changed(&[(9, 0)], wait)).await;
    assert_eq!(no_partition, ["t-9: error 3, -1..-1 stable -1"]);
    let absent = changed(&[(0, 0)], |it| {
        it.topics[0].topic = "absent".into();
        it.max_wait_ms = LONG_MS;
    });
    assert_eq!(ask(&mut client, absent).await, ["absent-0: error 3, -1..-1 stable -1"]);
    let later_epoch = changed(&[(0, 0)], |it| it.topics[0].partitions[0].current_leader_epoch = 5);
    assert_eq!(ask(&mut client, later_epoch).await, ["t-0: error 75, -1..-1 stable -1"]);
    let diverged = changed(&[(0, 7)], |it| it.topics[0].partitions[0].last_fetched_epoch = 0);
    let response = client.call(12, diverged).await;
    let diverging = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 3));
    let unknown_id = client.call(13, fetch_request(&[(0, 0)])).await;
    assert_eq!(unknown_id.responses[0].partitions[0].error_code, 100);
}

#[tokio::test]
async fn limits_hold_except_for_the_first_batch() {
    let (_harness, mut client) = node(3, &[]).await;
    let value = "x".repeat(1000);
    for _ in 0..3 {
        put(&mut client, batch(&[&value])).await;
    }
    let one = batch(&[&value]);
    let request = crate::records::produce_request(vec![(1, one.clone()), (2, one.clone())]);
    client.call(9, request).await;
    let all = &[(0, 0), (1, 0), (2, 0)];
    let size = i32::try_from(one.len()).unwrap();
    let counts = async |client: &mut Client, answer_max: i32, partition_max: i32| {
        let request = changed(all, |it| {
            it.max_bytes = answer_max;
            it.topics[0]
                .partitions
                .iter_mut()
                .for_each(|it| it.partition_max_bytes = partition_max);
        });
        let response = client.call(12, request).await;
        let partitions = &response.responses[0].partitions;
        partitions.iter().map(|it| values(it).len()).collect::<Vec<_>>()
    };
    assert_eq!(counts(&mut client, i32::MAX, i32::MAX).await, [3, 1, 1]);
    assert_eq!(counts(&mut client, i32::MAX, size).await, [1, 1, 1]);
    assert_eq!(counts(&mut client, i32::MAX, 2 * size + 9).await, [2, 1, 1]);
    assert_eq!(counts(&mut client, 2 * size, size).await, [1, 1, 0]);
    assert_eq!(counts(&mut client, 1, 1).await, [1, 0, 0], "the first whatever its size");
    assert_eq!(counts(&mut client, 0, 0).await, [1, 0, 0]);
    assert_eq!(counts(&mut client, -1, -5).await, [1, 0, 0]);
}

#[tokio::test]
async fn a_read_from_the_middle_of_a_batch_gives_the_whole_batch() {
    let (_harness, mut client) = node(1, &[]).await;
    put(&mut client, batch(&["a", "b", "c"])).await;
    put(&mut client, batch(&["d"])).await;
    assert_eq!(values(&fetch(&mut client, 1).await), ["a", "b", "c", "d"]);
    assert_eq!(values(&fetch(&mut client, 3).await), ["d"]);
}

#[tokio::test]
async fn a_fetch_at_the_end_waits_for_records_and_no_longer_than_asked() {
    let (harness, mut client) = node(2, &[]).await;
    let mut producer = harness.client().await;
    let waiting = changed(&[(0, 0), (1, 0)], |it| it.max_wait_ms = LONG_MS);
    let id = begin(&harness, &mut client, &waiting).await;
    put(&mut producer, batch(&["woke"])).await;
    let response = client.receive::<FetchRequest>(12, id).await;
    assert_eq!(values(&response.responses[0].partitions[0]), ["woke"]);

    let brief = changed(&[(0, 1)], |it| it.max_wait_ms = 50);
    let began = Instant::now();
    let response = client.call(12, brief).await;
    assert_eq!(values(&response.responses[0].partitions[0]), [""; 0]);
    assert!(began.elapsed() >= Duration::from_millis(50));

    let nothing_needed = changed(&[(0, 1)], |it| {
        it.max_wait_ms = LONG_MS;
        it.min_bytes = 0;
    });
    client.call(12, nothing_needed).await;
}

#[tokio::test]
async fn a_fetch_waits_until_there_are_as_many_bytes_as_asked() {
    let (harness, mut client) = node(1, &[]).await;
    let mut producer = harness.client().await;
    let one = batch(&["x"]);
    let waiting = changed(&[(0, 0)], |it| {
        it.max_wait_ms = LONG_MS;
        it.min_bytes = i32::try_from(3 * one.len()).unwrap();
    });
    let id = begin(&harness, &mut client, &waiting).await;
    for _ in 0..3 {
        put(&mut producer, batch(&["x"])).await;
    }
    let response = client.receive::<FetchRequest>(12, id).await;
    assert_eq!(values(&response.responses[0].partitions[0]), ["x", "x", "x"]);
}

#[tokio::test]
async fn a_waiting_fetch_is_answered_when_the_node_stops() {
    let (mut harness, mut client) = node(1, &[]).await;
    let waiting = changed(&[(0, 0)], |it| it.max_wait_ms = LONG_MS);
    let id = begin(&harness, &mut client, &waiting).await;
    let stopping = tokio::spawn(async move { harness.stop().await });
    let response = client.receive::<FetchRequest>(12, id).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
    stopping.await.unwrap();
}

#[tokio::test]
async fn readers_of_committed_records_learn_that_nothing_was_aborted() {
    let (_harness, mut client) = node(1, &[]).await;
    put(&mut client, batch(&["a"])).await;
    for (level, aborted) in [(0, None), (1, Some(vec![]))] {
        let request = changed(&[(0, 0)], |it| it.isolation_level = level);
        let response = client.call(12, request).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!((&data.aborted_transactions, data.last_stable_offset), (&aborted, 1));
        assert_eq!(data.preferred_read_replica, -1);
    }
}

/// Opens a session over these partitions of `t`; its id and what the node said.
async fn open(client: &mut Client, partitions: &[(i32, i64)]) -> (i32, Vec<String>) {
    let response = client.call(12, changed(partitions, |it| it.session_epoch = 0)).await;
    assert_ne!(response.session_id, 0);
    (response.session_id, said(&response))
}

/// The next request of a session, which changes nothing.
fn next(session_id: i32, session_epoch: i32) -> FetchRequest {
    FetchRequest { session_id, session_epoch, topics: vec![], ..fetch_request(&[]) }
}

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn a_session_tells_only_what_is_new() {
    let (_harness, mut client) = node(2, &[]).await;
    let (id, opened) = open(&mut client, &[(0, 0), (1, 0), (7, 0)]).await;
    let absent = "t-7: error 3, -1..-1 stable -1";
    let empty = |it| format!("t-{it}: 0..0 stable 0, 0 bytes");
    assert_eq!(opened, [empty(0), empty(1), absent.to_owned()]);
    assert_eq!(ask(&mut client, next(id, 1)).await, [absent], "errors are told each time");
    put(&mut client, batch(&["a"])).await;
    let response = client.call(12, next(id, 2)).await;
    assert_eq!(values(&response.responses[0].partitions[0]), ["a"]);
    let moved = FetchRequest { session_id: id, session_epoch: 3, ..fetch_request(&[(0, 1)]) };
    assert_eq!(ask(&mut client, moved).await, [absent]);
    let forgotten = ForgottenTopic { topic: "t".into(), partitions: vec![7], ..Default::default() };
    let forget = FetchRequest { forgotten_topics_data: vec![forgotten], ..next(id, 4) };
    assert_eq!(ask(&mut client, forget).await, NOTHING);
    put(&mut client, batch(&["b"])).await;
    let response = client.call(12, next(id, 5)).await;
    assert_eq!(values(&response.responses[0].partitions[0]), ["b"]);
}

#[tokio::test]
async fn a_session_that_is_lost_or_out_of_step_has_kafkas_codes() {
    let (_harness, mut client) = node(1, &[]).await;
    let (id, _) = open(&mut client, &[(0, 0)]).await;
    assert_eq!(ask(&mut client, next(id, 1)).await, NOTHING);
    assert_eq!(ask(&mut client, next(id, 1)).await, ["error 71"]);
    assert_eq!(ask(&mut client, next(id, 20)).await, ["error 71"]);
    assert_eq!(ask(&mut client, next(id.wrapping_add(1), 1)).await, ["error 70"]);
    let by_id = client.call(13, next(id, 2)).await;
    assert_eq!(by_id.error_code, 106, "by id in a session by name");
    let ending = FetchRequest { session_id: id, session_epoch: -1, ..fetch_request(&[(0, 0)]) };
    assert_eq!(client.call(12, ending).await.session_id, 0);
    assert_eq!(ask(&mut client, next(id, 2)).await, ["error 70"]);
}

#[tokio::test]
async fn a_deleted_topic_ends_the_wait() {
    let (harness, mut client) = node(1, &[]).await;
    let mut admin = harness.client().await;
    let waiting = changed(&[(0, 0)], |it| it.max_wait_ms = LONG_MS);
    let id = begin(&harness, &mut client, &waiting).await;
    let request = systole_wire::message::DeleteTopicsRequest {
        topic_names: vec!["t".into()],
        ..Default::default()
    };
    admin.call(5, request).await;
    let response = client.receive::<FetchRequest>(12, id).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 3);
}
