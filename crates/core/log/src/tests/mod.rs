//! What the whole log promises, on the real disk and on the simulated one.
//!
//! Owns: batches and small settings for tests. Reading order: [`basics`] -> `crash` (with its model
//! `ledger`) -> `faults`; `formats` has directories of earlier versions.

mod basics;
mod crash;
mod faults;
mod formats;
mod ledger;
mod transactions;

use crate::{Options, PartitionId};
use systole_kit::Uuid;

/// A record batch whose records are `payload` repeated to look like `count` records. The log takes
/// them as opaque bytes, so they need not be records.
pub(crate) struct Batch {
    pub(crate) count: i32,
    pub(crate) timestamp: i64,
    pub(crate) payload: Vec<u8>,
    /// Producer id, epoch, first sequence.
    pub(crate) producer: (i64, i16, i32),
    pub(crate) transactional: bool,
}

impl Batch {
    pub(crate) fn of(count: i32, payload: &[u8]) -> Self {
        Self {
            count,
            timestamp: 0,
            payload: payload.to_vec(),
            producer: (-1, -1, -1),
            transactional: false,
        }
    }
    pub(crate) fn at(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }
    pub(crate) fn by(self, id: i64, epoch: i16, sequence: i32) -> Self {
        Self { producer: (id, epoch, sequence), ..self }
    }
    pub(crate) fn in_transaction(self) -> Self {
        Self { transactional: true, ..self }
    }
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (id, epoch, sequence) = self.producer;
        let mut covered = Vec::new();
        covered.extend_from_slice(&(i16::from(self.transactional) << 4).to_be_bytes());
        covered.extend_from_slice(&(self.count - 1).to_be_bytes());
        covered.extend_from_slice(&self.timestamp.to_be_bytes());
        covered.extend_from_slice(&self.timestamp.to_be_bytes());
        covered.extend_from_slice(&id.to_be_bytes());
        covered.extend_from_slice(&epoch.to_be_bytes());
        covered.extend_from_slice(&sequence.to_be_bytes());
        covered.extend_from_slice(&self.count.to_be_bytes());
        covered.extend_from_slice(&self.payload);
        let length = i32::try_from(9 + covered.len()).unwrap();
        let mut out = 0_i64.to_be_bytes().to_vec();
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        out.push(2);
        out.extend_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
        out.extend_from_slice(&covered);
        out
    }
}

/// The part of a stored batch that the log does not write.
pub(crate) fn content(batch: &[u8]) -> &[u8] {
    &batch[17..]
}

pub(crate) fn partition(number: u8) -> PartitionId {
    PartitionId { topic: Uuid::from_bytes([number + 1; 16]), index: i32::from(number) }
}

/// Everything small, so that files roll and checkpoints happen after a few appends.
pub(crate) fn small() -> Options {
    Options {
        wal_first_file_bytes: 16 * 1024,
        wal_file_bytes: 32 * 1024,
        wal_spare_files_max: 2,
        checkpoint_bytes: 40 * 1024,
        fill_partition_bytes: 1500,
        fill_total_bytes: 3000,
        fill_share_bytes: 1000,
        sync_ahead_bytes: 2000,
        group_bytes_max: 3000,
        index_from_bytes: 1000,
        open_files_max: 4,
        ..Options::default()
    }
}
