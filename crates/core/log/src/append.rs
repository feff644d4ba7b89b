//! Appending to a partition: offsets, the rules of producers, the way into the queue.
//!
//! Owns: [`Partition::append`], [`Partition::append_marker`]. Does not own: durability (`engine`),
//! the rules themselves (`producers`), validation of what a client sends (`broker`).

use crate::batch::{self, Header};
use crate::commits::Ticket;
use crate::engine::Queued;
use crate::error::AppendError;
use crate::lock;
use crate::partition::{Life, Partition, State, Stored};
use crate::position::Offset;
use crate::producers::Verdict;
use crate::wal::{Entry, Kind};
use bytes::Bytes;
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::record::{EndMarker, Outcome};

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: the sequence numbers of its producer must fit.
    Client,
    /// The broker itself, into its own topics: only the producer's epoch must fit.
    Broker,
}

/// Where a batch went. Answer the client once `ticket` is done
/// ([`Log::done`](crate::Log::done)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_start: Offset,
    /// The time that the records got, if the partition uses the time of the append.
    pub append_time: Option<Timestamp>,
    /// The producer repeated a batch, or the coordinator a marker: these are the offsets of the
    /// first time.
    pub duplicate: bool,
    pub ticket: Ticket,
}

/// The end of a transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    pub producer_id: i64,
    /// With transaction version 2 the risen one, under which the next transaction begins.
    pub producer_epoch: i16,
    pub outcome: Outcome,
    pub coordinator_epoch: i32,
    /// 2: the epoch rises with each transaction (KIP-890). Below: it stays.
    pub transaction_version: i16,
}

impl Partition {
    /// Appends one whole record batch, already validated: gives it its offsets and queues it for
    /// the write-ahead log. No IO, no waiting: one copy of the batch.
    ///
    /// The ticket of a transactional batch is done when it is written, not when it is durable: a
    /// marker that ends its transaction is durable only after it. It may even be answered before;
    /// whoever does so must see the tickets of all such batches succeed before deciding to commit.
    ///
    /// # Errors  Nothing was appended. What happens later to what was, the ticket tells.
    pub fn append(&self, batch: &[u8], origin: Origin) -> Result<Appended, AppendError> {
        self.append_with(batch, origin, false)
    }

    /// The same for what may be lost in a crash together with all that follows it: its ticket is
    /// done when it is written.
    pub fn append_relaxed(&self, batch: &[u8], origin: Origin) -> Result<Appended, AppendError> {
        self.append_with(batch, origin, true)
    }

    fn append_with(
        &self,
        batch: &[u8],
        origin: Origin,
        may_be_lost: bool,
    ) -> Result<Appended, AppendError> {
        let malformed = AppendError::Malformed { bytes: batch.len() };
        let header = Header::read(batch).filter(|it| it.bytes == batch.len()).ok_or(malformed)?;
        self.engine.admit(batch.len())?;
        let now = self.engine.world.clock.now();
        let mut state = lock(&self.shared.state);
        if state.life != Life::Open {
            return Err(AppendError::Deleted);
        }
        let got =
            header.producer.map_or((-1, -1), |it| (it.epoch, it.first_sequence.unwrap_or(-1)));
        let verdict = state.producers.check(&header, origin);
        if let Some((first, last)) = duplicate_of(verdict, got)? {
            return Ok(self.repeated(&state, first, last));
        }
        let append_time = state.config.log_append_time.then_some(now);
        let bytes = batch::place(batch, state.next, append_time).map_err(|_| malformed)?;
        let records = i64::from(header.last_delta) + 1;
        let relaxed = state.relaxed_records.saturating_add(records.unsigned_abs());
        let may_be_lost = may_be_lost || header.transactional;
        let durable = relaxed >= state.config.flush_messages && !may_be_lost;
        let mut appended = self.enqueue(&mut state, bytes, (durable, now))?;
        state.relaxed_records = if durable { 0 } else { relaxed };
        appended.append_time = append_time;
        Ok(appended)
    }

    /// Ends the open transaction of a producer here. Its ticket is done once the marker is durable,
    /// whatever the partition's settings; only then the last stable offset passes it. Writing the
    /// marker once more is answered as a duplicate and changes nothing. A producer without a
    /// transaction here gets a marker if its epoch is new to the partition, which keeps batches of
    /// older epochs out. No IO, no waiting.
    ///
    /// # Errors  [`AppendError::Fenced`], [`AppendError::CoordinatorFenced`]: a newer incarnation
    /// has been here, so there is nothing left to end.
    ///
    /// # Source  Kafka `ProducerAppendInfo.appendEndTxnMarker`; KIP-890, KIP-1228
    pub fn append_marker(&self, marker: Marker) -> Result<Appended, AppendError> {
        let Marker { producer_id, producer_epoch, outcome, coordinator_epoch, .. } = marker;
        let now = self.engine.world.clock.now();
        let batch = EndMarker { outcome, coordinator_epoch };
        let batch = batch.build((producer_id, producer_epoch), now.as_millis());
        let malformed = AppendError::Malformed { bytes: 0 };
        let batch = batch.map_err(|_| malformed)?;
        let mut state = lock(&self.shared.state);
        if state.life != Life::Open {
            return Err(AppendError::Deleted);
        }
        let got = (producer_epoch, coordinator_epoch);
        let verdict = state.producers.check_marker(&marker);
        if let Some((first, last)) = duplicate_of(verdict, got)? {
            return Ok(self.repeated(&state, first, last));
        }
        let bytes = batch::place(&batch, state.next, None).map_err(|_| malformed)?;
        let appended = self.enqueue(&mut state, bytes, (true, now))?;
        state.relaxed_records = 0;
        Ok(appended)
    }

    /// `bytes` is at its place. `durable`: done after the sync, not already after the write.
    fn enqueue(
        &self,
        state: &mut State,
        bytes: Bytes,
        (durable, now): (bool, Timestamp),
    ) -> Result<Appended, AppendError> {
        let malformed = AppendError::Malformed { bytes: bytes.len() };
        let header = Header::read(&bytes).ok_or(malformed)?;
        let entry = Entry {
            kind: Kind::Batch,
            partition: self.shared.id,
            first: header.base,
            last: header.last(),
            body: bytes.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let ticket = self.engine.enqueue(Queued::new(shared, entry, durable))?;
        state.latest = ticket;
        self.engine.note_producers(header.producer.map_or(0, |it| it.id.saturating_add(1)));
        state.push(Stored { header, bytes }, now);
        Ok(Appended {
            base_offset: header.base,
            last_offset: header.last(),
            log_start: state.log_start,
            append_time: None,
            duplicate: false,
            ticket,
        })
    }

    fn repeated(&self, state: &State, first: Offset, last: Offset) -> Appended {
        // The first time may still be on its way to the disk.
        let settled = last < self.shared.high_watermark();
        Appended {
            base_offset: first,
            last_offset: last,
            log_start: state.log_start,
            append_time: None,
            duplicate: true,
            ticket: if settled { Ticket::NONE } else { state.latest },
        }
    }
}

/// The offsets of the first time, or why not. `got`: the epoch, and the sequence or coordinator
/// epoch that was refused.
fn duplicate_of(
    verdict: Verdict,
    (epoch, got): (i16, i32),
) -> Result<Option<(Offset, Offset)>, AppendError> {
    match verdict {
        Verdict::Append => Ok(None),
        Verdict::Duplicate { first, last } => Ok(Some((first, last))),
        Verdict::Fenced { current } => Err(AppendError::Fenced { current, got: epoch }),
        Verdict::CoordinatorFenced { current } => {
            Err(AppendError::CoordinatorFenced { current, got })
        }
        Verdict::OutOfOrder { expected } => Err(AppendError::OutOfOrder { expected, got }),
        Verdict::Unknown => Err(AppendError::UnknownProducer { got }),
        Verdict::TransactionOpen => Err(AppendError::TransactionOpen),
    }
}
