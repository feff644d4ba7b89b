//! How values lie in bytes: the part of the codec that is the same for every message.
//!
//! Owns: reading and writing of primitives, strings, arrays, nullable structs and tagged fields,
//! and the bounds that a hostile frame meets. Does not own: which fields a message has
//! (`generated`, from `tables/`).
//! Reading order: [`Field`] -> [`Reader`] -> [`Writer`] -> `field` (the implementations).
//!
//! # Source  Kafka protocol guide; KIP-482 (flexible versions, tagged fields)

mod error;
mod field;
mod reader;
mod tagged;
mod writer;

pub use bytestring::ByteString as Str;
pub use error::{DecodeError, EncodeError};
pub use reader::{ALLOCATION_FACTOR, Reader, STRING_BYTES_MAX};
pub use tagged::{TaggedField, TaggedFields};
pub use writer::{LINK_BYTES_MIN, Writer};

pub(crate) use tagged::TagWriter;

/// What generated code names.
pub(crate) mod prelude {
    pub(crate) use super::{BySize, DecodeError, EncodeError, Field, Form, Reader, Str};
    pub(crate) use super::{TagWriter, TaggedFields, Writer};
    pub(crate) use crate::api::ApiKey;
    pub(crate) use crate::message::{Message, Request};
    pub(crate) use bytes::Bytes;
    pub(crate) use kit::Uuid;
    pub(crate) use std::fmt;
    pub(crate) use std::ops::RangeInclusive;
    pub(crate) use systole_kit as kit;
}

/// The encoding that is spoken: a message version and whether that version is flexible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub version: i16,
    /// Compact lengths (varints, plus one, zero for null) and a tag section after each struct.
    pub flexible: bool,
}

impl Form {
    /// The same version with the length form of inflexible versions.
    pub fn rigid(self) -> Self {
        Self { flexible: false, ..self }
    }
}

/// A value that can be a field of a message.
pub trait Field: Sized {
    /// Fewest bytes that a value takes in any version. What an array claims is held against it.
    const SIZE_MIN: usize;

    fn read(from: &mut Reader, form: Form) -> Result<Self, DecodeError>;
    fn write(&self, to: &mut Writer, form: Form) -> Result<(), EncodeError>;

    /// Structs carry a presence byte; types with a length override this by their null length.
    fn read_nullable(from: &mut Reader, form: Form) -> Result<Option<Self>, DecodeError> {
        if i8::read(from, form)? < 0 { Ok(None) } else { Self::read(from, form).map(Some) }
    }
    fn write_nullable(it: Option<&Self>, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        match it {
            None => (-1_i8).write(to, form),
            Some(it) => {
                1_i8.write(to, form)?;
                it.write(to, form)
            }
        }
    }
}

/// Prints a byte field by its size, because the bytes may be anything, secrets and PHI included.
pub(crate) struct BySize<'a>(pub(crate) Option<&'a bytes::Bytes>);

impl std::fmt::Debug for BySize<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("null"),
            Some(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests;
