//! Speed, beside Apache Kafka: `cargo xtask bench broker`.
//!
//! Owns: building what is measured in release. Does not own: the measuring (`bench/`).

use crate::release;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure and how, for example `broker --rounds 5 --write docs/benchmarks.md`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "broker")]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let systole = release::build("systole-cli", "systole")?;
    let bench = release::build("systole-bench", "systole-bench")?;
    let mut command = std::process::Command::new(bench);
    command.args(&options.arguments).arg("--systole").arg(systole).current_dir(crate::root());
    release::succeed(&mut command)
}
