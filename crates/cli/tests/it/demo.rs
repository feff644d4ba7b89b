//! The demo, as a script runs it and as it is left running.

use crate::command::{Node, exchange, run};
use serde_json::Value;

#[test]
fn the_demo_ends_after_the_ingest_when_asked_to() {
    let (code, stdout, stderr) = run(&["demo", "--once", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let events = report["events_total"].as_u64().unwrap();
    assert!(events > 20, "{report}");
    assert_eq!(report["acknowledged"].as_u64(), Some(events), "{report}");
}

#[test]
fn the_demo_leaves_a_node_that_others_can_use_and_cleans_up() {
    let node = Node::start(&["demo"]);
    let (code, stdout, stderr) = run(&["topic", "list", "--cluster", &node.kafka]);
    assert!(code == 0 && stdout.starts_with("TOPIC"), "{stderr}");
    let event = r#"{"specversion":"1.0","id":"1","source":"urn:me","type":"demo.noted.v1"}"#;
    let head = "Content-Type: application/cloudevents+json";
    let answer = exchange(&node.http, "POST /v1/topics/demo.note/events", head, event);
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let (_, noted, _) = run(&["consume", "demo.note", "--cluster", &node.kafka, "--json"]);
    assert_eq!(noted.lines().count(), 1, "{noted}");
    let kafka = node.kafka.clone();
    let (code, rest) = node.stop("-INT");
    assert_eq!(code, 0, "{rest}");
    for wanted in ["no problems", "Join in:", "curl", "kcat", "Python", "Java", &kafka] {
        assert!(rest.contains(wanted), "{wanted} is missing:\n{rest}");
    }
}
