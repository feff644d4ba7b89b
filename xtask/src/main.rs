//! Project chores as one program: `cargo xtask <chore>`.
//!
//! Owns: the list of chores. Each chore is a module with its own options and `run`.

mod tidy;

use clap::Parser;

/// Chores of the project. Each is one line here and one module beside this file.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
enum Chore {
    /// Checks the house rules: layers, sizes, names, words, links, errors.
    Tidy(tidy::Options),
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Tidy(options) => tidy::run(&options),
    }
}
