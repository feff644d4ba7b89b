//! How fast a node is there: on an empty directory, idle, after a kill with much to recover, and
//! what thousands of topics cost it.
//!
//! Owns: these figures. Does not own: the load in between ([`raw`]).

use crate::figures::Figures;
use crate::raw;
use crate::system::{Programs, Running, System};
use std::time::{Duration, Instant};

/// MiB written before the kill.
const RECOVERED_MIB: u64 = 1024;
/// How long the node is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);
pub(crate) const TOPICS: u32 = 2_000;

#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// From starting the process to the first answered ApiVersions.
    pub(crate) empty_ms: Figures,
    pub(crate) idle_mib: Figures,
    /// From starting the process after `kill -9` to the first answered ApiVersions.
    pub(crate) recovery_ms: Figures,
    /// From asking for [`TOPICS`] topics until each has taken a record.
    pub(crate) topics_s: Figures,
    pub(crate) topics_mib: Figures,
    pub(crate) topics_open_files: Figures,
    /// From starting the process on that directory, after `kill -9`, to the first answer.
    pub(crate) topics_start_ms: Figures,
}

pub(crate) fn measure(programs: &Programs, rounds: u32) -> anyhow::Result<Starts> {
    let mut starts = Starts::default();
    for _ in 0..rounds {
        let dir = tempfile::tempdir()?;
        let (running, took) = first_answer(programs, dir.path())?;
        starts.empty_ms.push(took);
        std::thread::sleep(IDLE);
        starts.idle_mib.push(running.resident_mib()?);
        raw::produce(running.address, 16, RECOVERED_MIB)?;
        running.kill()?;
        let (_running, took) = first_answer(programs, dir.path())?;
        starts.recovery_ms.push(took);
        starts.measure_topics(programs)?;
    }
    Ok(starts)
}

impl Starts {
    fn measure_topics(&mut self, programs: &Programs) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (running, _) = first_answer(programs, dir.path())?;
        self.topics_s.push(raw::topics(running.address, TOPICS)?);
        self.topics_mib.push(running.resident_mib()?);
        self.topics_open_files.push(running.open_files()?);
        running.kill()?;
        let (_running, took) = first_answer(programs, dir.path())?;
        self.topics_start_ms.push(took);
        Ok(())
    }
}

fn first_answer(programs: &Programs, dir: &std::path::Path) -> anyhow::Result<(Running, f64)> {
    let start = Instant::now();
    let running = Running::start(System::Systole, programs, dir)?;
    raw::api_versions(running.address)?;
    Ok((running, start.elapsed().as_secs_f64() * 1e3))
}
