//! Where the coordinator writes what it must not forget.
//!
//! Owns: the seam between the coordinator and the partitions of `__consumer_offsets`. Does not own:
//! the topic itself (`store`), the records in it (`systole_group::record`).

use bytes::Bytes;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use systole_group::consumer::Topics;
use systole_log::Ticket;
use systole_wire::ErrorCode;

/// Ready once everything appended so far is durable.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), ErrorCode>> + Send>>;

/// A batch that has its place in the log.
pub(crate) struct Appended {
    pub last_offset: i64,
    /// The same as `durable`, to be joined with others.
    pub ticket: Ticket,
    pub durable: Durable,
}

/// The partitions of `__consumer_offsets`. None of the calls waits for the disk.
pub(super) trait Journal: Debug + Send + Sync + 'static {
    /// Never changes while the topic exists: a group's partition follows from it.
    fn partition_count(&self) -> i32;
    /// Appends one batch. Batches of one partition lie in the order of the calls.
    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode>;
    /// The topics of the node.
    fn topics(&self) -> &dyn Topics;
    /// Every record before this offset is durable.
    fn durable_end(&self, partition: i32) -> i64;
}

/// The partition that keeps a group: Kafka's own choice, so that its tools look in the right place.
///
/// # Source  Kafka `Utils.abs(groupId.hashCode()) % partitions`; Java's `String.hashCode`
pub fn partition_of(group_id: &str, partition_count: i32) -> i32 {
    let hash = group_id
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs`: the one number without a positive counterpart becomes 0.
    hash.checked_abs().unwrap_or(0) % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Kafka's own `Utils.abs("…".hashCode()) % 50`.
    #[test]
    fn a_group_lies_where_kafka_would_put_it() {
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("orders", 50), 31);
        assert_eq!(partition_of("polygenelubricants", 50), 0, "hashes to the smallest integer");
        assert_eq!(partition_of("grüße", 50), 23);
    }
}
