//! How many connections there may be, and how many bytes of requests they may have under way.
//!
//! Owns: the counts. Does not own: what happens at a limit (`server` closes or pauses).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use systole_kit::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a connection was closed as soon as it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("all {0} connections are taken")]
    Total(usize),
    #[error("all {0} connections that one address may have are taken")]
    PerAddress(usize),
}

impl Full {
    pub(crate) const CODE: Code = Code::new(2004);
}

/// Connections, counted in total and by address.
#[derive(Debug)]
pub(crate) struct Seats {
    total_max: usize,
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_address_max, taken: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Seat, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.total_max {
            return Err(Full::Total(self.total_max));
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.per_address_max {
            return Err(Full::PerAddress(self.per_address_max));
        }
        *of_address += 1;
        taken.total += 1;
        Ok(Seat { seats: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// Bytes that all connections together may have in requests, from the announcement of a frame to
/// its answer. A frame's place is counted before its body is read, so that a frame once begun can
/// always be finished; the count reserves no memory.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

/// One request's share of the budget, given back when dropped.
pub(crate) type Share = OwnedSemaphorePermit;

impl Budget {
    pub(crate) fn new(bytes_max: u32) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes_max as usize)), bytes_max }
    }
    pub(crate) fn try_take(&self, bytes: u32) -> Option<Share> {
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes.min(self.bytes_max)).ok()
    }
    /// Waits its turn, first come first served.
    pub(crate) async fn take(self, bytes: u32) -> Option<Share> {
        self.bytes.acquire_many_owned(bytes.min(self.bytes_max)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_after_its_connection() {
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let seats = Seats::new(3, 2);
        let first = seats.take(one).unwrap();
        let _second = seats.take(one).unwrap();
        assert_eq!(seats.take(one).unwrap_err(), Full::PerAddress(2));
        let _third = seats.take(two).unwrap();
        assert_eq!(seats.take(two).unwrap_err(), Full::Total(3));
        drop(first);
        assert!(seats.take(two).is_ok());
    }

    #[test]
    fn a_frame_larger_than_the_budget_waits_for_all_of_it_instead_of_for_ever() {
        let budget = Budget::new(10);
        let small = budget.try_take(1).unwrap();
        assert!(budget.try_take(50).is_none());
        drop(small);
        assert!(budget.try_take(50).is_some());
    }
}
