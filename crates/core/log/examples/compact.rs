//! Measures compaction: so many MiB of which a tenth of the keys is live, compacted while appends
//! to another partition go on, with the wait for one append at a time before and during it.
//!
//! `cargo run --release -p systole-log --example compact -- DIR [MiB]`. DIR must be on the disk to
//! be measured; what is written there is removed.
#![expect(clippy::disallowed_methods, reason = "a tool that measures time and removes its files")]
#![expect(clippy::print_stdout, reason = "its only output")]
#![expect(clippy::unwrap_used, reason = "a tool may stop at the first error")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use systole_kit::Uuid;
use systole_log::{Compaction, Log, Options, Origin, Partition, PartitionConfig, PartitionId};
use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord};
use systole_world::World;

const RECORD_BYTES: usize = 1000;
const RECORDS_PER_BATCH: usize = 16;
const MIB: usize = 1024 * 1024;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "target/compact".into());
    let mib: usize = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(1024);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::os();
    let (log, _) = Log::open(&world, Path::new(&dir), Options::default()).unwrap();
    let compacted = PartitionConfig {
        segment_bytes: 128 * MIB as u64,
        compaction: Some(Compaction::default()),
        ..PartitionConfig::default()
    };
    let keyed = create(&log, 0, compacted);
    let other = create(&log, 1, PartitionConfig::default());
    runtime.block_on(fill(&log, &keyed, mib));
    let before = runtime.block_on(waits(&log, &other, || true, Duration::from_secs(3)));
    report("append before", before);

    let (size, running) = (keyed.size_bytes(), AtomicBool::new(true));
    let during = std::thread::scope(|scope| {
        let appends = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let go_on = || running.load(Ordering::Relaxed);
            runtime.block_on(waits(&log, &other, go_on, Duration::MAX))
        });
        let began = Instant::now();
        while log.compact(world.clock.now(), &|| true) {}
        let took = began.elapsed().as_secs_f64();
        running.store(false, Ordering::Relaxed);
        let (size, left) = (size as f64 / MIB as f64, keyed.size_bytes() as f64 / MIB as f64);
        println!("compaction: {size:.0} MiB to {left:.0} MiB in {took:.2} s");
        appends.join().unwrap()
    });
    report("append during", during);
    log.close();
    drop((log, keyed, other));
    std::fs::remove_dir_all(&dir).unwrap();
}

fn create(log: &Log, index: i32, config: PartitionConfig) -> Partition {
    log.create(PartitionId { topic: Uuid::from_bytes([7; 16]), index }, config).unwrap().0
}

/// Ten records for each key.
async fn fill(log: &Log, partition: &Partition, mib: usize) {
    let records = mib * MIB / RECORD_BYTES;
    let mut ticket = systole_log::Ticket::NONE;
    for batch in 0..records / RECORDS_PER_BATCH {
        let first = batch * RECORDS_PER_BATCH;
        let bytes = batch_of((first..first + RECORDS_PER_BATCH).map(|it| it % (records / 10)));
        log.room().await;
        ticket = ticket.and(partition.append(&bytes, Origin::Client).unwrap().ticket);
    }
    log.done(ticket).await.unwrap();
}

fn batch_of(keys: impl Iterator<Item = usize>) -> Vec<u8> {
    let value = vec![b'x'; RECORD_BYTES - 20];
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for key in keys {
        let (key, value) = (key.to_be_bytes(), Some(value.as_slice()));
        builder.push(&NewRecord { timestamp: 1, key: Some(&key), value, ..NewRecord::default() });
    }
    builder.build().unwrap().to_vec()
}

/// How long one append at a time took, each.
async fn waits(
    log: &Log,
    partition: &Partition,
    go_on: impl Fn() -> bool,
    how_long: Duration,
) -> Vec<Duration> {
    let (bytes, began, mut waits) = (batch_of(0..RECORDS_PER_BATCH), Instant::now(), Vec::new());
    while go_on() && began.elapsed() < how_long {
        let asked = Instant::now();
        let ticket = partition.append(&bytes, Origin::Client).unwrap().ticket;
        log.done(ticket).await.unwrap();
        waits.push(asked.elapsed());
    }
    waits
}

fn report(what: &str, mut waits: Vec<Duration>) {
    waits.sort_unstable();
    let at = |part: usize| {
        let millis = |it: &Duration| it.as_secs_f64() * 1000.0;
        waits.get(waits.len() * part / 1000).map_or(0.0, millis)
    };
    let (p50, p99, p999) = (at(500), at(990), at(999));
    println!("{what}: {} times, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms", waits.len());
}
