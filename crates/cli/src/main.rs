//! The command `systole`.
//!
//! Owns: the tree of commands, exit codes, the form of output and errors. Does not own: any logic
//! of the platform; it composes `node`, `client` and `fhir`.
//! Reading order: this file -> [`context`] -> [`failure`] -> [`output`] -> any command.
//! How to add a command: a module with `Args` (examples in its help) and `run`, one line in
//! [`Command`], one in [`run`].

mod config;
mod consume;
mod context;
mod delivery;
mod demo;
mod doctor;
mod explain;
mod failure;
mod group;
mod ingest;
mod output;
mod page;
mod produce;
mod record;
mod serve;
mod stop;
mod topic;

use clap::{CommandFactory as _, Parser};
use context::Context;
use failure::{Failure, Result};
use output::{Output, aside};
use std::process::ExitCode;
use systole_telemetry::logs;
use systole_world::World;

const EXAMPLES: &str = "\
Examples:
  systole demo                                   see clinical events flow
  systole serve --data ./data                    run a node
  systole ingest fhir bundles/*.json             FHIR bundles become events
  systole consume clinical.observation --follow  watch them
  systole explain SYS-1101                       what an error means

Exit codes: 0 done, 1 failed, 2 done in part, 64 wrong usage, 130 interrupted twice.";

#[derive(Debug, Parser)]
#[command(name = "systole", version, about = "The event platform of a healthcare organisation")]
#[command(after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    /// Print JSON, also for errors.
    #[arg(long, global = true, display_order = 1000)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs a node until it is stopped.
    Serve(serve::Args),
    /// Starts a node, feeds it sample patients and shows what flows.
    Demo(demo::Args),
    /// Reads files of a healthcare format and writes their events.
    #[command(subcommand)]
    Ingest(ingest::Command),
    /// Lists, creates, describes, deletes topics.
    #[command(subcommand)]
    Topic(topic::Command),
    /// Writes records.
    Produce(produce::Args),
    /// Reads records.
    Consume(consume::Args),
    /// Lists and describes consumer groups.
    #[command(subcommand)]
    Group(group::Command),
    /// Prints and checks configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Looks for what could keep a node from working here.
    Doctor(doctor::Args),
    /// Explains an error code.
    Explain(explain::Args),
    /// Prints a completion script for a shell.
    #[command(after_help = "Examples:\n  systole completions bash > \
                            ~/.local/share/bash-completion/completions/systole")]
    Completions { shell: clap_complete::Shell },
}

fn main() -> ExitCode {
    let as_json = std::env::args_os().any(|it| it == "--json");
    let done = match Cli::try_parse() {
        Ok(cli) => start(cli),
        Err(error) if !error.use_stderr() => return shown_help(&error),
        Err(error) => Err(Failure::usage(usage(&error))),
    };
    let Err(failure) = done else { return ExitCode::SUCCESS };
    if let Some(text) = failure.shown(as_json) {
        aside(text);
    }
    ExitCode::from(failure.exit())
}

fn shown_help(help: &clap::Error) -> ExitCode {
    match help.print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(Failure::from(error).exit()),
    }
}

/// What clap found wrong, without its own frame.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    text.lines().filter(|it| !it.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

fn start(cli: Cli) -> Result {
    // A node says what it does; other commands answer on standard output, and the demo has a
    // screen.
    let level = match cli.command {
        Command::Serve(_) => None,
        Command::Demo(_) => Some("off"),
        _ => Some("error"),
    };
    if let Some(level) = level {
        let config = logs::Config { level: level.to_owned(), ..logs::Config::default() };
        logs::start(&config).map_err(|it| Failure::new(it.code(), &it))?;
    }
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|it| Failure::new(failure::code::SIGNAL, format!("no async runtime: {it}")))?;
    runtime.block_on(async {
        let (out, stop) = (Output::new(cli.json), stop::Stop::on_signals()?);
        run(cli.command, &Context { out, world: World::os(), stop }).await
    })
}

async fn run(command: Command, cx: &Context) -> Result {
    match command {
        Command::Serve(it) => serve::run(it, cx).await,
        Command::Demo(it) => demo::run(it, cx).await,
        Command::Ingest(it) => ingest::run(it, cx).await,
        Command::Topic(it) => topic::run(it, cx).await,
        Command::Produce(it) => produce::run(it, cx).await,
        Command::Consume(it) => consume::run(it, cx).await,
        Command::Group(it) => group::run(it, cx).await,
        Command::Config(it) => config::run(&it, cx),
        Command::Doctor(it) => doctor::run(it, cx).await,
        Command::Explain(it) => explain::run(&it, cx),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "systole", &mut script);
            cx.out.line(String::from_utf8_lossy(&script))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{} has no examples", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }
}
