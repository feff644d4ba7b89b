//! How many connections there may be, and how many bytes of requests they may have under way.
//!
//! Owns: the counts. Does not own: what happens at a limit (`server` closes or pauses).

use crate::config::BrokerConfig;
use std::collections::{BTreeMap, HashMap};
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
    /// Other numbers for single addresses.
    overrides: BTreeMap<IpAddr, usize>,
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
    pub(crate) fn new(total_max: usize, config: &BrokerConfig) -> Arc<Self> {
        let per_address_max = config.connections_per_address_max;
        let overrides = config.connections_per_address_overrides.iter();
        let overrides = overrides.map(|(it, max)| (it.to_canonical(), *max)).collect();
        Arc::new(Self { total_max, per_address_max, overrides, taken: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Seat, Full> {
        let address = address.to_canonical();
        let address_max = self.overrides.get(&address).copied().unwrap_or(self.per_address_max);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= self.total_max {
            return Err(Full::Total(self.total_max));
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= address_max {
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
            return Err(Full::PerAddress(address_max));
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

/// Frames up to this size are counted when they are here: until then one connection's part of one
/// is no more than this, and nobody else has to wait because its rest does not come.
const SMALL_FRAME_BYTES: u32 = 64 * 1024;
/// One in so many bytes of the budget is for small frames.
const SMALL_FRAMES_SHARE: u32 = 8;

/// Bytes that all connections together may have in requests until they are answered. A large
/// frame's place is counted from its announcement on, so that a frame once begun can always be
/// finished; the count reserves no memory. Small frames have a part of their own: an announcement
/// costs nothing, and must not keep heartbeats and lookups waiting.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    small: Part,
    large: Part,
}

#[derive(Debug, Clone)]
struct Part {
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

/// One request's share of the budget, given back when dropped.
pub(crate) type Share = OwnedSemaphorePermit;

impl Budget {
    pub(crate) fn new(bytes_max: u32) -> Self {
        let small = (bytes_max / SMALL_FRAMES_SHARE).max(1);
        Self { small: Part::new(small), large: Part::new(bytes_max.saturating_sub(small).max(1)) }
    }
    pub(crate) const fn is_small(frame_bytes: u32) -> bool {
        frame_bytes <= SMALL_FRAME_BYTES
    }
    const fn part_for(&self, frame_bytes: u32) -> &Part {
        if Self::is_small(frame_bytes) { &self.small } else { &self.large }
    }
    pub(crate) fn try_take(&self, bytes: u32) -> Option<Share> {
        let part = self.part_for(bytes);
        Arc::clone(&part.bytes).try_acquire_many_owned(bytes.min(part.bytes_max)).ok()
    }
    /// Waits its turn, first come first served among those of its kind.
    pub(crate) async fn take(self, bytes: u32) -> Option<Share> {
        let part = self.part_for(bytes).clone();
        part.bytes.acquire_many_owned(bytes.min(part.bytes_max)).await.ok()
    }
}

impl Part {
    fn new(bytes_max: u32) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes_max as usize)), bytes_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_after_its_connection() {
        let [one, two, none] = [1, 2, 3].map(|it| IpAddr::from([127, 0, 0, it]));
        let overrides = BTreeMap::from([(none, 0)]);
        let config = BrokerConfig {
            connections_per_address_max: 2,
            connections_per_address_overrides: overrides,
            ..BrokerConfig::default()
        };
        let seats = Seats::new(3, &config);
        let first = seats.take(one).unwrap();
        let _second = seats.take(one).unwrap();
        assert_eq!(seats.take(one).unwrap_err(), Full::PerAddress(2));
        assert_eq!(seats.take(none).unwrap_err(), Full::PerAddress(0));
        let _third = seats.take(two).unwrap();
        assert_eq!(seats.take(two).unwrap_err(), Full::Total(3));
        drop(first);
        assert!(seats.take(two).is_ok());
    }

    #[test]
    fn a_frame_larger_than_the_budget_waits_for_all_of_it_instead_of_for_ever() {
        let budget = Budget::new(3 * SMALL_FRAME_BYTES);
        let large = budget.try_take(SMALL_FRAME_BYTES + 1).unwrap();
        assert!(budget.try_take(50 * SMALL_FRAME_BYTES).is_none());
        assert!(budget.try_take(SMALL_FRAME_BYTES).is_some(), "small ones have their own part");
        drop(large);
        assert!(budget.try_take(50 * SMALL_FRAME_BYTES).is_some());
    }
}
