//! A topic's settings as typed values, ready for use.
//!
//! Owns: the fields that something on this node obeys. Does not own: names, defaults and ranges
//! (`config`).

use crate::config::{self, Definition};
use std::collections::BTreeMap;
use std::time::Duration;
use systole_log::{Compaction, PartitionConfig};
use systole_wire::compression::{Codec, Compression};

/// Explicitly set values: by topic name for a topic, by broker name for the node.
pub type Overrides = BTreeMap<String, String>;

/// What a topic's records are held to. Built once per change, read on every request.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub cleanup_delete: bool,
    pub cleanup_compact: bool,
    /// How, if `cleanup_compact`.
    pub compaction: Compaction,
    /// What stored batches must be like; `None` keeps them as they came.
    pub compression: Option<Compression>,
    /// 1: records are acknowledged once they are on disk.
    pub flush_messages: u64,
    pub flush_age: Duration,
    pub message_bytes_max: usize,
    pub timestamp_after_max_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub log_append_time: bool,
    pub insync_replicas_min: i64,
    /// `None`: no limit.
    pub retention_bytes: Option<u64>,
    /// `None`: for ever.
    pub retention: Option<Duration>,
    pub segment_bytes: u64,
    pub segment_age: Duration,
}

/// The value in force for one setting of a topic: its own, else the node's, else the default.
pub fn in_force<'a>(
    definition: &Definition,
    topic: &'a Overrides,
    broker: &'a Overrides,
) -> &'a str {
    let own = topic.get(definition.name);
    own.or_else(|| broker.get(definition.broker_name)).map_or(definition.default, String::as_str)
}

impl Settings {
    /// Values that are no longer legal (a rule became stricter between two versions of this node)
    /// give way to the default.
    pub fn new(topic: &Overrides, broker: &Overrides) -> Self {
        let values = Values { topic, broker };
        let cleanup: Vec<_> = config::split_list(values.text("cleanup.policy")).collect();
        Self {
            cleanup_delete: cleanup.contains(&"delete"),
            cleanup_compact: cleanup.contains(&"compact"),
            compaction: Compaction {
                delete_retention: values.duration("delete.retention.ms").unwrap_or(Duration::MAX),
                lag_min: values.duration("min.compaction.lag.ms").unwrap_or(Duration::ZERO),
                lag_max: values.duration("max.compaction.lag.ms").unwrap_or(Duration::MAX),
                dirty_ppm_min: values.ppm("min.cleanable.dirty.ratio"),
            },
            compression: values.compression(),
            flush_messages: values.narrow("flush.messages"),
            flush_age: values.duration("flush.ms").unwrap_or(Duration::MAX),
            message_bytes_max: values.narrow("max.message.bytes"),
            timestamp_after_max_ms: values.number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: values.number("message.timestamp.before.max.ms"),
            log_append_time: values.text("message.timestamp.type") == "LogAppendTime",
            insync_replicas_min: values.number("min.insync.replicas"),
            retention_bytes: u64::try_from(values.number("retention.bytes")).ok(),
            retention: values.duration("retention.ms"),
            segment_bytes: values.narrow("segment.bytes"),
            segment_age: values.duration("segment.ms").unwrap_or(Duration::MAX),
        }
    }
}

/// What the log must know of it. A topic that is only compacted keeps every segment.
impl From<&Settings> for PartitionConfig {
    fn from(it: &Settings) -> Self {
        Self {
            segment_bytes: it.segment_bytes,
            segment_age: it.segment_age,
            retention_age: it.retention.filter(|_| it.cleanup_delete),
            retention_bytes: it.retention_bytes.filter(|_| it.cleanup_delete),
            flush_messages: it.flush_messages,
            flush_age: Some(it.flush_age).filter(|it| *it < Duration::MAX),
            log_append_time: it.log_append_time,
            compaction: it.cleanup_compact.then_some(it.compaction),
        }
    }
}

struct Values<'a> {
    topic: &'a Overrides,
    broker: &'a Overrides,
}

impl<'a> Values<'a> {
    #[expect(clippy::expect_used, reason = "every name above has a row: a test builds `Settings`")]
    fn text(&self, name: &str) -> &'a str {
        let definition = config::of_topic(name).expect("the setting has a row");
        let value = in_force(definition, self.topic, self.broker);
        if definition.check(value).is_ok() { value } else { definition.default }
    }
    fn number(&self, name: &str) -> i64 {
        self.text(name).trim().parse().unwrap_or(i64::MAX)
    }
    /// The ranges in `config` are within the types that are asked for here.
    fn narrow<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        T::try_from(self.number(name)).unwrap_or_default()
    }
    /// A share between 0 and 1 in millionths.
    fn ppm(&self, name: &str) -> u32 {
        let share: f64 = self.text(name).trim().parse().unwrap_or(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
        let ppm = (share * 1_000_000.0) as u32;
        ppm
    }
    fn duration(&self, name: &str) -> Option<Duration> {
        u64::try_from(self.number(name)).ok().map(Duration::from_millis)
    }
    /// "producer" names no codec.
    fn compression(&self) -> Option<Compression> {
        let codec = Codec::from_name(self.text("compression.type"))?;
        let level = match codec {
            // -1 is the default of gzip, and a level of zstd.
            Codec::Gzip => Some(self.narrow("compression.gzip.level")).filter(|it| *it != -1),
            Codec::Zstd => Some(self.narrow("compression.zstd.level")),
            Codec::None | Codec::Snappy | Codec::Lz4 => None,
        };
        Some(Compression { codec, level })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_value_beats_the_nodes_which_beats_the_default() {
        let set = |name: &str, value: &str| Overrides::from([(name.to_owned(), value.to_owned())]);
        let (none, broker) = (Overrides::new(), set("log.retention.ms", "5"));
        let retention =
            |topic: &Overrides, broker: &Overrides| Settings::new(topic, broker).retention;
        assert_eq!(retention(&none, &none), Some(Duration::from_hours(7 * 24)));
        assert_eq!(retention(&none, &broker), Some(Duration::from_millis(5)));
        assert_eq!(retention(&set("retention.ms", "-1"), &broker), None);
        assert_eq!(retention(&set("retention.ms", "rubbish"), &none), retention(&none, &none));
    }
}
