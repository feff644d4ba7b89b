//! What o'clock it is, for whoever is told the time.

use systole_kit::{Instant, Timestamp};

/// Monotonic time for deadlines, calendar time for records.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub calendar: Timestamp,
}
