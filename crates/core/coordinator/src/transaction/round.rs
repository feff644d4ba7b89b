//! What the coordinator does without being asked.
//!
//! Owns: when. Does not own: the rules (`systole-transaction`).

use super::coordinator::{Coordinator, Shared};
use super::slot::{Inner, Slot, Sync};
use std::sync::Arc;
use systole_transaction::record;
use systole_world::ClockExt as _;
use tokio_util::sync::CancellationToken;

impl Coordinator {
    /// Aborts what is open for too long, completes what could not be, forgets unused ids, until
    /// `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        let interval = self.0.config.timeout_check_interval;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.0.world.clock.sleep(interval) => self.look_after(),
            }
        }
    }

    pub(super) fn look_after(&self) {
        for slot in self.0.all() {
            let mut inner = slot.lock();
            if !inner.is_gone {
                inner.settle(&self.0.log);
                self.0.look_at(&slot, &mut inner);
                self.0.weigh(&slot, &mut inner);
            }
        }
    }
}

impl Shared {
    fn look_at(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if inner.is_pending() {
            return;
        }
        let Some(it) = inner.current() else { return };
        let now = self.world.clock.now();
        let done = if it.markers().is_some() {
            self.finish(slot, inner).map(|_| ())
        } else if let Some(aborted) = it.timed_out(now) {
            tracing::info!(producer_id = it.producer().id, "a transaction timed out; aborted");
            self.decide(slot, inner, aborted).map(|_| ())
        } else if it.is_expired(self.config.id_expiration, now) {
            self.forget(slot, inner)
        } else {
            return;
        };
        if let Err(code) = done {
            // The next round finds it again.
            tracing::warn!(code = code.name(), "a transaction could not be looked after");
        }
    }

    fn forget(&self, slot: &Arc<Slot>, inner: &mut Inner) -> Result<(), systole_wire::ErrorCode> {
        let tombstone = record::of(&slot.id, None);
        let tombstone = tombstone.map_err(|_| systole_wire::ErrorCode::UnknownServerError)?;
        let now = self.world.clock.now();
        self.store.append(slot.partition, &tombstone, now, Sync::Later)?;
        self.remove(slot, inner);
        Ok(())
    }
}
