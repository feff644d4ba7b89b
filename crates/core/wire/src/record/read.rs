//! Records out of a batch.
//!
//! Owns: decompression within a bound, the walk over records and their headers.
//! Does not own: whether the batch is acceptable ([`check_produced`](super::check_produced)).

use super::header::{BatchHeader, HEADER_LEN, TimestampType};
use super::{Error, RecordFault, varint};
use crate::compression::{self, Codec};
use std::borrow::Cow;
use std::fmt;

/// The uncompressed records of one batch: borrowed from it, or decompressed.
#[derive(Clone)]
pub struct RecordSet<'a> {
    pub(super) data: Cow<'a, [u8]>,
    pub(super) header: BatchHeader,
}

impl<'a> RecordSet<'a> {
    /// `batch` is one whole batch. The checksum is not looked at.
    ///
    /// # Errors  What [`BatchHeader::read`] gives, [`Error::Truncated`], [`Error::Codec`], and
    /// [`Error::Compression`] if the records are damaged or larger than `limit_bytes`.
    pub fn open(batch: &'a [u8], limit_bytes: usize) -> Result<Self, Error> {
        let header = BatchHeader::read(batch)?;
        let (need_bytes, have_bytes) = (header.size_bytes(), batch.len());
        let records = batch.get(HEADER_LEN..need_bytes);
        let records = records.ok_or(Error::Truncated { need_bytes, have_bytes })?;
        let data = match header.attributes.codec()? {
            Codec::None => Cow::Borrowed(records),
            codec => Cow::Owned(compression::decompress(codec, records, limit_bytes)?),
        };
        Ok(Self { data, header })
    }

    /// The header of the batch, as it came.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }
    /// Bytes of the records, decompressed.
    pub fn size_bytes(&self) -> usize {
        self.data.len()
    }
    pub fn iter(&self) -> Records<'_> {
        Records { rest: &self.data, header: self.header, index: 0 }
    }
}

impl<'a> IntoIterator for &'a RecordSet<'_> {
    type Item = Result<Record<'a>, Error>;
    type IntoIter = Records<'a>;
    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

impl fmt::Debug for RecordSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size_bytes = self.size_bytes();
        f.debug_struct("RecordSet")
            .field("header", &self.header)
            .field("size_bytes", &size_bytes)
            .finish()
    }
}

/// One record. The slices lie in the batch or in its decompressed copy; `Bytes::slice_ref` turns
/// them into owned bytes without copying where the batch is a `Bytes`.
#[derive(Clone)]
pub struct Record<'a> {
    pub offset: i64,
    /// Distance from the batch's base offset: consecutive in a produced batch.
    pub offset_delta: i32,
    /// Milliseconds since 1970, or [`NO_TIMESTAMP`](super::NO_TIMESTAMP).
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key_bytes", &self.key.map(<[u8]>::len))
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}

/// The headers of one record, in order, keys possibly repeated.
#[derive(Clone)]
pub struct Headers<'a> {
    count: u32,
    rest: &'a [u8],
}

impl Headers<'_> {
    /// How many are still to come.
    pub const fn len(&self) -> usize {
        self.count as usize
    }
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.count)
    }
}

impl<'a> Iterator for Headers<'a> {
    /// Key (UTF-8 by convention) and value.
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        read_header(&mut self.rest).ok()
    }
}

/// Walks the records of a batch. Ends after the first error; bytes left behind the last record are
/// an error too.
#[derive(Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    header: BatchHeader,
    index: u32,
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest_bytes = self.rest.len();
        f.debug_struct("Records")
            .field("index", &self.index)
            .field("rest_bytes", &rest_bytes)
            .finish_non_exhaustive()
    }
}

impl<'a> Records<'a> {
    /// The bytes of the records to come.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        if i64::from(index) >= i64::from(self.header.records_count) {
            let extra_bytes = self.rest.len();
            self.rest = &[];
            return (extra_bytes > 0).then_some(Err(Error::Trailing { extra_bytes }));
        }
        self.index = index.saturating_add(1);
        let record = read_record(&mut self.rest, &self.header);
        Some(record.map_err(|fault| {
            self.rest = &[];
            self.header.records_count = 0;
            Error::Record { index, fault }
        }))
    }
}

#[inline]
fn read_record<'a>(rest: &mut &'a [u8], header: &BatchHeader) -> Result<Record<'a>, RecordFault> {
    let size = length(varint::read_i32(rest))?;
    let (mut body, tail) = rest.split_at_checked(size).ok_or(RecordFault::Truncated)?;
    *rest = tail;
    // The record's own attributes: one byte, no bit of it is in use.
    (_, body) = body.split_first().ok_or(RecordFault::Truncated)?;
    let timestamp_delta = varint::read_i64(&mut body).ok_or(RecordFault::Length)?;
    let offset_delta = varint::read_i32(&mut body).ok_or(RecordFault::Length)?;
    let key = nullable(&mut body)?;
    let value = nullable(&mut body)?;
    let count = length(varint::read_i32(&mut body))?;
    let count = u32::try_from(count).map_err(|_| RecordFault::Length)?;
    let headers = Headers { count, rest: body };
    for _ in 0..count {
        read_header(&mut body)?;
    }
    if !body.is_empty() {
        return Err(RecordFault::Size);
    }
    let timestamp = match header.attributes.timestamp_type() {
        TimestampType::LogAppend => Some(header.max_timestamp),
        TimestampType::Create => header.base_timestamp.checked_add(timestamp_delta),
    };
    Ok(Record {
        offset: header
            .base_offset
            .checked_add(i64::from(offset_delta))
            .ok_or(RecordFault::Overflow)?,
        offset_delta,
        timestamp: timestamp.ok_or(RecordFault::Overflow)?,
        key,
        value,
        headers,
    })
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), RecordFault> {
    let key_len = length(varint::read_i32(rest))?;
    Ok((take(rest, key_len)?, nullable(rest)?))
}

#[inline]
fn nullable<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    match varint::read_i32(rest).ok_or(RecordFault::Length)? {
        // Kafka takes any negative length for "absent".
        ..0 => Ok(None),
        size => take(rest, length(Some(size))?).map(Some),
    }
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], RecordFault> {
    let (head, tail) = rest.split_at_checked(size).ok_or(RecordFault::Truncated)?;
    *rest = tail;
    Ok(head)
}

#[inline]
fn length(raw: Option<i32>) -> Result<usize, RecordFault> {
    raw.and_then(|it| usize::try_from(it).ok()).ok_or(RecordFault::Length)
}
