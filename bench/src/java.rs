//! Kafka's own performance tests, which drive both systems alike.
//!
//! Owns: calling them and reading their closing lines. Does not own: what the figures mean.

use crate::system::Programs;
use anyhow::{Context as _, bail};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) topic: &'a str,
    pub(crate) records: u64,
    pub(crate) record_bytes: u32,
}

/// Records per second of `kafka-producer-perf-test` with `acks=all`.
pub(crate) fn produce(
    programs: &Programs,
    address: SocketAddr,
    load: Load<'_>,
) -> anyhow::Result<f64> {
    let out = tool(
        programs,
        &[
            "kafka-producer-perf-test",
            "--topic",
            load.topic,
            "--num-records",
            &load.records.to_string(),
            "--record-size",
            &load.record_bytes.to_string(),
            "--throughput",
            "-1",
            "--producer-props",
            &format!("bootstrap.servers={address}"),
            "acks=all",
        ],
    )?;
    // "500000 records sent, 90123.4 records/sec (88.01 MB/sec), ..."
    let total = out.lines().rfind(|it| it.contains(" records sent, ") && it.contains("99.9th"));
    let rate = total.and_then(|it| it.split(", ").nth(1)?.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("no closing line in:\n{out}"))
}

/// Records per second of `kafka-consumer-perf-test`, joining the group not counted.
pub(crate) fn consume(
    programs: &Programs,
    address: SocketAddr,
    load: Load<'_>,
) -> anyhow::Result<f64> {
    let out = tool(
        programs,
        &[
            "kafka-consumer-perf-test",
            "--bootstrap-server",
            &address.to_string(),
            "--topic",
            load.topic,
            "--num-records",
            &load.records.to_string(),
            "--timeout",
            "60000",
        ],
    )?;
    let fields: Vec<_> = out.lines().last().unwrap_or_default().split(", ").collect();
    let read: f64 = fields.get(4).and_then(|it| it.parse().ok()).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "record counts are far below 2^52")]
    if read < load.records as f64 {
        bail!("only {read} of {} records came:\n{out}", load.records);
    }
    fields.get(9).and_then(|it| it.parse().ok()).with_context(|| format!("no rate in:\n{out}"))
}

fn tool(programs: &Programs, args: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(&programs.kafka).arg("tool").args(args).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{args:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
