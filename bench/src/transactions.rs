//! Transactions straight from the codec: version 2 (KIP-890), as current clients speak it.
//!
//! Owns: one transactional producer and the loops over it. Does not own: connections and frames
//! (`raw`).

use crate::librdkafka::create_topic;
use crate::raw::Connection;
use anyhow::{bail, ensure};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use systole_wire::Str;
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::{
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest,
};
use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord, Producer};

/// The last version with a single key.
const FIND_VERSION: i16 = 3;
const INIT_VERSION: i16 = 5;
/// From 12 on, writing to a partition makes it part of the transaction.
const PRODUCE_VERSION: i16 = 12;
/// From 5 on, every transaction has a producer epoch of its own.
const END_VERSION: i16 = 5;
/// How long one loop runs.
const RUN: Duration = Duration::from_secs(3);
/// The last transaction is not quite over yet; Kafka's own clients wait 20 ms or longer.
const RETRY: Duration = Duration::from_millis(1);
const CONCURRENT_TRANSACTIONS: i16 = 51;
const NOT_COORDINATOR: [i16; 3] = [14, 15, 16];
const TRANSACTION_COORDINATOR: i8 = 1;
/// How long a coordinator may take to be there.
const COORDINATOR_WAIT_MAX: Duration = Duration::from_mins(1);
/// A record of a stream that commits now and then.
const RECORDS_PER_BATCH: usize = 16;
const RECORD_BYTES: usize = 1000;
const COMMIT_EVERY: Duration = Duration::from_millis(100);

struct Transactional {
    connection: Connection,
    id: Option<Str>,
    topic: Str,
    producer: Producer,
}

impl Transactional {
    /// `id`: `None` for an idempotent producer without transactions.
    fn start(address: SocketAddr, topic: &str, id: Option<String>) -> anyhow::Result<Self> {
        let mut connection = Connection::to(address)?;
        let id = id.map(|it| Str::from(it.as_str()));
        let request = InitProducerIdRequest {
            transactional_id: id.clone(),
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let until = Instant::now() + COORDINATOR_WAIT_MAX;
        let answer = loop {
            if let Some(id) = &request.transactional_id {
                // Apache Kafka makes its topic of transactions when the first client asks for it.
                let find = FindCoordinatorRequest {
                    key: id.clone(),
                    key_type: TRANSACTION_COORDINATOR,
                    ..FindCoordinatorRequest::default()
                };
                connection.call(&find, FIND_VERSION)?;
            }
            let answer = connection.call(&request, INIT_VERSION)?;
            let wait = answer.error_code == CONCURRENT_TRANSACTIONS
                || NOT_COORDINATOR.contains(&answer.error_code);
            if !wait || Instant::now() > until {
                break answer;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(answer.error_code == 0, "InitProducerId: error {}", answer.error_code);
        let (id_, epoch) = (answer.producer_id, answer.producer_epoch);
        let producer = Producer { id: id_, epoch, base_sequence: 0 };
        Ok(Self { connection, id, topic: Str::from(topic), producer })
    }

    fn write(&mut self, values: &[&[u8]]) -> anyhow::Result<()> {
        let transactional = self.id.is_some();
        let options =
            BatchOptions { producer: self.producer, transactional, ..BatchOptions::default() };
        let mut builder = BatchBuilder::new(options);
        for value in values {
            let timestamp = 1_700_000_000_000;
            builder.push(&NewRecord { timestamp, key: None, value: Some(value), headers: &[] });
        }
        let request = self.produce_request(builder.build()?);
        loop {
            let answer = self.connection.call(&request, PRODUCE_VERSION)?;
            let mut partitions = answer.responses.iter().flat_map(|it| &it.partition_responses);
            match partitions.next().map(|it| it.error_code) {
                Some(0) => break,
                Some(CONCURRENT_TRANSACTIONS) => std::thread::sleep(RETRY),
                other => bail!("Produce: error {other:?}"),
            }
        }
        self.producer.base_sequence += i32::try_from(values.len())?;
        Ok(())
    }

    fn produce_request(&self, batch: Bytes) -> ProduceRequest {
        let data = PartitionProduceData { records: Some(batch), ..PartitionProduceData::default() };
        let topic = TopicProduceData {
            name: self.topic.clone(),
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        ProduceRequest {
            transactional_id: self.id.clone(),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..ProduceRequest::default()
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        let Some(transactional_id) = self.id.clone() else { return Ok(()) };
        let request = EndTxnRequest {
            transactional_id,
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            committed: true,
            ..EndTxnRequest::default()
        };
        let answer = loop {
            let answer = self.connection.call(&request, END_VERSION)?;
            if answer.error_code != CONCURRENT_TRANSACTIONS {
                break answer;
            }
            std::thread::sleep(RETRY);
        };
        ensure!(answer.error_code == 0, "EndTxn: error {}", answer.error_code);
        let (id, epoch) = (answer.producer_id, answer.producer_epoch);
        self.producer = Producer { id, epoch, base_sequence: 0 };
        Ok(())
    }
}

/// Committed transactions of one record each per second, by `producers` at once.
pub(crate) fn one_record_each(address: SocketAddr, producers: u32) -> anyhow::Result<f64> {
    let topic = format!("transactions-{producers}");
    create_topic(address, &topic, 1)?;
    let loops: Vec<_> = (0..producers)
        .map(|number| {
            let id = Some(format!("bench-{producers}-{number}"));
            let mut it = Transactional::start(address, &topic, id)?;
            it.write(&[&[b'v'; 100]])?;
            it.commit()?;
            Ok(it)
        })
        .collect::<anyhow::Result<_>>()?;
    let start = Instant::now();
    let threads: Vec<_> = loops
        .into_iter()
        .map(|mut it| {
            std::thread::spawn(move || -> anyhow::Result<u32> {
                let mut committed = 0;
                while start.elapsed() < RUN {
                    it.write(&[&[b'v'; 100]])?;
                    it.commit()?;
                    committed += 1;
                }
                Ok(committed)
            })
        })
        .collect();
    let mut committed = 0;
    for thread in threads {
        committed += thread.join().map_err(|_| anyhow::anyhow!("a producer panicked"))??;
    }
    Ok(f64::from(committed) / start.elapsed().as_secs_f64())
}

/// Batches per second of one producer, one in flight: what committing every [`COMMIT_EVERY`]
/// reaches, as a share of what an idempotent producer without transactions does.
pub(crate) fn share_of_plain(address: SocketAddr) -> anyhow::Result<f64> {
    create_topic(address, "transactions-share", 1)?;
    let transactional = batches_per_second(address, Some("bench-share".to_owned()))?;
    Ok(transactional / batches_per_second(address, None)?)
}

fn batches_per_second(address: SocketAddr, id: Option<String>) -> anyhow::Result<f64> {
    let mut producer = Transactional::start(address, "transactions-share", id)?;
    let value = vec![b'v'; RECORD_BYTES];
    let values = vec![value.as_slice(); RECORDS_PER_BATCH];
    let start = Instant::now();
    let (mut batches, mut commit_at) = (0_u32, start + COMMIT_EVERY);
    loop {
        producer.write(&values)?;
        batches += 1;
        let is_over = start.elapsed() >= RUN;
        // A commit of nothing would be refused: there is no transaction.
        if is_over || Instant::now() >= commit_at {
            producer.commit()?;
            commit_at = Instant::now() + COMMIT_EVERY;
        }
        if is_over {
            break;
        }
    }
    Ok(f64::from(batches) / start.elapsed().as_secs_f64())
}
