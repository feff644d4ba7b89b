//! `[broker.quotas]`: how rates of clients are measured.
//!
//! Owns: names, defaults and rules of the settings. Does not own: the quotas, which clients of the
//! admin API set (`catalogue`).

use serde::{Deserialize, Serialize};
use std::time::Duration;
use systole_guard::quota::meter::Cuts;
use systole_guard::quota::rate::Windows;
use systole_kit::Problems;

/// `[broker.quotas]`: over which time rates of clients are measured. The quotas themselves are set
/// with `kafka-configs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Windows that a rate is measured over, the current one included. Range: 2..=1000. Kafka:
    /// `quota.window.num`.
    pub window_count: u32,
    /// Length of one such window. Range: `1s`..=`1h`. Kafka: `quota.window.size.seconds`.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// The same for partitions made and deleted. Range: 1..=1000. Kafka:
    /// `controller.quota.window.num`.
    pub mutation_window_count: u32,
    /// The same for partitions made and deleted. Range: `1s`..=`1h`. Kafka:
    /// `controller.quota.window.size.seconds`.
    #[serde(with = "humantime_serde")]
    pub mutation_window: Duration,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            window_count: 11,
            window: second,
            mutation_window_count: 11,
            mutation_window: second,
        }
    }
}

impl QuotaConfig {
    pub(crate) fn cuts(&self) -> Cuts {
        Cuts {
            rates: Windows { count: self.window_count, length: self.window },
            mutations: Windows { count: self.mutation_window_count, length: self.mutation_window },
        }
    }

    /// Reports every broken rule.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        for (place, count, min) in [
            // A rate is never divided by less than all windows but one.
            ("window_count", self.window_count, 2),
            ("mutation_window_count", self.mutation_window_count, 1),
        ] {
            if !(min..=1000).contains(&count) {
                problems.add(place, "is out of range", format!("use {min}..=1000"));
            }
        }
        for (place, length) in [("window", self.window), ("mutation_window", self.mutation_window)]
        {
            if !(second..=hour).contains(&length) {
                problems.add(place, "is out of range", "use 1s..=1h");
            }
        }
    }
}
