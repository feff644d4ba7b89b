//! How fast this client writes and reads: `rate BOOTSTRAP TOPIC [RECORDS] [BYTES]`.
//!
//! Owns: one run of each way to send and of reading, a line each. Does not own: comparing brokers
//! (`bench/`). The topic must exist; its records are left there.
#![allow(clippy::disallowed_methods)] // measures real time

use std::io::Write as _;
use std::time::Instant;
use systole_client::admin::Topic;
use systole_client::{Client, DirectOptions, Event, NewRecord, ProducerExt as _, ProducerOptions};
use systole_client::{Error, Settings, Start};
use systole_world::World;

/// Records of one `send_all`.
const BATCH_RECORDS: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default| arguments.get(at).and_then(|it| it.parse().ok()).unwrap_or(default);
    let (Some(bootstrap), Some(topic)) = (arguments.first(), arguments.get(1)) else {
        say("usage: rate BOOTSTRAP TOPIC [RECORDS] [BYTES]");
        return Ok(());
    };
    let (records, bytes) = (number(2, 1_000_000), number(3, 100));
    let client = systole_client::connect(&Settings::to(bootstrap), &World::os())?;
    let record = NewRecord::to(topic.as_str()).value(vec![b'x'; bytes]);

    let producer = client.producer(&ProducerOptions::default())?;
    let start = Instant::now();
    for _ in 0..records / BATCH_RECORDS {
        for delivered in producer.send_all(vec![record.clone(); BATCH_RECORDS]).await? {
            delivered?;
        }
    }
    show("send_all, one at a time", records, bytes, start);

    let start = Instant::now();
    let mut under_way = Vec::with_capacity(BATCH_RECORDS);
    for _ in 0..records / BATCH_RECORDS {
        let before = std::mem::take(&mut under_way);
        for _ in 0..BATCH_RECORDS {
            under_way.push(producer.send(record.clone()).await?);
        }
        for delivery in before {
            delivery.await?;
        }
    }
    for delivery in under_way {
        delivery.await?;
    }
    show("send, each awaited", records, bytes, start);
    producer.close().await?;

    read(&*client, topic, bytes).await
}

async fn read(client: &dyn Client, topic: &str, bytes: usize) -> Result<(), Error> {
    let cluster = client.admin()?.cluster(Some(topic)).await?;
    let all: Vec<_> = cluster.topics.iter().flat_map(Topic::topic_partitions).collect();
    let from = all.iter().map(|it| (it.clone(), Start::Beginning)).collect();
    let mut reader = client.read(from, &DirectOptions::default()).await?;
    let (start, mut count, mut ended) = (Instant::now(), 0, 0);
    while ended < all.len() {
        match reader.next().await? {
            Event::Records(records) => count += records.len(),
            Event::Ended(..) => ended += 1,
            _ => {}
        }
    }
    show("read", count, bytes, start);
    reader.close().await
}

#[expect(clippy::cast_precision_loss, reason = "for reading by people")]
fn show(what: &str, records: usize, bytes: usize, start: Instant) {
    let per_second = records as f64 / start.elapsed().as_secs_f64();
    let mib = per_second * bytes as f64 / f64::from(1 << 20);
    say(&format!("{what}: {records} records of {bytes} bytes, {per_second:.0}/s, {mib:.0} MiB/s"));
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}"); // whoever reads may have gone
}
