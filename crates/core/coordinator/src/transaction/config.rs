//! `[broker.transactions]`: the settings of transactions.
//!
//! Owns: names, defaults and rules. Does not own: what obeys them. Kafka's name of each setting is
//! given with it.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use systole_kit::{ByteSize, Problems};

/// `[broker.transactions]`: transactional producers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransactionConfig {
    /// Longest time that a producer may keep a transaction open. At least `1s`. Kafka:
    /// `transaction.max.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub timeout_max: Duration,
    /// How often transactions that are open for too long are looked for. At least `10ms`. Kafka:
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`, there 10 s.
    #[serde(with = "humantime_serde")]
    pub timeout_check_interval: Duration,
    /// How long an unused transactional id is remembered. At least `1s`. Kafka:
    /// `transactional.id.expiration.ms`.
    #[serde(with = "humantime_serde")]
    pub id_expiration: Duration,
    /// Memory for all transactional ids and their open transactions, in bytes; at the limit new ids
    /// and new partitions are refused. At least 1 MiB.
    pub memory_bytes_max: u64,
    /// Partitions of one transaction. Range: 1..=100000.
    pub partitions_max: usize,
    /// Partitions of `__transaction_state` when it is created; later changes have no effect. Range:
    /// 1..=10000. Kafka: `transaction.state.log.num.partitions`.
    pub state_topic_partitions: i32,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            timeout_max: Duration::from_mins(15),
            timeout_check_interval: Duration::from_secs(1),
            id_expiration: Duration::from_hours(7 * 24),
            memory_bytes_max: ByteSize::mib(256).bytes(),
            partitions_max: 10_000,
            state_topic_partitions: 50,
        }
    }
}

impl TransactionConfig {
    /// Reports every broken rule; `problems` is told about keys below `transactions.`.
    pub fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, wrong: &str, cure: &str| {
            if !holds {
                problems.add(place, wrong, cure);
            }
        };
        let second = Duration::from_secs(1);
        for (place, value) in [
            ("transactions.timeout_max", self.timeout_max),
            ("transactions.id_expiration", self.id_expiration),
        ] {
            rule(value >= second, place, "is below a second", "use at least 1s");
        }
        let often = self.timeout_check_interval >= Duration::from_millis(10);
        let place = "transactions.timeout_check_interval";
        rule(often, place, "is below 10 ms", "use at least 10ms");
        let memory = self.memory_bytes_max >= ByteSize::mib(1).bytes();
        rule(memory, "transactions.memory_bytes_max", "is below 1 MiB", "use at least 1048576");
        let partitions = (1..=100_000).contains(&self.partitions_max);
        rule(partitions, "transactions.partitions_max", "is out of range", "use 1..=100000");
        let partitions = (1..=10_000).contains(&self.state_topic_partitions);
        let place = "transactions.state_topic_partitions";
        rule(partitions, place, "is out of range", "use 1..=10000");
    }
}
