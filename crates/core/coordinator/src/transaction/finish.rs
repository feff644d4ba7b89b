//! The end of a transaction: the decision, the markers, the completion.
//!
//! Owns: their order and what they wait for together. Does not own: who decides (`coordinator`,
//! `round`, `open`).
//!
//! All of it is queued while the log's writer is held back, so that one write and one sync carry
//! it. A crash leaves a prefix: without the decision the transaction is open, with it a start
//! finishes the rest.

use super::coordinator::Shared;
use super::slot::{Inner, Slot, Sync};
use crate::group;
use systole_log::{AppendError, Marker, Partition, Ticket};
use systole_transaction::{Markers, Outcome, Place, Producer, Transaction};
use systole_wire::ErrorCode;

/// There is one coordinator, and it never moves.
const COORDINATOR_EPOCH: i32 = 0;

impl Shared {
    /// Writes a decision and all that follows from it. Gives the producer of the next transaction.
    ///
    /// # Errors  If the decision was written and the rest was not, [`Shared::finish`] goes on from
    /// there in the next round.
    pub(super) fn decide(
        &self,
        slot: &Slot,
        inner: &mut Inner,
        prepared: Transaction,
    ) -> Result<(Producer, Ticket), ErrorCode> {
        let _together = self.log.hold();
        let ticket = self.write(slot, inner, prepared, Sync::Now)?;
        let (producer, rest) = self.finish(slot, inner)?;
        Ok((producer, ticket.and(rest)))
    }

    /// Tells every partition of a decided transaction, then that all were told.
    pub(super) fn finish(
        &self,
        slot: &Slot,
        inner: &mut Inner,
    ) -> Result<(Producer, Ticket), ErrorCode> {
        let it = inner.current().ok_or(ErrorCode::InvalidTxnState)?;
        let completed = it.completed(self.world.clock.now()).ok_or(ErrorCode::InvalidTxnState)?;
        let markers = it.markers().ok_or(ErrorCode::InvalidTxnState)?;
        let _together = self.log.hold();
        let mut ticket = Ticket::NONE;
        for place in markers.places {
            ticket = ticket.and(self.mark(&markers, place)?);
        }
        let producer = completed.producer();
        ticket = ticket.and(self.write(slot, inner, completed, Sync::Now)?);
        inner.written = Ticket::NONE;
        Ok((producer, ticket))
    }

    fn mark(&self, markers: &Markers<'_>, place: &Place) -> Result<Ticket, ErrorCode> {
        // A topic that was deleted took its part of the transaction along.
        let Some(partition) = self.partition(place) else { return Ok(Ticket::NONE) };
        let marker = Marker {
            producer_id: markers.producer.id,
            producer_epoch: markers.producer.epoch,
            outcome: markers.outcome,
            coordinator_epoch: COORDINATOR_EPOCH,
            transaction_version: markers.version.level(),
        };
        // A newer incarnation was here already, or the partition is gone: nothing is open.
        Ok(self.append_marker(&partition, place, marker)?.unwrap_or(Ticket::NONE))
    }

    /// Ends what a producer has open in one partition. Inside: why there is nothing to end.
    pub(super) fn append_marker(
        &self,
        partition: &Partition,
        place: &Place,
        marker: Marker,
    ) -> Result<Result<Ticket, ErrorCode>, ErrorCode> {
        let append = || match partition.append_marker(marker) {
            Ok(appended) => Ok((Some(appended.last_offset.raw()), Ok(appended.ticket))),
            Err(AppendError::Fenced { .. }) => Ok((None, Err(ErrorCode::InvalidProducerEpoch))),
            Err(AppendError::CoordinatorFenced { .. }) => {
                Ok((None, Err(ErrorCode::TransactionCoordinatorFenced)))
            }
            Err(AppendError::Deleted) => Ok((None, Err(ErrorCode::UnknownTopicOrPartition))),
            Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
        };
        if *place.topic != *group::OFFSETS_TOPIC {
            return append().map(|it| it.1);
        }
        let ended = group::EndedTransaction {
            partition: place.partition,
            producer_id: marker.producer_id,
            is_commit: marker.outcome == Outcome::Commit,
        };
        self.groups.end_transaction(ended, append)
    }

    fn partition(&self, place: &Place) -> Option<Partition> {
        let topic = self.topics.by_name(&place.topic)?;
        self.log.partition(topic.partition(place.partition)?)
    }
}

impl super::Coordinator {
    /// Ends what a producer has open in one partition, whatever the coordinator knows of it.
    ///
    /// # Errors  UNKNOWN_TOPIC_OR_PARTITION; a newer epoch was here; the log takes no appends.
    pub fn mark(&self, place: &Place, marker: Marker) -> Result<Ticket, ErrorCode> {
        let partition = self.0.partition(place).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.0.append_marker(&partition, place, marker)?
    }
}
