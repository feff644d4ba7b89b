//! One share partition: its window, how far it is written, and who waits for it.
//!
//! Owns: the lock of a share partition and what lies under it, writing its changes. Does not own:
//! transitions (`systole_group::share_partition`), when they happen (`shares`).

use super::shares::Shared;
use crate::group::Durable;
use futures_util::FutureExt as _;
use futures_util::future;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use systole_group::record::batch;
use systole_group::share_partition::record::{self, Key, Snapshot};
use systole_group::share_partition::{Partition, Saved};
use systole_wire::ErrorCode;
use systole_world::Instant;
use tokio::sync::Notify;

/// Updates after which the next write says everything anew. Kafka:
/// `share.coordinator.snapshot.update.records.per.snapshot`.
const UPDATES_MAX: u32 = 500;
/// There is no other leader than this node.
const LEADER_EPOCH: i32 = 0;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// Of `__share_group_state`.
    pub(super) place: i32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// `None`: nobody has read yet.
    pub(super) window: Option<Partition>,
    /// Of the snapshot written last; 0 before the first.
    pub(super) epoch: i32,
    pub(super) state_epoch: i32,
    /// Where the snapshot written last lies; `None`: none is.
    pub(super) snapshot_at: Option<i64>,
    pub(super) updates: u32,
    pub(super) in_flight: Option<future::Shared<Durable>>,
    /// Somebody reads for it.
    pub(super) is_read: bool,
    pub(super) waiters: Vec<Weak<Notify>>,
    /// The earliest entry in the alarm's queue.
    pub(super) alarm_at: Option<Instant>,
    /// Removed: whoever still holds it must not use it.
    pub(super) is_dead: bool,
}

impl Slot {
    pub(super) fn new(key: Key, place: i32, inner: Inner) -> Self {
        Self { key, place, inner: Mutex::new(inner) }
    }
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// `wake` is notified the next time that there may be something to acquire.
    pub(super) fn watch(&mut self, wake: &Arc<Notify>) {
        self.waiters.retain(|it| it.upgrade().is_some_and(|it| !Arc::ptr_eq(&it, wake)));
        self.waiters.push(Arc::downgrade(wake));
    }
    pub(super) fn wake(&mut self) {
        for it in self.waiters.drain(..).filter_map(|it| it.upgrade()) {
            it.notify_one();
        }
    }
    /// Ready once everything that was appended is durable.
    pub(super) fn durable(&self) -> Durable {
        match &self.in_flight {
            Some(it) => Box::pin(it.clone()),
            None => Box::pin(ready(Ok(()))),
        }
    }
    pub(super) fn saved(&self) -> Saved {
        self.window.as_ref().map(Partition::saved).unwrap_or_default()
    }
}

impl Shared {
    /// Writes what changed. If that cannot be, the change is taken back.
    pub(super) fn write(&self, slot: &Slot, inner: &mut Inner) -> Result<(), ErrorCode> {
        let Some(window) = &mut inner.window else { return Ok(()) };
        let Some(update) = window.take_update() else { return Ok(()) };
        let written = if inner.snapshot_at.is_none() || inner.updates >= UPDATES_MAX {
            self.write_snapshot(slot, inner)
        } else {
            let epochs = (inner.epoch, LEADER_EPOCH);
            let pair = record::of_update(&slot.key, epochs, &update);
            self.append(slot, inner, pair).map(|_| inner.updates += 1)
        };
        if let Some(window) = &mut inner.window {
            match written {
                Ok(()) => window.appended(),
                Err(_) => window.undo(),
            }
        }
        written
    }

    /// Writes everything.
    pub(super) fn write_snapshot(&self, slot: &Slot, inner: &mut Inner) -> Result<(), ErrorCode> {
        let now = self.world.clock.now();
        let epoch = if inner.snapshot_at.is_some() { inner.epoch + 1 } else { inner.epoch };
        let snapshot = Snapshot {
            epoch,
            state_epoch: inner.state_epoch,
            leader_epoch: LEADER_EPOCH,
            created_at: now,
            written_at: now,
            saved: inner.saved(),
        };
        let pair = record::of_snapshot(&slot.key, Some(&snapshot));
        let offset = self.append(slot, inner, pair)?;
        (inner.epoch, inner.snapshot_at, inner.updates) = (epoch, Some(offset), 0);
        Ok(())
    }

    /// Writes that there is no state any more.
    pub(super) fn write_end(&self, slot: &Slot, inner: &mut Inner) -> Result<(), ErrorCode> {
        let pair = record::of_snapshot(&slot.key, None);
        self.append(slot, inner, pair).map(drop)
    }

    fn append(
        &self,
        slot: &Slot,
        inner: &mut Inner,
        pair: Result<systole_group::record::Pair, systole_wire::EncodeError>,
    ) -> Result<i64, ErrorCode> {
        let pair = pair.map_err(|_| ErrorCode::UnknownServerError)?;
        let batch = batch(&[pair], self.world.clock.now());
        let batch = batch.map_err(|_| ErrorCode::UnknownServerError)?;
        let appended = self.log.append(slot.place, batch)?;
        inner.in_flight = Some(appended.durable.shared());
        Ok(appended.last_offset)
    }
}
