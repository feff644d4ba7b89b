//! All transactional ids of the node: feeds them requests and writes down what they decide.
//!
//! Owns: the map of ids, their order, the limit of their memory. Does not own: decisions
//! (`systole-transaction`), the topic (`store`), markers (`finish`).
//! Reading order: [`Coordinator::initialize`] -> `Coordinator::enter` -> `Shared::write`.
//!
//! Each id has a lock of its own, held for a move, the append of its record and of the batches that
//! go with it, never while the disk works. The lock of the map is taken inside an id's lock or
//! alone; no id's lock is taken inside it.

use super::code;
use super::config::TransactionConfig;
use super::slot::{Inner, Slot, Sync};
use super::store::Store;
use super::writer::Writer;
use crate::group;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use systole_catalogue::Catalogue;
use systole_log::{Log, Ticket};
use systole_transaction::{
    End, Ended, Facts, Initialize, Initialized, Outcome, Producer, Refused, Transaction, record,
};
use systole_wire::ErrorCode;
use systole_world::World;

/// The transaction coordinator. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Coordinator(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) config: TransactionConfig,
    pub(super) log: Log,
    pub(super) topics: Arc<Catalogue>,
    pub(super) groups: group::Coordinator,
    pub(super) store: Store,
    slots: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    /// What all ids take in memory.
    bytes: AtomicUsize,
}

/// What to answer once `ticket` is done.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    pub answer: Result<Producer, ErrorCode>,
    pub ticket: Ticket,
}

/// Why nothing was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Ask again with a producer id that nobody had.
    FreshIdNeeded,
    Refused(ErrorCode),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::FreshIdNeeded => Self::FreshIdNeeded,
            other => Self::Refused(code(other)),
        }
    }
}

impl From<ErrorCode> for Halt {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code)
    }
}

impl Coordinator {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// InitProducerId. An open transaction of an older incarnation is aborted first, and the client
    /// told to come again.
    pub fn initialize(
        &self,
        id: &str,
        ask: Initialize,
        fresh_id: Option<i64>,
    ) -> Result<Begun, Halt> {
        let limit_ms = self.0.config.timeout_max.as_millis();
        if ask.timeout_ms <= 0 || u128::from(ask.timeout_ms.unsigned_abs()) > limit_ms {
            return Err(Halt::Refused(ErrorCode::InvalidTransactionTimeout));
        }
        let is_full = self.0.is_full();
        let may_create = fresh_id.is_some() && !is_full;
        let begun = self.enter(id, may_create, |slot, inner| {
            let facts = self.0.facts(inner, fresh_id);
            let next = match (inner.current(), fresh_id) {
                (Some(it), _) => it.initialize(ask, facts)?,
                (None, None) => return Err(Halt::FreshIdNeeded),
                (None, Some(fresh)) => {
                    Transaction::new(fresh, ask.timeout_ms, facts.now).initialize(ask, facts)?
                }
            };
            match next {
                Initialized::Ready(next) => {
                    let producer = next.producer();
                    let ticket = self.0.write(slot, inner, next, Sync::Now)?;
                    Ok(Begun { answer: Ok(producer), ticket })
                }
                Initialized::Fenced(next) => {
                    let (_, ticket) = self.0.decide(slot, inner, next)?;
                    Ok(Begun { answer: Err(ErrorCode::ConcurrentTransactions), ticket })
                }
            }
        });
        begun.unwrap_or(Err(if is_full {
            Halt::Refused(ErrorCode::PolicyViolation)
        } else {
            Halt::FreshIdNeeded
        }))
    }

    /// EndTxn.
    pub fn end(&self, id: &str, ask: End, fresh_id: Option<i64>) -> Result<Begun, Halt> {
        let ended = self.enter(id, false, |slot, inner| {
            let it = inner.current().ok_or(Refused::InvalidProducerIdMapping)?;
            let ended = it.end(ask, self.0.facts(inner, fresh_id))?;
            let next = match ended {
                Ended::Already(producer) => {
                    return Ok(Begun { answer: Ok(producer), ticket: Ticket::NONE });
                }
                Ended::Begun(next) => next,
            };
            let is_lost = matches!(self.0.log.outcome(inner.written), Some(Err(_)));
            if is_lost && ask.outcome == Outcome::Commit {
                return Err(Halt::Refused(ErrorCode::TransactionAbortable));
            }
            let (producer, ticket) = self.0.decide(slot, inner, next)?;
            Ok(Begun { answer: Ok(producer), ticket })
        });
        ended.unwrap_or(Err(Halt::Refused(ErrorCode::InvalidProducerIdMapping)))
    }

    /// Lets `turn` write under a transactional id, or ask what may be written.
    ///
    /// # Errors  INVALID_PRODUCER_ID_MAPPING: nobody initialized it.
    pub fn write<R>(
        &self,
        id: &str,
        turn: impl FnOnce(&mut Writer<'_>) -> R,
    ) -> Result<R, ErrorCode> {
        let turn = |slot: &Arc<Slot>, inner: &mut Inner| {
            turn(&mut Writer { shared: &self.0, slot, inner })
        };
        self.enter(id, false, turn).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    /// Runs `turn` on an id under its lock; `None` if there is none and none may be made.
    pub(super) fn enter<R>(
        &self,
        id: &str,
        may_create: bool,
        turn: impl FnOnce(&Arc<Slot>, &mut Inner) -> R,
    ) -> Option<R> {
        loop {
            let slot = self.0.slot(id, may_create)?;
            let mut inner = slot.lock();
            // One that expired between the look-up and the lock is looked up anew.
            if inner.is_gone {
                continue;
            }
            inner.settle(&self.0.log);
            let result = turn(&slot, &mut inner);
            self.0.weigh(&slot, &mut inner);
            return Some(result);
        }
    }
}

impl Shared {
    pub(super) fn new(
        world: &World,
        config: &TransactionConfig,
        parts: super::Parts,
        store: Store,
    ) -> Self {
        Self {
            world: world.clone(),
            config: config.clone(),
            log: parts.log,
            topics: parts.topics,
            groups: parts.groups,
            store,
            slots: Mutex::default(),
            bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn facts(&self, inner: &Inner, fresh_id: Option<i64>) -> Facts {
        Facts { now: self.world.clock.now(), fresh_id, pending: inner.is_pending() }
    }

    /// All memory is taken: nothing new gets in.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) as u64 >= self.config.memory_bytes_max
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.slots().values().cloned().collect()
    }

    fn slot(&self, id: &str, may_create: bool) -> Option<Arc<Slot>> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(id) {
            return Some(Arc::clone(slot));
        }
        may_create.then(|| {
            let slot = Arc::new(self.new_slot(id.into(), None));
            slots.insert(Arc::clone(&slot.id), Arc::clone(&slot));
            slot
        })
    }

    fn new_slot(&self, id: Arc<str>, settled: Option<Transaction>) -> Slot {
        let partition = group::partition_of(&id, self.store.partition_count());
        Slot::new(id, partition, settled)
    }

    /// Takes in what was read back from the log, before anyone asks.
    pub(super) fn restore(&self, id: Arc<str>, transaction: Transaction) -> Arc<Slot> {
        let slot = Arc::new(self.new_slot(id, Some(transaction)));
        self.weigh(&slot, &mut slot.lock());
        self.slots().insert(Arc::clone(&slot.id), Arc::clone(&slot));
        slot
    }

    /// Writes `next` down; from here on it holds.
    pub(super) fn write(
        &self,
        slot: &Slot,
        inner: &mut Inner,
        next: Transaction,
        sync: Sync,
    ) -> Result<Ticket, ErrorCode> {
        let pair = record::of(&slot.id, Some(&next));
        let pair = pair.map_err(|_| ErrorCode::UnknownServerError)?;
        let ticket = self.store.append(slot.partition, &pair, self.world.clock.now(), sync)?;
        inner.moved(ticket, next, sync);
        Ok(ticket)
    }

    /// The end of an id that nobody uses.
    pub(super) fn remove(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        inner.is_gone = true;
        let mut slots = self.slots();
        if slots.get(&slot.id).is_some_and(|it| Arc::ptr_eq(it, slot)) {
            slots.remove(&slot.id);
        }
        drop(slots);
        self.bytes.fetch_sub(inner.counted_bytes, Relaxed);
        inner.counted_bytes = 0;
    }

    /// Brings the count of bytes up to date. An id of which nothing was written must not stay.
    pub(super) fn weigh(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if inner.is_gone {
            return;
        }
        if inner.current().is_none() {
            return self.remove(slot, inner);
        }
        let bytes = inner.bytes(&slot.id);
        self.bytes.fetch_add(bytes, Relaxed);
        self.bytes.fetch_sub(inner.counted_bytes, Relaxed);
        inner.counted_bytes = bytes;
    }
}
