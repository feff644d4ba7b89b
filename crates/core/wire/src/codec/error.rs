//! Why bytes are not a message, or a message has no bytes.
//!
//! Owns: both errors. Positions and sizes only: never a piece of the bytes themselves.

use systole_kit::Remedy;

/// The bytes are not what they claim to be. `at` counts from the start of the frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    #[error("byte {at}: {needed} bytes are needed, {remaining} are left")]
    Truncated { at: usize, needed: usize, remaining: usize },
    #[error("byte {at}: an array of {claimed} elements, when at most {possible} fit into the rest")]
    ArrayTooLong { at: usize, claimed: usize, possible: usize },
    #[error(
        "byte {at}: {needed} bytes of memory are needed, {left} of the frame's budget are left"
    )]
    OverBudget { at: usize, needed: usize, left: usize },
    #[error("byte {at}: a negative length")]
    NegativeLength { at: usize },
    #[error("byte {at}: null where the version has no null")]
    Null { at: usize },
    #[error("byte {at}: a string of {length} bytes, at most 32767 are allowed")]
    StringTooLong { at: usize, length: usize },
    #[error("byte {at}: a string that is not UTF-8")]
    NotUtf8 { at: usize },
    #[error("byte {at}: a varint that is longer than its type")]
    VarintTooLong { at: usize },
    #[error("byte {at}: tag {tag} is not above the tag before it")]
    TagOrder { at: usize, tag: u32 },
    #[error("tag {tag}: {surplus} bytes are left inside its field")]
    TagSize { tag: u32, surplus: usize },
    #[error("{surplus} bytes are left after the message")]
    TrailingBytes { surplus: usize },
}

/// The value cannot be said in the version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{message} has no version {version}")]
    UnsupportedVersion { message: &'static str, version: i16 },
    /// The version would silently drop a value that the peer needs (Kafka refuses the same).
    #[error("{field} is set, but version {version} does not carry it")]
    FieldNotInVersion { field: &'static str, version: i16 },
    #[error("{field} is null, but version {version} has no null for it")]
    Null { field: &'static str, version: i16 },
    #[error("{length} is above the limit {limit} of its length field")]
    TooLong { length: usize, limit: usize },
    #[error("tag {tag} is there twice")]
    DuplicateTag { tag: u32 },
}

impl DecodeError {
    pub fn remedy(&self) -> Remedy {
        Remedy::FixRequest
    }
}

impl EncodeError {
    pub fn remedy(&self) -> Remedy {
        Remedy::FixRequest
    }
}
