//! What a broker demands of a batch before it takes it in.
//!
//! Owns: the rules that hold for every topic, as Kafka's `LogValidator` has them for format 2.
//! Does not own: rules that depend on the topic (keys of compacted topics, timestamp windows, size
//! limits): `broker` has them and sees each record through `visit`.

use super::header::{BatchHeader, NO_TIMESTAMP, verify_crc};
use super::{Error, Record, RecordFault, RecordSet};

/// What a walk over the records of a sound batch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    pub records: u32,
    /// Largest record timestamp, [`NO_TIMESTAMP`] if no record has one.
    pub max_timestamp: i64,
    /// The first record that has it, as distance from the base offset.
    pub max_timestamp_delta: i32,
}

/// Checks one produced batch: format, length, checksum, codec, consistent counts, no control batch,
/// base offset 0, sequence with producer id, and every record. `visit` sees each record in order.
/// Cost: two passes over the bytes (checksum, varints); compressed batches are decompressed, into
/// at most `limit_bytes`.
///
/// # Errors  [`Error::Record`] names the record by its index; all others concern the batch.
pub fn check_produced(
    batch: &[u8],
    limit_bytes: usize,
    mut visit: impl FnMut(&Record<'_>),
) -> Result<(RecordSet<'_>, Contents), Error> {
    let header = check_header(batch)?;
    let records = RecordSet::open(batch, limit_bytes)?;
    let mut contents = Contents { records: 0, max_timestamp: NO_TIMESTAMP, max_timestamp_delta: 0 };
    for (record, expected) in records.iter().zip(0..) {
        let record = record?;
        if record.offset_delta != expected {
            let fault = RecordFault::OffsetDelta { expected, found: record.offset_delta };
            return Err(Error::Record { index: contents.records, fault });
        }
        if record.timestamp > contents.max_timestamp {
            contents.max_timestamp = record.timestamp;
            contents.max_timestamp_delta = expected;
        }
        contents.records += 1;
        visit(&record);
    }
    debug_assert_eq!(i64::from(contents.records), i64::from(header.records_count));
    Ok((records, contents))
}

fn check_header(batch: &[u8]) -> Result<BatchHeader, Error> {
    let header = BatchHeader::read(batch)?;
    let (need_bytes, have_bytes) = (header.size_bytes(), batch.len());
    if need_bytes > have_bytes {
        return Err(Error::Truncated { need_bytes, have_bytes });
    }
    if need_bytes < have_bytes {
        return Err(Error::Trailing { extra_bytes: have_bytes - need_bytes });
    }
    verify_crc(batch)?;
    let BatchHeader { base_offset, last_offset_delta, records_count, .. } = header;
    if base_offset != 0 {
        return Err(Error::BaseOffset { base_offset });
    }
    if records_count <= 0 || records_count.checked_sub(1) != Some(last_offset_delta) {
        return Err(Error::Count { records_count, last_offset_delta });
    }
    if header.attributes.is_control() {
        return Err(Error::Control);
    }
    let BatchHeader { producer_id, base_sequence, .. } = header;
    if header.has_producer_id() && base_sequence < 0 {
        return Err(Error::Sequence { producer_id, base_sequence });
    }
    Ok(header)
}
