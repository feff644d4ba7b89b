//! A stored record batch, as far as a log must know it.
//!
//! Owns: which batches a log can hold, whether a stored one is intact, and what the log writes into
//! it (base offset, leader epoch, append time). Does not own: the layout of a batch
//! (`wire::record`), validation of what a client sends, records, compression.

use crate::field;
use crate::position::Offset;
use bytes::{Bytes, BytesMut};
use systole_kit::Timestamp;
use systole_wire::record::{self, BATCH_OVERHEAD, BatchHeader, NO_SEQUENCE, TimestampType};

pub(crate) use systole_wire::record::HEADER_LEN;

/// No other broker ever leads, so there is one leader epoch.
pub const LEADER_EPOCH: i32 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base: Offset,
    /// Of the whole batch, header included.
    pub(crate) bytes: usize,
    pub(crate) last_delta: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer: Option<Producer>,
    pub(crate) transactional: bool,
    /// Written by the broker: the end of a transaction.
    pub(crate) control: bool,
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
        Self::of(&BatchHeader::read(bytes).ok()?)
    }
    fn of(it: &BatchHeader) -> Option<Self> {
        let last = it.base_offset.checked_add(i64::from(it.last_offset_delta));
        let header = Self {
            base: Offset::from_wire(it.base_offset)?,
            bytes: it.size_bytes(),
            last_delta: it.last_offset_delta,
            max_timestamp: it.max_timestamp,
            producer: it.has_producer_id().then(|| Producer {
                id: it.producer_id,
                epoch: it.producer_epoch,
                first_sequence: (it.base_sequence > NO_SEQUENCE).then_some(it.base_sequence),
            }),
            transactional: it.attributes.is_transactional(),
            control: it.attributes.is_control(),
        };
        (it.last_offset_delta >= 0 && last.is_some()).then_some(header)
    }
    pub(crate) fn last(&self) -> Offset {
        self.base.plus(i64::from(self.last_delta))
    }
}

/// The stored batch at the start of `bytes` if it is complete and nothing in it changed, except
/// perhaps its base offset, which the checksum leaves out: the caller knows what that must be.
pub(crate) fn read_intact(bytes: &[u8]) -> Option<Header> {
    let found = BatchHeader::read(bytes).ok()?;
    let header = Header::of(&found)?;
    let batch = bytes.get(..header.bytes)?;
    let is_intact =
        found.partition_leader_epoch == LEADER_EPOCH && record::verify_crc(batch).is_ok();
    is_intact.then_some(header)
}

/// What a damaged header says of its length (as stored) and how many offsets it takes; for finding
/// the next batch, never for reading this one.
pub(crate) fn read_damaged(bytes: &[u8]) -> Option<(u32, i64)> {
    let length = field::be_u32(bytes, record::position::BATCH_LENGTH)?;
    let last_delta = field::be_i32(bytes, record::position::LAST_OFFSET_DELTA)?;
    Some((length, i64::from(last_delta) + 1))
}

/// Bytes of a whole batch whose stored length is `length`.
pub(crate) fn size_of(length: u32) -> u64 {
    u64::from(length) + BATCH_OVERHEAD as u64
}

/// A copy of `batch` at its place in the log. A copy, because a slice of a network frame would keep
/// the whole frame alive and make the limit on unwritten bytes untrue.
///
/// # Errors  Only if `batch` is not one whole batch.
pub(crate) fn place(
    batch: &[u8],
    base: Offset,
    append_time: Option<Timestamp>,
) -> Result<Bytes, record::Error> {
    let mut copy = BytesMut::from(batch);
    record::set_base_offset(&mut copy, base.raw())?;
    record::set_leader_epoch(&mut copy, LEADER_EPOCH)?;
    if let Some(at) = append_time {
        record::set_max_timestamp(&mut copy, TimestampType::LogAppend, at.as_millis())?;
    }
    Ok(copy.freeze())
}
