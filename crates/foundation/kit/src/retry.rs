//! When to try again.
//!
//! Owns: the schedule. Does not own: waiting (`world::Clock`) or deciding what is retriable.

use std::time::Duration;

/// Exponential back-off with full jitter and a bounded number of attempts.
///
/// # Source  "Exponential Backoff And Jitter", AWS Architecture Blog: full jitter finishes the same
/// work with the fewest calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub max: Duration,
    /// Attempts in all, the first included.
    pub attempts_max: u32,
}

impl Backoff {
    /// How long to wait before attempt `attempt` (the first retry is attempt 2), or `None` when the
    /// attempts are used up. `random` is any number; equal numbers give equal waits.
    pub fn wait_before(&self, attempt: u32, random: u64) -> Option<Duration> {
        if attempt > self.attempts_max {
            return None;
        }
        let doublings = attempt.saturating_sub(2).min(31);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.max);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(random % nanos.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_stay_below_the_doubling_ceiling(attempt in 2_u32..100, random: u64) {
            let it = Backoff {
                first: Duration::from_millis(10),
                max: Duration::from_secs(1),
                attempts_max: 50,
            };
            match it.wait_before(attempt, random) {
                None => prop_assert!(attempt > 50),
                Some(wait) => {
                    let ceiling = Duration::from_millis(10) * (1 << (attempt - 2).min(20));
                    prop_assert!(wait <= ceiling.min(it.max));
                }
            }
        }
    }
}
