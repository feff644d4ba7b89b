//! `kill -9` under load, many times: `cargo xtask crash --rounds 200`.
//!
//! Owns: asking for the long version. Does not own: the test (`crates/cli/tests/it/crash.rs`).

use crate::release;
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the node is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut command = Command::new(release::cargo());
    command
        .args(["test", "--release", "-p", "systole-cli", "--test", "it", "crash::"])
        .args(["--", "--nocapture"])
        .env("SYSTOLE_CRASH_ROUNDS", options.rounds.to_string())
        .current_dir(crate::root());
    release::succeed(&mut command)
}
