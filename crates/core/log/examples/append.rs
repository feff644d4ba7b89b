//! Measures the log alone: appends per second over 1 and 1,000 partitions, the wait for one append
//! at a time, and a recovery without an orderly stop.
//!
//! `cargo run --release -p systole-log --example append -- DIR [MiB]`. DIR must be on the disk to
//! be measured; what is written there is removed.
#![expect(clippy::disallowed_methods, reason = "a tool that measures time and removes its files")]
#![expect(clippy::print_stdout, reason = "its only output")]
#![expect(clippy::unwrap_used, reason = "a tool may stop at the first error")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;
use std::time::Instant;
use systole_kit::Uuid;
use systole_log::{
    Isolation, Log, Offset, Options, Origin, Partition, PartitionConfig, PartitionId, Ticket,
};
use systole_world::World;

const BATCH_BYTES: usize = 16 * 1024;
/// Appends on their way to the disk at the same time.
const IN_FLIGHT: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "target/append".into());
    let mib = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(512);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for partitions in [1, 1000, 1, 1000] {
        runtime.block_on(throughput(Path::new(&dir), partitions, mib));
    }
    runtime.block_on(one_at_a_time(Path::new(&dir)));
}

fn open(dir: &Path) -> Log {
    let begun = Instant::now();
    let (log, report) = Log::open(&World::os(), dir, Options::default()).unwrap();
    println!("open {:?}: {} batches replayed", begun.elapsed(), report.batches_replayed);
    log
}

async fn throughput(dir: &Path, count: u16, mib: usize) {
    let log = open(dir);
    let partitions = create(&log, count).await;
    let batch = batch(BATCH_BYTES);
    let appends = mib * 1024 * 1024 / BATCH_BYTES;
    let mut waiting = std::collections::VecDeque::new();
    let begun = Instant::now();
    for number in 0..appends {
        log.room().await;
        let partition = &partitions[number % partitions.len()];
        waiting.push_back(partition.append(&batch, Origin::Client).unwrap().ticket);
        if waiting.len() >= IN_FLIGHT {
            log.done(waiting.pop_front().unwrap()).await.unwrap();
        }
    }
    for ticket in waiting {
        log.done(ticket).await.unwrap();
    }
    let appended = begun.elapsed();
    let read_begun = Instant::now();
    let read: usize = partitions.iter().map(read_all).sum();
    println!(
        "{count} partitions: {:.0} appends/s, {:.0} MiB/s; read back {:.0} MiB/s",
        appends as f64 / appended.as_secs_f64(),
        mib as f64 / appended.as_secs_f64(),
        read as f64 / (1024.0 * 1024.0) / read_begun.elapsed().as_secs_f64(),
    );
    drop((log, partitions));
    drop(open(dir));
    std::fs::remove_dir_all(dir).unwrap();
}

async fn one_at_a_time(dir: &Path) {
    let log = open(dir);
    let partition = create(&log, 1).await.remove(0);
    let batch = batch(1024);
    let mut waits = Vec::new();
    for _ in 0..2000 {
        let begun = Instant::now();
        log.done(partition.append(&batch, Origin::Client).unwrap().ticket).await.unwrap();
        waits.push(begun.elapsed());
    }
    waits.sort();
    println!("one at a time: p50 {:?}, p99 {:?}", waits[1000], waits[1980]);
    drop((log, partition));
    std::fs::remove_dir_all(dir).unwrap();
}

async fn create(log: &Log, count: u16) -> Vec<Partition> {
    let mut all = Ticket::NONE;
    let partitions = (0..count).map(|index| {
        let id = PartitionId { topic: Uuid::from_bytes([1; 16]), index: i32::from(index) };
        let (partition, ticket) = log.create(id, PartitionConfig::default()).unwrap();
        all = all.and(ticket);
        partition
    });
    let partitions = partitions.collect();
    log.done(all).await.unwrap();
    partitions
}

fn read_all(partition: &Partition) -> usize {
    let end = partition.bounds().high_watermark;
    let (mut from, mut bytes) = (Offset::ZERO, 0);
    while from < end {
        let read = partition.read(from, 1024 * 1024, Isolation::Uncommitted).unwrap().size();
        bytes += read;
        from = from.plus(i64::try_from(read / BATCH_BYTES).unwrap());
    }
    bytes
}

/// A batch with one record's worth of bytes; the log does not look at them.
fn batch(bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    let length = i32::try_from(bytes - 12).unwrap();
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[16] = 2;
    out[43..57].fill(0xff);
    out[57..61].copy_from_slice(&1_i32.to_be_bytes());
    let crc = crc32c::crc32c(&out[21..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out
}
