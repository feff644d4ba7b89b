//! Control batches: the markers that end a transaction in a partition.
//!
//! Owns: building and reading [`EndMarker`]. Does not own: who may write one and what it ends
//! (`log`), or the control records of other purposes, which no broker of ours writes.
//!
//! # Source  Kafka `ControlRecordType`, `EndTxnMarker.json`; KIP-98

use super::build::{BatchBuilder, BatchOptions, NewRecord, Producer};
use super::{BatchHeader, Error, NO_SEQUENCE, RecordSet};
use bytes::Bytes;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Commit,
    Abort,
}

impl Outcome {
    const fn code(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }
}

/// What a marker says besides its producer, which is in the batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndMarker {
    pub outcome: Outcome,
    /// Of the transaction coordinator that decided.
    pub coordinator_epoch: i32,
}

/// Key and value begin with a version; a later one only appends fields.
const VERSION: i16 = 0;
/// A marker is two short fields in one record; no more is decompressed or looked at.
const RECORD_BYTES_MAX: usize = 1024;

impl EndMarker {
    /// The control batch that ends the transaction of `producer_id`. Its base offset is 0; the log
    /// assigns the real one.
    ///
    /// # Errors  None in practice: the batch has a fixed size.
    pub fn build(
        self,
        (producer_id, producer_epoch): (i64, i16),
        timestamp: i64,
    ) -> Result<Bytes, Error> {
        let producer =
            Producer { id: producer_id, epoch: producer_epoch, base_sequence: NO_SEQUENCE };
        let options = BatchOptions {
            producer,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        };
        let mut key = VERSION.to_be_bytes().to_vec();
        key.extend_from_slice(&self.outcome.code().to_be_bytes());
        let mut value = VERSION.to_be_bytes().to_vec();
        value.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(options);
        builder.push(&NewRecord {
            timestamp,
            key: Some(&key),
            value: Some(&value),
            ..NewRecord::default()
        });
        builder.build()
    }

    /// Reads the marker in one whole control batch. The checksum is not looked at.
    ///
    /// # Errors  [`Error::NotAMarker`] if the batch holds anything else, also if it holds no record
    /// any more, as compaction leaves it; otherwise what [`RecordSet`] gives.
    pub fn read(batch: &[u8]) -> Result<Self, Error> {
        if !BatchHeader::read(batch)?.attributes.is_control() {
            return Err(Error::NotAMarker);
        }
        let records = RecordSet::open(batch, RECORD_BYTES_MAX)?;
        let record = records.iter().next().ok_or(Error::NotAMarker)??;
        let (key, value) = record.key.zip(record.value).ok_or(Error::NotAMarker)?;
        Self::parse(key, value).ok_or(Error::NotAMarker)
    }

    fn parse(mut key: &[u8], mut value: &[u8]) -> Option<Self> {
        let (key_version, kind) = (take_i16(&mut key)?, take_i16(&mut key)?);
        let outcome = match kind {
            0 => Outcome::Abort,
            1 => Outcome::Commit,
            _ => return None,
        };
        let value_version = take_i16(&mut value)?;
        let coordinator_epoch = i32::from_be_bytes(*value.first_chunk()?);
        let known = key_version >= 0 && value_version >= 0;
        known.then_some(Self { outcome, coordinator_epoch })
    }
}

fn take_i16(bytes: &mut &[u8]) -> Option<i16> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(i16::from_be_bytes(*head))
}
