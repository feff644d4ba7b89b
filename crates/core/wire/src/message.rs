//! The messages: one struct each, one module each, with its nested structs beside it
//! (`message::FetchRequest`, `message::fetch_request::FetchTopic`).
//!
//! Owns: the two traits. The structs are generated from `tables/`.

pub use crate::generated::*;

use crate::api::ApiKey;
use crate::codec::{DecodeError, EncodeError, Field, Form, Reader, Writer};
use std::ops::RangeInclusive;

/// A message as a whole: a body, a header, or the data in a record of an internal topic.
pub trait Message: Field + Default {
    const NAME: &'static str;
    const VERSIONS: RangeInclusive<i16>;
    /// The first flexible version, if any is.
    const FLEXIBLE_FROM: Option<i16>;

    fn is_flexible(version: i16) -> bool {
        Self::FLEXIBLE_FROM.is_some_and(|it| version >= it)
    }

    /// Tells the client how long it should send nothing; nothing in a message that has no such
    /// field. Versions without it drop it.
    fn set_throttle_time_ms(&mut self, _millis: i32) {}

    /// Reads one message and leaves the rest to the caller: [`Reader::expect_end`] refuses it.
    fn decode(from: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::UnsupportedVersion { message: Self::NAME, version });
        }
        Self::read(from, Form { version, flexible: Self::is_flexible(version) })
    }

    /// # Errors  A value that `version` cannot carry. `to` then holds a torn message.
    fn encode(&self, to: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(EncodeError::UnsupportedVersion { message: Self::NAME, version });
        }
        self.write(to, Form { version, flexible: Self::is_flexible(version) })
    }
}

/// A request body, with the response that answers it.
pub trait Request: Message {
    const API: ApiKey;
    const KEY: i16 = Self::API as i16;
    type Response: Message;
}
