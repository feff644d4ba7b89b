//! A topic whose keys were written ten times each, compacted while another topic takes records.
//!
//! Owns: the load and the wait for its end. Does not own: connections and frames (`raw`).

use crate::figures::percentile;
use crate::raw::{self, Connection};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use systole_wire::Str;
use systole_wire::message::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use systole_wire::message::describe_log_dirs_request::DescribableLogDirTopic;
use systole_wire::message::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use systole_wire::message::{
    CreateTopicsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest,
};
use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord};

const CREATE_VERSION: i16 = 7;
const LOG_DIRS_VERSION: i16 = 4;
const ALTER_VERSION: i16 = 1;
/// A resource of IncrementalAlterConfigs, and its operation.
const TOPIC: i8 = 2;
const SET: i8 = 0;

const RECORD_BYTES: usize = 1000;
const RECORDS_PER_BATCH: u64 = 16;
/// How often each key is written.
const VERSIONS: u64 = 10;
/// Compacted when this share of the bytes is left: a tenth is live, and the active segment stays.
const LEFT_PERCENT: i64 = 25;
/// How long the wait for one append is watched before.
const QUIET: Duration = Duration::from_secs(3);
const APPENDS_PER_SECOND: u64 = 500;
/// Apache Kafka looks for work every 15 seconds.
const WAIT_MAX: Duration = Duration::from_mins(3);
/// How often the size is asked for.
const LOOK_EVERY: u64 = 50;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Compaction {
    /// From asking for compaction until it is done.
    pub(crate) seconds: f64,
    /// How much longer an append to another topic takes meanwhile: its p99 over that before.
    pub(crate) p99_over_quiet: f64,
}

pub(crate) fn measure(address: SocketAddr, mebibytes: u64) -> anyhow::Result<Compaction> {
    let mut connection = Connection::to(address)?;
    create(&mut connection, "compacted", &[("segment.bytes", "67108864"), ("retention.ms", "-1")])?;
    create(&mut connection, "beside", &[])?;
    fill(address, mebibytes * 1024 * 1024)?;
    let beside = raw::produce_request("beside", 0, batch(0..1)?);
    connection.produce_when_led(&beside)?;
    let until = Instant::now() + QUIET;
    let quiet = appends(&mut connection, &beside, |_| Ok(Instant::now() < until))?;
    let full = size(&mut connection)?;
    ask(&mut connection)?;
    let begin = Instant::now();
    let mut other = Connection::to(address)?;
    let busy = appends(&mut connection, &beside, |number| {
        ensure!(begin.elapsed() < WAIT_MAX, "it is not compacted after {WAIT_MAX:?}");
        Ok(number % LOOK_EVERY != 0 || size(&mut other)? > full / 100 * LEFT_PERCENT)
    })?;
    Ok(Compaction { seconds: begin.elapsed().as_secs_f64(), p99_over_quiet: busy / quiet })
}

fn create(connection: &mut Connection, name: &str, configs: &[(&str, &str)]) -> anyhow::Result<()> {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
        ..CreatableTopicConfig::default()
    };
    let topic = CreatableTopic {
        name: Str::from(name),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 60_000,
        ..CreateTopicsRequest::default()
    };
    let answer = connection.call(&request, CREATE_VERSION)?;
    ensure!(answer.topics.iter().all(|it| it.error_code == 0), "{name} was not created");
    Ok(())
}

/// Records of these keys.
fn batch(keys: std::ops::Range<u64>) -> anyhow::Result<Bytes> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for key in keys {
        builder.push(&NewRecord {
            timestamp: 1_700_000_000_000,
            key: Some(&key.to_be_bytes()),
            value: Some(&[b'v'; RECORD_BYTES]),
            headers: &[],
        });
    }
    Ok(builder.build()?)
}

/// Writes each key [`VERSIONS`] times, in rounds.
fn fill(address: SocketAddr, bytes: u64) -> anyhow::Result<()> {
    let batches = bytes / VERSIONS / (RECORDS_PER_BATCH * RECORD_BYTES as u64);
    let frames = (0..batches).map(|it| {
        let keys = batch(it * RECORDS_PER_BATCH..(it + 1) * RECORDS_PER_BATCH)?;
        raw::produce_frame("compacted", 0, keys)
    });
    let frames = frames.collect::<anyhow::Result<Vec<_>>>()?;
    raw::pump(address, frames, usize::try_from(batches * VERSIONS)?)?;
    Ok(())
}

/// One append after another at [`APPENDS_PER_SECOND`] while `go_on` says so: their p99 in
/// milliseconds.
fn appends(
    connection: &mut Connection,
    request: &systole_wire::message::ProduceRequest,
    mut go_on: impl FnMut(u64) -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    let (mut samples, begin, mut number) = (Vec::new(), Instant::now(), 0);
    while go_on(number)? {
        raw::pace(begin, number, APPENDS_PER_SECOND);
        samples.push(connection.append(request)?.as_secs_f64() * 1e3);
        number += 1;
    }
    Ok(percentile(&mut samples, 0.99))
}

/// Bytes of the topic on disk.
fn size(connection: &mut Connection) -> anyhow::Result<i64> {
    let topic = DescribableLogDirTopic {
        topic: Str::from_static("compacted"),
        partitions: vec![0],
        ..DescribableLogDirTopic::default()
    };
    let request = DescribeLogDirsRequest { topics: Some(vec![topic]), ..Default::default() };
    let answer = connection.call(&request, LOG_DIRS_VERSION)?;
    let partitions = answer.results.iter().flat_map(|it| &it.topics).flat_map(|it| &it.partitions);
    partitions.map(|it| it.partition_size).max().context("the topic has no size")
}

fn ask(connection: &mut Connection) -> anyhow::Result<()> {
    let set = |name: &str, value: &str| AlterableConfig {
        name: Str::from(name),
        config_operation: SET,
        value: Some(Str::from(value)),
        ..AlterableConfig::default()
    };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: Str::from_static("compacted"),
        configs: vec![set("cleanup.policy", "compact"), set("min.cleanable.dirty.ratio", "0.01")],
        ..AlterConfigsResource::default()
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = connection.call(&request, ALTER_VERSION)?;
    ensure!(answer.responses.iter().all(|it| it.error_code == 0), "the policy was not changed");
    Ok(())
}
