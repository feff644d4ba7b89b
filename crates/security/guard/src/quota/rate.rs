//! A rate over the last windows of time, as Kafka samples it.
//!
//! Owns: the windows and the arithmetic of delays. Does not own: whose rate it is (`meter`).
//!
//! Time is cut into windows of equal length, and the last so many of them count, one of which is
//! not over yet. A rate is what they hold, divided by the time that they span, and never by less
//! than all windows but one: so a burst after a rest may use what the rest left.
//!
//! # Source  Kafka `SampledStat`, `Rate`, `QuotaUtils`

use std::time::Duration;
use systole_kit::Instant;

/// How time is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The current one included. At least 1.
    pub count: u32,
    pub length: Duration,
}

impl Windows {
    fn length_ms(self) -> u64 {
        millis(self.length).max(1)
    }
    /// Seconds of all windows but the current one.
    pub fn full_seconds(self) -> f64 {
        f64::from(self.count.saturating_sub(1)) * self.length.as_secs_f64()
    }
}

fn millis(it: Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    begun_ms: u64,
    heard_ms: u64,
    sum: f64,
}

impl Sample {
    const fn at(now_ms: u64) -> Self {
        Self { begun_ms: now_ms, heard_ms: now_ms, sum: 0.0 }
    }
}

#[derive(Debug, Default)]
pub struct Rate {
    /// At most one more than there are windows: the oldest may overlap the time that counts.
    samples: Vec<Sample>,
    current: usize,
}

impl Rate {
    /// Counts `amount`; a negative one takes back what was counted before.
    pub fn add(&mut self, windows: Windows, amount: f64, now: Instant) {
        let now_ms = millis(now.since_start());
        match self.samples.get(self.current) {
            None => self.samples.push(Sample::at(now_ms)),
            Some(it) if now_ms.saturating_sub(it.begun_ms) >= windows.length_ms() => {
                self.current = (self.current + 1) % (windows.count as usize + 1);
                match self.samples.get_mut(self.current) {
                    Some(it) => *it = Sample::at(now_ms),
                    None => self.samples.push(Sample::at(now_ms)),
                }
            }
            Some(_) => {}
        }
        if let Some(it) = self.samples.get_mut(self.current) {
            it.sum += amount;
            it.heard_ms = now_ms;
        }
    }

    /// How long nothing more may be added until the rate is down to `bound`; zero if it is not
    /// above it.
    pub fn delay(&mut self, windows: Windows, bound: f64, now: Instant) -> Duration {
        let now_ms = millis(now.since_start());
        let counts_ms = u64::from(windows.count).saturating_mul(windows.length_ms());
        for it in &mut self.samples {
            if now_ms.saturating_sub(it.heard_ms) >= counts_ms {
                *it = Sample::at(now_ms);
            }
        }
        let Some(oldest_ms) = self.samples.iter().map(|it| it.begun_ms).min() else {
            return Duration::ZERO;
        };
        let span_ms = span_ms(windows, now_ms.saturating_sub(oldest_ms));
        let sum: f64 = self.samples.iter().map(|it| it.sum).sum();
        let rate = sum / (span_ms / 1000.0);
        if rate <= bound {
            return Duration::ZERO;
        }
        rounded((rate - bound) / bound * span_ms)
    }
}

/// What a sum is divided by.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few windows")]
fn span_ms(windows: Windows, elapsed_ms: u64) -> f64 {
    let full = elapsed_ms / windows.length_ms();
    let missing = u64::from(windows.count.saturating_sub(1)).saturating_sub(full);
    elapsed_ms.saturating_add(missing.saturating_mul(windows.length_ms())).max(1) as f64
}

/// Milliseconds, to the nearest.
pub(super) fn rounded(millis: f64) -> Duration {
    Duration::try_from_secs_f64((millis + 0.5).floor() / 1000.0).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: Windows = Windows { count: 11, length: Duration::from_secs(1) };

    fn at(ms: u64) -> Instant {
        Instant::from_start(Duration::from_millis(ms))
    }

    /// The figures of Kafka's `ClientQuotaManagerTest`: 500 B/s over ten windows and the half of
    /// one that is under way.
    #[test]
    fn a_burst_waits_until_its_average_is_the_quota() {
        let mut rate = Rate::default();
        for second in 0..10 {
            rate.add(KAFKAS, 400.0, at(second * 1000));
            assert_eq!(rate.delay(KAFKAS, 500.0, at(second * 1000)), Duration::ZERO);
        }
        rate.add(KAFKAS, 2300.0, at(10_500));
        assert_eq!(rate.delay(KAFKAS, 500.0, at(10_500)), Duration::from_millis(2100));
        rate.add(KAFKAS, 0.0, at(11_500));
        assert_eq!(rate.delay(KAFKAS, 500.0, at(11_500)), Duration::from_millis(1300));
    }

    #[test]
    fn a_first_burst_may_use_all_full_windows() {
        let mut rate = Rate::default();
        rate.add(KAFKAS, 5000.0, at(77));
        assert_eq!(rate.delay(KAFKAS, 500.0, at(77)), Duration::ZERO);
        rate.add(KAFKAS, 1.0, at(77));
        assert_eq!(rate.delay(KAFKAS, 500.0, at(77)), Duration::from_millis(2));
    }

    #[test]
    fn what_was_taken_back_was_never_there_and_what_is_old_is_forgotten() {
        let mut rate = Rate::default();
        rate.add(KAFKAS, 1e9, at(0));
        rate.add(KAFKAS, -1e9, at(1));
        assert_eq!(rate.delay(KAFKAS, 1.0, at(1)), Duration::ZERO);
        rate.add(KAFKAS, 1e9, at(2));
        assert!(rate.delay(KAFKAS, 1.0, at(10_999)) > Duration::ZERO);
        assert_eq!(rate.delay(KAFKAS, 1.0, at(11_002)), Duration::ZERO);
    }

    #[test]
    fn one_window_of_no_length_and_no_end_of_a_sum_do_no_harm() {
        let odd = Windows { count: 1, length: Duration::ZERO };
        let mut rate = Rate::default();
        for ms in 0..100 {
            rate.add(odd, f64::MAX, at(ms));
        }
        assert_eq!(rate.delay(odd, f64::MIN_POSITIVE, at(99)), Duration::MAX);
        assert!(rate.samples.len() <= 2);
    }
}
