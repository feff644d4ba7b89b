//! `[broker.share_groups]`: the settings of share groups, as far as a group has none of its own.
//!
//! Owns: names, defaults and rules. Kafka's name of each setting is given with it.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use systole_kit::Problems;

/// `[broker.share_groups]`: share groups (KIP-932) and what becomes of the records they read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShareConfig {
    /// How long a record that a member acquired is its own. Range: 1s..=1h. Kafka:
    /// `group.share.record.lock.duration.ms`.
    #[serde(with = "humantime_serde")]
    pub record_lock_duration: Duration,
    /// How often a record is delivered before it is given up. Range: 2..=10. Kafka:
    /// `group.share.delivery.count.limit`.
    pub delivery_count_limit: i16,
    /// Records of one partition that may be in flight, from the first that is not decided on.
    /// Range: 100..=10000. Kafka: `group.share.partition.max.record.locks`.
    pub partition_record_locks_max: i64,
    /// Members that may read at once, in all groups. At least 1. Kafka:
    /// `group.share.max.share.sessions`.
    pub sessions_max: usize,
    /// Partitions of `__share_group_state` when it is created; later changes have no effect. Range:
    /// 1..=10000. Kafka: `share.coordinator.state.topic.num.partitions`.
    pub state_topic_partitions: i32,
    /// How often records of `__share_group_state` are dropped that say nothing any more. At least
    /// 1s. Kafka: `share.coordinator.state.topic.prune.interval.ms`.
    #[serde(with = "humantime_serde")]
    pub state_prune_interval: Duration,
}

impl Default for ShareConfig {
    fn default() -> Self {
        Self {
            record_lock_duration: Duration::from_secs(30),
            delivery_count_limit: 5,
            partition_record_locks_max: 2_000,
            sessions_max: 2_000,
            state_topic_partitions: 50,
            state_prune_interval: Duration::from_mins(5),
        }
    }
}

impl ShareConfig {
    /// Reports every broken rule; `problems` is told about keys below `share_groups.`.
    pub fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, cure: &str| {
            if !holds {
                problems.add(place, "is out of range", cure);
            }
        };
        let locks = Duration::from_secs(1)..=Duration::from_hours(1);
        let lock = locks.contains(&self.record_lock_duration);
        rule(lock, "share_groups.record_lock_duration", "use 1s..=1h");
        let limit = (2..=10).contains(&self.delivery_count_limit);
        rule(limit, "share_groups.delivery_count_limit", "use 2..=10");
        let locks = (100..=10_000).contains(&self.partition_record_locks_max);
        rule(locks, "share_groups.partition_record_locks_max", "use 100..=10000");
        rule(self.sessions_max >= 1, "share_groups.sessions_max", "use at least 1");
        let partitions = (1..=10_000).contains(&self.state_topic_partitions);
        rule(partitions, "share_groups.state_topic_partitions", "use 1..=10000");
        let interval = self.state_prune_interval >= Duration::from_secs(1);
        rule(interval, "share_groups.state_prune_interval", "use at least 1s");
    }
}
