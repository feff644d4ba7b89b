//! Following: where a stream begins, what it shows, how it goes on.

use crate::http::{DEADLINE, Follower, ask, get};
use crate::{Node, clusters, config, start};
use std::time::Duration;
use systole_client::admin::NewTopic;
use systole_client::{NewRecord, Offset, ProducerOptions, TopicPartition};
use systole_gateway::GatewayConfig;
use systole_kit::Timestamp;
use systole_testkit::wait::until;

async fn write(node: &Node, records: Vec<NewRecord>) {
    let producer = node.client.producer(&ProducerOptions::default()).unwrap();
    for result in producer.send_all(records).await.unwrap() {
        result.unwrap();
    }
    producer.close().await.unwrap();
}

fn event(topic: &str, id: usize, type_: &str, subject: &str) -> NewRecord {
    NewRecord::to(topic)
        .partition(i32::try_from(id % 3).unwrap())
        .at(Timestamp::from_millis(1_700_000_000_000 + i64::try_from(id).unwrap() * 1000))
        .header("ce_specversion", "1.0")
        .header("ce_id", id.to_string())
        .header("ce_source", "/s")
        .header("ce_type", type_.to_owned())
        .header("ce_subject", subject.to_owned())
}

fn many(topic: &str, ids: std::ops::Range<usize>) -> Vec<NewRecord> {
    ids.map(|id| event(topic, id, "t", "Patient/1")).collect()
}

async fn ids(follower: &mut Follower, count: usize) -> (Vec<usize>, String) {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    while ids.len() < count {
        let sse = follower.next().await.unwrap();
        ids.push(sse.json()["id"].as_str().unwrap().parse().unwrap());
        cursor = sse.id;
    }
    (ids, cursor)
}

#[tokio::test]
async fn a_follower_that_was_cut_off_goes_on_without_loss_or_repetition() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(3).await);
        write(&node, many(&topic, 0..300)).await;
        let mut follower = Follower::open(at, &topic, "?from=earliest", "").await;
        let first = follower.next().await.unwrap();
        assert_eq!(first.data, r#"{"outcome":"started","partitions":3}"#);
        let (mut seen, mut cursor) = ids(&mut follower, 100).await;
        drop(follower);
        for round in 0..4 {
            // By header and by query, the first at an event in the middle, the last beyond the end.
            let query = format!("?cursor={cursor}");
            let (query, header) = if round % 2 == 0 { ("", &*cursor) } else { (&*query, "") };
            let mut follower = Follower::open(at, &topic, query, header).await;
            let position = follower.next().await.unwrap();
            assert_eq!(position.data, r#"{"outcome":"resumed","partitions":3}"#);
            assert_eq!(position.id, cursor);
            let (more, last) = ids(&mut follower, 50).await;
            seen.extend(more);
            cursor = last;
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..300).collect::<Vec<_>>());
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_stream_begins_now_or_at_a_time() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(3).await);
        write(&node, many(&topic, 0..30)).await;
        let mut now = Follower::open(at, &topic, "", "").await;
        now.next().await.unwrap();
        let time = jiff::Timestamp::from_millisecond(1_700_000_000_000 + 20_000).unwrap();
        let mut since = Follower::open(at, &topic, &format!("?from={time}"), "").await;
        since.next().await.unwrap();
        write(&node, many(&topic, 30..33)).await;
        let mut seen = ids(&mut now, 3).await.0;
        seen.sort_unstable();
        assert_eq!(seen, [30, 31, 32]);
        let mut seen = ids(&mut since, 13).await.0;
        seen.sort_unstable();
        assert_eq!(seen, (20..33).collect::<Vec<_>>());
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn filters_choose_by_type_and_subject_and_the_cursor_passes_the_rest() {
    for bootstrap in clusters() {
        let config = GatewayConfig { keep_alive_every: Duration::from_millis(200), ..config() };
        let node = start(&bootstrap, config).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(3).await);
        let kinds = [("a.created", "Patient/1"), ("a.updated", "Patient/2"), ("b", "Patient/1")];
        let records = (0..30).map(|id| event(&topic, id, kinds[id % 3].0, kinds[id % 3].1));
        write(&node, records.collect()).await;
        for (query, rest) in [
            ("type=a.created", vec![0]),
            ("type=a.*", vec![0, 1]),
            ("subject=Patient/1", vec![0, 2]),
            ("subject=Patient/*&type=b", vec![2]),
        ] {
            let mut follower =
                Follower::open(at, &topic, &format!("?from=earliest&{query}"), "").await;
            follower.next().await.unwrap();
            let (mut seen, _) = ids(&mut follower, rest.len() * 10).await;
            seen.sort_unstable();
            let wanted: Vec<_> = (0..30).filter(|it| rest.contains(&(it % 3))).collect();
            assert_eq!(seen, wanted, "{query}");
        }
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn gaps_are_said_first() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(3).await);
        let admin = node.client.admin().unwrap();
        write(&node, many(&topic, 0..30)).await;
        let mut follower = Follower::open(at, &topic, "?from=earliest", "").await;
        let beginning = follower.next().await.unwrap().id;
        let (_, end) = ids(&mut follower, 30).await;
        drop(follower);

        let before = (TopicPartition::new(topic.as_str(), 1), Offset::new(4).unwrap());
        admin.delete_records(&[before]).await.unwrap();
        let mut follower = Follower::open(at, &topic, "", &beginning).await;
        assert_eq!(
            follower.next().await.unwrap().data,
            concat!(
                r#"{"outcome":"gap","partitions":3,"gaps":[{"partition":1,"#,
                r#""reason":"deleted","offsets_missed":4}]}"#
            )
        );
        assert_eq!(ids(&mut follower, 26).await.0.len(), 26);
        drop(follower);

        // As long as the old one, so that only the records' times tell them apart.
        let again = NewTopic::new(&topic, 3).config("retention.ms", "-1");
        admin.delete_topic(&topic).await.unwrap();
        while admin.create_topic(&again).await.is_err() {
            tokio::task::yield_now().await;
        }
        node.sees(&topic, 3).await;
        write(&node, many(&topic, 30..63)).await;
        let mut follower = Follower::open(at, &topic, "", &end).await;
        let data = follower.next().await.unwrap().data;
        assert_eq!(data.matches("\"recreated\"").count(), 3, "{data}");
        assert_eq!(ids(&mut follower, 33).await.0.len(), 33);

        let other = node.topic(3).await;
        let path = format!("/v1/topics/{other}/events?cursor={end}");
        let answer = ask(at, get(at, &path)).await;
        assert!(answer.status == 400 && answer.body.contains("SYS-6010"), "{}", answer.body);
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_record_that_is_no_event_gets_an_envelope() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(1).await);
        let to = || NewRecord::to(topic.as_str()).at(Timestamp::from_millis(1_700_000_000_000));
        let structured = r#"{"specversion":"1.0","id":"s","source":"/s","type":"t"}"#;
        let records = vec![
            to().key("k").value("{\"a\": 1.0}"),
            to().value("plain"),
            to().value("line\n").header("content-type", "text/plain"),
            to().key(&b"\xff"[..]),
            to().value(structured).header("content-type", "application/cloudevents+json"),
        ];
        write(&node, records).await;
        let mut follower = Follower::open(at, &topic, "?from=earliest", "").await;
        follower.next().await.unwrap();
        let mut shown = String::new();
        for _ in 0..5 {
            let data = follower.next().await.unwrap().data.replace(&topic, "TOPIC");
            shown.push_str(&format!("{data}\n"));
        }
        expect_test::expect![[r#"
            {"specversion":"1.0","id":"0-0","source":"/v1/topics/TOPIC","type":"health.systole.kafka.record.v1","time":"2023-11-14T22:13:20.000Z","partitionkey":"k","data":{"a": 1.0}}
            {"specversion":"1.0","id":"0-1","source":"/v1/topics/TOPIC","type":"health.systole.kafka.record.v1","time":"2023-11-14T22:13:20.000Z","data_base64":"cGxhaW4="}
            {"specversion":"1.0","id":"0-2","source":"/v1/topics/TOPIC","type":"health.systole.kafka.record.v1","time":"2023-11-14T22:13:20.000Z","datacontenttype":"text/plain","data":"line\n"}
            {"specversion":"1.0","id":"0-3","source":"/v1/topics/TOPIC","type":"health.systole.kafka.record.v1","time":"2023-11-14T22:13:20.000Z"}
            {"specversion":"1.0","id":"s","source":"/s","type":"t"}
        "#]].assert_eq(&shown);
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_follower_that_does_not_read_is_waited_for_and_misses_nothing() {
    const EVENTS: usize = 3000;
    for bootstrap in clusters() {
        let buffer = 256 * 1024;
        let config = GatewayConfig { stream_buffer_bytes: buffer, ..config() };
        let node = start(&bootstrap, config).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(3).await);
        let body = format!("\"{}\"", "x".repeat(10_000));
        let records = (0..EVENTS).map(|id| event(&topic, id, "t", "s").value(body.clone()));
        write(&node, records.collect()).await;
        let mut follower = Follower::open(at, &topic, "?from=earliest", "").await;
        follower.next().await.unwrap();
        let sent = || {
            let text = node.metrics.text();
            let line = text.lines().find(|it| it.starts_with("systole_gateway_sent_total"));
            line.unwrap().rsplit(' ').next().unwrap().parse::<usize>().unwrap()
        };
        // Sockets and buffers fill up, then nothing more is taken from the log.
        let (mut before, mut same) = (0, 0);
        until("the follower is waited for", async || {
            same = if sent() == before { same + 1 } else { 0 };
            before = sent();
            (same == 50).then_some(())
        })
        .await;
        assert!(before < EVENTS * 2 / 3, "{before} of 30 MB were taken without a reader");
        let read = ids(&mut follower, EVENTS);
        let (mut seen, _) = tokio::time::timeout(DEADLINE * 2, read).await.unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..EVENTS).collect::<Vec<_>>());
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn followers_beyond_the_limit_are_refused_until_one_leaves() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, GatewayConfig { streams_max: 1, ..config() }).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(1).await);
        let mut follower = Follower::open(at, &topic, "", "").await;
        follower.next().await.unwrap();
        let path = format!("/v1/topics/{topic}/events");
        let answer = ask(at, get(at, &path)).await;
        assert!(answer.status == 503 && answer.body.contains("SYS-6012"), "{}", answer.body);
        drop(follower);
        let is_free = || node.metrics.text().contains("systole_gateway_streams 0\n");
        until("the place is free again", async || is_free().then_some(())).await;
        let mut again = Follower::open(at, &topic, "", "").await;
        assert_eq!(again.next().await.unwrap().event, "position");
        drop(again);
        let missing = ask(at, get(at, "/v1/topics/there-is-no-such-topic/events")).await;
        assert!(missing.status == 404 && missing.body.contains("SYS-6002"), "{}", missing.body);
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_topic_that_grows_or_goes_ends_the_stream_with_its_reason() {
    for bootstrap in clusters() {
        let config = GatewayConfig { keep_alive_every: Duration::from_millis(200), ..config() };
        let node = start(&bootstrap, config).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(1).await);
        let admin = node.client.admin().unwrap();
        let mut follower = Follower::open(at, &topic, "?from=earliest", "").await;
        let cursor = follower.next().await.unwrap().id;
        admin.grow_topic(&topic, 3).await.unwrap();
        assert_eq!(follower.next().await.unwrap().data, r#"{"reason":"partitions-added"}"#);
        assert_eq!(follower.next().await, None);

        node.sees(&topic, 3).await;
        write(&node, many(&topic, 0..30)).await;
        let mut follower = Follower::open(at, &topic, "", &cursor).await;
        assert_eq!(follower.next().await.unwrap().data, r#"{"outcome":"resumed","partitions":3}"#);
        assert_eq!(ids(&mut follower, 30).await.0.len(), 30);
        admin.delete_topic(&topic).await.unwrap();
        let last = follower.next().await.unwrap();
        assert!(last.event == "end" && last.data.contains("topic-deleted"), "{}", last.data);
        node.gateway.stop().await;
    }
}
