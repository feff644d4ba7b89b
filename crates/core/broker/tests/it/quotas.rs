//! Quotas of clients: set, shown, kept, and what happens to who takes too much.
//!
//! What setting and showing answer is what Apache Kafka 4.3.1 answers. To ask one:
//! `SYSTOLE_ORACLE=127.0.0.1:39092 cargo test -p systole-broker --test it quotas_are_`.

use crate::frames::{api_versions, hand_world};
use crate::harness::{Client, Harness, PATIENCE};
use crate::records::{batch_with, fetch_request, produce_request, said};
use crate::topics::{create, topic};
use bytes::Bytes;
use expect_test::expect;
use std::fmt::Write as _;
use std::time::Duration;
use systole_wire::message::alter_client_quotas_request as alter;
use systole_wire::message::create_partitions_request::CreatePartitionsTopic;
use systole_wire::message::delete_topics_request::DeleteTopicState;
use systole_wire::message::describe_client_quotas_request::ComponentData;
use systole_wire::message::{
    AlterClientQuotasRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, DescribeClientQuotasRequest, MetadataRequest,
};
use systole_wire::record::BatchOptions;
use systole_world::ClockExt as _;
use systole_world::sim::HandClock;

/// Kind and name; `None` is the default.
type Part<'a> = (&'a str, Option<&'a str>);

fn entry(entity: &[Part<'_>], ops: &[(&str, Option<f64>)]) -> alter::EntryData {
    let part = |(kind, name): &Part<'_>| alter::EntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(Into::into),
        ..Default::default()
    };
    let op = |(key, value): &(&str, Option<f64>)| alter::OpData {
        key: (*key).into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    };
    alter::EntryData {
        entity: entity.iter().map(part).collect(),
        ops: ops.iter().map(op).collect(),
        ..Default::default()
    }
}

/// Codes and messages, one line each.
async fn set(client: &mut Client, entries: Vec<alter::EntryData>) -> String {
    let request = AlterClientQuotasRequest { entries, ..Default::default() };
    let response = client.call(1, request).await;
    let line = |it: &systole_wire::message::alter_client_quotas_response::EntryData| {
        let message = it.error_message.as_deref().unwrap_or_default();
        format!("{}: {message:.24}\n", it.error_code).replace(": \n", "\n")
    };
    response.entries.iter().map(line).collect()
}

/// Kind, match type, name.
type Asked<'a> = (&'a str, i8, Option<&'a str>);

async fn show(client: &mut Client, version: i16, asked: &[Asked<'_>], strict: bool) -> String {
    let component = |(kind, match_type, name): &Asked<'_>| ComponentData {
        entity_type: (*kind).into(),
        match_type: *match_type,
        r#match: name.map(Into::into),
        ..Default::default()
    };
    let components = asked.iter().map(component).collect();
    let request = DescribeClientQuotasRequest { components, strict, ..Default::default() };
    let response = client.call(version, request).await;
    let Some(entries) = response.entries else {
        let message = response.error_message.unwrap_or_default();
        return format!("{} {message:.60}\n", response.error_code);
    };
    let mut lines: Vec<_> = entries
        .iter()
        .map(|it| {
            let name = |it: &systole_wire::message::describe_client_quotas_response::EntityData| {
                format!("{}={}", it.entity_type, it.entity_name.as_deref().unwrap_or("-"))
            };
            let mut names: Vec<_> = it.entity.iter().map(name).collect();
            names.sort();
            let mut values: Vec<_> =
                it.values.iter().map(|it| format!("{}={}", it.key, it.value)).collect();
            values.sort();
            format!("{} {}\n", names.join(","), values.join(","))
        })
        .collect();
    lines.sort();
    lines.concat()
}

const ALICE: Part<'static> = ("user", Some("alice"));
const ANY_USER: Part<'static> = ("user", None);
const TOOL: Part<'static> = ("client-id", Some("tool"));
const ANY_CLIENT: Part<'static> = ("client-id", None);
const IN: &str = "producer_byte_rate";
const OUT: &str = "consumer_byte_rate";
const TIME: &str = "request_percentage";
const CONNECTIONS: &str = "connection_creation_rate";

async fn set_all(client: &mut Client) -> String {
    let address: Part<'static> = ("ip", Some("10.0.0.7"));
    let mut text = String::new();
    for it in [
        entry(&[ALICE], &[(IN, Some(1024.0)), (TIME, Some(12.5))]),
        entry(&[ANY_USER], &[(IN, Some(2048.0))]),
        entry(&[TOOL, ALICE], &[(OUT, Some(1.0))]),
        entry(&[ANY_CLIENT], &[("controller_mutation_rate", Some(0.5))]),
        entry(&[address], &[(CONNECTIONS, Some(5.0))]),
        entry(&[("ip", None)], &[(CONNECTIONS, Some(50.0))]),
        entry(&[ALICE], &[(TIME, None), (OUT, None), ("no_such_key", None)]),
        entry(&[ALICE], &[(IN, Some(0.0))]),
        entry(&[ALICE], &[(IN, Some(1.5))]),
        entry(&[ALICE], &[(CONNECTIONS, Some(1.0))]),
        entry(&[ALICE], &[("no_such_key", Some(1.0))]),
        entry(&[address], &[(IN, Some(1.0))]),
        entry(&[address, ALICE], &[(CONNECTIONS, Some(1.0))]),
        entry(&[], &[(IN, Some(1.0))]),
        entry(&[("user", Some(""))], &[(IN, Some(1.0))]),
        entry(&[("group", Some("g"))], &[(IN, Some(1.0))]),
    ] {
        text += &set(client, vec![it]).await;
    }
    let twice = || entry(&[TOOL], &[(IN, Some(7.0))]);
    let same_key = entry(&[ALICE], &[(IN, Some(1.0)), (IN, Some(2.0))]);
    let said = set(client, vec![same_key]).await;
    assert!(said.starts_with("42"), "{said}");
    text + &set(client, vec![twice(), twice()]).await
}

async fn show_all(client: &mut Client) -> String {
    let mut text = String::new();
    for (asked, strict) in [
        (&[][..], false),
        (&[("user", 0, Some("alice"))], false),
        (&[("user", 0, Some("alice"))], true),
        (&[("user", 1, None)], false),
        (&[("user", 2, None)], true),
        (&[("user", 2, None), ("client-id", 2, None)], true),
        (&[("ip", 2, None)], false),
        (&[("ip", 2, None), ("user", 2, None)], false),
        (&[("user", 0, None)], false),
        (&[("user", 1, Some("x"))], false),
        (&[("user", 9, None)], false),
        (&[("group", 2, None)], false),
        (&[("", 2, None)], false),
        (&[("user", 2, None), ("user", 1, None)], false),
    ] {
        writeln!(text, "{asked:?} {strict}").unwrap();
        text += &show(client, 1, asked, strict).await;
    }
    text
}

#[tokio::test]
async fn quotas_are_set_as_in_kafka() {
    let harness = Harness::start().await;
    let mut client = oracle_or(&harness).await;
    expect![[r#"
        0
        0
        0
        0
        0
        0
        0
        42: Quota producer_byte_rate
        42: producer_byte_rate canno
        42: Invalid configuration ke
        42: Invalid configuration ke
        42: Invalid configuration ke
        42: Invalid quota entity com
        42: Invalid empty client quo
        42: Empty user not supported
        42: Unhandled client quota e
        42: Ignoring duplicate entit
    "#]]
    .assert_eq(&set_all(&mut client).await);
}

#[tokio::test]
async fn quotas_are_shown_as_in_kafka() {
    let harness = Harness::start().await;
    let mut client = oracle_or(&harness).await;
    set_all(&mut client).await;
    let shown = harness.world.clock.timeout(PATIENCE, async {
        // Kafka's broker learns of the last one a little later.
        loop {
            let shown = show_all(&mut client).await;
            if shown.contains("client-id=tool producer_byte_rate=7") {
                return shown;
            }
        }
    });
    expect![[r#"
        [] false
        client-id=- controller_mutation_rate=0.5
        client-id=tool producer_byte_rate=7
        client-id=tool,user=alice consumer_byte_rate=1
        ip=- connection_creation_rate=50
        ip=10.0.0.7 connection_creation_rate=5
        user=- producer_byte_rate=2048
        user=alice producer_byte_rate=1024
        [("user", 0, Some("alice"))] false
        client-id=tool,user=alice consumer_byte_rate=1
        user=alice producer_byte_rate=1024
        [("user", 0, Some("alice"))] true
        user=alice producer_byte_rate=1024
        [("user", 1, None)] false
        user=- producer_byte_rate=2048
        [("user", 2, None)] true
        user=- producer_byte_rate=2048
        user=alice producer_byte_rate=1024
        [("user", 2, None), ("client-id", 2, None)] true
        client-id=tool,user=alice consumer_byte_rate=1
        [("ip", 2, None)] false
        ip=- connection_creation_rate=50
        ip=10.0.0.7 connection_creation_rate=5
        [("ip", 2, None), ("user", 2, None)] false
        42 Invalid entity filter component combination. IP filter compo
        [("user", 0, None)] false
        42 Request specified MATCH_TYPE_EXACT, but set match string to 
        [("user", 1, Some("x"))] false
        42 Request specified MATCH_TYPE_DEFAULT, but also specified a m
        [("user", 9, None)] false
        42 Unknown match type 9
        [("group", 2, None)] false
        35 Unsupported entity type group
        [("", 2, None)] false
        42 Invalid empty entity type.
        [("user", 2, None), ("user", 1, None)] false
        42 Entity type user cannot appear more than once in the filter.
    "#]]
    .assert_eq(&shown.await.unwrap());
}

#[tokio::test]
async fn quotas_survive_a_restart_and_a_crash() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    set_all(&mut client).await;
    let shown = show_all(&mut client).await;
    assert_eq!(show(&mut client, 0, &[], false).await, show(&mut client, 1, &[], false).await);
    harness.restart().await;
    assert_eq!(show_all(&mut harness.client().await).await, shown);
    harness.crash().await;
    assert_eq!(show_all(&mut harness.client().await).await, shown);
}

/// Of a real Kafka, if the variable names one, else of the node.
async fn oracle_or(harness: &Harness) -> Client {
    match std::env::var("SYSTOLE_ORACLE") {
        Ok(address) => Client::connect(address.parse().unwrap()).await,
        Err(_) => harness.client().await,
    }
}

/// A batch of one record, as old as the clock of the test.
fn batch(value: &str) -> Bytes {
    batch_with(BatchOptions::default(), 1_700_000_000_000, &[value])
}

/// A node with the topic `t` whose clock the test turns, and a client of user ANONYMOUS and client
/// id `it` with a quota.
async fn limited(key: &str, value: f64) -> (Harness, Client, HandClock) {
    let (world, clock) = hand_world();
    let harness = Harness::start_in(world, |_| {}).await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    let said = set(&mut client, vec![entry(&[("client-id", Some("it"))], &[(key, Some(value))])]);
    assert_eq!(said.await, "0\n");
    (harness, client, clock)
}

/// What is sent now is not read: no answer comes for a while.
async fn hears_nothing(client: &mut Client) {
    let mut first = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), client.stream.peek(&mut first));
    assert!(early.await.is_err(), "nothing is read from a client that must rest");
}

/// Sends a request that is not read until the clock has been turned by `rest`.
async fn is_read_after(client: &mut Client, clock: &HandClock, rest: Duration) {
    let id = client.send(3, &api_versions()).await;
    clock.turn(rest.saturating_sub(Duration::from_millis(1)));
    hears_nothing(client).await;
    clock.turn(Duration::from_millis(1));
    client.receive::<ApiVersionsRequest>(3, id).await;
}

#[tokio::test]
async fn a_producer_over_its_quota_is_answered_at_once_and_then_not_read() {
    let (harness, mut client, clock) = limited(IN, 10.0).await;
    let value = "x".repeat(1000);
    let response = client.call(12, produce_request(vec![(0, batch(&value))])).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    let rest = Duration::from_millis(response.throttle_time_ms.try_into().unwrap());
    // A kilobyte and its frame at 10 B/s, less the ten windows that were there.
    assert!((Duration::from_secs(100)..Duration::from_mins(2)).contains(&rest), "{rest:?}");
    let mut other = harness.client().await;
    other.call(3, api_versions()).await;
    is_read_after(&mut client, &clock, rest).await;
    let throttled = harness.metrics.text();
    let line = "systole_broker_throttle_seconds_count{api=\"Produce\"} 1";
    assert!(throttled.contains(line), "{throttled}");
}

#[tokio::test]
async fn a_producer_that_wants_no_answers_rests_too() {
    let (_harness, mut client, clock) = limited(IN, 10.0).await;
    let value = "x".repeat(1000);
    let mut request = produce_request(vec![(0, batch(&value))]);
    request.acks = 0;
    client.send(12, &request).await;
    let id = client.send(3, &api_versions()).await;
    hears_nothing(&mut client).await;
    clock.turn(Duration::from_mins(2));
    client.receive::<ApiVersionsRequest>(3, id).await;
}

#[tokio::test]
async fn a_consumer_over_its_quota_gets_nothing_until_it_has_rested() {
    let (_harness, mut client, clock) = limited(OUT, 100.0).await;
    let value = "x".repeat(500);
    for _ in 0..3 {
        client.call(12, produce_request(vec![(0, batch(&value))])).await;
    }
    // At most what ten windows allow, so one batch: 500 bytes and what is around them.
    let first = client.call(12, fetch_request(&[(0, 0)])).await;
    assert_eq!((first.throttle_time_ms, said(&first).len()), (0, 1), "{:?}", said(&first));
    let second = client.call(12, fetch_request(&[(0, 1)])).await;
    let rest = Duration::from_millis(second.throttle_time_ms.try_into().unwrap());
    assert!(second.responses.is_empty() && rest > Duration::ZERO, "{rest:?}");
    is_read_after(&mut client, &clock, rest).await;
    clock.turn(Duration::from_secs(11));
    let third = client.call(12, fetch_request(&[(0, 1)])).await;
    assert_eq!((third.throttle_time_ms, said(&third).len()), (0, 1));
}

#[tokio::test]
async fn a_throttled_fetch_leaves_its_session_as_it_was() {
    let (_harness, mut client, clock) = limited(OUT, 100.0).await;
    let session = |id, epoch| {
        let mut request = fetch_request(&[(0, 0)]);
        (request.session_id, request.session_epoch) = (id, epoch);
        request
    };
    let id = client.call(12, session(0, 0)).await.session_id;
    assert_ne!(id, 0);
    let value = "x".repeat(600);
    client.call(12, produce_request(vec![(0, batch(&value))])).await;
    assert_eq!(said(&client.call(12, session(id, 1)).await).len(), 1);
    let throttled = client.call(12, session(id, 2)).await;
    assert_eq!((throttled.session_id, throttled.error_code), (id, 0));
    assert!(throttled.responses.is_empty() && throttled.throttle_time_ms > 0);
    clock.turn(Duration::from_secs(30));
    assert_eq!(said(&client.call(12, session(id, 3)).await).len(), 1);
}

#[tokio::test]
async fn a_batch_larger_than_any_quota_allows_is_read_once_nothing_is_owed() {
    let (_harness, mut client, clock) = limited(OUT, 1.0).await;
    let value = "x".repeat(500);
    client.call(12, produce_request(vec![(0, batch(&value))])).await;
    let first = client.call(12, fetch_request(&[(0, 0)])).await;
    assert_eq!(said(&first).len(), 1);
    let rest = Duration::from_millis(first.throttle_time_ms.try_into().unwrap());
    assert!(rest > Duration::from_mins(8), "{rest:?}");
    is_read_after(&mut client, &clock, rest).await;
}

#[tokio::test]
async fn request_time_over_the_quota_costs_a_window_at_most() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let share = 0.000_001; // of one thread
    let said = set(&mut client, vec![entry(&[ANY_USER], &[(TIME, Some(share))])]).await;
    assert_eq!(said, "0\n");
    let response = client.call(12, MetadataRequest { topics: None, ..Default::default() }).await;
    assert!((1..=1000).contains(&response.throttle_time_ms), "{}", response.throttle_time_ms);
}

async fn counts(client: &mut Client, version: i16, names: &[&str]) -> (i32, Vec<i16>) {
    let topics = names.iter().map(|it| topic(it, 10)).collect();
    let request = CreateTopicsRequest { topics, ..Default::default() };
    let response = client.call(version, request).await;
    (response.throttle_time_ms, response.topics.iter().map(|it| it.error_code).collect())
}

#[tokio::test]
async fn changes_of_topics_beyond_the_quota_are_refused_or_paid_for_in_time() {
    // The bucket holds 11 partitions.
    let (_harness, mut client, clock) = limited("controller_mutation_rate", 1.0).await;
    assert_eq!(counts(&mut client, 7, &["a", "b", "c"]).await, (9000, vec![0, 0, 89]));
    clock.turn(Duration::from_secs(9));
    // Earlier versions know no such code.
    assert_eq!(counts(&mut client, 5, &["c"]).await, (10_000, vec![0]));
    clock.turn(Duration::from_secs(10));
    let grow = CreatePartitionsTopic {
        name: "a".into(),
        count: 15,
        assignments: None,
        ..Default::default()
    };
    let request = CreatePartitionsRequest { topics: vec![grow], ..Default::default() };
    let response = client.call(3, request).await;
    assert_eq!((response.throttle_time_ms, response.results[0].error_code), (0, 0));
    let states = vec![DeleteTopicState { name: Some("b".into()), ..Default::default() }];
    let request = DeleteTopicsRequest { topics: states, ..Default::default() };
    let response = client.call(6, request).await;
    assert_eq!((response.throttle_time_ms, response.responses[0].error_code), (5000, 89));
}

#[tokio::test]
async fn an_address_that_connects_too_often_waits_and_is_closed() {
    let (harness, mut client, clock) = {
        let (world, clock) = hand_world();
        let harness = Harness::start_in(world, |_| {}).await;
        let client = harness.client().await;
        (harness, client, clock)
    };
    let address = ("ip", Some("127.0.0.1"));
    set(&mut client, vec![entry(&[address], &[(CONNECTIONS, Some(1.0))])]).await;
    for _ in 0..10 {
        harness.client().await.call(3, api_versions()).await;
    }
    let mut eleventh = harness.client().await;
    harness.until_metric("connections_throttled_total", |it| it == 1).await;
    clock.turn(Duration::from_secs(1));
    assert_eq!(eleventh.receive_frame().await, None);
    clock.turn(Duration::from_secs(11));
    harness.client().await.call(3, api_versions()).await;
}
