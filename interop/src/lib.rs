//! Finding, installing and running the clients that other people wrote.
//!
//! Owns: [`Runtime`] (is it there, prepare it once), [`run`] (a command with a deadline),
//! [`systole`] (our own command).
//! Does not own: the node under test (`testkit`) or what the clients must show (`tests/it`).
#![allow(clippy::disallowed_methods)] // a test tool: it runs programs and reads their files

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How long one client program may take, in seconds, before it counts as hanging.
pub const PROGRAM_SECONDS_MAX: u32 = 180;

/// What a client is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    Java,
    Python,
    Go,
    Node,
    Kcat,
}

/// A runtime that is not on this machine, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing(pub String);

impl Runtime {
    /// The programs without which nothing goes.
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["java", "jshell", "mvn"],
            Self::Python => &["python3"],
            Self::Go => &["go"],
            Self::Node => &["node", "npm"],
            Self::Kcat => &["kcat"],
        }
    }

    /// Installs what the client needs, once; `Err` names what the machine lacks.
    pub fn prepare(self) -> anyhow::Result<Result<(), Missing>> {
        for program in self.needs() {
            let found =
                Command::new("sh").args(["-c", &format!("command -v {program}")]).output()?;
            if !found.status.success() {
                return Ok(Err(Missing(format!("{self:?}: no `{program}` on this machine"))));
            }
        }
        let lock = File::create(cache()?.join(format!("{self:?}.lock")))?;
        lock.lock()?; // two test processes must not install into one folder at a time
        match self {
            Self::Java => run(&mut kafka_starter(&["install"]))?,
            Self::Python => {
                let python = cache()?.join("python");
                let requirements = here("python/requirements.txt");
                if !python.join("bin/pip").exists() {
                    run(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
                }
                run(Command::new(python.join("bin/pip"))
                    .args(["install", "-q", "--disable-pip-version-check", "-r"])
                    .arg(requirements))?
            }
            Self::Go => run(Command::new("go")
                .args(["build", "-o"])
                .arg(cache()?.join("go-scenario"))
                .arg(".")
                .current_dir(here("go")))?,
            Self::Node => {
                let node = cache()?.join("node");
                std::fs::create_dir_all(&node)?;
                for file in ["package.json", "package-lock.json", "scenario.mjs"] {
                    std::fs::copy(here("node").join(file), node.join(file))?;
                }
                run(Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund", "--prefer-offline"])
                    .current_dir(node))?
            }
            Self::Kcat => String::new(),
        };
        Ok(Ok(()))
    }

    /// The command that plays the scenario with this client.
    pub fn scenario(self, bootstrap: &str, prefix: &str) -> anyhow::Result<Command> {
        let mut command = match self {
            Self::Python => Command::new(cache()?.join("python/bin/python")),
            Self::Go => Command::new(cache()?.join("go-scenario")),
            Self::Node => Command::new("node"),
            Self::Java | Self::Kcat => anyhow::bail!("{self:?} has cases of its own"),
        };
        match self {
            Self::Python => command.arg(here("python/scenario.py")),
            Self::Node => command.arg(cache()?.join("node/scenario.mjs")),
            _ => &mut command,
        };
        command.args([bootstrap, prefix]);
        Ok(command)
    }
}

/// Where `python3` knows confluent-kafka, once [`Runtime::Python`] is prepared.
pub fn python_dir() -> anyhow::Result<PathBuf> {
    Ok(cache()?.join("python/bin"))
}

/// The command `systole` of this checkout, built if need be.
pub fn systole() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "-p", "systole-cli", "--message-format=json-render-diagnostics"])
        .current_dir(here(".."))
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "systole does not build");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        (message["target"]["name"] == "systole").then(|| PathBuf::from(path))
    };
    let found = String::from_utf8_lossy(&output.stdout).lines().find_map(executable);
    found.ok_or_else(|| anyhow::anyhow!("cargo built no systole"))
}

/// `interop/kafka/kafka ARGS`: the starter of a real Apache Kafka, and its tools.
pub fn kafka_starter(args: &[&str]) -> Command {
    let mut command = Command::new(here("kafka/kafka"));
    command.args(args);
    command
}

/// Runs to the end and gives standard output. Anything but exit code 0 is an error that shows both
/// outputs; so is running longer than [`PROGRAM_SECONDS_MAX`].
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    run_with_input(command, None)
}

/// [`run`] with a file as standard input.
pub fn run_with_input(command: &mut Command, input: Option<&Path>) -> anyhow::Result<String> {
    let mut limited = Command::new("timeout");
    limited.arg(PROGRAM_SECONDS_MAX.to_string()).arg(command.get_program());
    limited.args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited.stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    let output = limited.output()?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{command:?} ended with {}\n{out}\n{errors}", output.status);
    }
    Ok(out)
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn cache() -> anyhow::Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(base) => PathBuf::from(base),
        None => {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache")
        }
    };
    let cache = base.join("systole/interop");
    std::fs::create_dir_all(&cache)?;
    Ok(cache)
}
