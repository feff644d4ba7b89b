//! The table, as Markdown.
//!
//! Owns: its form. Does not own: the figures.

use crate::figures::Figures;
use crate::plan::{Measure, Results};
use crate::start::{self, Starts};
use crate::system::System;
use std::fmt;
use std::process::Command;

pub(crate) struct Report {
    pub(crate) rounds: u32,
    pub(crate) results: Results,
    pub(crate) starts: Starts,
}

impl Report {
    fn figures(&self, measure: Measure, system: System) -> Option<&Figures> {
        self.results.get(&(measure, system))
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, measure: Measure) -> fmt::Result {
        let Some(ours) = self.figures(measure, System::Systole) else { return Ok(()) };
        write!(f, "| {} | {ours} ", measure.name())?;
        let rivals = [System::Kafka, System::KafkaFlush].map(|it| self.figures(measure, it));
        for rival in rivals {
            match rival {
                Some(figures) => write!(f, "| {figures} | {:.2} ", ours.over(figures).median())?,
                None => write!(f, "| - | - ")?,
            }
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Benchmarks\n")?;
        writeln!(f, "Written by `cargo xtask bench broker`; {} alternating rounds.", self.rounds)?;
        writeln!(
            f,
            "Each cell: median (minimum to maximum). \"Ratio\" is ours over theirs, taken"
        )?;
        writeln!(f, "round by round, its median. Systole syncs before every answer; Kafka by")?;
        writeln!(f, "default never does; `flush=1` is `log.flush.interval.messages=1`.\n")?;
        writeln!(f, "Machine: {}.\n", machine())?;
        writeln!(f, "| Measure | Systole | Kafka | ratio | Kafka, flush=1 | ratio |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for measure in Measure::ALL {
            self.row(f, measure)?;
        }
        writeln!(f, "\n| Start | Systole |\n|---|---|")?;
        let starts = &self.starts;
        writeln!(f, "| empty directory to first ApiVersions, ms | {} |", starts.empty_ms)?;
        writeln!(f, "| idle resident memory, MiB | {} |", starts.idle_mib)?;
        writeln!(
            f,
            "| after kill -9 under load of 1 GiB, to first ApiVersions, ms | {} |",
            starts.recovery_ms
        )?;
        let topics = start::TOPICS;
        writeln!(
            f,
            "| {topics} topics, from asking until each took a record, s | {} |",
            starts.topics_s
        )?;
        writeln!(f, "| resident memory with them, MiB | {} |", starts.topics_mib)?;
        writeln!(f, "| open files with them | {} |", starts.topics_open_files)?;
        writeln!(
            f,
            "| start with them after kill -9, to first ApiVersions, ms | {} |",
            starts.topics_start_ms
        )
    }
}

/// Processor, cores, kernel and date, as the machine tells them.
fn machine() -> String {
    let ask = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
    };
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|it| it.strip_prefix("model name\t: ")).unwrap_or("unknown");
    format!(
        "{model}, {} cores, Linux {}, {}",
        ask("nproc", &[]),
        ask("uname", &["-r"]),
        ask("date", &["+%Y-%m-%d"])
    )
}
