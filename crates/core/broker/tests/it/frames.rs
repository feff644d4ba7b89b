//! What a peer may do to a connection, and what comes of it.

use crate::harness::{Harness, PATIENCE, eventually, frame_of};
use bytes::Bytes;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::message::{ApiVersionsRequest, ApiVersionsResponse, Message, MetadataRequest};
use systole_wire::{ApiKey, Reader};
use systole_world::World;
use systole_world::os::file_handles_max;
use systole_world::sim::HandClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "tests".into(),
        client_software_version: "1.0".into(),
        ..Default::default()
    }
}

fn frame(version: i16, correlation_id: i32) -> Bytes {
    let request = if version < 3 { ApiVersionsRequest::default() } else { api_versions() };
    frame_of(version, correlation_id, &request)
}

/// Whatever is sent, the node closes that connection, counts it, and serves the next one.
#[tokio::test]
async fn a_peer_that_does_not_speak_the_protocol_is_closed_and_counted() {
    let harness = Harness::start().await;
    let abuse: [(&str, &[u8]); 8] = [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n"),
        ("2 GiB announced", b"\x7f\xff\xff\xff"),
        ("a negative length", b"\xff\xff\xff\xff"),
        ("an empty frame", b"\0\0\0\0"),
        ("a frame too short for a header", b"\0\0\0\x03abc"),
        ("an unknown API", b"\0\0\0\x0a\x03\xe7\0\0\0\0\0\x01\xff\xff"),
        ("an unknown version of Metadata", b"\0\0\0\x0a\0\x03\0\x63\0\0\0\x01\xff\xff"),
        ("2 billion topics", b"\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff"),
    ];
    for (expected, (what, bytes)) in (1..).zip(abuse) {
        let mut client = harness.client().await;
        client.stream.write_all(bytes).await.unwrap();
        assert_eq!(client.receive_frame().await, None, "{what}");
        harness.until_metric("connections_broken_total", |it| it >= expected).await;
    }
    let response = harness.client().await.call(3, api_versions()).await;
    assert_eq!(response.error_code, 0);
}

#[tokio::test]
async fn a_newer_client_learns_in_v0_which_version_of_api_versions_is_served() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    client.stream.write_all(b"\0\0\0\x0b\0\x12\0\x63\0\0\0\x07\xff\xff\0").await.unwrap();
    let answer = client.receive_frame().await.unwrap();
    assert_eq!(answer[..4], 7_i32.to_be_bytes());
    let mut reader = Reader::new(answer.slice(4..));
    let response = ApiVersionsResponse::decode(&mut reader, 0).unwrap();
    assert_eq!(response.error_code, 35);
    let row = &response.api_keys[0];
    assert_eq!((row.api_key, row.min_version, row.max_version), (18, 0, 4));
    // The connection goes on, as KIP-511 wants it.
    assert_eq!(client.call(4, api_versions()).await.error_code, 0);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let harness = Harness::start_with(|it| it.requests_in_flight_max = 4).await;
    let mut client = harness.client().await;
    let mut bytes = Vec::new();
    for id in 0..200 {
        if id % 2 == 0 {
            bytes.extend_from_slice(&frame(3, id));
        } else {
            let request = MetadataRequest { topics: None, ..Default::default() };
            bytes.extend_from_slice(&frame_of(12, id, &request));
        }
    }
    let (mut read, mut write) = client.stream.split();
    let writing = write.write_all(&bytes);
    let reading = async {
        for id in 0..200 {
            let length = usize::try_from(read.read_i32().await.unwrap()).unwrap();
            let mut answer = vec![0; length];
            read.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[..4], i32::to_be_bytes(id));
        }
    };
    let both = async { tokio::join!(writing, reading).0.unwrap() };
    tokio::time::timeout(PATIENCE, both).await.expect("200 answers");
}

#[tokio::test]
async fn a_request_cut_into_single_bytes_is_still_a_request() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    for byte in &frame(3, 1) {
        client.stream.write_all(&[*byte]).await.unwrap();
    }
    client.receive::<ApiVersionsRequest>(3, 1).await;
}

/// A world whose clock the test turns.
pub(crate) fn hand_world() -> (World, HandClock) {
    let clock = HandClock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    (World { clock: std::sync::Arc::new(clock.clone()), ..World::os() }, clock)
}

#[tokio::test]
async fn half_a_request_and_then_silence_is_closed_after_the_frame_time_out() {
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let (mut half, mut idle) = (harness.client().await, harness.client().await);
    half.stream.write_all(&frame(3, 1)[..9]).await.unwrap();
    harness.until_metric("received_bytes_total", |it| it >= 9).await;
    idle.call(3, api_versions()).await;
    clock.turn(Duration::from_secs(31));
    assert_eq!(half.receive_frame().await, None);
    harness.until_metric("connections_broken_total", |it| it == 1).await;
    assert_eq!(harness.metric("connections_open"), 1);
    clock.turn(Duration::from_mins(10));
    assert_eq!(idle.receive_frame().await, None);
    assert_eq!(harness.metric("connections_broken_total"), 1, "idling is no offence");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_is_closed_after_the_idle_time_out() {
    const UNREAD_BYTES: i64 = 512 * 1024;
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |it| it.requests_in_flight_max = 8).await;
    let mut client = harness.client().await;
    let asking = async {
        for id in 0.. {
            client.stream.write_all(&frame(3, id)).await.unwrap();
        }
    };
    // What the sockets hold is the system's affair: they are full when nothing has moved for 50
    // looks.
    let (mut sent, mut looks) = (0, 0);
    let is_full = || {
        let before = std::mem::replace(&mut sent, harness.metric("sent_bytes_total"));
        looks = if sent == before { looks + 1 } else { 0 };
        sent > UNREAD_BYTES && looks > 50
    };
    tokio::select! {
        () = asking => unreachable!("it asks for ever"),
        () = eventually(is_full, || "the sockets still take answers".to_owned()) => {}
    }
    let is_closed = || {
        clock.turn(Duration::from_mins(11));
        harness.metric("connections_open") == 0
    };
    eventually(is_closed, || "still connected".to_owned()).await;
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_at_once_and_counted() {
    let harness = Harness::start_with(|it| it.connections_max = Some(2)).await;
    let mut first = harness.client().await;
    let _second = harness.client().await;
    harness.until_metric("connections_open", |it| it >= 2).await;
    let mut third = harness.client().await;
    assert_eq!(third.receive_frame().await, None);
    assert_eq!(harness.metric("connections_refused_total"), 1);
    first.call(3, api_versions()).await;
}

/// Both ends are in this process, so that each connection takes two file handles of it.
#[tokio::test]
async fn thousands_of_idle_connections_cost_little_and_are_closed_by_a_stop() {
    // Both ends and other tests share the limit on open files.
    let count = file_handles_max().map_or(5_000, |it| (it / 4).min(5_000));
    let mut harness = Harness::start().await;
    let before = resident_bytes();
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(harness.client().await);
    }
    harness.until_metric("connections_open", |it| usize::try_from(it).unwrap() >= count).await;
    let each = resident_bytes().saturating_sub(before) / count;
    // The bound leaves room for what other tests of this process take meanwhile.
    assert!(each < 32 * 1024, "{each} bytes for both ends of a connection");
    harness.client().await.call(3, api_versions()).await;
    harness.stop().await;
    assert_eq!(idle[count - 1].receive_frame().await, None);
}

/// What this process holds in memory, by Linux.
pub(crate) fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A request of `bytes` that is answered although nobody asked for most of it.
fn padded(bytes: usize, correlation_id: i32) -> Vec<u8> {
    let mut padded = frame(0, correlation_id).to_vec();
    padded[..4].copy_from_slice(&i32::try_from(bytes).unwrap().to_be_bytes());
    padded.resize(4 + bytes, 0);
    padded
}

#[tokio::test]
async fn when_the_budget_is_used_up_reading_waits_and_then_goes_on() {
    const LARGE: usize = 100 * 1024;
    let harness = Harness::start_with(|it| {
        it.request_bytes_max = 128 * 1024;
        it.requests_in_flight_bytes_max = 128 * 1024;
    })
    .await;
    // Half of a large frame holds the budget; another large one must wait for it.
    let (mut first, mut second) = (harness.client().await, harness.client().await);
    let large = padded(LARGE, 1);
    first.stream.write_all(&large[..500]).await.unwrap();
    harness.until_metric("received_bytes_total", |it| it >= 500).await;
    second.stream.write_all(&large[..500]).await.unwrap();
    harness.until_metric("reading_paused_total", |it| it >= 1).await;
    first.stream.write_all(&large[500..]).await.unwrap();
    first.receive::<ApiVersionsRequest>(0, 1).await;
    second.stream.write_all(&large[500..]).await.unwrap();
    second.receive::<ApiVersionsRequest>(0, 1).await;
}

/// Announcing costs a peer nothing, so it must not cost others their service.
#[tokio::test]
async fn announced_frames_that_do_not_come_keep_nobody_from_being_served() {
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let announcement = (harness.config.request_bytes_max - 1).to_be_bytes();
    let mut hostile = Vec::new();
    for _ in 0..20 {
        let mut client = harness.client().await;
        client.stream.write_all(&announcement).await.unwrap();
        client.stream.write_all(b"\0\x12").await.unwrap();
        hostile.push(client);
    }
    harness.until_metric("reading_paused_total", |it| it >= 10).await;
    harness.client().await.call(3, api_versions()).await;
    // Those that hold the budget are closed although most of a large frame is still to come.
    clock.turn(Duration::from_secs(31));
    harness.until_metric("connections_broken_total", |it| it >= 4).await;
}

#[tokio::test]
async fn apis_are_listed_in_order_and_at_most_in_the_codecs_versions() {
    let harness = Harness::start().await;
    let response = harness.client().await.call(4, api_versions()).await;
    assert!(response.api_keys.is_sorted_by_key(|it| it.api_key));
    for row in &response.api_keys {
        let api = ApiKey::from_wire(row.api_key).unwrap().api();
        assert!(api.versions.contains(&row.max_version), "{}", api.name);
    }
}
