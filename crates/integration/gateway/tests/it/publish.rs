//! Publishing in every form, read back by a follower.

use crate::http::{Follower, ask, request};
use crate::{Node, clusters, config, start};
use serde_json::{Value, json};
use systole_client::{Event, Start, TopicPartition};

async fn post(node: &Node, topic: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let at = node.gateway.local_addr();
    let path = format!("/v1/topics/{topic}/events");
    let answer = ask(at, request(at, ("POST", &path), headers, body.to_owned())).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

const JSON: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

#[tokio::test]
async fn an_event_in_any_form_comes_back_as_it_was() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let topic = node.topic(1).await;
        let structured = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"Patient/1",
            "recordedtime":"2026-01-01T00:00:00Z","number":7,"yes":true,"absent":null,
            "data":{"decimal": 7.20,
                "b":[1]}}"#;
        let (status, answer) = post(&node, &topic, &[JSON], structured).await;
        assert_eq!(
            (status, answer),
            (201, json!({"results":[{"id":"1","partition":0,"offset":0}]}))
        );

        let batch = r#"[{"specversion":"1.0","id":"2","source":"/s","type":"t","datacontenttype":"text/plain","data":"Zürich"},
            {"specversion":"1.0","id":"3","source":"/s","type":"t","data_base64":"AP8="}]"#;
        let (status, answer) = post(&node, &topic, &[BATCH], batch).await;
        assert_eq!((status, &answer["results"][1]["offset"]), (201, &json!(2)));

        let binary = [
            ("content-type", "application/fhir+json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "4"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
            ("ce-name", "Z%C3%BCrich%20%22"),
        ];
        let (status, _) = post(&node, &topic, &binary, r#"{"a": 1.0}"#).await;
        assert_eq!(status, 201);

        let mut follower =
            Follower::open(node.gateway.local_addr(), &topic, "?from=earliest", "").await;
        follower.next().await.unwrap();
        let mut events = Vec::new();
        for _ in 0..4 {
            let sse = follower.next().await.unwrap();
            assert_eq!(sse.event, "");
            events.push(sse);
        }
        assert!(events[0].data.contains("\"decimal\": 7.20"), "decimals keep their digits");
        let mut shown: Vec<Value> = events.iter().map(crate::http::Sse::json).collect();
        for it in &mut shown[1..] {
            assert!(it.as_object_mut().unwrap().remove("recordedtime").is_some());
        }
        assert_eq!(
            json!(shown),
            json!([
                {"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"Patient/1",
                 "recordedtime":"2026-01-01T00:00:00Z","number":"7","yes":"true",
                 "datacontenttype":"application/json","data":{"decimal":7.20,"b":[1]}},
                {"specversion":"1.0","id":"2","source":"/s","type":"t",
                 "datacontenttype":"text/plain","data":"Zürich"},
                {"specversion":"1.0","id":"3","source":"/s","type":"t","data_base64":"AP8="},
                {"specversion":"1.0","id":"4","source":"/s","type":"t","name":"Zürich \"",
                 "datacontenttype":"application/fhir+json","data":{"a":1.0}},
            ])
        );
        drop(follower);
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn the_record_is_in_kafka_binary_mode_and_keyed() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let topic = node.topic(1).await;
        let event = r#"[{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"Patient/1","partitionkey":"k",
             "recordedtime":"2026-01-01T00:00:00Z","datacontenttype":"text/plain","data":"x"},
            {"specversion":"1.0","id":"2","source":"/s","type":"t","subject":"Patient/1"},
            {"specversion":"1.0","id":"3","source":"/s","type":"t"}]"#;
        assert_eq!(post(&node, &topic, &[BATCH], event).await.0, 201);
        let from = vec![(TopicPartition::new(topic.as_str(), 0), Start::Beginning)];
        let mut consumer =
            node.client.read(from, &systole_client::DirectOptions::default()).await.unwrap();
        let mut records = Vec::new();
        while records.len() < 3 {
            if let Event::Records(more) = consumer.next().await.unwrap() {
                records.extend(more);
            }
        }
        let keys: Vec<_> = records.iter().map(|it| it.key.as_deref()).collect();
        assert_eq!(keys, [Some(&b"k"[..]), Some(b"Patient/1"), None]);
        let headers: Vec<_> = records[0]
            .headers
            .iter()
            .map(|it| (&*it.name, std::str::from_utf8(it.value.as_ref().unwrap()).unwrap()))
            .collect();
        assert_eq!(
            headers,
            [
                ("ce_specversion", "1.0"),
                ("ce_id", "1"),
                ("ce_source", "/s"),
                ("ce_type", "t"),
                ("ce_subject", "Patient/1"),
                ("ce_partitionkey", "k"),
                ("ce_recordedtime", "2026-01-01T00:00:00Z"),
                ("content-type", "text/plain"),
            ]
        );
        assert_eq!((records[0].value.as_deref(), &records[1].value), (Some(&b"x"[..]), &None));
        consumer.close().await.unwrap();
        node.gateway.stop().await;
    }
}

#[tokio::test]
async fn records_that_cannot_be_written_are_named_one_by_one() {
    for bootstrap in clusters() {
        let config = systole_gateway::GatewayConfig { record_bytes_max: 1000, ..config() };
        let node = start(&bootstrap, config).await;
        let topic = node.topic(1).await;
        let long = "x".repeat(2000);
        let event = |id: u8, data: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","data":"{data}"}}"#
            )
        };
        let batch = format!("[{},{},{}]", event(1, "a"), event(2, &long), event(3, "c"));
        let (status, answer) = post(&node, &topic, &[BATCH], &batch).await;
        assert_eq!(status, 207);
        assert_eq!(answer["results"][0], json!({"id":"1","partition":0,"offset":0}));
        assert_eq!(answer["results"][1]["status"], 413);
        assert_eq!(answer["results"][1]["code"], "SYS-4005");
        assert_eq!(answer["results"][2], json!({"id":"3","partition":0,"offset":1}));
        let (status, answer) = post(&node, &topic, &[JSON], &event(4, &long)).await;
        assert_eq!((status, &answer["results"][0]["id"]), (413, &json!("4")));

        let (status, answer) = post(&node, "there-is-no-such-topic", &[JSON], &event(5, "")).await;
        assert_eq!((status, &answer["code"]), (404, &json!("SYS-6002")));
        node.gateway.stop().await;
    }
}
