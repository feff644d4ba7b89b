//! One word goes in wherever patient data goes in, and must come out only where data is meant to.
//!
//! Owns: the ways in, and the places that must stay clean: log lines at the loudest level, metrics,
//! answers to bad input, reports. Does not own: what those places say.

use crate::command::{Node, exchange, run, systole};
use std::io::Write as _;
use std::net::TcpStream;
use systole_testkit::wait::blocking_until;

/// A name that no code says.
const CANARY: &str = "Zeisig7731";

/// Good entries and bad ones, with the word as id, name, identifier, member and reference.
fn bundle() -> String {
    let entries = [
        format!(
            r#"{{"fullUrl":"urn:uuid:{CANARY}","resource":{{"resourceType":"Patient","id":"{CANARY}",
              "name":[{{"family":"{CANARY}"}}],"identifier":[{{"system":"urn:mrn","value":"{CANARY}"}}]}}}}"#
        ),
        format!(
            r#"{{"resource":{{"resourceType":"Observation","id":"o1","status":"final",
              "subject":{{"reference":"Patient/{CANARY}"}}}}}}"#
        ),
        format!(r#"{{"resource":{{"resourceType":"{CANARY}","id":"x"}}}}"#),
        format!(r#"{{"resource":{{"resourceType":"Patient","{CANARY}":{CANARY}}}}}"#),
        format!(r#"{{"resource":{{"resourceType":"Patient","id":"{CANARY} is no id"}}}}"#),
        format!(
            r#"{{"resource":{{"resourceType":"Flag",
              "subject":{{"reference":"urn:uuid:{CANARY}-2"}}}}}}"#
        ),
    ];
    format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","))
}

fn publish(http: &str, event: &str) -> String {
    let head = "Content-Type: application/cloudevents+json";
    exchange(http, "POST /v1/topics/clinical.observation/events", head, event)
}

fn is_clean(place: &str, text: &str) {
    let found = text.lines().find(|it| it.to_lowercase().contains(&CANARY.to_lowercase()));
    assert_eq!(found, None, "{place}");
}

#[test]
fn patient_data_reaches_no_log_no_metric_and_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let (log, input) = (dir.path().join("log"), dir.path().join("bundle.json"));
    std::fs::write(&input, bundle()).unwrap();
    let node = Node::serve_tracing(&dir.path().join("data"), std::fs::File::create(&log).unwrap());
    let at = ["--cluster", node.kafka.as_str()];

    let ingest = [["ingest", "fhir", input.to_str().unwrap()].as_slice(), &at].concat();
    let ingest = systole(&ingest).env("SYSTOLE_LOG", "trace").output().unwrap();
    let said = [ingest.stdout, ingest.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ingest.status.code(), Some(2), "some entries are bad: {said}");
    is_clean("report and log of an ingest", &said);

    let event = format!(
        r#"{{"specversion":"1.0","id":"{CANARY}","source":"urn:lab","type":"t",
          "subject":"Patient/{CANARY}","data":{{"name":"{CANARY}"}}}}"#
    );
    assert!(publish(&node.http, &event).starts_with("HTTP/1.1 201"));
    let bad = event.replace(r#""type":"t","#, "");
    is_clean("answer to an event without a type", &publish(&node.http, &bad));
    is_clean("answer to broken JSON", &publish(&node.http, &event[..event.len() - 9]));
    let path = format!("GET /v1/topics/clinical.observation/events?cursor={CANARY}");
    is_clean("answer to a wrong cursor", &exchange(&node.http, &path, "Accept: */*", ""));
    let key = format!("Patient/{CANARY}");
    let produce = ["produce", "clinical.observation", "--key", &key, "--value", CANARY];
    assert_eq!(run(&[produce.as_slice(), &at].concat()).0, 0);
    let mut stray = TcpStream::connect(&node.kafka).unwrap();
    stray.write_all(format!("{CANARY} is no frame").as_bytes()).unwrap();

    let read = ["consume", "clinical.observation", "--from", "beginning", "--json"];
    let shown = || run(&[read.as_slice(), &at].concat()).1.matches(CANARY).count();
    blocking_until("the canary in its topics", || (shown() > 3).then_some(()));
    let metrics = exchange(&node.http, "GET /metrics", "Accept: */*", "");
    assert!(metrics.contains("systole_broker_connections_open"), "{metrics}");
    is_clean("metrics", &metrics);
    assert_eq!(node.stop("-INT").0, 0);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("DEBUG") && log.contains("SYS-20"), "the log is loud:\n{log}");
    is_clean("log", &log);
}
