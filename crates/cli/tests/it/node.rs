//! From start to stop over one node: what goes in comes out, and nothing is lost on the way.

use crate::command::{Node, Waiting, run, run_with};
use serde_json::Value;
use systole_testkit::wait::blocking_until;

fn json(arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|it| panic!("{it}: {stdout}"))
}

/// A transaction of one patient with two observations; the last entry of `BAD` cannot be read.
const GOOD: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:0a1b2c3d-0000-4000-8000-000000000001",
  "resource":{"resourceType":"Patient","id":"p1"},"request":{"method":"PUT","url":"Patient/p1"}},
 {"resource":{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"}},
  "request":{"method":"PUT","url":"Observation/o1"}},
 {"resource":{"resourceType":"Observation","id":"o2","status":"final","subject":{"reference":"Patient/p1"}},
  "request":{"method":"PUT","url":"Observation/o2"}}]}"#;
const BAD: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
 {"resource":{"resourceType":"Patient","id":"p2"}},
 {"resource":{"resourceType":"Potion","id":"x"}}]}"#;

#[test]
fn a_start_with_defaults_warns_of_nothing_where_few_files_may_be_open_at_first() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let data = dir.path().join("data");
    let node = Node::serve_with_files(&data, 300, std::fs::File::create(&log).unwrap());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.id())).unwrap();
    let files: Vec<_> = limits
        .lines()
        .find(|it| it.starts_with("Max open files"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(files[3], files[4], "the soft limit is raised to the hard one: {limits}");
    assert_eq!(node.stop("-INT").0, 0);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("stopped") && !log.contains("WARN"), "{log}");
}

#[test]
fn a_bundle_becomes_events_that_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle.json");
    std::fs::write(&bundle, GOOD).unwrap();
    let node = Node::serve(&dir.path().join("data"));
    let kafka = node.kafka.clone();
    let path = bundle.to_str().unwrap();
    let report = json(&["ingest", "fhir", path, "--cluster", &kafka, "--json"]);
    assert_eq!((&report["acknowledged"], &report["problems_total"]), (&3.into(), &0.into()));
    assert_eq!(node.stop("-INT"), (0, String::new()));

    let node = Node::serve(&dir.path().join("data"));
    let topics = json(&["topic", "list", "--cluster", &node.kafka, "--json"]);
    let count = |topic: &str| {
        let rows = topics.as_array().unwrap();
        rows.iter().find(|it| it["topic"] == topic).map(|it| it["records"].clone())
    };
    assert_eq!(count("clinical.patient"), Some(1.into()), "{topics}");
    assert_eq!(count("clinical.observation"), Some(2.into()), "{topics}");
    let consume = [
        "consume",
        "clinical.observation",
        "--from",
        "beginning",
        "--cluster",
        &node.kafka,
        "--json",
    ];
    let (code, lines, stderr) = run(&consume);
    assert_eq!((code, lines.lines().count()), (0, 2), "{stderr}");
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["value"].as_str().unwrap().contains(r#""id":"o1""#), "{first}");
    assert_eq!(node.stop("-TERM"), (0, String::new()));
}

#[test]
fn bad_entries_are_told_with_their_place_and_the_good_ones_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let arguments = ["ingest", "fhir", "-", "--cluster", &node.kafka, "--json"];
    let (code, stdout, stderr) = run_with(BAD, &arguments);
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|it| panic!("{it}: {stderr}"));
    assert_eq!((code, &report["acknowledged"]), (2, &1.into()), "{report}");
    let problem = &report["problems"][0];
    assert_eq!(problem["input"], "standard input");
    assert!(problem["place"].as_str().unwrap().contains("entry[1]"), "{problem}");
    node.stop("-INT");
}

#[test]
fn an_ingest_that_is_interrupted_brings_what_it_has_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let at = ["--cluster", node.kafka.as_str(), "--json"];
    let ingest = [["ingest", "fhir"].as_slice(), &["-"], &at].concat();
    let ingest = Waiting::start(GOOD, &ingest);
    let topic = [["topic", "describe", "clinical.observation"].as_slice(), &at].concat();
    let is_read = || run(&topic).1.contains(r#""end_offset":2"#).then_some(());
    blocking_until("two observations", is_read);
    let (code, stdout, stderr) = ingest.interrupt();
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|it| panic!("{it}: {stderr}"));
    assert_eq!((code, &report["finished"]), (2, &false.into()), "{report}");
    assert_eq!((&report["events_total"], &report["acknowledged"]), (&3.into(), &3.into()));
    node.stop("-INT");
}

#[test]
fn what_is_produced_can_be_consumed_and_copied() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let at = ["--cluster", node.kafka.as_str()];
    let with = |more: &[&'static str]| more.iter().copied().chain(at).collect::<Vec<_>>();
    let created = run(&with(&["topic", "create", "pa.case", "--partitions", "3"]));
    assert_eq!(created, (0, "created pa.case\n".to_owned(), String::new()));
    let one = with(&["produce", "pa.case", "--key", "c1", "--value", "pended", "--header", "a=b"]);
    assert_eq!(run(&one).0, 0);
    let (code, stdout, _) = run_with("x\ny\n", &with(&["produce", "pa.case", "--key", "c1"]));
    assert!(code == 0 && stdout.starts_with("2 acknowledged, 0 failed"), "{stdout}");

    let (_, original, _) = run(&with(&["consume", "pa.case", "--json"]));
    let lines: Vec<Value> = original.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let values: Vec<_> = lines.iter().map(|it| it["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["pended", "x", "y"]);
    assert_eq!(lines[0]["headers"][0], serde_json::json!(["a", "b"]));

    let copied = run_with(&original, &with(&["produce", "copy", "--format", "json"]));
    assert_eq!(copied.0, 0, "{}", copied.2);
    let (_, copy, _) = run(&with(&["consume", "copy", "--json"]));
    assert_eq!(copy.lines().count(), 3, "{copy}");

    let described = json(&with(&["topic", "describe", "pa.case", "--json"]));
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(run(&with(&["topic", "delete", "copy"])).1, "deleted copy\n");
    let (code, _, stderr) = run(&with(&["consume", "copy"]));
    assert!(code == 1 && stderr.starts_with("error[SYS-4004]: "), "{stderr}");
    node.stop("-INT");
}

#[test]
fn a_port_in_use_and_a_locked_directory_are_told_with_their_cure() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let other = tempfile::tempdir().unwrap();
    let (data, http) = (other.path().to_str().unwrap(), "127.0.0.1:0");
    let (code, _, stderr) = run(&["serve", "--data", data, "--kafka", &node.kafka, "--http", http]);
    assert!(code == 1 && stderr.starts_with("error[SYS-2009]: "), "{stderr}");
    assert!(stderr.contains("\n  cure: "), "{stderr}");
    let (data, any) = (dir.path().to_str().unwrap(), "127.0.0.1:0");
    let (code, _, stderr) = run(&["serve", "--data", data, "--kafka", any, "--http", any]);
    assert!(code == 1 && stderr.starts_with("error[SYS-3"), "{stderr}");
    let (code, _, stderr) = run(&["serve", "--data", data, "--http", &node.http, "--kafka", any]);
    assert!(code == 1 && stderr.contains("\n  cure: "), "{stderr}");
    node.stop("-INT");
}

#[test]
fn doctor_sees_the_running_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::serve(dir.path());
    let config = dir.path().join("systole.toml");
    let text =
        format!("[broker]\nlisten = '{}'\n[gateway]\nlisten = '{}'\n", node.kafka, node.http);
    std::fs::write(&config, text).unwrap();
    let data = dir.path().to_str().unwrap();
    let found = json(&["doctor", "--data", data, "--config", config.to_str().unwrap(), "--json"]);
    let of = |check: &str| {
        found
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["check"] == check)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(of("kafka address")["state"], "good", "{found}");
    assert_eq!(of("data directory")["state"], "good", "{found}");
    assert!(of("disk sync")["found"].as_str().unwrap().contains("p99"), "{found}");
    node.stop("-INT");
}
