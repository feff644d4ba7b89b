//! What was wrong with the input, and where.
//!
//! Owns: the reasons with their codes and remedies, and the place. Does not own: finding them.
//! Nothing here can hold a value of the input: a place is made of numbers and element names.

use std::fmt;
use systole_kit::{ByteSize, Code, Remedy};

/// One thing that was refused. Everything else of the same input is kept.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Problem {
    pub place: Place,
    #[source]
    pub reason: Reason,
}

/// Where in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which document of the input, from 0: the line of an NDJSON input that is not blank, or the
    /// JSON value of any other.
    pub document: u64,
    /// Index in `Bundle.entry`, where the problem lies in an entry.
    pub entry: Option<u64>,
    /// As in FHIRPath, `Bundle.entry[3].resource.name[0].family`. Member names that do not look
    /// like FHIR element names are shown as `?`.
    pub path: String,
    /// From 1.
    pub line: u64,
    /// Bytes of the input before the place.
    pub byte: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)?;
        if !self.path.is_empty() {
            write!(f, ", {}", self.path)?;
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error("the input could not be read")]
    Read(#[source] std::io::Error),
    /// The text says which rule of RFC 8259 is broken.
    #[error("not JSON: {0}")]
    Syntax(&'static str),
    #[error("not UTF-8; FHIR JSON is always UTF-8")]
    NotUtf8,
    #[error("the member appears twice in one object")]
    DuplicateMember,
    #[error("nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    #[error("larger than {limit}")]
    TooLarge { limit: ByteSize },
    #[error("the input ends in the middle of a value")]
    Truncated,
    #[error("expected {expected}")]
    WrongKind { expected: &'static str },
    #[error("no resourceType")]
    MissingResourceType,
    #[error("resourceType is not one of FHIR R4")]
    UnknownResourceType,
    #[error("{name} came after FHIR R4")]
    NewerResourceType { name: &'static str },
    #[error("neither a resource nor a DELETE request")]
    NoResource,
    #[error("{0}")]
    UnsupportedRequest(&'static str),
    #[error("the patient it refers to is not in the bundle")]
    UnresolvedPatient,
    #[error("more than {limit} of entries wait for a patient that has not come yet")]
    TooMuchHeld { limit: ByteSize },
    #[error("the full URLs of one bundle take more than {limit} to remember")]
    TooManyFullUrls { limit: ByteSize },
}

impl Reason {
    pub const fn code(&self) -> Code {
        match self {
            Self::Read(_) => Code::new(5001),
            Self::Syntax(_) => Code::new(5002),
            Self::NotUtf8 => Code::new(5003),
            Self::DuplicateMember => Code::new(5004),
            Self::TooDeep { .. } => Code::new(5005),
            Self::TooLarge { .. } => Code::new(5006),
            Self::Truncated => Code::new(5007),
            Self::WrongKind { .. } => Code::new(5008),
            Self::MissingResourceType => Code::new(5009),
            Self::UnknownResourceType => Code::new(5010),
            Self::NewerResourceType { .. } => Code::new(5011),
            Self::NoResource => Code::new(5012),
            Self::UnsupportedRequest(_) => Code::new(5013),
            Self::UnresolvedPatient => Code::new(5014),
            Self::TooMuchHeld { .. } => Code::new(5015),
            Self::TooManyFullUrls { .. } => Code::new(5016),
        }
    }

    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Read(_) => Remedy::Operator,
            Self::TooLarge { .. } | Self::TooMuchHeld { .. } | Self::TooManyFullUrls { .. } => {
                Remedy::FixConfig
            }
            _ => Remedy::FixRequest,
        }
    }
}
