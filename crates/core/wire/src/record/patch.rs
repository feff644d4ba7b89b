//! The fields that a broker rewrites in a batch that stays otherwise as it came.
//!
//! Owns: base offset and leader epoch (outside the checksum), maximum timestamp with its type
//! (inside it, so the checksum is computed anew).

use super::header::{BatchHeader, TimestampType, crc_of, position};
use super::{Error, HEADER_LEN};

/// # Errors  [`Error::Truncated`] if `batch` is shorter than a header; so for all of this module.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) -> Result<(), Error> {
    put(batch, position::BASE_OFFSET, base_offset.to_be_bytes())
}

pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) -> Result<(), Error> {
    put(batch, position::LEADER_EPOCH, leader_epoch.to_be_bytes())
}

/// Sets the maximum timestamp and where it comes from. `batch` is exactly one batch. Cost: one pass
/// over it for the checksum, none if both are as asked already.
pub fn set_max_timestamp(
    batch: &mut [u8],
    kind: TimestampType,
    max_timestamp: i64,
) -> Result<(), Error> {
    let header = BatchHeader::read(batch)?;
    if header.attributes.timestamp_type() == kind && header.max_timestamp == max_timestamp {
        return Ok(());
    }
    let attributes = header.attributes.with_timestamp_type(kind);
    put(batch, position::ATTRIBUTES, attributes.0.to_be_bytes())?;
    put(batch, position::MAX_TIMESTAMP, max_timestamp.to_be_bytes())?;
    set_crc(batch)
}

pub(super) fn set_crc(batch: &mut [u8]) -> Result<(), Error> {
    let crc = crc_of(batch);
    put(batch, position::CRC, crc.to_be_bytes())
}

fn put<const N: usize>(batch: &mut [u8], at: usize, value: [u8; N]) -> Result<(), Error> {
    let have_bytes = batch.len();
    let field = batch.get_mut(at..at + N);
    let field = field.ok_or(Error::Truncated { need_bytes: HEADER_LEN, have_bytes })?;
    field.copy_from_slice(&value);
    Ok(())
}
