//! Listening, limits of connections, probes, stopping.

use crate::http::{DEADLINE, Follower, ask, get, request};
use crate::{alone, clusters, config, start};
use std::time::Duration;
use systole_client::Settings;
use systole_gateway::{Gateway, GatewayConfig, Parts, StartError};
use systole_telemetry::{Health, Metrics};
use systole_testkit::wait::until;
use systole_world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn parts() -> Parts {
    let world = World::os();
    let settings = Settings { bootstrap: "127.0.0.1:1".to_owned(), ..Settings::default() };
    let client = systole_client::connect(&settings, &world).unwrap();
    Parts { client, world, metrics: Metrics::default(), health: Health::default() }
}

#[tokio::test]
async fn a_door_to_the_network_stays_shut() {
    let config = GatewayConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config() };
    let error = Gateway::start(&config, parts()).unwrap_err();
    assert_eq!(error.code().to_string(), "SYS-1101");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let node = alone(config()).await;
    let config = GatewayConfig { listen: node.gateway.local_addr(), ..config() };
    let error = Gateway::start(&config, parts()).unwrap_err();
    assert!(matches!(error, StartError::Listen { address, .. } if address == config.listen));
    assert_eq!(error.code().to_string(), "SYS-6017");
    node.gateway.stop().await;
}

#[tokio::test]
async fn probes_and_metrics_answer_without_a_cluster() {
    let node = alone(config()).await;
    let at = node.gateway.local_addr();
    for path in ["/health/live", "/health/ready"] {
        let answer = ask(at, get(at, path)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, r#"{"ok":true,"services":{"gateway":"ready"}}"#);
    }
    let answer = ask(at, get(at, "/metrics")).await;
    assert!(answer.body.contains("systole_gateway_requests_total{status=\"200\"} 2\n"));
    assert!(answer.content_type.starts_with("application/openmetrics-text"));
    node.gateway.stop().await;
}

/// Reads until the server ends the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    tokio::time::timeout(DEADLINE, read).await.expect("a cut connection").ok();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let config = GatewayConfig { head_timeout: Duration::from_millis(200), ..config() };
    let node = alone(config).await;
    let mut stream = TcpStream::connect(node.gateway.local_addr()).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: local").await.unwrap();
    assert!(!until_closed(&mut stream).await.contains("200 OK"));
    let mut silent = TcpStream::connect(node.gateway.local_addr()).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, "");
    node.gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_answered_408() {
    let config = GatewayConfig { body_timeout: Duration::from_millis(200), ..config() };
    let node = alone(config).await;
    let mut stream = TcpStream::connect(node.gateway.local_addr()).await.unwrap();
    let head = "POST /v1/topics/t/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\
                Content-Type: application/cloudevents+json\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = until_closed(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("SYS-6006"), "{said}");
    node.gateway.stop().await;
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let node = alone(config()).await;
    let at = node.gateway.local_addr();
    let long = "x".repeat(200_000);
    let answer = ask(at, request(at, ("GET", "/health/live"), &[("x-long", &long)], "")).await;
    assert_eq!(answer.status, 431);
    node.gateway.stop().await;
}

#[tokio::test]
async fn at_the_limit_a_connection_waits_for_another_to_end() {
    let node = alone(GatewayConfig { connections_max: 1, streams_max: 1, ..config() }).await;
    let at = node.gateway.local_addr();
    let first = TcpStream::connect(at).await.unwrap();
    let second = tokio::spawn(async move { ask(at, get(at, "/health/live")).await.status });
    // The first was accepted before the second was connected, and nothing else frees its place.
    drop(first);
    assert_eq!(tokio::time::timeout(DEADLINE, second).await.unwrap().unwrap(), 200);
    node.gateway.stop().await;
}

#[tokio::test]
async fn stopping_ends_followers_with_a_last_event() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let (at, topic) = (node.gateway.local_addr(), node.topic(1).await);
        let mut follower = Follower::open(at, &topic, "", "").await;
        assert_eq!(follower.next().await.unwrap().event, "position");
        node.gateway.stop().await;
        let last = follower.next().await.unwrap();
        assert_eq!((&*last.event, &*last.data), ("end", r#"{"reason":"stopping"}"#));
        assert_eq!(follower.next().await, None);
        assert!(node.metrics.text().contains("systole_gateway_streams 0\n"));
        assert!(TcpStream::connect(at).await.is_err());
    }
}

#[tokio::test]
async fn stopping_lets_a_publish_under_way_finish() {
    for bootstrap in clusters() {
        let node = start(&bootstrap, config()).await;
        let topic = node.topic(1).await;
        let mut stream = TcpStream::connect(node.gateway.local_addr()).await.unwrap();
        let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
        let head = format!(
            "POST /v1/topics/{topic}/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\
             Content-Type: application/cloudevents+json\r\nExpect: 100-continue\r\n\r\n",
            event.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut word = [0; 25];
        stream.read_exact(&mut word).await.unwrap();
        assert!(word.starts_with(b"HTTP/1.1 100 "), "the handler waits for the body");
        let at = node.gateway.local_addr();
        let stop = tokio::spawn(node.gateway.stop());
        let refused = async || std::net::TcpStream::connect(at).err();
        until("the door is shut", refused).await;
        stream.write_all(event.as_bytes()).await.unwrap();
        let said = until_closed(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 201 ") && said.contains("\"offset\":0"), "{said}");
        tokio::time::timeout(DEADLINE, stop).await.expect("a stop in time").unwrap();
    }
}
