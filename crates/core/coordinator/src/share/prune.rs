//! Dropping what `__share_group_state` says no more.
//!
//! A share partition's records before its last snapshot say nothing; those of a topic's partition
//! before the earliest of these snapshots are dropped. A share partition that has not changed for
//! long would hold the others up, so its snapshot is written anew.
//!
//! # Source  Kafka's `ShareCoordinatorOffsetsManager` and its snapshots of cold partitions

use super::shares::Shares;
use super::slot::Slot;
use std::collections::HashMap;
use std::sync::Arc;

/// Records behind a snapshot, of other share partitions too, above which it is written anew.
const RECORDS_BEHIND_MAX: i64 = 1_000;

impl Shares {
    /// One round over all share partitions.
    pub(super) fn prune(&self) {
        let mut by_place: HashMap<i32, Vec<Arc<Slot>>> = HashMap::new();
        for slot in self.0.all() {
            by_place.entry(slot.place).or_default().push(slot);
        }
        for place in 0..self.0.log.partition_count() {
            let slots = by_place.remove(&place).unwrap_or_default();
            self.prune_place(place, &slots);
        }
    }

    fn prune_place(&self, place: i32, slots: &[Arc<Slot>]) {
        // Before the slots are looked at: what comes meanwhile lies behind.
        let end = self.0.log.end(place);
        let mut needed = end;
        for slot in slots {
            let mut inner = slot.lock();
            let Some(at) = inner.snapshot_at.filter(|_| !inner.is_dead) else { continue };
            let is_cold = end - at > RECORDS_BEHIND_MAX;
            // This round keeps the old one, which may be all that is durable.
            needed = needed.min(at);
            if is_cold && let Err(code) = self.0.write_snapshot(slot, &mut inner) {
                tracing::warn!(code = code.name(), "a share partition could not be written anew");
            }
        }
        if needed > 0 {
            self.0.log.delete_before(place, needed);
        }
    }
}
