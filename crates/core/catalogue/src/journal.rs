//! Where the catalogue is kept: one partition of the log, `__cluster_metadata`.
//!
//! Owns: writing facts, reading them all at start, and writing them anew when most are outdated.
//! Does not own: what they mean (`catalogue`) or their bytes (`fact`).

use crate::fact::{self, Fact, FactError};
use systole_kit::{Timestamp, Uuid};
use systole_log::{AppendError, Log, Offset, Origin, Partition, PartitionConfig, PartitionId};
use systole_log::{Isolation, ReadError, Ticket};
use systole_wire::record::{self, Batches};

/// Kafka's id for its own metadata topic.
const TOPIC_ID: Uuid = Uuid::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
pub(crate) const PARTITION: PartitionId = PartitionId { topic: TOPIC_ID, index: 0 };
const READ_BYTES: usize = 1024 * 1024;
/// So many more facts than hold are kept before they are written anew.
pub(crate) const OUTDATED_MAX: usize = 1000;

#[derive(Debug)]
pub(crate) struct Journal {
    log: Log,
    partition: Partition,
}

/// Everything the journal said, in order.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub facts: Vec<Fact>,
    /// A part could not be read: what it said is not known, so nothing may be concluded from the
    /// absence of a fact.
    pub damaged: bool,
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Fact(#[from] FactError),
    #[error("the catalogue cannot be read: {0}")]
    Read(ReadError),
    #[error("the catalogue cannot be written: {0}")]
    Append(#[from] AppendError),
}

impl From<record::Error> for JournalError {
    fn from(error: record::Error) -> Self {
        Self::Fact(error.into())
    }
}

impl Journal {
    /// Opens the journal and reads all of it. Blocks on file IO.
    pub(crate) fn open(log: &Log) -> Result<(Self, Replayed), JournalError> {
        let config =
            PartitionConfig { retention_age: None, retention_bytes: None, ..Default::default() };
        let (partition, _) = log.create(PARTITION, config)?;
        let journal = Self { log: log.clone(), partition };
        let replayed = journal.read()?;
        Ok((journal, replayed))
    }

    fn read(&self) -> Result<Replayed, JournalError> {
        let mut replayed = Replayed::default();
        let bounds = self.partition.bounds();
        let mut next = bounds.log_start;
        while next < bounds.high_watermark {
            let records = match self.partition.read(next, READ_BYTES, Isolation::Uncommitted) {
                Ok(records) => records,
                Err(ReadError::Damaged { last, .. }) => {
                    replayed.damaged = true;
                    next = last.next();
                    continue;
                }
                Err(error) => return Err(JournalError::Read(error)),
            };
            for batch in Batches::new(records.into_bytes()) {
                let batch = batch?;
                replayed.facts.extend(fact::decode(&batch.bytes)?);
                next = Offset::new(batch.header.last_offset()).next();
            }
        }
        Ok(replayed)
    }

    /// Adds facts that hold together or not at all.
    pub(crate) fn append(&self, facts: &[Fact], now: Timestamp) -> Result<Ticket, JournalError> {
        let batch = fact::encode(facts, now)?;
        Ok(self.partition.append(&batch, Origin::Broker)?.ticket)
    }

    /// Writes the facts that hold anew and lets all before them go. A crash in between leaves both,
    /// and the later ones count. For a start only: nothing may be added meanwhile.
    pub(crate) async fn rewrite(
        &self,
        holding: &[Fact],
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let batch = fact::encode(holding, now)?;
        let appended = self.partition.append(&batch, Origin::Broker)?;
        self.log.done(appended.ticket).await?;
        if let Err(error) = self.partition.delete_before(appended.base_offset) {
            tracing::warn!(%error, "outdated facts stay in the catalogue's journal");
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }
}
