//! `__transaction_state`: the topic that remembers transactional ids.
//!
//! Owns: its name, what it says after a start, and what a failed append means to a producer. Does
//! not own: the topic as such ([`InternalTopic`]), the form of records
//! (`systole_transaction::record`).

use super::config::TransactionConfig;
use super::slot::Sync;
use std::collections::HashMap;
use std::sync::Arc;
use systole_catalogue::Catalogue;
use systole_catalogue::internal::{BATCH_BYTES_MAX, Cleanup, InternalTopic, Kind};
use systole_kit::Timestamp;
use systole_log::{AppendError, Log, Origin, Ticket};
use systole_transaction::Transaction;
use systole_transaction::record::{self, Pair};
use systole_wire::ErrorCode;
use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord, RecordSet};

pub(super) const TOPIC: &str = "__transaction_state";

#[derive(Debug)]
pub(super) struct Store(InternalTopic);

/// What the topic says.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) transactions: HashMap<Arc<str>, Transaction>,
    pub(super) records: u64,
    /// Records that say nothing to us: damaged, or of a later version.
    pub(super) unreadable: u64,
}

impl Store {
    pub(super) fn new(log: &Log, topics: &Arc<Catalogue>, config: &TransactionConfig) -> Self {
        let (compression, cleanup) = ("uncompressed", Cleanup::Compact);
        let kind = Kind { name: TOPIC, compression, records: "transactions", cleanup };
        Self(InternalTopic::new(kind, log, topics, config.state_topic_partitions))
    }

    /// Never changes while the topic exists: an id's partition follows from it.
    pub(super) fn partition_count(&self) -> i32 {
        self.0.partition_count()
    }

    /// Appends one record. Those of one partition lie in the order of the calls.
    pub(super) fn append(
        &self,
        partition: i32,
        pair: &Pair,
        at: Timestamp,
        sync: Sync,
    ) -> Result<Ticket, ErrorCode> {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch.push(&NewRecord {
            timestamp: at.as_millis(),
            key: Some(&pair.key),
            value: pair.value.as_deref(),
            headers: &[],
        });
        let batch = batch.build().map_err(|_| ErrorCode::UnknownServerError)?;
        let partition = self.0.partition(partition)?;
        let appended = match sync {
            Sync::Now => partition.append(&batch, Origin::Broker),
            Sync::Later => partition.append_relaxed(&batch, Origin::Broker),
        };
        appended.map(|it| it.ticket).map_err(|error| refusal(&error))
    }

    /// Reads everything back. Blocks on file IO; cost: one pass over the topic.
    pub(super) fn replay(&self) -> Replayed {
        let mut replayed = Replayed::default();
        self.0.read_all(|it| replayed.batch(it));
        replayed
    }
}

/// What a producer learns when its record cannot be written: all but one make it try again.
fn refusal(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } | AppendError::Malformed { .. } => {
            ErrorCode::UnknownServerError
        }
        _ => ErrorCode::CoordinatorNotAvailable,
    }
}

impl Replayed {
    fn batch(&mut self, batch: &[u8]) {
        let Ok(records) = RecordSet::open(batch, BATCH_BYTES_MAX) else {
            self.unreadable += 1;
            return;
        };
        for it in &records {
            self.records += 1;
            match it.ok().and_then(|it| record::read(it.key, it.value).ok()) {
                Some(record::Entry { id, transaction: Some(it) }) => {
                    self.transactions.insert(id, it);
                }
                Some(record::Entry { id, transaction: None }) => {
                    self.transactions.remove(&id);
                }
                None => self.unreadable += 1,
            }
        }
    }
}
