//! Measures a start after a stop that was not orderly: partitions without records, with one small
//! batch each, and with as much as a segment would be written for.
//!
//! `cargo run --release -p systole-log --example start -- DIR [PARTITIONS]`. DIR must be on the
//! disk to be measured; what is written there is removed.
#![expect(clippy::disallowed_methods, reason = "a tool that measures time and removes its files")]
#![expect(clippy::print_stdout, reason = "its only output")]
#![expect(clippy::unwrap_used, reason = "a tool may stop at the first error")]

use std::path::Path;
use std::time::{Duration, Instant};
use systole_kit::Uuid;
use systole_log::{Log, Options, Origin, PartitionConfig, PartitionId, Ticket};
use systole_world::World;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "target/start".into());
    let count = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(2000);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for batches in [0, 1, 64] {
        let written = runtime.block_on(write(Path::new(&dir), count, batches));
        let starts = [(); 3].map(|()| start(Path::new(&dir)));
        println!("{count} partitions, {batches} batches of 1 KiB: written {written:?}, {starts:?}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

/// Dropping the log stops its threads and does nothing else: what is in memory is lost.
fn start(dir: &Path) -> (Duration, usize) {
    let begun = Instant::now();
    let (_log, report) = Log::open(&World::os(), dir, Options::default()).unwrap();
    (begun.elapsed(), report.batches_replayed)
}

async fn write(dir: &Path, count: u32, batches: usize) -> Duration {
    let (log, _) = Log::open(&World::os(), dir, Options::default()).unwrap();
    let begun = Instant::now();
    let (mut all, batch) = (Ticket::NONE, batch(1024));
    for number in 0..count {
        let topic = Uuid::from_bytes((0x0123_4567 * u128::from(number + 1)).to_be_bytes());
        let id = PartitionId { topic, index: 0 };
        let (partition, created) = log.create(id, PartitionConfig::default()).unwrap();
        all = all.and(created);
        for _ in 0..batches {
            log.room().await;
            all = all.and(partition.append(&batch, Origin::Client).unwrap().ticket);
        }
    }
    log.done(all).await.unwrap();
    begun.elapsed()
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
