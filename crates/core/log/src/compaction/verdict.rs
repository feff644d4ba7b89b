//! What stays of one batch.
//!
//! Owns: the rules of compaction for records, tombstones, markers and aborted records. Does not
//! own: files.
//!
//! # Source  Kafka `LogCleaner`, `CleanedTransactionMetadata`; KIP-354, KIP-534

use super::latest::Latest;
use crate::position::Offset;
use crate::transactions::Aborted;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use systole_wire::record::{self, BatchHeader, EndMarker, Error, Record, RecordSet, Retained};

/// Records of one batch are decompressed up to this size; a batch with more stays as it is.
pub(super) const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Same,
    Changed(Bytes),
    /// Its offsets stay, covered by a batch without records.
    Gone,
}

/// What holds for one pass over a partition, and what it has seen so far.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) latest: Latest,
    /// Records from here on are not in `latest`; their batches stay.
    pub(super) until: Offset,
    pub(super) now: i64,
    /// The horizon of tombstones and markers that this pass is the first to see.
    pub(super) horizon: i64,
    pub(super) aborted: AbortedBy,
    /// Last offset of each producer's newest batch: it stays, without records if need be, so that
    /// the producer's sequence is known from the records alone.
    pub(super) newest: HashMap<i64, Offset>,
    /// Producers with a batch of a transaction whose marker is still to come.
    pub(super) in_transaction: HashSet<i64>,
    /// Markers that went.
    pub(super) markers_gone: Vec<Offset>,
}

/// First offset and marker of aborted transactions, by producer.
#[derive(Debug, Default)]
pub(super) struct AbortedBy(HashMap<i64, Vec<(Offset, Offset)>>);

impl AbortedBy {
    pub(super) fn new(aborted: &[Aborted]) -> Self {
        let mut it = Self::default();
        for aborted in aborted {
            it.0.entry(aborted.producer_id).or_default().push((aborted.first, aborted.last));
        }
        it
    }
    /// Whether a transactional batch belongs to one of them.
    pub(super) fn has(&self, header: &BatchHeader) -> bool {
        let base = Offset::new(header.base_offset);
        self.0.get(&header.producer_id).is_some_and(|all| {
            // A producer's transactions follow one another.
            let after = all.partition_point(|it| it.0 <= base);
            after.checked_sub(1).and_then(|it| all.get(it)).is_some_and(|it| base <= it.1)
        })
    }
}

impl Judge {
    /// # Errors  The batch cannot be read; it stays as it is.
    pub(super) fn judge(&mut self, batch: &[u8]) -> Result<Verdict, Error> {
        let header = BatchHeader::read(batch)?;
        if Offset::new(header.base_offset) >= self.until {
            return Ok(Verdict::Same);
        }
        if header.attributes.is_control() {
            return self.judge_marker(batch, &header);
        }
        let is_transactional = header.attributes.is_transactional();
        if is_transactional {
            self.in_transaction.insert(header.producer_id);
        }
        if header.records_count == 0 {
            return Ok(if self.is_newest(&header) { Verdict::Same } else { Verdict::Gone });
        }
        let is_aborted = is_transactional && self.aborted.has(&header);
        let records = RecordSet::open(batch, DECOMPRESSED_BYTES_MAX)?;
        let passed = delete_horizon(&header).is_some_and(|it| it <= self.now);
        let mut keeps_tombstone = false;
        let mut keep = Vec::new();
        for record in &records {
            let record = record?;
            let is_tombstone = record.value.is_none();
            let stays = !is_aborted && self.is_current(&record) && !(is_tombstone && passed);
            keeps_tombstone |= stays && is_tombstone;
            keep.push(stays);
        }
        let horizon =
            (keeps_tombstone && delete_horizon(&header).is_none()).then_some(self.horizon);
        let mut keep = keep.into_iter();
        match record::retain(&records, horizon, |_| keep.next().unwrap_or(true))? {
            Retained::Same => Ok(Verdict::Same),
            Retained::Changed(bytes) => Ok(Verdict::Changed(bytes)),
            Retained::Nothing => self.without_records(&header),
        }
    }

    /// Records without a key should not be here; nobody could ask for them by key.
    fn is_current(&self, record: &Record<'_>) -> bool {
        record.key.is_some_and(|key| !self.latest.is_outdated(key, record.offset))
    }

    /// A marker stays while a batch of its transaction is left, then until its horizon has passed.
    fn judge_marker(&mut self, batch: &[u8], header: &BatchHeader) -> Result<Verdict, Error> {
        let has_records = self.in_transaction.remove(&header.producer_id);
        if EndMarker::read(batch).is_err() {
            let stays = header.records_count > 0 || self.is_newest(header);
            return Ok(if stays { Verdict::Same } else { Verdict::Gone });
        }
        if has_records {
            return Ok(Verdict::Same);
        }
        match delete_horizon(header) {
            Some(at) if at <= self.now => {
                self.markers_gone.push(Offset::new(header.base_offset));
                self.without_records(header)
            }
            Some(_) => Ok(Verdict::Same),
            None => {
                let records = RecordSet::open(batch, DECOMPRESSED_BYTES_MAX)?;
                match record::retain(&records, Some(self.horizon), |_| true)? {
                    Retained::Changed(bytes) => Ok(Verdict::Changed(bytes)),
                    Retained::Same | Retained::Nothing => Ok(Verdict::Same),
                }
            }
        }
    }

    fn without_records(&self, header: &BatchHeader) -> Result<Verdict, Error> {
        if self.is_newest(header) {
            return Ok(Verdict::Changed(record::empty(header)?));
        }
        Ok(Verdict::Gone)
    }

    fn is_newest(&self, header: &BatchHeader) -> bool {
        let newest = self.newest.get(&header.producer_id);
        newest.is_some_and(|it| it.raw() == header.last_offset())
    }
}

fn delete_horizon(header: &BatchHeader) -> Option<i64> {
    header.attributes.has_delete_horizon().then_some(header.base_timestamp)
}
