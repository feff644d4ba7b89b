//! Offsets that are committed as part of a transaction (KIP-98, KIP-447).
//!
//! Owns: their records, and what becomes of them at the transaction's end. Does not own: whether
//! the producer may write (`transaction`), who may commit (`Group`).

use super::coordinator::{Coordinator, Shared, encoded};
use super::kind::Kind;
use super::slot::{Inner, Slot};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};
use systole_group::classic::Caller;
use systole_group::{Committed, Place, record};
use systole_log::Ticket;
use systole_wire::ErrorCode;

/// Groups in which a producer committed offsets that wait for its marker: by partition of
/// `__consumer_offsets` and producer id.
pub(super) type OpenTransactions = HashMap<(i32, i64), BTreeSet<Arc<str>>>;

/// A transaction that ends in one partition of `__consumer_offsets`.
#[derive(Debug, Clone, Copy)]
pub struct EndedTransaction {
    pub partition: i32,
    pub producer_id: i64,
    pub is_commit: bool,
}

impl Coordinator {
    /// TxnOffsetCommit: offsets that count once the transaction of `producer` (id and epoch) is
    /// committed, which needs the ticket to succeed.
    ///
    /// # Errors  `ILLEGAL_GENERATION` for a member of a group that does not exist, whatever
    /// `Group::may_commit_in_transaction` refuses, `INVALID_COMMIT_OFFSET_SIZE` without room.
    pub fn commit_in_transaction(
        &self,
        group_id: &str,
        caller: Caller<'_>,
        producer: (i64, i16),
        offsets: Vec<(Place, Committed)>,
    ) -> Result<Ticket, ErrorCode> {
        let is_full = self.0.is_full();
        let is_simple = caller.generation < 0;
        let committed = self.enter(group_id, is_simple && !is_full, |slot, inner| {
            may_commit(inner, caller, &offsets)?;
            if is_full {
                return Err(ErrorCode::InvalidCommitOffsetSize);
            }
            let changes: Vec<_> =
                offsets.into_iter().map(|(place, it)| (place, Some(it))).collect();
            let pairs: Result<Vec<_>, _> =
                changes.iter().map(|it| encoded(record::of_offset(&slot.id, it))).collect();
            let batch = record::batch_in_transaction(&pairs?, self.0.now().calendar, producer);
            let batch = batch.map_err(|_| ErrorCode::UnknownServerError)?;
            let appended = self.0.journal.append(slot.partition, batch)?;
            inner.offsets.pend(producer.0, changes);
            self.0.open().entry((slot.partition, producer.0)).or_default().insert(slot.id.clone());
            self.0.weigh(inner);
            Ok(appended.ticket)
        });
        committed.unwrap_or(Err(if is_simple {
            ErrorCode::InvalidCommitOffsetSize
        } else {
            ErrorCode::IllegalGeneration
        }))
    }

    /// Lets `mark` write the marker that ends a transaction, and has the groups follow. It gives
    /// the marker's offset, or `None` if nothing was left to end. The groups are held meanwhile, so
    /// that records and changes keep one order.
    pub fn end_transaction<T, E>(
        &self,
        ended: EndedTransaction,
        mark: impl FnOnce() -> Result<(Option<i64>, T), E>,
    ) -> Result<T, E> {
        let key = (ended.partition, ended.producer_id);
        let ids = self.0.open().get(&key).cloned().unwrap_or_default();
        let slots: Vec<_> = ids.iter().filter_map(|id| self.0.slot(id, false)).collect();
        let mut held: Vec<_> = slots.iter().map(|it| it.lock()).collect();
        let (position, result) = mark()?;
        for inner in &mut held {
            inner.offsets.end(ended.producer_id, position.filter(|_| ended.is_commit));
            self.0.weigh(inner);
        }
        self.0.open().remove(&key);
        Ok(result)
    }
}

/// A member of a consumer group that is late with its epoch for one partition may commit none: a
/// transaction is all or nothing.
fn may_commit(
    inner: &Inner,
    caller: Caller<'_>,
    offsets: &[(Place, Committed)],
) -> Result<(), ErrorCode> {
    match &inner.kind {
        Kind::Classic(group) => group.may_commit_in_transaction(caller),
        Kind::Share(_) => Err(ErrorCode::GroupIdNotFound),
        Kind::Consumer(group) => {
            let right = group.may_commit_in_transaction(caller)?;
            let one = |(place, it): &(Place, Committed)| {
                group.may_commit_place(caller.member_id, right, (it.topic_id, place.partition))
            };
            offsets.iter().try_for_each(one)
        }
        Kind::Streams(group) => {
            let right = group.may_commit_in_transaction(caller)?;
            let one = |(place, _): &(Place, Committed)| {
                group.may_commit_place(caller.member_id, right, (&*place.topic, place.partition))
            };
            offsets.iter().try_for_each(one)
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, OpenTransactions> {
        self.open_transactions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the open transactions of a group that was read back from the log.
    pub(super) fn note_pending(&self, slot: &Slot) {
        let inner = slot.lock();
        for producer_id in inner.offsets.pending_producers() {
            let ids = &mut *self.open();
            ids.entry((slot.partition, producer_id)).or_default().insert(Arc::clone(&slot.id));
        }
    }
}
