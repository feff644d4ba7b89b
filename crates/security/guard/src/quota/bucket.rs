//! A bucket of tokens: for what comes in bursts, like topics (KIP-599).
//!
//! Owns: the tokens. Does not own: whose they are (`meter`).
//!
//! It fills at the quota's rate up to what all windows together allow, and may go below nothing:
//! who finds a token in it takes as many as needed, and then nobody takes any until it is level.
//!
//! # Source  Kafka `TokenBucket`, `ControllerMutationQuotaManager`

use super::rate::{Windows, rounded};
use std::time::Duration;
use systole_kit::Instant;

#[derive(Debug, Default)]
pub struct Bucket {
    tokens: f64,
    /// `None`: it is full.
    looked_at: Option<Instant>,
}

impl Bucket {
    /// How long it takes until the bucket is level; zero if it is.
    pub fn delay(&mut self, windows: Windows, bound: f64, now: Instant) -> Duration {
        let full = f64::from(windows.count) * windows.length.as_secs_f64() * bound;
        self.tokens = match self.looked_at.replace(now) {
            None => full,
            Some(then) => full.min(self.tokens + bound * now.since(then).as_secs_f64()),
        };
        if self.tokens < 0.0 { rounded(-self.tokens / bound * 1000.0) } else { Duration::ZERO }
    }
    /// Takes tokens, whether they are there or not. Look with [`Bucket::delay`] first.
    pub fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: Windows = Windows { count: 11, length: Duration::from_secs(1) };

    fn at(ms: u64) -> Instant {
        Instant::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_beyond_the_tokens_passes_once_and_is_paid_for_in_time() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.delay(KAFKAS, 2.0, at(0)), Duration::ZERO);
        bucket.take(30.0); // there were 22
        assert_eq!(bucket.delay(KAFKAS, 2.0, at(0)), Duration::from_secs(4));
        assert_eq!(bucket.delay(KAFKAS, 2.0, at(3999)), Duration::from_millis(1));
        assert_eq!(bucket.delay(KAFKAS, 2.0, at(4000)), Duration::ZERO);
    }

    #[test]
    fn a_rest_fills_it_no_higher_than_its_rim() {
        let mut bucket = Bucket::default();
        bucket.delay(KAFKAS, 1.0, at(0));
        bucket.take(1.0);
        assert_eq!(bucket.delay(KAFKAS, 1.0, at(3_600_000)), Duration::ZERO);
        bucket.take(12.0);
        assert_eq!(bucket.delay(KAFKAS, 1.0, at(3_600_000)), Duration::from_secs(1));
    }
}
