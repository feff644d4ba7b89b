//! Speed, side by side with Apache Kafka in the same run.
//!
//! Owns: starting both, driving both with the same programs in turn, the table of ratios. Does not
//! own: judging; a timed test would fail on a noisy machine and prove nothing on a quiet one.
//! Reading order: [`plan`] -> [`system`] -> [`java`], [`raw`], [`librdkafka`],
//! [`transactions`], [`compaction`], [`start`] -> [`figures`] -> [`report`].
#![allow(clippy::disallowed_methods)] // a measuring tool: it reads the clock and starts programs
#![allow(clippy::print_stdout, clippy::print_stderr)] // its output is its purpose

mod compaction;
mod figures;
mod java;
mod librdkafka;
mod plan;
mod probe;
mod raw;
mod report;
mod start;
mod system;
mod transactions;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures Systole beside Apache Kafka. Usually called as `cargo xtask bench`.
#[derive(Debug, Parser)]
#[command(after_help = "Example: cargo xtask bench broker --rounds 3 --write docs/benchmarks.md")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Produce, consume, latency, partitions, start and recovery of the embedded broker.
    Broker(plan::Options),
}

fn main() -> anyhow::Result<()> {
    let What::Broker(options) = Arguments::parse().what;
    let report = plan::run(&options)?;
    println!("{report}");
    if let Some(path) = &options.write {
        std::fs::write(path, report.to_string())?;
        eprintln!("written to {}", PathBuf::from(path).display());
    }
    Ok(())
}
