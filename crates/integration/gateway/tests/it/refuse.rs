//! What is refused, and in which words. No cluster is needed for any of it.

use crate::http::{ask, get, request};
use crate::{alone, config};
use expect_test::expect;
use systole_gateway::GatewayConfig;

const JSON: (&str, &str) = ("content-type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// Each in structured form.
const BAD_BODIES: &[&str] = &[
    "",
    "{",
    "[]",
    r#"{"specversion":"1.0","id":"1","source":"/s"}"#,
    r#"{"specversion":"1.0","id":1.5,"source":"/s","type":"t"}"#,
    r#"{"specversion":"1.0","id":"1","id":"1","source":"/s","type":"t"}"#,
    r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","e":{}}"#,
    r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":""}"#,
    r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}"#,
];

/// Path, headers, body.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn every_bad_publish_gets_a_problem_document() {
    let config = GatewayConfig { body_bytes_max: 600, batch_events_max: 2, ..config() };
    let node = alone(config).await;
    let at = node.gateway.local_addr();
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let path = "/v1/topics/t/events";
    let long = "x".repeat(601);
    let three = format!("[{good},{good},{good}]");
    let two_bad = "[{},7]".to_owned();
    let binary = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s")];
    let with = |more: (&'static str, &'static str)| [binary[0], binary[1], binary[2], more];
    let cases: Vec<Case<'_>> = vec![
        ("/v1/topics/a%2Fb/events", &[JSON], good),
        ("/v1/topics/_schemas/events", &[JSON], good),
        (path, &[], good),
        (path, &[("content-type", "application/json")], good),
        (path, &[BATCH], good),
        (path, &[BATCH], &two_bad),
        (path, &[BATCH], &three),
        (path, &[JSON], &long),
        (path, &binary, ""),
        ("/v1/topics/t/events", &[("ce-id", "%zz"), ("ce-specversion", "1.0")], ""),
        ("/v1/nothing", &[], ""),
        ("/health/live", &[], ""),
        (path, &[("host", "evil.example"), JSON], good),
    ];
    let bodies = BAD_BODIES.iter().map(|body| (path, &[JSON][..], *body));
    let mut shown = String::new();
    for (path, headers, body) in bodies.chain(cases) {
        let answer = ask(at, request(at, ("POST", path), headers, body.to_owned())).await;
        assert_eq!(answer.content_type, "application/problem+json", "{}", answer.body);
        shown.push_str(&format!("{} {}\n", answer.status, answer.body));
    }
    let time = with(("ce-time", "yesterday"));
    let answer = ask(at, request(at, ("POST", path), &time, "")).await;
    shown.push_str(&format!("{} {}\n", answer.status, answer.body));
    expect![[r#"
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"reason":"is not a JSON object"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"reason":"is not a JSON object"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"reason":"is not a JSON object"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"type","reason":"is required"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"id","reason":"must be a string, a boolean or a 32-bit integer"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"id","reason":"is given twice"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"e","reason":"must be a string, a boolean or a 32-bit integer"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"reason":"has both data and data_base64"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"data_base64","reason":"is not base64"}]}
        400 {"type":"urn:systole:error:SYS-6001","title":"Not a topic name","status":400,"detail":"a topic name is 1 to 249 letters, digits, dots, hyphens and underscores","code":"SYS-6001","remedy":"fix-request"}
        403 {"type":"urn:systole:error:SYS-6003","title":"Platform topic","status":403,"detail":"topics whose name begins with an underscore belong to the platform","code":"SYS-6003","remedy":"fix-request"}
        415 {"type":"urn:systole:error:SYS-6009","title":"No CloudEvent","status":415,"detail":"send application/cloudevents+json, application/cloudevents-batch+json, or any type with ce-* headers","code":"SYS-6009","remedy":"fix-request"}
        415 {"type":"urn:systole:error:SYS-6009","title":"No CloudEvent","status":415,"detail":"send application/cloudevents+json, application/cloudevents-batch+json, or any type with ce-* headers","code":"SYS-6009","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6008","title":"Not JSON","status":400,"detail":"the body is not the JSON that its content type says: expected an array","code":"SYS-6008","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"2 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"specversion","reason":"is required"},{"event":1,"reason":"is not a JSON object"}]}
        413 {"type":"urn:systole:error:SYS-6005","title":"Too many events","status":413,"detail":"the batch holds more than 2 events","code":"SYS-6005","remedy":"fix-request"}
        413 {"type":"urn:systole:error:SYS-6004","title":"Body too large","status":413,"detail":"the body is larger than 600 bytes","code":"SYS-6004","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"type","reason":"is required"}]}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"id","reason":"is not percent-encoded UTF-8"}]}
        404 {"type":"urn:systole:error:SYS-6015","title":"No such path","status":404,"detail":"there is nothing at this path","code":"SYS-6015","remedy":"fix-request"}
        405 {"type":"urn:systole:error:SYS-6015","title":"No such method here","status":405,"detail":"this path does not take this method","code":"SYS-6015","remedy":"fix-request"}
        421 {"type":"urn:systole:error:SYS-6014","title":"Foreign host","status":421,"detail":"this door answers to localhost, 127.0.0.1 and [::1] only","code":"SYS-6014","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6007","title":"Not CloudEvents 1.0","status":400,"detail":"1 of the events sent cannot be accepted; none was written","code":"SYS-6007","remedy":"fix-request","events":[{"event":0,"attribute":"time","reason":"must be an RFC 3339 time with its offset"}]}
    "#]].assert_eq(&shown);
    node.gateway.stop().await;
}

#[tokio::test]
async fn every_bad_question_of_a_follower_gets_a_problem_document() {
    let node = alone(config()).await;
    let at = node.gateway.local_addr();
    let mut shown = String::new();
    for query in [
        "from=yesterday",
        "from=2026-01-02",
        "type=",
        "type=a*b",
        "type=a&type=b",
        "colour=red",
        "cursor=abc",
        "cursor=AQ",
    ] {
        let answer = ask(at, get(at, &format!("/v1/topics/t/events?{query}"))).await;
        shown.push_str(&format!("{} {}\n", answer.status, answer.body));
    }
    expect![[r#"
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"from is now, earliest or an RFC 3339 time with its offset","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"from is now, earliest or an RFC 3339 time with its offset","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"a filter is 1 to 1024 bytes","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"a filter has one * and has it at its end","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"the query takes from, cursor, type and subject, each once","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6011","title":"Bad query","status":400,"detail":"the query takes from, cursor, type and subject, each once","code":"SYS-6011","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6010","title":"Bad cursor","status":400,"detail":"the cursor is damaged; give back the whole id of an event","code":"SYS-6010","remedy":"fix-request"}
        400 {"type":"urn:systole:error:SYS-6010","title":"Bad cursor","status":400,"detail":"the cursor is damaged; give back the whole id of an event","code":"SYS-6010","remedy":"fix-request"}
    "#]].assert_eq(&shown);
    node.gateway.stop().await;
}

#[tokio::test]
async fn no_answer_repeats_what_was_sent() {
    let node = alone(config()).await;
    let at = node.gateway.local_addr();
    let secret = "Jane-Roe";
    let events = [
        format!(r#"{{"specversion":"{secret}","id":"{secret}","source":"{secret} ","type":"t"}}"#),
        format!(r#"{{"specversion":"1.0","{secret}":"1"}}"#),
        format!("{{\"a\":{secret}"),
    ];
    for event in events {
        let answer = ask(at, request(at, ("POST", "/v1/topics/t/events"), &[JSON], event)).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.body.contains("Jane"), "{}", answer.body);
    }
    assert!(!node.metrics.text().contains("Jane"));
    node.gateway.stop().await;
}
