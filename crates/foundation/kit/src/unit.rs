//! Quantities that carry their unit.
//!
//! Owns: points in time and sizes. Does not own: reading the clock (`world`).

use std::fmt;
use std::time::Duration;

/// A point in calendar time: milliseconds since 1970-01-01T00:00:00Z, Kafka's unit for record time.
/// May be negative in records from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// `self - earlier`, zero if `earlier` is later (clocks may step back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A point on the monotonic clock: time since the clock was made. Never steps back; says nothing
/// about the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    pub const fn from_start(since_start: Duration) -> Self {
        Self(since_start)
    }
    pub const fn since_start(self) -> Duration {
        self.0
    }
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A number of bytes, printed with the unit people read (`64 KiB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }
    pub const fn kib(count: u64) -> Self {
        Self(count * 1024)
    }
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }
    pub const fn gib(count: u64) -> Self {
        Self(count * 1024 * 1024 * 1024)
    }
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let name = UNITS.get(unit).copied().unwrap_or("B");
        if unit == 0 || value.fract() == 0.0 {
            write!(f, "{value:.0} {name}")
        } else {
            write!(f, "{value:.1} {name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_say_them() {
        let shown: Vec<_> =
            [0, 512, 1024, 1536, 1 << 20, 5 << 30].map(|it| ByteSize::new(it).to_string()).into();
        assert_eq!(shown, ["0 B", "512 B", "1 KiB", "1.5 KiB", "1 MiB", "5 GiB"]);
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_negative_duration() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
