//! How much memory answers to Fetch may take, on all connections together.
//!
//! Owns: the budget. Bytes that were read count until the socket has taken them, so that clients
//! who ask for much and read slowly cannot fill the memory.
//! Does not own: limits of one answer (`api::fetch`).

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget, in bytes.
const BYTES_MAX: u32 = 256 * 1024 * 1024;
/// When the budget is short, a reader gets so much rather than wait for all it wants, in bytes.
const BYTES_FLOOR: u32 = 1024 * 1024;
/// What one permit stands for, in bytes.
const UNIT_BYTES: u32 = 1024;

#[derive(Debug)]
pub(crate) struct FetchBudget {
    permits: Arc<Semaphore>,
}

impl Default for FetchBudget {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new((BYTES_MAX / UNIT_BYTES) as usize)) }
    }
}

/// A part of the budget.
#[derive(Debug)]
pub(crate) struct Grant(Option<OwnedSemaphorePermit>);

impl FetchBudget {
    /// As much of `bytes` as there is, but a useful part at least, for which it waits.
    pub(crate) async fn take(&self, bytes: usize) -> Grant {
        let all = units(bytes);
        let floor = all.min(BYTES_FLOOR / UNIT_BYTES);
        let permits = || Arc::clone(&self.permits);
        let taken = permits().try_acquire_many_owned(all).ok();
        let taken = taken.or_else(|| permits().try_acquire_many_owned(floor).ok());
        match taken {
            Some(taken) => Grant(Some(taken)),
            // The semaphore is never closed.
            None => Grant(permits().acquire_many_owned(floor).await.ok()),
        }
    }
}

fn units(bytes: usize) -> u32 {
    let units = bytes.div_ceil(UNIT_BYTES as usize);
    u32::try_from(units).unwrap_or(u32::MAX).min(BYTES_MAX / UNIT_BYTES)
}

impl Grant {
    /// No part of it.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |it| it.num_permits() * UNIT_BYTES as usize)
    }
    /// Gives back what goes beyond `bytes`. The rest can be tied to what was read.
    pub(crate) fn shrink(mut self, bytes: usize) -> Arc<Self> {
        let kept = units(bytes) as usize;
        if let Some(permit) = &mut self.0 {
            let surplus = permit.num_permits().saturating_sub(kept);
            drop(permit.split(surplus));
        }
        Arc::new(self)
    }
    /// `bytes`, which hold this grant as long as they live.
    pub(crate) fn tie(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        Bytes::from_owner(Tied { bytes, _grant: Arc::clone(self) })
    }
}

struct Tied {
    bytes: Bytes,
    _grant: Arc<Grant>,
}

impl AsRef<[u8]> for Tied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn bytes_count_until_the_last_slice_of_them_is_gone() {
        let budget = FetchBudget::default();
        let free = || budget.permits.available_permits();
        let all = free();
        let grant = budget.take(10 * 1024).now_or_never().unwrap();
        assert_eq!((grant.bytes(), free()), (10 * 1024, all - 10));
        let grant = grant.shrink(3000);
        assert_eq!(free(), all - 3);
        let slice = grant.tie(Bytes::from(vec![7; 3000])).slice(5..6);
        drop(grant);
        assert_eq!((free(), &slice[..]), (all - 3, &[7][..]));
        drop(slice);
        assert_eq!(free(), all);
    }

    #[test]
    fn when_it_is_short_a_reader_gets_the_floor_and_then_waits() {
        let budget = FetchBudget::default();
        let rest = budget.take((BYTES_MAX - BYTES_FLOOR - 1) as usize).now_or_never().unwrap();
        let floor = budget.take(50 << 20).now_or_never().unwrap();
        assert_eq!(floor.bytes(), BYTES_FLOOR as usize);
        let mut waiting = Box::pin(budget.take(50 << 20));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(rest);
        assert_eq!(waiting.now_or_never().unwrap().bytes(), BYTES_FLOOR as usize);
    }
}
