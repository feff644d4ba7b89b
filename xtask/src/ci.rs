//! Everything that must hold before a change lands: `cargo xtask ci`.
//!
//! Owns: the list of steps, running them, the table at the end. Does not own: what a step checks,
//! nor installing what a machine lacks (`.ci/run`).

use anyhow::Context as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run only the steps whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// One line of the list: a command that succeeds or fails by its exit code.
struct Step {
    name: &'static str,
    program: Program,
    arguments: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Program {
    Cargo,
    /// This very program, so that no step waits for it to be built again.
    Chore,
    /// A program that cargo finds only where someone installed it.
    OptionalCargo(&'static str),
}

enum Outcome {
    Passed,
    Failed,
    /// Why.
    Skipped(String),
}

const WORKSPACE_TESTS: &[&str] =
    &["test", "--workspace", "--exclude", "systole-interop", "--no-fail-fast"];
/// A look at each target; a hunt takes longer.
const FUZZ: &[&str] = &["run", "-q", "-p", "systole-fuzz", "--", "--seconds", "5"];
/// In this order, so that the cheap ones speak first.
const STEPS: [Step; 9] = [
    Step { name: "format", program: Program::Cargo, arguments: &["fmt", "--all", "--check"] },
    Step { name: "tidy", program: Program::Chore, arguments: &["tidy"] },
    Step {
        name: "generated code",
        program: Program::Chore,
        arguments: &["wire", "generate", "--check"],
    },
    Step {
        name: "clippy",
        program: Program::Cargo,
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    },
    Step { name: "tests", program: Program::Cargo, arguments: WORKSPACE_TESTS },
    Step {
        name: "interop",
        program: Program::Cargo,
        arguments: &["test", "-p", "systole-interop"],
    },
    Step { name: "fuzz", program: Program::Cargo, arguments: FUZZ },
    Step {
        name: "licences",
        program: Program::OptionalCargo("deny"),
        arguments: &["check", "bans", "licenses", "sources"],
    },
    Step {
        name: "advisories",
        program: Program::OptionalCargo("deny"),
        arguments: &["check", "advisories"],
    },
];
/// What `cargo deny` says when the machine cannot reach the advisory database.
const NO_DATABASE: &str = "failed to fetch advisory database";

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let chosen = |it: &&Step| options.only.as_deref().is_none_or(|only| it.name.contains(only));
    let mut results = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        println!("\n== {}", step.name);
        let start = Instant::now();
        results.push((step.name, step.run()?, start.elapsed()));
    }
    print!("{}", table(&results));
    let failed = results.iter().filter(|(_, it, _)| matches!(it, Outcome::Failed)).count();
    anyhow::ensure!(failed == 0, "{failed} of {} steps failed", results.len());
    Ok(())
}

impl Step {
    fn run(&self) -> anyhow::Result<Outcome> {
        let cargo = crate::release::cargo();
        match self.program {
            Program::Cargo => self.status(&mut Command::new(cargo)).map(Outcome::from),
            Program::Chore => {
                self.status(&mut Command::new(std::env::current_exe()?)).map(Outcome::from)
            }
            Program::OptionalCargo(name) => self.run_optional(Command::new(cargo), name),
        }
    }
    fn status(&self, command: &mut Command) -> anyhow::Result<ExitStatus> {
        let command = command.args(self.arguments).current_dir(crate::root());
        command.status().with_context(|| format!("cannot start the step {}", self.name))
    }
    /// A step that a machine may be unable to run is skipped aloud, never passed in silence.
    fn run_optional(&self, mut command: Command, name: &str) -> anyhow::Result<Outcome> {
        command.arg(name).args(self.arguments).current_dir(crate::root());
        let output = command.output().with_context(|| format!("cannot start {name}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        print!("{said}");
        if output.status.success() {
            Ok(Outcome::Passed)
        } else if said.contains("no such command") {
            Ok(Outcome::Skipped(format!("cargo-{name} is not installed")))
        } else if said.contains(NO_DATABASE) {
            Ok(Outcome::Skipped("the advisory database cannot be reached".into()))
        } else {
            Ok(Outcome::Failed)
        }
    }
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        if status.success() { Self::Passed } else { Self::Failed }
    }
}

fn table(results: &[(&str, Outcome, Duration)]) -> String {
    let row = |(name, outcome, took): &(&str, Outcome, Duration)| {
        let outcome = match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
        };
        format!("{name:<16} {:>7.1} s  {outcome}\n", took.as_secs_f64())
    };
    let total: Duration = results.iter().map(|(_, _, took)| *took).sum();
    let rows: String = results.iter().map(row).collect();
    format!("\n{rows}{:<16} {:>7.1} s\n", "total", total.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_table_says_what_was_skipped_and_why() {
        let seconds = Duration::from_secs;
        expect![[r"

            format               2.0 s  passed
            tests              120.0 s  FAILED
            licences             0.0 s  skipped: cargo-deny is not installed
            total              122.0 s
        "]]
        .assert_eq(&table(&[
            ("format", Outcome::Passed, seconds(2)),
            ("tests", Outcome::Failed, seconds(120)),
            ("licences", Outcome::Skipped("cargo-deny is not installed".into()), seconds(0)),
        ]));
    }
}
