//! What compaction leaves of a batch.
//!
//! Owns: a batch with some of its records, one without any, and one that only fills a gap. All keep
//! the offsets that they cover. Does not own: which records stay (`log`).
//!
//! # Source  Kafka `MemoryRecords.filterTo`, `DefaultRecordBatch.writeEmptyHeader`; KIP-534

use super::build::{assemble, write_length, write_nullable};
use super::header::{Attributes, NO_TIMESTAMP, TimestampType};
use super::{
    BatchHeader, Error, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, RecordSet,
};
use super::{HEADER_LEN, varint};
use crate::compression::Codec;
use bytes::Bytes;

/// What [`retain`] found.
#[derive(Debug, Clone)]
pub enum Retained {
    /// Every record stays and nothing else changed.
    Same,
    /// Some records stay, or all with a new delete horizon.
    Changed(Bytes),
    Nothing,
}

/// Keeps the records for which `keep` holds, with their offsets and timestamps. `horizon` becomes
/// the batch's delete horizon: the time (milliseconds) from which its tombstones may go.
///
/// # Errors  What the records give, and [`Error::Compression`].
pub fn retain(
    records: &RecordSet<'_>,
    horizon: Option<i64>,
    mut keep: impl FnMut(&Record<'_>) -> bool,
) -> Result<Retained, Error> {
    let mut header = *records.header();
    let base_timestamp = horizon.unwrap_or(header.base_timestamp);
    let mut out = Vec::with_capacity(records.size_bytes());
    let (mut kept, mut max_timestamp) = (0, NO_TIMESTAMP);
    let mut walk = records.iter();
    loop {
        let before = walk.rest();
        let Some(record) = walk.next() else { break };
        let record = record?;
        if !keep(&record) {
            continue;
        }
        kept += 1;
        max_timestamp = max_timestamp.max(record.timestamp);
        if base_timestamp == header.base_timestamp {
            let length = before.len() - walk.rest().len();
            out.extend_from_slice(before.get(..length).unwrap_or_default());
        } else {
            write(&mut out, &record, base_timestamp);
        }
    }
    if kept == 0 {
        return Ok(Retained::Nothing);
    }
    let all = kept == header.records_count;
    if all && base_timestamp == header.base_timestamp {
        return Ok(Retained::Same);
    }
    header.records_count = kept;
    header.base_timestamp = base_timestamp;
    if horizon.is_some() {
        header.attributes = header.attributes.with_delete_horizon();
    }
    if header.attributes.timestamp_type() == TimestampType::Create {
        header.max_timestamp = max_timestamp;
    }
    let codec = header.attributes.codec()?;
    Ok(Retained::Changed(assemble(header, &out, codec.into())?))
}

fn write(out: &mut Vec<u8>, record: &Record<'_>, base_timestamp: i64) {
    let mut body = vec![0]; // attributes
    varint::write(&mut body, record.timestamp.wrapping_sub(base_timestamp));
    varint::write(&mut body, i64::from(record.offset_delta));
    write_nullable(&mut body, record.key);
    write_nullable(&mut body, record.value);
    write_length(&mut body, record.headers.len());
    for (key, value) in record.headers.clone() {
        write_nullable(&mut body, Some(key));
        write_nullable(&mut body, value);
    }
    write_length(out, body.len());
    out.extend_from_slice(&body);
}

/// The batch without its records: its producer's sequence stays known.
///
/// # Errors  None in practice: the batch has a fixed size.
pub fn empty(header: &BatchHeader) -> Result<Bytes, Error> {
    let header = BatchHeader { records_count: 0, ..*header };
    assemble(header, &[], Codec::None.into())
}

/// A batch of nobody without records, which covers `last_offset_delta + 1` offsets.
///
/// # Errors  None in practice: the batch has a fixed size.
pub fn filler(base_offset: i64, last_offset_delta: i32) -> Result<Bytes, Error> {
    let header = BatchHeader {
        base_offset,
        batch_length: 0,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta,
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: NO_TIMESTAMP,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        records_count: 0,
    };
    assemble(header, &[], Codec::None.into())
}

/// Bytes of [`filler`] and [`empty`].
pub const EMPTY_LEN: usize = HEADER_LEN;
