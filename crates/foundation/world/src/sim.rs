//! The world as a test wants it: a clock turned by hand and randomness from a seed.
//!
//! Owns: simulated time and randomness, and (in [`disk`]) the disk that fails on demand. Does not
//! own: scheduling of tasks.

pub mod disk;

pub use disk::SimDisk;

use crate::clock::{Clock, Instant, Sleep};
use crate::random::Random;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use systole_kit::Timestamp;
use tokio::sync::watch;

/// A clock that stands still until [`HandClock::turn`] moves it.
#[derive(Debug, Clone)]
pub struct HandClock {
    calendar_start: Timestamp,
    now: Arc<watch::Sender<Instant>>,
}

impl HandClock {
    pub fn starting_at(calendar_start: Timestamp) -> Self {
        Self { calendar_start, now: Arc::new(watch::Sender::new(Instant::default())) }
    }
    /// Moves both clocks forward and wakes every sleeper whose time has come.
    pub fn turn(&self, forward: Duration) {
        self.now.send_modify(|it| *it = it.plus(forward));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.calendar_start.plus(self.now.borrow().since_start())
    }
    fn instant(&self) -> Instant {
        *self.now.borrow()
    }
    fn sleep_until(&self, until: Instant) -> Sleep {
        let mut seen = self.now.subscribe();
        Box::pin(async move {
            // An error means that the clock is gone: nobody can turn it any more.
            if seen.wait_for(|now| *now >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Equal seeds give equal bytes. Not for secrets.
///
/// # Source  splitmix64; Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
    fn step(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.step().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
