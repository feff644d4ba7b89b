//! `kill -9` under load, many times: `cargo xtask crash --rounds 200`.
//!
//! Owns: asking for the long version, and the document of what it found. Does not own: the test
//! (`crates/cli/tests/it/crash.rs`).

use crate::release;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the node is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Also write what was found to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ledger = dir.path().join("ledger");
    let mut command = Command::new(release::cargo());
    command
        .args(["test", "--release", "-p", "systole-cli", "--test", "it", "crash::"])
        .args(["--", "--nocapture"])
        .env("SYSTOLE_CRASH_ROUNDS", options.rounds.to_string())
        .env("SYSTOLE_CRASH_LEDGER", &ledger)
        .current_dir(crate::root());
    release::succeed(&mut command)?;
    if let Some(path) = &options.write {
        let found = std::fs::read_to_string(&ledger).context("the test left no ledger")?;
        std::fs::write(path, document(&found, options.rounds)?)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

fn document(found: &str, rounds: u32) -> anyhow::Result<String> {
    let date = Command::new("date").arg("+%Y-%m-%d").output()?;
    let mut text = format!(
        "# Faults\n\nWritten by `cargo xtask crash --rounds {rounds} --write docs/faults.md`, {}.\n\
         A client keeps a ledger of what the node acknowledged, while the node is killed with\n\
         `kill -9` under load and started again. Afterwards everything is read and compared.\n\n",
        String::from_utf8_lossy(&date.stdout).trim()
    );
    for line in found.lines() {
        writeln!(text, "- {line}")?;
    }
    text.push_str(
        "\nFaults that no process can make happen (a disk that tears, loses, flips or refuses) are\n\
         simulated in every test run: [invariants 10 and 12](ARCHITECTURE.md#invariants).\n",
    );
    Ok(text)
}
