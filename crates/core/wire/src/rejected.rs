//! A request that is answered with an error.
//!
//! Owns: the code together with its text for people, as answers carry them in `error_code` and
//! `error_message`. Does not own: when a code is the right answer (the API does).

use crate::ErrorCode;

/// A request, or one item of it, that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct Rejected {
    /// What clients act on.
    pub code: ErrorCode,
    /// For people. May name topics and settings, never record content.
    pub message: String,
}

impl Rejected {
    /// A refusal with its text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
