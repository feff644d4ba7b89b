//! A request that is answered with an error.
//!
//! Owns: the error together with its text for people. Does not own: the codes (`wire`), when one is
//! the right answer (the API does).

pub(crate) use systole_wire::ErrorCode;

/// A request, or one item of it, that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub(crate) struct Rejected {
    pub(crate) code: ErrorCode,
    /// For people. May name topics and settings, never record content.
    pub(crate) message: String,
}

impl Rejected {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
