//! Load straight from the codec: no client library between the stopwatch and the broker.
//!
//! Owns: a blocking connection, ready-made batches, paced loops. Does not own: the protocol
//! (`wire`).

use crate::figures::percentile;
use crate::librdkafka::create_topic;
use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use systole_wire::header::{self, RequestHeader};
use systole_wire::message::create_topics_request::CreatableTopic;
use systole_wire::message::fetch_request::{FetchPartition, FetchTopic};
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::{
    ApiVersionsRequest, CreateTopicsRequest, FetchRequest, Message, ProduceRequest,
    ProduceResponse, Request,
};
use systole_wire::record::{BatchBuilder, BatchOptions, Batches, NewRecord, RecordSet};
use systole_wire::{Reader, Str, Writer};

/// The last versions that name topics instead of giving their ids.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;
const CREATE_VERSION: i16 = 7;
/// Requests on the way at once when throughput is measured.
const WINDOW_REQUESTS: usize = 64;
/// Bytes of one ready-made batch: the Java client's default batch size.
const BATCH_BYTES: u64 = 16 * 1024;
const RECORD_BYTES: usize = 1000;
/// How long a new partition may be without a leader.
const LEADER_WAIT_MAX: Duration = Duration::from_mins(1);
const FETCH_BYTES_MAX: i32 = 8 << 20;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latency {
    fn of(samples: &mut [f64]) -> Self {
        Self { p50_ms: percentile(samples, 0.5), p99_ms: percentile(samples, 0.99) }
    }
}

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    pub(crate) fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> anyhow::Result<R::Response> {
        self.0.write_all(&frame(request, version)?)?;
        self.answer::<R>(version)
    }

    /// Sends a produce request until its partition has a leader: Apache Kafka answers the creation
    /// of a topic before that.
    pub(crate) fn produce_when_led(&mut self, request: &ProduceRequest) -> anyhow::Result<()> {
        let until = Instant::now() + LEADER_WAIT_MAX;
        loop {
            match self.append(request) {
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// How long an accepted append took.
    pub(crate) fn append(&mut self, request: &ProduceRequest) -> anyhow::Result<Duration> {
        let start = Instant::now();
        expect_accepted(&self.call(request, PRODUCE_VERSION)?)?;
        Ok(start.elapsed())
    }

    fn answer<R: Request>(&mut self, version: i16) -> anyhow::Result<R::Response> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut body = BytesMut::zeroed(usize::try_from(i32::from_be_bytes(length))?);
        self.0.read_exact(&mut body)?;
        let mut reader = Reader::new(body.freeze());
        header::ResponseHeader::decode(&mut reader, header::response_version(R::API, version))?;
        Ok(R::Response::decode(&mut reader, version)?)
    }
}

/// A whole request, length first.
fn frame<R: Request>(request: &R, version: i16) -> anyhow::Result<Bytes> {
    let mut writer = Writer::with_capacity(1024);
    let head = RequestHeader {
        request_api_key: R::KEY,
        request_api_version: version,
        correlation_id: 1,
        client_id: Some(Str::from_static("bench")),
        ..RequestHeader::default()
    };
    head.encode(&mut writer, header::request_version(R::API, version))?;
    request.encode(&mut writer, version)?;
    let body = writer.into_bytes();
    let mut framed = BytesMut::with_capacity(body.len() + 4);
    framed.extend_from_slice(&i32::try_from(body.len())?.to_be_bytes());
    framed.extend_from_slice(&body);
    Ok(framed.freeze())
}

pub(crate) fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData {
        index: partition,
        records: Some(batch),
        ..PartitionProduceData::default()
    };
    let topic = TopicProduceData {
        name: Str::from(topic),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..ProduceRequest::default()
    }
}

pub(crate) fn produce_frame(topic: &str, partition: i32, batch: Bytes) -> anyhow::Result<Bytes> {
    frame(&produce_request(topic, partition, batch), PRODUCE_VERSION)
}

fn batch(values: &[&[u8]]) -> anyhow::Result<Bytes> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for value in values {
        let timestamp = 1_700_000_000_000;
        builder.push(&NewRecord { timestamp, key: None, value: Some(value), headers: &[] });
    }
    Ok(builder.build()?)
}

fn expect_accepted(response: &ProduceResponse) -> anyhow::Result<()> {
    for partition in response.responses.iter().flat_map(|it| &it.partition_responses) {
        ensure!(partition.error_code == 0, "produce was refused with {}", partition.error_code);
    }
    Ok(())
}

/// Seconds until `count` topics of one partition, asked for in one request, have each taken a
/// record.
pub(crate) fn topics(address: SocketAddr, count: u32) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut connection = Connection::to(address)?;
    let topic = |number| CreatableTopic {
        name: Str::from(format!("many-{number}").as_str()),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: (0..count).map(topic).collect(),
        timeout_ms: 60_000,
        ..CreateTopicsRequest::default()
    };
    let answer = connection.call(&request, CREATE_VERSION)?;
    ensure!(answer.topics.iter().all(|it| it.error_code == 0), "a topic was not created");
    let batch = batch(&[&[b'v'; 100]])?;
    for number in 0..count {
        let request = produce_request(&format!("many-{number}"), 0, batch.clone());
        connection.produce_when_led(&request)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The first answer of a broker.
pub(crate) fn api_versions(address: SocketAddr) -> anyhow::Result<()> {
    let response = Connection::to(address)?.call(&ApiVersionsRequest::default(), 0)?;
    ensure!(response.error_code == 0, "ApiVersions was answered with {}", response.error_code);
    Ok(())
}

/// Megabytes per second of ready-made 16 KiB batches, each acknowledged, over one connection with
/// [`WINDOW_REQUESTS`] on the way, going round all partitions of a new topic.
pub(crate) fn produce(address: SocketAddr, partitions: i32, mebibytes: u64) -> anyhow::Result<f64> {
    let topic = format!("raw-{partitions}");
    create_topic(address, &topic, partitions)?;
    let value = vec![b'v'; RECORD_BYTES];
    let records = usize::try_from(BATCH_BYTES)? / (RECORD_BYTES + 8);
    let batch = batch(&vec![value.as_slice(); records])?;
    let mut connection = Connection::to(address)?;
    let mut frames = Vec::new();
    for partition in 0..partitions {
        connection.produce_when_led(&produce_request(&topic, partition, batch.clone()))?;
        frames.push(produce_frame(&topic, partition, batch.clone())?);
    }
    let requests = usize::try_from(mebibytes * 1024 * 1024 / BATCH_BYTES)?;
    let took = pump(address, frames, requests)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    Ok((requests * batch.len()) as f64 / 1e6 / took.as_secs_f64())
}

/// Sends `requests` ready-made ones, round and round, with [`WINDOW_REQUESTS`] on the way, until
/// each is acknowledged.
pub(crate) fn pump(
    address: SocketAddr,
    frames: Vec<Bytes>,
    requests: usize,
) -> anyhow::Result<Duration> {
    let mut connection = Connection::to(address)?;
    let mut sending = connection.0.try_clone()?;
    let (window, answered) = mpsc::sync_channel(WINDOW_REQUESTS);
    let start = Instant::now();
    let sender = std::thread::spawn(move || -> anyhow::Result<()> {
        for frame in frames.iter().cycle().take(requests) {
            window.send(())?;
            sending.write_all(frame)?;
        }
        Ok(())
    });
    for _ in 0..requests {
        expect_accepted(&connection.answer::<ProduceRequest>(PRODUCE_VERSION)?)?;
        answered.recv()?;
    }
    let took = start.elapsed();
    sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    Ok(took)
}

/// Waits until it is time for the `number`th of `per_second` events.
pub(crate) fn pace(start: Instant, number: u64, per_second: u64) -> Instant {
    let due = start + Duration::from_nanos(number * 1_000_000_000 / per_second);
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
    due
}

/// One record of 100 bytes at a time, 1,000 a second at most, from sending to its acknowledgement.
pub(crate) fn latency(address: SocketAddr, records: u64) -> anyhow::Result<Latency> {
    create_topic(address, "raw-latency", 1)?;
    let request = produce_request("raw-latency", 0, batch(&[&[b'v'; 100]])?);
    let mut connection = Connection::to(address)?;
    let (mut samples, begin) = (Vec::new(), Instant::now());
    for number in 0..records {
        pace(begin, number, 1_000);
        samples.push(connection.append(&request)?.as_secs_f64() * 1e3);
    }
    Ok(Latency::of(&mut samples))
}

/// From the moment a record was due to the moment a waiting reader has it. Sent when it is due,
/// whether or not earlier ones are answered; one that had to wait for its turn counts its waiting.
pub(crate) fn end_to_end(
    address: SocketAddr,
    per_second: u64,
    records: u64,
) -> anyhow::Result<Latency> {
    let topic = format!("raw-end-to-end-{per_second}");
    create_topic(address, &topic, 1)?;
    let begin = Instant::now() + Duration::from_millis(200);
    let reader = {
        let topic = topic.clone();
        std::thread::spawn(move || read_latencies(address, &topic, begin, records))
    };
    let mut answers = Connection::to(address)?;
    let mut sending = answers.0.try_clone()?;
    let per_batch = (per_second / 1_000).max(1);
    let requests = records.div_ceil(per_batch);
    let listener = std::thread::spawn(move || -> anyhow::Result<()> {
        for _ in 0..requests {
            expect_accepted(&answers.answer::<ProduceRequest>(PRODUCE_VERSION)?)?;
        }
        Ok(())
    });
    for number in (0..records).step_by(usize::try_from(per_batch)?) {
        let due = pace(begin, number, per_second);
        let mut value = [0; 100];
        let since = u64::try_from(due.saturating_duration_since(begin).as_nanos())?;
        value[..8].copy_from_slice(&since.to_be_bytes());
        let count = usize::try_from(per_batch.min(records - number))?;
        let request = produce_request(&topic, 0, batch(&vec![value.as_slice(); count])?);
        sending.write_all(&frame(&request, PRODUCE_VERSION)?)?;
    }
    listener.join().map_err(|_| anyhow::anyhow!("the listener panicked"))??;
    let samples = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    Ok(Latency::of(&mut samples?))
}

fn read_latencies(
    address: SocketAddr,
    topic: &str,
    begin: Instant,
    records: u64,
) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::to(address)?;
    let mut samples = Vec::new();
    let mut offset = 0;
    while (samples.len() as u64) < records {
        let response = connection.call(&fetch_request(topic, offset), FETCH_VERSION)?;
        let now = begin.elapsed().as_secs_f64() * 1e3;
        let partition = response.responses.into_iter().flat_map(|it| it.partitions).next();
        let partition = partition.context("a fetch without its partition")?;
        ensure!(partition.error_code == 0, "fetch was refused with {}", partition.error_code);
        for batch in Batches::new(partition.records.unwrap_or_default()) {
            let batch = batch?;
            offset = batch.header.next_offset();
            for record in &RecordSet::open(&batch.bytes, usize::MAX)? {
                let value = record?.value.context("a record without value")?;
                let due = u64::from_be_bytes(value[..8].try_into()?);
                samples.push(now - Duration::from_nanos(due).as_secs_f64() * 1e3);
            }
        }
    }
    Ok(samples)
}

fn fetch_request(topic: &str, offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES_MAX,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: Str::from(topic),
        partitions: vec![partition],
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: FETCH_BYTES_MAX,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}
