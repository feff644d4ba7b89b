//! What the surroundings and the peers of a node may do to it, and that it still serves.
//!
//! Owns: cases that need the whole process. Does not own: frames and connections (the broker's
//! tests), faults of a disk (the log's and the broker's).

use crate::command::{Node, exchange, run, run_with};
use std::fs::File;
use std::path::{Path, PathBuf};

const TOPIC: &str = "clinical.note";
const EVENTS: &str = "/v1/topics/clinical.note/events";

fn get(http: &str, path: &str) -> String {
    exchange(http, &format!("GET {path}"), "Accept: */*", "")
}

fn post(http: &str, path: &str, body: &str) -> String {
    exchange(http, &format!("POST {path}"), "Content-Type: application/cloudevents+json", body)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    entries.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

fn values(node: &Node, topic: &str) -> Vec<String> {
    let (_, lines, _) = run(&["consume", topic, "--cluster", &node.kafka, "--json"]);
    let value = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].clone();
    lines.lines().map(|it| value(it).as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_standard_error_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let node = Node::serve_tracing(dir.path(), full);
    let (code, stdout, _) = run_with("a\nb\n", &["produce", "t", "--cluster", &node.kafka]);
    assert!(code == 0 && stdout.starts_with("2 acknowledged"), "{stdout}");
    assert_eq!(node.stop("-TERM").0, 0);
}

#[test]
fn a_node_that_was_not_started_is_told_at_once_with_how_to_start_it() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let kafka = node.kafka.clone();
    node.stop("-TERM");
    for command in [["topic", "list"], ["consume", "t"], ["produce", "t"], ["group", "list"]] {
        let (code, _, stderr) =
            run_with("", &[&command, ["--cluster", &kafka].as_slice()].concat());
        let told = stderr.starts_with(&format!("error[SYS-9008]: nobody listens at {kafka}"));
        assert!(code == 1 && told && stderr.contains("systole serve"), "{command:?}: {stderr}");
    }
}

#[test]
fn no_file_of_a_data_directory_keeps_a_node_from_starting_or_makes_it_invent_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let node = Node::serve(data);
    for value in ["first", "second", "third"] {
        let one = ["produce", "t", "--value", value, "--cluster", &node.kafka];
        assert_eq!(run(&one).0, 0);
    }
    assert_eq!(node.stop("-TERM").0, 0);
    // Kinds of files, in an order in which each is still there when its turn comes.
    for kind in ["lock", "format", "checkpoint-0", "checkpoint-1", ".wal", ".log"] {
        for path in files(data).iter().filter(|it| it.to_str().unwrap().ends_with(kind)) {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x10;
                std::fs::write(path, bytes).unwrap();
            }
        }
        let node = Node::serve(data);
        for value in values(&node, "t") {
            assert!(["first", "second", "third"].contains(&value.as_str()), "{kind}: {value}");
        }
        let after = ["produce", "after", "--value", "x", "--cluster", &node.kafka];
        assert_eq!(run(&after).0, 0, "{kind}");
        assert_eq!(node.stop("-TERM").0, 0, "{kind}");
    }
}

#[test]
fn the_gateway_refuses_what_it_cannot_use_and_serves_the_next_request() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"note.taken.v1"}"#;
    assert_eq!(run(&["topic", "create", TOPIC, "--cluster", &node.kafka]).0, 0);
    let deep = "[".repeat(100_000);
    let long = "t".repeat(250);
    let refused = [
        (400, post(&node.http, EVENTS, "{")),
        (400, post(&node.http, EVENTS, &deep)),
        (400, post(&node.http, EVENTS, "\u{0}")),
        (400, post(&node.http, "/v1/topics/..%2f..%2fetc/events", event)),
        (400, post(&node.http, "/v1/topics/a%0d%0aX-Evil:%201/events", event)),
        (400, post(&node.http, &format!("/v1/topics/{long}/events"), event)),
        (400, get(&node.http, &format!("{EVENTS}?cursor=%00%ff"))),
        (404, get(&node.http, "/v1/topics/no.such.topic/events")),
        (404, get(&node.http, "/../../etc/passwd")),
    ];
    for (number, (status, answer)) in refused.iter().enumerate() {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{number}: {answer}");
        assert!(!head.to_lowercase().contains("\nx-evil"), "{number}: {answer}");
        assert!(body.contains("SYS-6") || number == 8, "{number}: {answer}");
    }
    let taken = post(&node.http, EVENTS, event);
    assert!(taken.starts_with("HTTP/1.1 20"), "{taken}");
    assert_eq!(node.stop("-TERM").0, 0);
}
