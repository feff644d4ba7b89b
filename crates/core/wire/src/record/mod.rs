//! Record batches, format v2: the unit in which records are produced, stored and fetched.
//!
//! Owns: the batch header, splitting a run of batches, the checks at the broker's door, reading
//! records, building batches, transaction markers, and the few fields a broker rewrites in place.
//! Does not own: the older formats (magic 0 and 1 are named and refused), what a topic demands of
//! its records (`broker`).
//! Reading order: [`BatchHeader`] -> [`Batches`] -> [`RecordSet`] -> [`check_produced`] ->
//! [`BatchBuilder`]. Bytes: `docs/formats/record-batch.md`.
//!
//! Invariants
//! - Total: any bytes give a value or an [`Error`], and nothing is reserved for a claimed count.
//! - Keys, values and header values are never looked into and never printed.

mod build;
mod check;
mod control;
mod header;
mod patch;
mod read;
mod retain;
mod split;
#[cfg(test)]
mod tests;
mod varint;

pub use build::{BatchBuilder, BatchOptions, NewRecord, Producer, recompress};
pub use check::{Contents, check_produced};
pub use control::{EndMarker, Outcome};
pub use header::{
    Attributes, BATCH_OVERHEAD, BatchHeader, HEADER_LEN, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, NO_TIMESTAMP, TimestampType, position, verify_crc,
};
pub use patch::{set_base_offset, set_leader_epoch, set_max_timestamp};
pub use read::{Headers, Record, RecordSet, Records};
pub use retain::{EMPTY_LEN, Retained, empty, filler, retain};
pub use split::{Batch, Batches};

use crate::compression;

/// Why bytes are not an acceptable batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a batch needs {need_bytes} bytes, there are {have_bytes}")]
    Truncated { need_bytes: usize, have_bytes: usize },
    /// Formats 0 and 1 are gone since Kafka 4.0; anything else never existed.
    #[error("record format {magic} is not supported, only 2")]
    Magic { magic: i8 },
    #[error("batch length {batch_length} is shorter than a batch header")]
    Length { batch_length: i32 },
    #[error("checksum is {computed:#010x}, the batch says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("compression codec {id} does not exist")]
    Codec { id: u8 },
    #[error("{records_count} records with a last offset delta of {last_offset_delta}")]
    Count { records_count: i32, last_offset_delta: i32 },
    #[error("a produced batch starts at offset 0, this one at {base_offset}")]
    BaseOffset { base_offset: i64 },
    #[error("clients must not write control records")]
    Control,
    #[error("the batch holds no end-of-transaction marker")]
    NotAMarker,
    #[error("producer id {producer_id} with base sequence {base_sequence}")]
    Sequence { producer_id: i64, base_sequence: i32 },
    #[error("record {index}: {fault}")]
    Record { index: u32, fault: RecordFault },
    #[error("{extra_bytes} bytes follow the last record")]
    Trailing { extra_bytes: usize },
    #[error(transparent)]
    Compression(#[from] compression::Error),
    /// A batch carries its sizes and counts as 32-bit integers.
    #[error("the batch would be larger than 2 GiB")]
    TooLarge,
}

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("ends early")]
    Truncated,
    #[error("a length, count or delta is negative, overlong or cut off")]
    Length,
    #[error("its length does not match its fields")]
    Size,
    #[error("offset delta is {found} instead of {expected}")]
    OffsetDelta { expected: i32, found: i32 },
    #[error("its offset or timestamp is out of range")]
    Overflow,
}
