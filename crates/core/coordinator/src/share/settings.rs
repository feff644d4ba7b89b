//! What is in force for one share group.

use super::ShareConfig;
use std::time::Duration;
use systole_group::share_partition::Rules;
use systole_log::Isolation;

/// Where a share partition begins that nobody has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    #[default]
    Latest,
    Earliest,
    /// With records that are at most so old.
    ByDuration(Duration),
}

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub rules: Rules,
    pub isolation: Isolation,
    pub reset: Reset,
}

impl Settings {
    /// Of a group without settings of its own.
    pub(super) fn of(config: &ShareConfig) -> Self {
        Self {
            rules: Rules {
                deliveries_max: config.delivery_count_limit,
                locks_max: config.partition_record_locks_max,
                lock: config.record_lock_duration,
                renews: true,
            },
            isolation: Isolation::Uncommitted,
            reset: Reset::Latest,
        }
    }
}
