//! What the disk itself takes, measured in the same minute as the brokers.
//!
//! Owns: the fdatasync probe. Does not own: opinions about disks.

use crate::figures::percentile;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

const WRITE_BYTES: usize = 4096;
const WRITES: usize = 500;

/// Median milliseconds of one 4 KiB write and fdatasync into a file that has its size already, as a
/// write-ahead log does it.
pub(crate) fn fdatasync_p50_ms(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("fdatasync-probe");
    let file = File::create(&path)?;
    time_writes(&file)?; // gives the file its size
    let p50_ms = time_writes(&file)?;
    std::fs::remove_file(path)?;
    Ok(p50_ms)
}

fn time_writes(file: &File) -> anyhow::Result<f64> {
    let bytes = [7; WRITE_BYTES];
    let mut samples = Vec::with_capacity(WRITES);
    for at in 0..WRITES {
        let start = Instant::now();
        file.write_all_at(&bytes, (at * WRITE_BYTES) as u64)?;
        file.sync_data()?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(percentile(&mut samples, 0.5))
}
