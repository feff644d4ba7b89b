//! How a command ends when it does not end well.
//!
//! Owns: the one form of an error on the terminal (and in JSON), and exit codes. Does not own: the
//! errors themselves or their cures (`docs/errors/`, by [`crate::page`]).

use crate::page;
use serde_json::json;
use std::fmt::Display;
use systole_kit::Code;

/// What a script sees. 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It could not be done.
    Failed = 1,
    /// It was done, except for the parts that were reported.
    Partly = 2,
    /// The command line cannot be understood (`EX_USAGE` of `sysexits.h`).
    Usage = 64,
    /// Stopped by force (128 + `SIGINT`).
    Interrupted = 130,
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    Error {
        code: Code,
        message: String,
        exit: Exit,
    },
    /// Everything was said already.
    Said(Exit),
    /// Whoever read our output has gone (`| head`); nothing is wrong.
    OutputClosed,
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// The command line's own codes; those of libraries come with their errors.
pub(crate) mod code {
    use systole_kit::Code;

    pub(crate) const USAGE: Code = Code::new(9001);
    pub(crate) const READ: Code = Code::new(9002);
    pub(crate) const RECORD: Code = Code::new(9003);
    pub(crate) const OUTPUT: Code = Code::new(9004);
    pub(crate) const SIGNAL: Code = Code::new(9005);
    pub(crate) const UNKNOWN_CODE: Code = Code::new(9006);
    pub(crate) const DATA: Code = Code::new(9007);
    pub(crate) const NOBODY: Code = Code::new(9008);
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Display) -> Self {
        Self::Error { code, message: message.to_string(), exit: Exit::Failed }
    }
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Error { code: code::USAGE, message: message.to_string(), exit: Exit::Usage }
    }
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Error { exit, .. } | Self::Said(exit) => *exit as u8,
            Self::OutputClosed => 0,
        }
    }
    /// What goes to standard error: `error[SYS-nnnn]: …`, then its cure.
    pub(crate) fn shown(&self, as_json: bool) -> Option<String> {
        let Self::Error { code, message, .. } = self else { return None };
        let cure = page::cure(*code);
        Some(if as_json {
            let code = code.to_string();
            json!({"error": {"code": code, "message": message, "cure": cure}}).to_string()
        } else {
            format!("error[{code}]: {}\n  cure: {cure}", message.trim().replace('\n', "\n  "))
        })
    }
}

/// With everything that caused it: `cannot listen: address in use`.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let said = it.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = it.source();
    }
    text
}

impl From<systole_client::Error> for Failure {
    fn from(error: systole_client::Error) -> Self {
        Self::new(error.code(), &error)
    }
}
impl From<std::io::Error> for Failure {
    /// Only writing to standard output is converted by `?`.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(code::OUTPUT, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_error_has_one_form_with_its_cure() {
        let failure = Failure::new(code::RECORD, "line 3 is not a record");
        expect![[r#"
            error[SYS-9003]: line 3 is not a record
              cure: Write one JSON object per line, with the members that `systole consume --json` prints: `key`, `value`, `headers`, `timestamp`; all may be left out."#]]
        .assert_eq(&failure.shown(false).unwrap());
        let json: serde_json::Value = serde_json::from_str(&failure.shown(true).unwrap()).unwrap();
        assert_eq!(json["error"]["code"], "SYS-9003");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit(), failure.shown(false)), (0, None));
    }
}
