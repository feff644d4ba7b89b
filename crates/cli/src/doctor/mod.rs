//! `systole doctor`: what could keep a node from working here.
//!
//! Owns: running the checks and showing them. Does not own: each check ([`machine`], [`network`]).

mod machine;
mod network;

use crate::context::{self, Context};
use crate::failure::{Exit, Failure, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  systole doctor
  systole doctor --data /var/lib/systole --config systole.toml
  systole doctor --json | jq '.[] | select(.state != \"good\")'

Ends with exit code 0 if a node can work, 1 if something is bad.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The data directory to look at.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Configuration file of the node.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It works, but someone should know.
    Odd,
    Bad,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }
}

/// What one check found.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// What to do; nothing when good.
    cure: Option<&'static str>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Good, found: found.into(), cure: None }
    }
    fn odd(check: &'static str, found: impl Into<String>, cure: &'static str) -> Self {
        Self { check, state: State::Odd, found: found.into(), cure: Some(cure) }
    }
    fn bad(check: &'static str, found: impl Into<String>, cure: &'static str) -> Self {
        Self { check, state: State::Bad, found: found.into(), cure: Some(cure) }
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result {
    let config = context::load(args.config.as_deref(), cx)?;
    let mut findings = vec![machine::version(), machine::clock(&cx.world)];
    let (world, data) = (cx.world.clone(), args.data.clone());
    let on_disk = tokio::task::spawn_blocking(move || machine::disk(&world, &data));
    findings.extend(on_disk.await.unwrap_or_default());
    findings.extend(network::listeners(&config, cx).await);
    show(&findings, cx)?;
    if findings.iter().any(|it| it.state == State::Bad) {
        return Err(Failure::Said(Exit::Failed));
    }
    Ok(())
}

fn show(findings: &[Finding], cx: &Context) -> Result {
    let value = |it: &Finding| {
        let Finding { check, state, found, cure } = it;
        json!({"check": check, "state": state.name(), "found": found, "cure": cure})
    };
    let values: Vec<Value> = findings.iter().map(value).collect();
    cx.out.either(&values, || {
        let line = |it: &Finding| {
            let state = match it.state {
                State::Good => it.state.name().to_owned(),
                _ => cx.out.bold(it.state.name()),
            };
            let cure = it.cure.map(|cure| format!("\n      cure: {cure}")).unwrap_or_default();
            format!("{state:<4}  {}: {}{cure}\n", it.check, it.found)
        };
        findings.iter().map(line).collect()
    })
}
