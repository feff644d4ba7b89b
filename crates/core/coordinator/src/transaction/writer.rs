//! What a producer does inside its transaction.
//!
//! Owns: adding partitions, asking whether one was added, and the account of what was written. Does
//! not own: the batches (`api::produce`), offsets (`group`).

use super::code;
use super::coordinator::Shared;
use super::slot::{Inner, Slot, Sync};
use systole_log::Ticket;
use systole_transaction::{Place, Producer, Version};
use systole_wire::ErrorCode;

/// A transactional id while its lock is held.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) slot: &'a Slot,
    pub(super) inner: &'a mut Inner,
}

impl Writer<'_> {
    /// `places` belong to the transaction from here on; one begins if none is open.
    ///
    /// # Errors  What the coordinator refuses; TRANSACTION_ABORTABLE at a limit.
    pub fn add(
        &mut self,
        from: Producer,
        places: &[Place],
        version: Version,
    ) -> Result<(), ErrorCode> {
        let Self { shared, slot, inner } = self;
        let it = inner.current().ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let facts = shared.facts(inner, None);
        let Some(next) = it.add(from, places, version, facts).map_err(code)? else {
            return Ok(());
        };
        if next.places().len() > shared.config.partitions_max || shared.is_full() {
            return Err(ErrorCode::TransactionAbortable);
        }
        let ticket = shared.write(slot, inner, next, Sync::Later)?;
        self.wrote(ticket);
        Ok(())
    }

    /// Was `place` added?
    pub fn verify(&self, from: Producer, place: &Place) -> Result<(), ErrorCode> {
        let it = self.inner.current().ok_or(ErrorCode::InvalidProducerIdMapping)?;
        it.verify(from, place).map_err(code)
    }

    /// The transaction cannot be committed unless `ticket` succeeds.
    pub fn wrote(&mut self, ticket: Ticket) {
        self.inner.written = self.inner.written.and(ticket);
    }
}
