//! Batches from records.
//!
//! Owns: encoding, for internal topics and tests, and putting a batch's records under another
//! codec.
//! Does not own: batching by size or time (clients do that).

use super::header::{
    Attributes, BATCH_OVERHEAD, BatchHeader, HEADER_LEN, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, NO_TIMESTAMP,
};
use super::patch::set_crc;
use super::{Error, RecordSet, varint};
use crate::compression::{self, Codec, Compression};
use bytes::Bytes;
use std::fmt;

/// Who wrote a batch, for idempotence: id, epoch, and the sequence number of the first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
}

impl Producer {
    pub const NONE: Self =
        Self { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH, base_sequence: NO_SEQUENCE };
}

/// What holds for the whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    pub codec: Codec,
    pub producer: Producer,
    pub transactional: bool,
    /// Only the broker writes such batches; see [`EndMarker`](super::EndMarker).
    pub control: bool,
    /// A produced batch has 0; the log assigns the real one.
    pub base_offset: i64,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            codec: Codec::None,
            producer: Producer::NONE,
            transactional: false,
            control: false,
            base_offset: 0,
        }
    }
}

/// A record to be written.
#[derive(Clone, Copy, Default)]
pub struct NewRecord<'a> {
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl fmt::Debug for NewRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("timestamp", &self.timestamp)
            .field("key_bytes", &self.key.map(<[u8]>::len))
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .field("headers", &self.headers.len())
            .finish()
    }
}

/// Collects records; the first one's timestamp is the base of all.
///
/// ```
/// use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord, RecordSet};
/// let mut builder = BatchBuilder::new(BatchOptions::default());
/// builder.push(&NewRecord { timestamp: 7, value: Some(b"hello"), ..NewRecord::default() });
/// let batch = builder.build().unwrap();
/// let records = RecordSet::open(&batch, 1024).unwrap();
/// let first = records.iter().next().unwrap().unwrap();
/// assert_eq!((first.offset, first.timestamp, first.value), (0, 7, Some(&b"hello"[..])));
/// ```
#[derive(Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    body: Vec<u8>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    pub const fn new(options: BatchOptions) -> Self {
        Self {
            options,
            records: Vec::new(),
            body: Vec::new(),
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    pub fn push(&mut self, record: &NewRecord<'_>) {
        if self.count == 0 {
            self.base_timestamp = record.timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.body.clear();
        self.body.push(0); // attributes
        varint::write(&mut self.body, record.timestamp.wrapping_sub(self.base_timestamp));
        varint::write(&mut self.body, i64::from(self.count));
        write_nullable(&mut self.body, record.key);
        write_nullable(&mut self.body, record.value);
        write_length(&mut self.body, record.headers.len());
        for (key, value) in record.headers {
            write_nullable(&mut self.body, Some(key.as_bytes()));
            write_nullable(&mut self.body, *value);
        }
        write_length(&mut self.records, self.body.len());
        self.records.extend_from_slice(&self.body);
        self.count += 1;
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Bytes of the batch before compression.
    pub const fn size_bytes(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// An empty builder gives a batch without records, as compaction leaves them behind; no broker
    /// takes that from a producer.
    ///
    /// # Errors  [`Error::TooLarge`] beyond 2 GiB, [`Error::Compression`].
    pub fn build(self) -> Result<Bytes, Error> {
        let Self { options, records, count, base_timestamp, max_timestamp, .. } = self;
        let mut attributes = Attributes::default();
        if options.transactional {
            attributes = attributes.with_transactional();
        }
        if options.control {
            attributes = attributes.with_control();
        }
        let records_count = i32::try_from(count).map_err(|_| Error::TooLarge)?;
        let header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: 0,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes,
            last_offset_delta: (records_count - 1).max(0),
            base_timestamp,
            max_timestamp,
            producer_id: options.producer.id,
            producer_epoch: options.producer.epoch,
            base_sequence: options.producer.base_sequence,
            records_count,
        };
        assemble(header, &records, options.codec.into())
    }
}

impl fmt::Debug for BatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("options", &self.options)
            .field("count", &self.count)
            .field("size_bytes", &self.size_bytes())
            .finish_non_exhaustive()
    }
}

/// The same batch with its records compressed anew.
///
/// # Errors  [`Error::TooLarge`], [`Error::Compression`].
pub fn recompress(records: &RecordSet<'_>, how: impl Into<Compression>) -> Result<Bytes, Error> {
    assemble(records.header, &records.data, how.into())
}

pub(super) fn assemble(
    mut header: BatchHeader,
    records: &[u8],
    how: Compression,
) -> Result<Bytes, Error> {
    header.attributes = header.attributes.with_codec(how.codec);
    let compressed;
    let records = if how.codec == Codec::None {
        records
    } else {
        compressed = compression::compress(how, records)?;
        &compressed
    };
    let size = HEADER_LEN + records.len();
    header.batch_length = i32::try_from(size - BATCH_OVERHEAD).map_err(|_| Error::TooLarge)?;
    let mut batch = Vec::with_capacity(size);
    header.write(&mut batch);
    batch.extend_from_slice(records);
    set_crc(&mut batch)?;
    Ok(batch.into())
}

pub(super) fn write_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::write(out, -1),
        Some(bytes) => {
            write_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// Beyond `i32::MAX` the batch is too large anyway, which [`BatchBuilder::build`] reports.
pub(super) fn write_length(out: &mut Vec<u8>, length: usize) {
    varint::write(out, i64::try_from(length).unwrap_or(i64::MAX));
}
