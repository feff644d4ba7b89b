//! Settings of topics and of the node: shown, changed, kept.

use crate::harness::{Client, Harness};
use crate::topics::{create, topic, with};
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::Str;
use systole_wire::message::alter_configs_request as whole;
use systole_wire::message::describe_configs_request::DescribeConfigsResource;
use systole_wire::message::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use systole_wire::message::{
    AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// `name=value (source) [synonym, …]` of the settings asked for.
async fn describe(client: &mut Client, kind: i8, name: &str, keys: &[&str]) -> String {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: Some(keys.iter().map(|it| Str::from(*it)).collect()),
            ..Default::default()
        }],
        include_synonyms: true,
        ..Default::default()
    };
    let result = client.call(4, request).await.results.remove(0);
    if result.error_code != 0 {
        return format!("error {}\n", result.error_code);
    }
    let mut lines = String::new();
    for it in result.configs {
        let synonyms: Vec<_> = it
            .synonyms
            .iter()
            .map(|it| format!("{}={}:{}", it.name, it.value.as_deref().unwrap_or("-"), it.source))
            .collect();
        let value = it.value.as_deref().unwrap_or("-");
        writeln!(lines, "{}={value} ({}) {synonyms:?}", it.name, it.config_source).unwrap();
    }
    lines
}

/// Operation, name, value.
type Edit<'a> = (i8, &'a str, Option<&'a str>);

/// The code of the answer to these edits.
async fn alter(client: &mut Client, (kind, name): (i8, &str), edits: &[Edit<'_>]) -> i16 {
    let edit = |(operation, name, value): &Edit<'_>| AlterableConfig {
        name: (*name).into(),
        config_operation: *operation,
        value: value.map(Str::from),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: edits.iter().map(edit).collect(),
        ..Default::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    client.call(1, request).await.responses[0].error_code
}

#[tokio::test]
async fn a_value_comes_from_the_topic_else_the_node_else_all_nodes_else_the_default() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![with(topic("t", 1), "retention.ms", "1")]).await;
    let set = |value| (0, "log.retention.ms", Some(value));
    assert_eq!(alter(&mut client, (BROKER, ""), &[set("3")]).await, 0);
    assert_eq!(alter(&mut client, (BROKER, "1"), &[set("2")]).await, 0);
    let mut seen = describe(&mut client, TOPIC, "t", &["retention.ms"]).await;
    alter(&mut client, (TOPIC, "t"), &[(1, "retention.ms", None)]).await;
    harness.restart().await;
    let mut client = harness.client().await;
    seen += &describe(&mut client, TOPIC, "t", &["retention.ms"]).await;
    alter(&mut client, (BROKER, "1"), &[(1, "log.retention.ms", None)]).await;
    seen += &describe(&mut client, TOPIC, "t", &["retention.ms"]).await;
    alter(&mut client, (BROKER, ""), &[(1, "log.retention.ms", None)]).await;
    seen += &describe(&mut client, TOPIC, "t", &["retention.ms", "preallocate"]).await;
    seen += &describe(&mut client, BROKER, "1", &["log.retention.ms", "node.id"]).await;
    expect![[r#"
        retention.ms=1 (1) ["retention.ms=1:1", "log.retention.ms=2:2", "log.retention.ms=3:3", "log.retention.ms=604800000:5"]
        retention.ms=2 (2) ["log.retention.ms=2:2", "log.retention.ms=3:3", "log.retention.ms=604800000:5"]
        retention.ms=3 (3) ["log.retention.ms=3:3", "log.retention.ms=604800000:5"]
        preallocate=false (5) ["log.preallocate=false:5"]
        retention.ms=604800000 (5) ["log.retention.ms=604800000:5"]
        log.retention.ms=604800000 (5) ["log.retention.ms=604800000:5"]
        node.id=1 (4) ["node.id=1:4"]
    "#]]
    .assert_eq(&seen);
}

#[tokio::test]
async fn lists_are_extended_and_shortened_and_wrong_edits_change_nothing() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    let policy = "cleanup.policy";
    let at = (TOPIC, "t");
    assert_eq!(alter(&mut client, at, &[(2, policy, Some("compact,delete"))]).await, 0);
    assert!(describe(&mut client, TOPIC, "t", &[policy]).await.contains("=delete,compact (1)"));
    assert_eq!(alter(&mut client, at, &[(3, policy, Some("delete"))]).await, 0);
    let refused: [(&str, &[Edit<'_>], i16); 7] = [
        ("one of two is wrong", &[(0, "retention.ms", Some("5")), (0, policy, Some("burn"))], 40),
        ("no such setting", &[(0, "no.such.setting", Some("5"))], 40),
        ("append to a number", &[(2, "retention.ms", Some("5"))], 40),
        ("null", &[(0, "retention.ms", None)], 42),
        ("twice", &[(0, "retention.ms", Some("5")), (1, "retention.ms", None)], 42),
        ("no such operation", &[(9, "retention.ms", Some("5"))], 42),
        ("out of range", &[(0, "retention.ms", Some("-2"))], 40),
    ];
    for (what, edits, code) in refused {
        assert_eq!(alter(&mut client, at, edits).await, code, "{what}");
    }
    assert_eq!(alter(&mut client, (TOPIC, "absent"), &[]).await, 3);
    assert_eq!(alter(&mut client, (BROKER, "9"), &[]).await, 42);
    assert_eq!(alter(&mut client, (BROKER, "1"), &[(0, "node.id", Some("2"))]).await, 42);
    let seen = describe(&mut client, TOPIC, "t", &[policy, "retention.ms"]).await;
    expect![[r#"
        cleanup.policy=compact (1) ["cleanup.policy=compact:1", "log.cleanup.policy=delete:5"]
        retention.ms=604800000 (5) ["log.retention.ms=604800000:5"]
    "#]]
    .assert_eq(&seen);
}

#[tokio::test]
async fn alter_configs_replaces_what_was_set() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![with(topic("t", 1), "retention.ms", "1")]).await;
    for version in 0..=2 {
        let configs = vec![whole::AlterableConfig {
            name: "segment.ms".into(),
            value: Some("7".into()),
            ..Default::default()
        }];
        let resource = whole::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".into(),
            configs,
            ..Default::default()
        };
        let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
        assert_eq!(client.call(version, request).await.responses[0].error_code, 0);
    }
    let seen = describe(&mut client, TOPIC, "t", &["retention.ms", "segment.ms"]).await;
    assert!(seen.contains("retention.ms=604800000 (5)") && seen.contains("segment.ms=7 (1)"));
}

#[tokio::test]
async fn every_version_describes_and_creation_shows_what_is_in_force() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let topics = vec![with(topic("t", 1), "retention.ms", "5")];
    let made = client.call(7, CreateTopicsRequest { topics, ..Default::default() }).await;
    let configs = made.topics[0].configs.as_ref().unwrap();
    let set = configs.iter().find(|it| &*it.name == "retention.ms").unwrap();
    assert_eq!((set.value.as_deref(), set.config_source), (Some("5"), 1));
    for version in 1..=4 {
        let resource = |kind, name: &str| DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: None,
            ..Default::default()
        };
        let resources = vec![resource(TOPIC, "t"), resource(BROKER, "1"), resource(32, "g")];
        let include_documentation = version >= 3;
        let request =
            DescribeConfigsRequest { resources, include_documentation, ..Default::default() };
        let results = client.call(version, request).await.results;
        assert_eq!(results[0].configs.len(), configs.len());
        assert!(results[1].configs.iter().any(|it| &*it.name == "listeners" && it.read_only));
        assert_eq!(results[2].error_code, 42);
        let documented = results[0]
            .configs
            .iter()
            .all(|it| it.documentation.as_deref().is_some_and(|text| !text.is_empty()));
        assert_eq!(documented, include_documentation);
    }
}

/// The levels are those of the whole process: no other test here changes them.
#[tokio::test]
async fn levels_of_loggers_change_while_the_node_runs_and_wrong_changes_do_nothing() {
    const LOGGERS: (i8, &str) = (8, "1");
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let asked = ["root", "systole_broker", "systole_log"];
    let change = [(0, "systole_log", Some("DEBUG")), (0, "systole_broker", Some("FATAL"))];
    assert_eq!(alter(&mut client, LOGGERS, &change).await, 0);
    let mut seen = describe(&mut client, 8, "1", &asked).await;
    let change = [(1, "systole_broker", None), (0, "root", Some("ERROR"))];
    assert_eq!(alter(&mut client, LOGGERS, &change).await, 0);
    seen += &describe(&mut client, 8, "1", &asked).await;
    expect![[r#"
        root=INFO (6) []
        systole_broker=FATAL (6) []
        systole_log=DEBUG (6) []
        root=ERROR (6) []
        systole_broker=ERROR (6) []
        systole_log=DEBUG (6) []
    "#]]
    .assert_eq(&seen);
    let wrong: [(Edit<'_>, i16); 6] = [
        ((0, "systole_typo", Some("INFO")), 40),
        ((1, "systole_typo", None), 40),
        ((0, "systole_log", Some("info")), 40),
        ((1, "root", None), 42),
        ((2, "systole_log", Some("INFO")), 42),
        ((0, "systole_log", None), 42),
    ];
    for (edit, code) in wrong {
        let edits = [(0, "systole_broker", Some("TRACE")), edit];
        assert_eq!(alter(&mut client, LOGGERS, &edits).await, code, "{edit:?}");
    }
    assert_eq!(alter(&mut client, (8, "2"), &change).await, 42);
    assert_eq!(describe(&mut client, 8, "", &asked).await, "error 42\n");
    let after = describe(&mut client, 8, "1", &asked).await;
    assert!(seen.ends_with(&after), "{after}");
}
