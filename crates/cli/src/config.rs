//! `systole config`: every setting with its meaning, and a check before anything starts.
//!
//! Owns: printing. Does not own: settings or rules (each service's crate).

use crate::context::{self, Context};
use crate::failure::Result;
use serde_json::json;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  systole config default > systole.toml
  systole config check systole.toml
  SYSTOLE_BROKER__CONNECTIONS_MAX=100 systole config check

Every setting can be given by a variable: SYSTOLE_SECTION__KEY. A variable wins over the file, an
option of the command line over both.";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Prints every setting with its meaning and its default.
    #[command(after_help = EXAMPLES)]
    Default,
    /// Reports every problem of a configuration at once.
    #[command(after_help = EXAMPLES)]
    Check {
        /// The file; without it, only the environment is checked.
        file: Option<PathBuf>,
    },
}

pub(crate) fn run(command: &Command, cx: &Context) -> Result {
    match command {
        Command::Default => {
            let text = systole_node::DEFAULT_FILE;
            cx.out.either(&json!({"toml": text}), || text.to_owned())
        }
        Command::Check { file } => {
            context::load(file.as_deref(), cx)?;
            cx.out.either(&json!({"problems": []}), || "the configuration can be used".to_owned())
        }
    }
}
