//! All messages in one list, for whoever walks them: tests, fuzz targets, tools.
//!
//! Owns: the untyped view of a message. Does not own: the messages.

use crate::api::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::generated::ENTRIES;
use crate::message::Message;
use bytes::Bytes;
use std::ops::RangeInclusive;

/// One message without its type.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: &'static str,
    /// `request`, `response`, `header`, `data`, `coordinator-key` or `coordinator-value`.
    pub kind: &'static str,
    /// API key of a request or response, record type of a coordinator record.
    pub key: Option<i16>,
    pub versions: RangeInclusive<i16>,
    pub flexible_from: Option<i16>,
    /// Encodes the message with nothing in it.
    pub empty: fn(i16) -> Result<Bytes, EncodeError>,
    /// Decodes and drops; answers the bytes that were not read.
    pub decode: fn(Bytes, i16) -> Result<Bytes, DecodeError>,
    /// Decodes in one version and encodes in another.
    pub recode: fn(Bytes, i16, i16) -> Result<Bytes, RecodeError>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecodeError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// All messages, ascending by name.
pub fn all() -> &'static [Entry] {
    ENTRIES
}

/// The request of an API.
#[expect(clippy::expect_used, reason = "keys and messages come from one list of requests")]
pub fn request(api: ApiKey) -> &'static Entry {
    let key = Some(api.number());
    let found = ENTRIES.iter().find(|it| it.kind == "request" && it.key == key);
    found.expect("each API has a request")
}

impl Entry {
    pub(crate) const fn of<M: Message>(kind: &'static str, key: Option<i16>) -> Self {
        Self {
            name: M::NAME,
            kind,
            key,
            versions: M::VERSIONS,
            flexible_from: M::FLEXIBLE_FROM,
            empty: empty::<M>,
            decode: decode::<M>,
            recode: recode::<M>,
        }
    }
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|it| version >= it)
    }
}

fn empty<M: Message>(version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::default();
    M::default().encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

fn decode<M: Message>(frame: Bytes, version: i16) -> Result<Bytes, DecodeError> {
    let mut from = Reader::new(frame);
    M::decode(&mut from, version)?;
    Ok(from.rest())
}

fn recode<M: Message>(frame: Bytes, from: i16, to: i16) -> Result<Bytes, RecodeError> {
    let mut reader = Reader::new(frame);
    let message = M::decode(&mut reader, from)?;
    reader.expect_end()?;
    let mut writer = Writer::default();
    message.encode(&mut writer, to)?;
    Ok(writer.into_bytes())
}
