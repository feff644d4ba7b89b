//! The programs of Apache Kafka's own distribution.

use crate::{Target, target, unique};
use serde_json::Value;
use std::io::Write;
use systole_interop::{Runtime, kafka_starter, run, run_with_input};

impl Target {
    fn tool(&self, name: &str, args: &[&str]) -> String {
        let base = ["tool", name, "--bootstrap-server", &self.bootstrap];
        run(&mut kafka_starter(&[base.as_slice(), args].concat())).unwrap()
    }

    fn create(&self, topic: &str, partitions: &str) {
        self.tool("kafka-topics", &["--create", "--topic", topic, "--partitions", partitions]);
    }

    fn fill(&self, topic: &str, records: &str, properties: &[&str]) {
        let load = ["--topic", topic, "--num-records", records, "--record-size", "200"];
        let server = format!("bootstrap.servers={}", self.bootstrap);
        let rest = ["--throughput", "-1", "--producer-props", &server];
        let perf_test = ["tool", "kafka-producer-perf-test"];
        let args = [perf_test.as_slice(), &load, &rest, properties].concat();
        let out = run(&mut kafka_starter(&args)).unwrap();
        assert!(out.contains(&format!("{records} records sent")), "{out}");
    }
}

#[test]
fn kafka_topics_creates_describes_grows_and_deletes() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-topics");
    let config = ["--config", "retention.ms=60000"];
    let shape = ["--create", "--topic", &topic, "--partitions", "3"];
    target.tool("kafka-topics", &[shape.as_slice(), config.as_slice()].concat());
    let described = target.tool("kafka-topics", &["--describe", "--topic", &topic]);
    assert!(described.contains("PartitionCount: 3"), "{described}");
    assert!(described.contains("retention.ms=60000"), "{described}");
    target.tool("kafka-topics", &["--alter", "--topic", &topic, "--partitions", "5"]);
    let described = target.tool("kafka-topics", &["--describe", "--topic", &topic]);
    assert!(described.contains("PartitionCount: 5"), "{described}");
    assert!(target.tool("kafka-topics", &["--list"]).lines().any(|it| it == topic));
    target.tool("kafka-topics", &["--delete", "--topic", &topic]);
    assert!(!target.tool("kafka-topics", &["--list"]).lines().any(|it| it == topic));
}

#[test]
fn kafka_configs_changes_and_shows_a_topic_setting() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-configs");
    target.create(&topic, "1");
    let entity = ["--entity-type", "topics", "--entity-name", &topic];
    let add = ["--alter", "--add-config", "segment.bytes=1048576,cleanup.policy=delete"];
    target.tool("kafka-configs", &[entity.as_slice(), add.as_slice()].concat());
    let shown = target.tool("kafka-configs", &[entity.as_slice(), &["--describe"]].concat());
    assert!(shown.contains("segment.bytes=1048576"), "{shown}");
    let remove = ["--alter", "--delete-config", "segment.bytes"];
    target.tool("kafka-configs", &[entity.as_slice(), remove.as_slice()].concat());
    let shown = target.tool("kafka-configs", &[entity.as_slice(), &["--describe"]].concat());
    assert!(!shown.contains("segment.bytes"), "{shown}");
}

#[test]
fn the_console_consumer_prints_what_the_console_producer_read() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-console");
    target.create(&topic, "1");
    let sent: String = (0..200).map(|n| format!("line {n} of the console\n")).collect();
    let mut lines = tempfile::NamedTempFile::new().unwrap();
    lines.write_all(sent.as_bytes()).unwrap();
    let produce = ["tool", "kafka-console-producer", "--bootstrap-server", &target.bootstrap];
    let mut produce = kafka_starter(&[produce.as_slice(), &["--topic", &topic]].concat());
    run_with_input(&mut produce, Some(lines.path())).unwrap();
    let read = ["--topic", &topic, "--from-beginning", "--max-messages", "200"];
    assert_eq!(target.tool("kafka-console-consumer", &read), sent);
}

#[test]
fn the_verifiable_consumer_sees_what_the_verifiable_producer_had_acknowledged() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-verifiable");
    target.create(&topic, "4");
    let produced =
        target.tool("kafka-verifiable-producer", &["--topic", &topic, "--max-messages", "3000"]);
    let acknowledged = events(&produced, "producer_send_success").count();
    assert_eq!(acknowledged, 3000);
    let group = ["--topic", &topic, "--group-id", &topic, "--max-messages", "3000"];
    let consumed = target.tool("kafka-verifiable-consumer", &group);
    let read: u64 =
        events(&consumed, "records_consumed").map(|it| it["count"].as_u64().unwrap()).sum();
    assert_eq!(read, 3000);
    assert!(events(&consumed, "offsets_committed").all(|it| it["success"] == true), "{consumed}");
}

fn events<'a>(output: &'a str, name: &'a str) -> impl Iterator<Item = Value> + 'a {
    let parsed = output.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    parsed.filter(move |it| it["name"] == name)
}

#[test]
fn kafka_consumer_groups_shows_resets_and_deletes_a_classic_group() {
    shows_resets_and_deletes_a_group("classic");
}

#[test]
fn kafka_consumer_groups_shows_resets_and_deletes_a_consumer_group() {
    shows_resets_and_deletes_a_group("consumer");
}

/// A group of `protocol`, as `group.protocol` names it.
fn shows_resets_and_deletes_a_group(protocol: &str) {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique(&format!("java-groups-{protocol}"));
    target.create(&topic, "2");
    target.fill(&topic, "500", &[]);
    let read = ["--topic", &topic, "--from-beginning", "--max-messages", "500", "--group", &topic];
    let how = ["--command-property", &format!("group.protocol={protocol}")];
    target.tool("kafka-console-consumer", &[read.as_slice(), how.as_slice()].concat());
    let groups = |args: &[&str]| target.tool("kafka-consumer-groups", args);
    assert!(groups(&["--list"]).lines().any(|it| it == topic));
    let listed = groups(&["--list", "--type", protocol]);
    assert!(listed.lines().any(|it| it.starts_with(&topic)), "{listed}");
    let shown = groups(&["--describe", "--group", &topic]);
    let lags: Vec<_> = shown
        .lines()
        .filter(|it| it.starts_with(&topic))
        .map(|it| it.split_whitespace().nth(5).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(lags, ["0", "0"], "{shown}");
    let whole = ["--reset-offsets", "--to-earliest", "--execute", "--all-topics"];
    groups(&[["--group", &topic].as_slice(), whole.as_slice()].concat());
    let shown = groups(&["--describe", "--group", &topic, "--offsets"]);
    let lag: u64 = shown
        .lines()
        .filter(|it| it.starts_with(&topic))
        .map(|it| it.split_whitespace().nth(5).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(lag, 500, "{shown}");
    groups(&["--delete", "--group", &topic]);
    assert!(!groups(&["--list"]).lines().any(|it| it == topic));
}

#[test]
fn the_performance_tests_move_every_record_with_every_codec() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-perf");
    target.create(&topic, "3");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        target.fill(&topic, "4000", &["acks=all", &format!("compression.type={codec}")]);
    }
    let read = ["--topic", &topic, "--num-records", "20000", "--timeout", "60000"];
    let out = target.tool("kafka-consumer-perf-test", &read);
    let fields: Vec<_> = out.lines().last().unwrap_or_default().split(',').collect();
    assert_eq!(fields.get(4).map(|it| it.trim()), Some("20000"), "{out}");
}

#[test]
fn the_admin_tools_agree_about_offsets_and_disks() {
    let Some(target) = target(&[Runtime::Java]) else { return };
    let topic = unique("java-admin");
    target.create(&topic, "1");
    target.fill(&topic, "300", &[]);
    let ends = target.tool("kafka-get-offsets", &["--topic", &topic]);
    assert_eq!(ends.trim(), format!("{topic}:0:300"));
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    let partition = format!(r#"{{"topic":"{topic}","partition":0,"offset":120}}"#);
    write!(cut, r#"{{"version":1,"partitions":[{partition}]}}"#).unwrap();
    let file = cut.path().to_str().unwrap();
    let deleted = target.tool("kafka-delete-records", &["--offset-json-file", file]);
    assert!(deleted.contains("low_watermark: 120"), "{deleted}");
    let starts = target.tool("kafka-get-offsets", &["--topic", &topic, "--time", "earliest"]);
    assert_eq!(starts.trim(), format!("{topic}:0:120"));
    let dirs = target.tool("kafka-log-dirs", &["--describe", "--topic-list", &topic]);
    assert!(dirs.contains(&format!(r#""partition":"{topic}-0""#)), "{dirs}");
    let versions = target.tool("kafka-broker-api-versions", &[]);
    assert!(versions.contains("Produce(0): 0 to 13"), "{versions}");
}
