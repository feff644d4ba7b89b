//! The scenario of `interop/README.md`, once per client library.

use crate::{target, unique};
use serde_json::Value;
use systole_interop::{Runtime, run};

/// `cases`: one for each codec, and what else the client does.
fn plays_the_scenario(runtime: Runtime, name: &str, cases: usize) {
    let Some(target) = target(&[runtime]) else { return };
    let mut command = runtime.scenario(&target.bootstrap, &unique(name)).unwrap();
    let output = run(&mut command).unwrap();
    let rows: Vec<Value> = output.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(rows.len(), cases, "one row per case:\n{output}");
    assert!(rows.iter().all(|it| it["ok"] == true), "{output}");
}

#[test]
fn confluent_kafka_for_python_loses_nothing_in_a_rebalance_and_keeps_transactions_whole() {
    plays_the_scenario(Runtime::Python, "python", 6);
}

#[test]
fn franz_go_loses_nothing_in_a_rebalance() {
    plays_the_scenario(Runtime::Go, "go", 5);
}

#[test]
fn kafkajs_loses_nothing_in_a_rebalance() {
    plays_the_scenario(Runtime::Node, "node", 5);
}
