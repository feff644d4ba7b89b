//! Load over our own client (librdkafka), where the Java client is not the limit.
//!
//! Owns: the loops. Does not own: the client (`client`).

use anyhow::{Context as _, bail};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use systole_client::admin::NewTopic;
use systole_client::{
    Client, Codec, DirectOptions, Event, NewRecord, ProducerExt as _, ProducerOptions, Settings,
    Start, TopicPartition,
};
use systole_world::World;
use tokio::runtime::{Builder, Runtime};

/// Deliveries waited for at once; bounds what the loop itself holds.
const UNANSWERED_MAX: usize = 100_000;
/// A consumer that gets nothing for this long has lost something.
const SILENCE_MAX: Duration = Duration::from_secs(30);

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn connect(address: SocketAddr) -> anyhow::Result<Arc<dyn Client>> {
    Ok(systole_client::connect(&Settings::to(address.to_string()), &World::os())?)
}

pub(crate) fn create_topic(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let admin = connect(address)?.admin()?;
        Ok(admin.create_topic(&NewTopic::new(topic, partitions)).await?)
    })
}

/// Records per second, uncompressed, all acknowledged.
pub(crate) fn produce(
    address: SocketAddr,
    topic: &str,
    records: u64,
    record_bytes: usize,
) -> anyhow::Result<f64> {
    runtime()?.block_on(async {
        let options = ProducerOptions { codec: Codec::None, ..ProducerOptions::default() };
        let producer = connect(address)?.producer(&options)?;
        let (topic, value): (Arc<str>, _) = (topic.into(), Bytes::from(vec![b'v'; record_bytes]));
        let mut unanswered = Vec::with_capacity(UNANSWERED_MAX);
        let start = Instant::now();
        for _ in 0..records {
            let mut record = NewRecord::to(topic.clone());
            record.value = Some(value.clone());
            unanswered.push(producer.send(record).await?);
            if unanswered.len() == UNANSWERED_MAX {
                for delivery in unanswered.drain(..) {
                    delivery.await?;
                }
            }
        }
        producer.flush().await?;
        for delivery in unanswered {
            delivery.await?;
        }
        let rate = per_second(records, start);
        producer.close().await?;
        Ok(rate)
    })
}

/// Records per second from the beginning of partition 0.
pub(crate) fn consume(address: SocketAddr, topic: &str, records: u64) -> anyhow::Result<f64> {
    runtime()?.block_on(async {
        let from = vec![(TopicPartition::new(topic, 0), Start::Beginning)];
        let client = connect(address)?;
        let start = Instant::now();
        let mut consumer = client.read(from, &DirectOptions::default()).await?;
        let mut read = 0;
        while read < records {
            let event = tokio::time::timeout(SILENCE_MAX, consumer.next()).await;
            match event.context("no record for too long")?? {
                Event::Records(some) => read += some.len() as u64,
                Event::Ended(_, end) if read < records => {
                    bail!("the partition ends at {end}, after {read} of {records} records")
                }
                _ => {}
            }
        }
        let rate = per_second(read, start);
        consumer.close().await?;
        Ok(rate)
    })
}

#[expect(clippy::cast_precision_loss, reason = "record counts are far below 2^52")]
fn per_second(records: u64, start: Instant) -> f64 {
    records as f64 / start.elapsed().as_secs_f64()
}
