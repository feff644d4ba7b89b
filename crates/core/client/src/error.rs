//! What can go wrong, and what the caller can do.
//!
//! Owns: the kinds, their codes (`SYS-40nn`, a page each in `docs/errors/`), class and remedy.
//! Does not own: which librdkafka code is which kind (`librdkafka::failure`).

use std::fmt;
use systole_kit::{Code, Remedy};

/// What failed, in which kind of way. Never carries keys, values or header values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    /// Topic, group, partition or setting, where one is to blame.
    subject: Option<String>,
    /// What the broker or the library said, by name, for example `TopicAuthorizationFailed`.
    detail: Option<String>,
}

/// The kinds of failure. Each has a code and a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No broker answered in time, or the one that matters is changing.
    Unreachable,
    /// The broker did not accept who we are, or we did not accept it (TLS).
    Unauthenticated,
    /// The broker knows who we are and says no.
    Denied,
    UnknownTopic,
    TooLarge,
    AlreadyExists,
    /// The broker refused the request as wrong in itself.
    Invalid,
    /// These settings cannot be used.
    Settings,
    /// The position is before the first record or after the last one.
    OffsetOutOfRange,
    /// Another client took this one's place, or the sequence of records is broken.
    Fenced,
    /// The group has moved on without this member.
    GroupChanged,
    /// The group has members and so cannot be changed from outside.
    GroupInUse,
    UnknownGroup,
    /// The broker could not store the record.
    Storage,
    /// A batch arrived damaged or in a form that cannot be read.
    Corrupt,
    /// This client was closed.
    Closed,
    /// Records failed and nobody was waiting for their result.
    Undelivered,
    /// The server, or the library below, cannot do this.
    Unsupported,
    /// Anything else; the detail names it.
    Other,
}

/// What a failure means for work in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same call may succeed later, on the same client.
    Retry,
    /// This call, or the work since the last commit, is lost; the client can go on.
    Abort,
    /// The client is of no use any more.
    Fatal,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, subject: None, detail: None }
    }
    pub(crate) fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed)
    }
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }
    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }
    pub const fn code(&self) -> Code {
        self.kind.code()
    }
    pub const fn class(&self) -> Class {
        self.kind.class()
    }
    pub const fn remedy(&self) -> Remedy {
        self.kind.remedy()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        if let Some(subject) = &self.subject {
            write!(f, ": {subject}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}
impl std::error::Error for Error {}

impl Kind {
    pub const ALL: [Self; 19] = [
        Self::Unreachable,
        Self::Unauthenticated,
        Self::Denied,
        Self::UnknownTopic,
        Self::TooLarge,
        Self::AlreadyExists,
        Self::Invalid,
        Self::Settings,
        Self::OffsetOutOfRange,
        Self::Fenced,
        Self::GroupChanged,
        Self::GroupInUse,
        Self::UnknownGroup,
        Self::Storage,
        Self::Corrupt,
        Self::Closed,
        Self::Undelivered,
        Self::Unsupported,
        Self::Other,
    ];

    pub const fn code(self) -> Code {
        match self {
            Self::Unreachable => Code::new(4001),
            Self::Unauthenticated => Code::new(4002),
            Self::Denied => Code::new(4003),
            Self::UnknownTopic => Code::new(4004),
            Self::TooLarge => Code::new(4005),
            Self::AlreadyExists => Code::new(4006),
            Self::Invalid => Code::new(4007),
            Self::Settings => Code::new(4008),
            Self::OffsetOutOfRange => Code::new(4009),
            Self::Fenced => Code::new(4010),
            Self::GroupChanged => Code::new(4011),
            Self::GroupInUse => Code::new(4012),
            Self::UnknownGroup => Code::new(4013),
            Self::Storage => Code::new(4014),
            Self::Corrupt => Code::new(4015),
            Self::Closed => Code::new(4016),
            Self::Undelivered => Code::new(4017),
            Self::Unsupported => Code::new(4018),
            Self::Other => Code::new(4099),
        }
    }

    pub const fn class(self) -> Class {
        match self {
            Self::Unreachable | Self::Storage => Class::Retry,
            Self::Unauthenticated | Self::Settings | Self::Fenced | Self::Closed => Class::Fatal,
            Self::Denied
            | Self::UnknownTopic
            | Self::TooLarge
            | Self::AlreadyExists
            | Self::Invalid
            | Self::OffsetOutOfRange
            | Self::GroupChanged
            | Self::GroupInUse
            | Self::UnknownGroup
            | Self::Corrupt
            | Self::Undelivered
            | Self::Unsupported
            | Self::Other => Class::Abort,
        }
    }

    pub const fn remedy(self) -> Remedy {
        match self {
            Self::Unreachable => Remedy::Retry,
            Self::Unauthenticated | Self::Denied | Self::Settings => Remedy::FixConfig,
            Self::UnknownTopic
            | Self::TooLarge
            | Self::Invalid
            | Self::UnknownGroup
            | Self::Closed
            | Self::Unsupported => Remedy::FixRequest,
            Self::AlreadyExists
            | Self::OffsetOutOfRange
            | Self::Fenced
            | Self::GroupChanged
            | Self::GroupInUse
            | Self::Undelivered => Remedy::Resolve,
            Self::Storage | Self::Corrupt | Self::Other => Remedy::Operator,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Unreachable => "no broker could do it in time",
            Self::Unauthenticated => "client and broker did not accept each other's identity",
            Self::Denied => "the broker does not permit it",
            Self::UnknownTopic => "no such topic or partition",
            Self::TooLarge => "the record or batch is larger than is allowed",
            Self::AlreadyExists => "it exists already",
            Self::Invalid => "the broker refused the request as invalid",
            Self::Settings => "the client cannot be set up like this",
            Self::OffsetOutOfRange => "the offset is outside of what the partition holds",
            Self::Fenced => "another client has taken this one's place",
            Self::GroupChanged => "the group has moved on without this member",
            Self::GroupInUse => "the group has members",
            Self::UnknownGroup => "no such group",
            Self::Storage => "the broker could not store it",
            Self::Corrupt => "the data cannot be read",
            Self::Closed => "the client is closed",
            Self::Undelivered => "records were not delivered",
            Self::Unsupported => "this cannot be done here",
            Self::Other => "the request failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|it| it.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn an_error_reads_as_a_sentence() {
        let it = Error::new(Kind::Denied).about("topic t").because("TopicAuthorizationFailed");
        let expected = "the broker does not permit it: topic t (TopicAuthorizationFailed)";
        assert_eq!(it.to_string(), expected);
    }
}
