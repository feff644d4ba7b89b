//! The fixed header of a record batch (format 2), as far as a log must know it.
//!
//! Owns: reading it, checking a stored batch, and the few fields that the log writes (base offset,
//! leader epoch, append time). Does not own: validation of what a client sends, records, or
//! compression (`wire::record`).
//!
//! # Source  Kafka `org.apache.kafka.common.record.DefaultRecordBatch`

use crate::field;
use crate::position::Offset;
use bytes::{Bytes, BytesMut};
use systole_kit::Timestamp;

/// Bytes before the first record.
pub(crate) const HEADER_LEN: usize = 61;
/// Bytes before the part that `length` counts.
const LENGTH_END: usize = 12;
const EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const MAGIC: u8 = 2;
/// Attribute bit: all records carry the batch's max timestamp, set by the broker.
const LOG_APPEND_TIME: i16 = 1 << 3;

/// No other broker ever leads, so there is one leader epoch.
pub const LEADER_EPOCH: i32 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base: Offset,
    /// Of the whole batch, header included.
    pub(crate) bytes: usize,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_delta: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer: Option<Producer>,
    pub(crate) count: i32,
}

/// Which producer wrote a batch, and its place in that producer's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// `None`: written by the broker itself (a control batch).
    pub(crate) first_sequence: Option<i32>,
}

impl Header {
    /// `None` if this cannot be the header of a batch. Says nothing about the rest of the batch.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(field::be_i32(bytes, 8)?).ok()?;
        let it = Self {
            base: Offset::from_wire(field::be_i64(bytes, 0)?)?,
            bytes: length + LENGTH_END,
            crc: field::be_u32(bytes, CRC_AT)?,
            attributes: field::be_i16(bytes, 21)?,
            last_delta: field::be_i32(bytes, 23)?,
            max_timestamp: field::be_i64(bytes, 35)?,
            producer: Producer::read(bytes),
            count: field::be_i32(bytes, 57)?,
        };
        let sane = bytes.get(16) == Some(&MAGIC)
            && it.bytes >= HEADER_LEN
            && it.last_delta >= 0
            && it.base.raw().checked_add(i64::from(it.last_delta)).is_some();
        sane.then_some(it)
    }
    pub(crate) fn last(&self) -> Offset {
        self.base.plus(i64::from(self.last_delta))
    }
}

impl Producer {
    /// `None`: the batch names no producer.
    fn read(bytes: &[u8]) -> Option<Self> {
        let id = field::be_i64(bytes, 43).filter(|it| *it >= 0)?;
        let epoch = field::be_i16(bytes, 51)?;
        let sequence = field::be_i32(bytes, 53)?;
        Some(Self { id, epoch, first_sequence: (sequence >= 0).then_some(sequence) })
    }
}

/// The stored batch at the start of `bytes` if it is complete and nothing in it changed, except
/// perhaps its base offset, which the checksum leaves out: the caller knows what that must be.
pub(crate) fn read_intact(bytes: &[u8]) -> Option<Header> {
    let header = Header::read(bytes)?;
    let covered = bytes.get(CRC_FROM..header.bytes)?;
    let epoch = field::be_i32(bytes, EPOCH_AT)?;
    (epoch == LEADER_EPOCH && crc32c::crc32c(covered) == header.crc).then_some(header)
}

/// What a damaged header says of its length (as stored) and how many offsets it takes; for finding
/// the next batch, never for reading this one.
pub(crate) fn read_damaged(bytes: &[u8]) -> Option<(u32, i64)> {
    Some((field::be_u32(bytes, 8)?, i64::from(field::be_i32(bytes, 23)?) + 1))
}

/// Bytes of a whole batch whose stored length is `length`.
pub(crate) fn size_of(length: u32) -> u64 {
    u64::from(length) + LENGTH_END as u64
}

/// A copy of `batch` at its place in the log. A copy, because a slice of a network frame would keep
/// the whole frame alive and make the limit on unwritten bytes untrue.
pub(crate) fn place(batch: &[u8], base: Offset, append_time: Option<Timestamp>) -> Bytes {
    let mut copy = BytesMut::from(batch);
    field::put(&mut copy, 0, &base.raw().to_be_bytes());
    field::put(&mut copy, EPOCH_AT, &LEADER_EPOCH.to_be_bytes());
    if let Some(at) = append_time {
        let attributes = field::be_i16(&copy, 21).unwrap_or(0) | LOG_APPEND_TIME;
        field::put(&mut copy, 21, &attributes.to_be_bytes());
        field::put(&mut copy, 35, &at.as_millis().to_be_bytes());
        let crc = crc32c::crc32c(copy.get(CRC_FROM..).unwrap_or_default());
        field::put(&mut copy, CRC_AT, &crc.to_be_bytes());
    }
    copy.freeze()
}
