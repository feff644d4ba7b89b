//! How fast a node is there: on an empty directory, idle, and after a kill with much to recover.
//!
//! Owns: the three figures. Does not own: the load in between ([`raw`]).

use crate::figures::Figures;
use crate::raw;
use crate::system::{Programs, Running, System};
use std::time::{Duration, Instant};

/// MiB written before the kill.
const RECOVERED_MIB: u64 = 1024;
/// How long the node is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// From starting the process to the first answered ApiVersions.
    pub(crate) empty_ms: Figures,
    pub(crate) idle_mib: Figures,
    /// From starting the process after `kill -9` to the first answered ApiVersions.
    pub(crate) recovery_ms: Figures,
}

pub(crate) fn measure(programs: &Programs, rounds: u32) -> anyhow::Result<Starts> {
    let mut starts = Starts::default();
    for _ in 0..rounds {
        let dir = tempfile::tempdir()?;
        let (running, took) = first_answer(programs, dir.path())?;
        starts.empty_ms.push(took);
        std::thread::sleep(IDLE);
        if let Some(kib) = running.resident_kib()? {
            #[expect(clippy::cast_precision_loss, reason = "KiB of memory are far below 2^52")]
            starts.idle_mib.push(kib as f64 / 1024.0);
        }
        raw::produce(running.address, 16, RECOVERED_MIB)?;
        running.kill()?;
        let (_running, took) = first_answer(programs, dir.path())?;
        starts.recovery_ms.push(took);
    }
    Ok(starts)
}

fn first_answer(programs: &Programs, dir: &std::path::Path) -> anyhow::Result<(Running, f64)> {
    let start = Instant::now();
    let running = Running::start(System::Systole, programs, dir)?;
    raw::api_versions(running.address)?;
    Ok((running, start.elapsed().as_secs_f64() * 1e3))
}
