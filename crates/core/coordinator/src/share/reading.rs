//! One look into the log for a member of a share group.
//!
//! Owns: that only one reads for a share partition at a time, so that nobody reads what another is
//! about to get. Does not own: reading.

use super::shares::Shares;
use super::slot::Slot;
use std::sync::Arc;
use systole_group::share_partition::{Acquired, Ask, Fetched, Rules};

/// The right to read for a share partition, given back when dropped.
#[derive(Debug)]
pub struct Reading {
    pub(super) shares: Shares,
    pub(super) slot: Arc<Slot>,
    /// The offset to read from.
    pub from: i64,
}

impl Reading {
    /// Gives the member what it may have of what was read.
    pub fn acquire(&self, ask: &Ask, fetched: Fetched<'_>, rules: Rules) -> Vec<Acquired> {
        let mut inner = self.slot.lock();
        let now = self.shares.0.now();
        let Some(window) = inner.window.as_mut() else { return Vec::new() };
        let acquired = window.acquire(ask, fetched, rules, now);
        self.shares.0.arm(&self.slot, &mut inner);
        acquired
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut inner = self.slot.lock();
        inner.is_read = false;
        inner.wake();
    }
}
