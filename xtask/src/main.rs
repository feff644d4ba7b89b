//! Project chores as one program: `cargo xtask <chore>`.
//!
//! Owns: the list of chores. Each chore is a module with its own options and `run`.
#![allow(clippy::disallowed_methods)] // a developer's program: it reads the checkout and the clock
#![allow(clippy::print_stdout, clippy::print_stderr)] // and talks to the terminal

mod bench;
mod ci;
mod crash;
mod release;
mod tidy;
mod wire;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Chores of the project. Each is one line here and one module beside this file.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
enum Chore {
    /// Measures speed beside Apache Kafka and prints the table.
    Bench(bench::Options),
    /// Runs everything that must hold before a change lands.
    Ci(ci::Options),
    /// Kills a node under load, again and again, and audits what it had acknowledged.
    Crash(crash::Options),
    /// Checks the house rules: layers, sizes, names, words, links, errors.
    Tidy(tidy::Options),
    /// Kafka message tables and the code generated from them.
    #[command(subcommand)]
    Wire(wire::Command),
}

fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Bench(options) => bench::run(&options),
        Chore::Ci(options) => ci::run(&options),
        Chore::Crash(options) => crash::run(&options),
        Chore::Tidy(options) => tidy::run(&options),
        Chore::Wire(command) => wire::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout in which this program runs. Cargo says where at run time; what it said
/// at build time may be another checkout, if several share one target directory.
fn root() -> PathBuf {
    let built_in = || env!("CARGO_MANIFEST_DIR").into();
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built_in));
    here.parent().map(Path::to_owned).unwrap_or(here)
}
