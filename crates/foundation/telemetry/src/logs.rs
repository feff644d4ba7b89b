//! Log lines on standard error.
//!
//! Owns: form and the one subscriber of the process. Does not own: what is logged, nor the levels
//! as they change (`levels`).

use crate::levels;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use systole_kit::{Code, Problems, Remedy};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Overrides the configured level for one start.
pub const LEVEL_VARIABLE: &str = "SYSTOLE_LOG";

/// `[logs]`: what the process says on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much is said: `error`, `warn`, `info`, `debug`, `trace`, or a list such as
    /// `info,systole_broker=debug`. The variable SYSTOLE_LOG overrides it. Since 0.1.
    pub level: String,
    /// `human`: one line per event for people. `json`: one object per line for machines. Since 0.1.
    pub form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    Human,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".into(), form: Form::Human }
    }
}

impl Config {
    pub fn check(&self, problems: &mut Problems) {
        if let Err(error) = self.level.parse::<Targets>() {
            problems.add("level", error.to_string(), "use error, warn, info, debug or trace");
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{level}` is not a log level")]
    Level { level: String },
    #[error("logs were started before in this process")]
    AlreadyStarted,
}

impl Error {
    pub const fn code(&self) -> Code {
        match self {
            Self::Level { .. } => Code::new(1201),
            Self::AlreadyStarted => Code::new(1202),
        }
    }
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Level { .. } => Remedy::FixConfig,
            Self::AlreadyStarted => Remedy::FixRequest,
        }
    }
}

/// Installs the subscriber of this process. Colours only on a terminal.
pub fn start(config: &Config) -> Result<(), Error> {
    let level = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| config.level.clone());
    let targets = level.parse::<Targets>().map_err(|_| Error::Level { level })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // A full disk or a closed pipe behind standard error costs the line. Saying so there would
        // panic, and with it end whatever had something to say.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let filter = levels::of_process().filter();
    let all = tracing_subscriber::registry();
    let started = match config.form {
        Form::Human => all.with(lines.with_target(false).compact()).with(filter).try_init(),
        Form::Json => all.with(lines.json().flatten_event(true)).with(filter).try_init(),
    };
    started.map_err(|_| Error::AlreadyStarted)?;
    levels::of_process().reset(targets);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_a_problem_of_its_key() {
        let mut problems = Problems::default();
        Config { level: "info,systole=loud".into(), form: Form::Json }.check(&mut problems);
        assert!(problems.to_string().starts_with("level: "), "{problems}");
    }

    #[test]
    fn logs_start_once() {
        assert!(start(&Config::default()).is_ok());
        assert!(matches!(start(&Config::default()), Err(Error::AlreadyStarted)));
    }
}
