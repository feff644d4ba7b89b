//! The coordinator at start: what the node knew, and what the last stop left half done.
//!
//! Owns: the order of recovery. Does not own: the rules (`systole_transaction`), the log's own
//! recovery.
//!
//! Decided transactions are finished. After an unclean stop, open ones are aborted. What is open in
//! a partition and belongs to no open transaction is aborted too: nobody would ever end it.

use super::config::TransactionConfig;
use super::coordinator::{Coordinator, Shared};
use super::slot::Slot;
use super::store::{Replayed, Store};
use crate::group;
use std::collections::HashMap;
use std::sync::Arc;
use systole_catalogue::Catalogue;
use systole_log::{Log, Marker, OpenTransaction, Ticket};
use systole_transaction::{Outcome, Place, State, Stop};
use systole_wire::ErrorCode;
use systole_world::World;

/// What the coordinator works with.
#[derive(Debug)]
pub struct Parts {
    pub log: Log,
    pub topics: Arc<Catalogue>,
    pub groups: group::Coordinator,
    pub stop: Stop,
}

/// The epoch of a marker that no coordinator decided.
const STRAY_COORDINATOR_EPOCH: i32 = 0;

impl Coordinator {
    /// Reads ids back and finishes what is half done, durable once the ticket is. Blocks on file
    /// IO; cost: one pass over `__transaction_state`.
    ///
    /// # Errors  The log takes no appends.
    pub fn open(
        world: &World,
        config: &TransactionConfig,
        parts: Parts,
    ) -> Result<(Self, Ticket), ErrorCode> {
        let started_at = world.clock.instant();
        let stop = parts.stop;
        let store = Store::new(&parts.log, &parts.topics, config);
        let Replayed { transactions, records, unreadable } = store.replay();
        let it = Self::new(Shared::new(world, config, parts, store));
        let ids = transactions.len();
        let slots: Vec<_> =
            transactions.into_iter().map(|(id, them)| it.0.restore(id, them)).collect();
        let mut ticket = Ticket::NONE;
        for slot in &slots {
            ticket = ticket.and(it.0.recover(slot, stop)?);
        }
        ticket = ticket.and(it.0.end_strays(&slots)?);
        let took = world.clock.instant().since(started_at);
        tracing::info!(ids, records, unreadable, ?stop, ?took, "transactions restored");
        Ok((it, ticket))
    }
}

impl Shared {
    fn recover(&self, slot: &Slot, stop: Stop) -> Result<Ticket, ErrorCode> {
        let mut inner = slot.lock();
        let Some(it) = inner.current() else { return Ok(Ticket::NONE) };
        if it.markers().is_some() {
            return self.finish(slot, &mut inner).map(|it| it.1);
        }
        match it.recovered(stop, self.world.clock.now()) {
            Some(aborted) => self.decide(slot, &mut inner, aborted).map(|it| it.1),
            None => Ok(Ticket::NONE),
        }
    }

    fn end_strays(&self, slots: &[Arc<Slot>]) -> Result<Ticket, ErrorCode> {
        let open = self.log.open_transactions();
        if open.is_empty() {
            return Ok(Ticket::NONE);
        }
        let owners: HashMap<i64, &Arc<Slot>> =
            slots.iter().filter_map(|it| Some((it.lock().current()?.producer().id, it))).collect();
        let mut ticket = Ticket::NONE;
        for stray in open {
            let Some(place) = self.place_of(&stray) else { continue };
            if let Some(slot) = owners.get(&stray.producer_id) {
                let mut inner = slot.lock();
                let Some(it) = inner.current() else { continue };
                let is_open = it.state() == State::Ongoing;
                if is_open && it.places().contains(&place) {
                    continue;
                }
                // Its record was lost and the batch was not: it cannot be committed whole.
                let aborted = it.recovered(Stop::Unclean, self.world.clock.now());
                if let Some(aborted) = aborted.filter(|_| is_open) {
                    ticket = ticket.and(self.decide(slot, &mut inner, aborted)?.1);
                }
            }
            let code = const { systole_kit::Code::new(2021) };
            tracing::warn!(%code, partition = %stray.partition, producer_id = stray.producer_id,
                "an open transaction without a coordinator was aborted");
            ticket = ticket.and(self.end_stray(&stray, &place)?);
        }
        Ok(ticket)
    }

    fn end_stray(&self, stray: &OpenTransaction, place: &Place) -> Result<Ticket, ErrorCode> {
        let Some(partition) = self.log.partition(stray.partition) else { return Ok(Ticket::NONE) };
        let marker = Marker {
            producer_id: stray.producer_id,
            producer_epoch: stray.producer_epoch,
            outcome: Outcome::Abort,
            coordinator_epoch: STRAY_COORDINATOR_EPOCH,
            transaction_version: 0,
        };
        Ok(self.append_marker(&partition, place, marker)?.unwrap_or(Ticket::NONE))
    }

    fn place_of(&self, stray: &OpenTransaction) -> Option<Place> {
        let topic = self.topics.by_id(stray.partition.topic)?;
        Some(Place { topic: Arc::clone(&topic.name), partition: stray.partition.index })
    }
}
