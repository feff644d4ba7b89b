//! The fixed 61 bytes in front of a batch's records.
//!
//! Owns: positions of the fields, reading and writing them, the attribute bits, the checksum.

use super::Error;
use crate::compression::Codec;

/// Bytes of a batch before its records.
pub const HEADER_LEN: usize = 61;
/// Bytes that `batch_length` does not count: base offset and the length itself.
pub const BATCH_OVERHEAD: usize = 12;
pub const NO_PRODUCER_ID: i64 = -1;
pub const NO_PRODUCER_EPOCH: i16 = -1;
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record that has none.
pub const NO_TIMESTAMP: i64 = -1;

/// Where each field starts, in bytes from the start of the batch.
pub mod position {
    pub const BASE_OFFSET: usize = 0;
    pub const BATCH_LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    /// Also where the checksummed part begins.
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const RECORDS_COUNT: usize = 57;
}

/// Which clock a batch's timestamps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's, one per record.
    Create,
    /// The broker's when it appended: every record has the batch's maximum.
    LogAppend,
}

/// The attribute bits of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// # Errors  [`Error::Codec`] for the ids 5, 6 and 7, which no codec has.
    pub fn codec(self) -> Result<Codec, Error> {
        let id = (self.0 & Self::CODEC).to_be_bytes()[1];
        Codec::from_id(id).ok_or(Error::Codec { id })
    }
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::Create
        } else {
            TimestampType::LogAppend
        }
    }
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
    /// The base timestamp is the time at which compaction may drop the batch's tombstones.
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        Self(self.0 & !Self::CODEC | i16::from(codec.id()))
    }
    #[must_use]
    pub const fn with_timestamp_type(self, kind: TimestampType) -> Self {
        match kind {
            TimestampType::Create => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppend => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }
    #[must_use]
    pub const fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }
    #[must_use]
    pub const fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }
}

/// Every field in front of the records, as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the batch after this field; see [`BatchHeader::size_bytes`].
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the records behind it need not be there.
    ///
    /// # Errors  [`Error::Magic`] for another format (seen first: older formats are shorter),
    /// [`Error::Truncated`], or [`Error::Length`] if the length cannot hold the header.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let truncated = Error::Truncated { need_bytes: HEADER_LEN, have_bytes: bytes.len() };
        let magic = bytes.get(position::MAGIC).map(|it| i8::from_be_bytes([*it]));
        match magic {
            None => return Err(truncated),
            Some(2) => {}
            Some(magic) => return Err(Error::Magic { magic }),
        }
        let header = Self::fields(bytes).ok_or(truncated)?;
        if header.size_bytes() < HEADER_LEN {
            return Err(Error::Length { batch_length: header.batch_length });
        }
        Ok(header)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let rest = &mut { bytes };
        Some(Self {
            base_offset: i64::from_be_bytes(take(rest)?),
            batch_length: i32::from_be_bytes(take(rest)?),
            partition_leader_epoch: i32::from_be_bytes(take(rest)?),
            magic: i8::from_be_bytes(take(rest)?),
            crc: u32::from_be_bytes(take(rest)?),
            attributes: Attributes(i16::from_be_bytes(take(rest)?)),
            last_offset_delta: i32::from_be_bytes(take(rest)?),
            base_timestamp: i64::from_be_bytes(take(rest)?),
            max_timestamp: i64::from_be_bytes(take(rest)?),
            producer_id: i64::from_be_bytes(take(rest)?),
            producer_epoch: i16::from_be_bytes(take(rest)?),
            base_sequence: i32::from_be_bytes(take(rest)?),
            records_count: i32::from_be_bytes(take(rest)?),
        })
    }

    /// The 61 bytes, field by field.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.base_offset.to_be_bytes());
        out.extend_from_slice(&self.batch_length.to_be_bytes());
        out.extend_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out.extend_from_slice(&self.magic.to_be_bytes());
        out.extend_from_slice(&self.crc.to_be_bytes());
        out.extend_from_slice(&self.attributes.0.to_be_bytes());
        out.extend_from_slice(&self.last_offset_delta.to_be_bytes());
        out.extend_from_slice(&self.base_timestamp.to_be_bytes());
        out.extend_from_slice(&self.max_timestamp.to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.producer_epoch.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.to_be_bytes());
        out.extend_from_slice(&self.records_count.to_be_bytes());
    }

    /// Bytes of the whole batch, header included. 0 for a negative length, which `read` refuses.
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.batch_length).map_or(0, |it| it.saturating_add(BATCH_OVERHEAD))
    }
    pub const fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }
    /// The sequence number of the last record; sequences wrap to 0 after `i32::MAX`.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// Compares the checksum with the bytes of one whole batch. Cost: one pass over it.
///
/// # Errors  [`Error::Crc`], or [`Error::Truncated`] if there is not even a header.
pub fn verify_crc(batch: &[u8]) -> Result<(), Error> {
    let stored = BatchHeader::read(batch)?.crc;
    let computed = crc_of(batch);
    if stored == computed { Ok(()) } else { Err(Error::Crc { stored, computed }) }
}

/// The checksum (CRC-32C) of everything from the attributes on.
pub(super) fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(position::ATTRIBUTES..).unwrap_or_default())
}
