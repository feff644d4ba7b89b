//! The settings of a topic, under Kafka's names.
//!
//! Owns: name, default, type, range and meaning of each, and whether a text is a legal value. Does
//! not own: who set what (the catalogue), what a setting does (`setting` hands it to the log and to
//! the APIs).
//!
//! To add one: a row in [`DEFINITIONS`], in the order of names, and a field in [`crate::Settings`]
//! if something obeys it. A row without effect on this node says so in its sentence.

/// Type of a setting, with its number in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// Which values of its type a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Range {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// Between the two, or -1.
    BetweenOrMinusOne(i64, i64),
    /// 0 to 1.
    Ratio,
    OneOf(&'static [&'static str]),
    EachOf(&'static [&'static str]),
}

/// One setting of a topic.
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    pub range: Range,
    /// The node's setting that gives the default for all topics; it can be changed while the node
    /// runs. Empty: there is none.
    pub broker_name: &'static str,
    pub doc: &'static str,
}

use Kind::{Boolean, Double, Int, List, Long};
use Range::{Any, AtLeast, Between, BetweenOrMinusOne, EachOf, OneOf, Ratio};

const MAX: &str = "9223372036854775807";
const YES_NO: Range = OneOf(&["true", "false"]);
const CODECS: Range = OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);

/// A row per setting: name, default, type, range, the node's name for its default, meaning.
macro_rules! settings {
    ($(
        $name:literal, $default:expr, $kind:expr, $range:expr, $broker_name:literal, $doc:literal;
    )*) => {
        &[$(Definition {
            name: $name,
            default: $default,
            kind: $kind,
            range: $range,
            broker_name: $broker_name,
            doc: $doc,
        },)*]
    };
}

/// Every setting, in the order of names. Defaults are Apache Kafka 4.3's, except `flush.messages`:
/// this node acknowledges what is on disk.
#[rustfmt::skip]
pub static DEFINITIONS: &[Definition] = settings! {
    "cleanup.policy", "delete", List, EachOf(&["delete", "compact"]), "log.cleanup.policy",
        "delete removes old segments, compact keeps the last record of each key; empty keeps all.";
    "compression.gzip.level", "-1", Int, BetweenOrMinusOne(1, 9), "compression.gzip.level",
        "Level used when the node compresses with gzip; -1 is the codec's default.";
    "compression.lz4.level", "9", Int, Between(1, 17), "compression.lz4.level",
        "Kept for tools; lz4 has one level here.";
    "compression.type", "producer", Kind::String, CODECS, "compression.type",
        "Codec of stored batches; producer keeps them as they came.";
    "compression.zstd.level", "3", Int, Between(-131_072, 22), "compression.zstd.level",
        "Level used when the node compresses with zstd.";
    "delete.retention.ms", "86400000", Long, AtLeast(0), "log.cleaner.delete.retention.ms",
        "How long a tombstone stays in a compacted topic.";
    "file.delete.delay.ms", "60000", Long, AtLeast(0), "log.segment.delete.delay.ms",
        "Kept for tools; a deleted segment's file goes as soon as nobody reads it.";
    "flush.messages", "1", Long, AtLeast(1), "log.flush.interval.messages",
        "1 acknowledges records once they are on disk; more acknowledges them earlier.";
    "flush.ms", MAX, Long, AtLeast(0), "log.flush.interval.ms",
        "Longest wait of acknowledged records for the disk when flush.messages is above 1.";
    "follower.replication.throttled.replicas", "", List, Any, "",
        "Kept for tools; one node has no followers.";
    "index.interval.bytes", "4096", Int, AtLeast(0), "log.index.interval.bytes",
        "Kept for tools; the log has its own spacing of index entries.";
    "leader.replication.throttled.replicas", "", List, Any, "",
        "Kept for tools; one node has no followers.";
    "local.retention.bytes", "-2", Long, AtLeast(-2), "log.local.retention.bytes",
        "Kept for tools; there is no remote storage.";
    "local.retention.ms", "-2", Long, AtLeast(-2), "log.local.retention.ms",
        "Kept for tools; there is no remote storage.";
    "max.compaction.lag.ms", MAX, Long, AtLeast(1), "log.cleaner.max.compaction.lag.ms",
        "Longest time that a record may stay uncompacted.";
    "max.message.bytes", "1048588", Int, AtLeast(0), "message.max.bytes",
        "Largest batch of records, after compression.";
    "message.timestamp.after.max.ms", "3600000", Long, AtLeast(0),
        "log.message.timestamp.after.max.ms",
        "How far a record's time may lie ahead of the node's clock.";
    "message.timestamp.before.max.ms", MAX, Long, AtLeast(0), "log.message.timestamp.before.max.ms",
        "How far a record's time may lie behind the node's clock.";
    "message.timestamp.type", "CreateTime", Kind::String, OneOf(&["CreateTime", "LogAppendTime"]),
        "log.message.timestamp.type",
        "Whether records keep the time their producer gave or get that of their arrival.";
    "min.cleanable.dirty.ratio", "0.5", Double, Ratio, "log.cleaner.min.cleanable.ratio",
        "Share of uncompacted bytes from which a compaction pays.";
    "min.compaction.lag.ms", "0", Long, AtLeast(0), "log.cleaner.min.compaction.lag.ms",
        "Shortest time that a record stays uncompacted.";
    "min.insync.replicas", "1", Int, AtLeast(1), "min.insync.replicas",
        "Replicas that must have a record before acks=all answers; above 1, one node never can.";
    "preallocate", "false", Boolean, YES_NO, "log.preallocate",
        "Kept for tools; segment files grow as they are written.";
    "remote.log.copy.disable", "false", Boolean, YES_NO, "",
        "Kept for tools; there is no remote storage.";
    "remote.log.delete.on.disable", "false", Boolean, YES_NO, "",
        "Kept for tools; there is no remote storage.";
    "remote.storage.enable", "false", Boolean, OneOf(&["false"]), "",
        "Kept for tools; there is no remote storage.";
    "retention.bytes", "-1", Long, AtLeast(-1), "log.retention.bytes",
        "Bytes that a partition keeps before its oldest segments go; -1 is no limit.";
    "retention.ms", "604800000", Long, AtLeast(-1), "log.retention.ms",
        "Time that a partition keeps records before their segments go; -1 is for ever.";
    "segment.bytes", "1073741824", Int, AtLeast(1_048_576), "log.segment.bytes",
        "Size at which a partition begins a new segment.";
    "segment.index.bytes", "10485760", Int, AtLeast(4), "log.index.size.max.bytes",
        "Kept for tools; an index is as large as its segment needs.";
    "segment.jitter.ms", "0", Long, AtLeast(0), "log.roll.jitter.ms",
        "Kept for tools; segments of one log share its write-ahead log and do not roll in step.";
    "segment.ms", "604800000", Long, AtLeast(1), "log.roll.ms",
        "Time after which a partition begins a new segment.";
    "unclean.leader.election.enable", "false", Boolean, YES_NO, "unclean.leader.election.enable",
        "Kept for tools; one node has one leader.";
};

/// A text that is no legal value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    #[error("Null value not supported for topic configs: {0}")]
    Null(String),
    #[error("Invalid value {value} for configuration {name}: {wrong}")]
    Illegal { name: &'static str, value: String, wrong: String },
}

/// The definition of a topic's setting.
pub fn of_topic(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|it| it.name == name)
}

/// The definition behind a setting of the node that gives topics their default.
pub fn of_broker(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|it| !it.broker_name.is_empty() && it.broker_name == name)
}

impl Definition {
    /// Checks that `value` is of the type and in the range.
    pub fn check(&self, value: &str) -> Result<(), ConfigError> {
        let wrong = match (self.kind, self.range) {
            (Boolean, OneOf(choices)) => {
                let value = value.trim().to_ascii_lowercase();
                let legal = choices.contains(&&*value);
                (!legal).then(|| format!("must be one of {}", choices.join(", ")))
            }
            (_, OneOf(choices)) if !choices.contains(&value) => {
                Some(format!("must be one of {}", choices.join(", ")))
            }
            (_, EachOf(choices)) => split_list(value)
                .find(|it| !choices.contains(it))
                .map(|_| format!("each must be one of {}", choices.join(", "))),
            (Int, range) => check_number(value, i64::from(i32::MAX), "INT", range),
            (Long, range) => check_number(value, i64::MAX, "LONG", range),
            (Double, _) => match value.trim().parse::<f64>() {
                Ok(it) if (0.0..=1.0).contains(&it) => None,
                Ok(_) => Some("must be between 0 and 1".to_owned()),
                Err(_) => Some("Not a number of type DOUBLE".to_owned()),
            },
            _ => None,
        };
        let illegal = |wrong| {
            let value = value.chars().take(SHOWN_CHARS_MAX).collect();
            Err(ConfigError::Illegal { name: self.name, value, wrong })
        };
        wrong.map_or(Ok(()), illegal)
    }
}

/// An illegal value is shown up to this length.
const SHOWN_CHARS_MAX: usize = 100;

fn check_number(value: &str, max: i64, kind: &str, range: Range) -> Option<String> {
    let (low, high) = match range {
        AtLeast(low) => (low, max),
        BetweenOrMinusOne(_, high) if value.trim() == "-1" => (-1, high),
        Between(low, high) | BetweenOrMinusOne(low, high) => (low, high),
        _ => (i64::MIN, max),
    };
    match value.trim().parse::<i64>() {
        Ok(it) if it > max => Some(format!("Not a number of type {kind}")),
        Ok(it) if it < low => Some(format!("Value must be at least {low}")),
        Ok(it) if it > high => Some(format!("Value must be no more than {high}")),
        Ok(_) => None,
        Err(_) => Some(format!("Not a number of type {kind}")),
    }
}

/// The parts of a comma-separated list.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_default_is_a_legal_value_and_names_are_in_order() {
        for it in DEFINITIONS {
            assert_eq!(it.check(it.default), Ok(()), "{}", it.name);
        }
        assert!(DEFINITIONS.is_sorted_by_key(|it| it.name));
    }

    #[test]
    fn values_outside_type_or_range_are_refused_with_the_reason() {
        let judge = |(name, value): (&str, &str)| match of_topic(name).unwrap().check(value) {
            Ok(()) => format!("{name}={value}: fine\n"),
            Err(error) => format!("{error}\n"),
        };
        let cases = [
            ("retention.ms", "-1"),
            ("retention.ms", "-2"),
            ("retention.ms", "abc"),
            ("max.message.bytes", "2147483648"),
            ("cleanup.policy", "compact,delete"),
            ("cleanup.policy", "compact,burn"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("preallocate", "yes"),
            ("compression.type", "none"),
            ("compression.gzip.level", "10"),
        ];
        expect![[r"
            retention.ms=-1: fine
            Invalid value -2 for configuration retention.ms: Value must be at least -1
            Invalid value abc for configuration retention.ms: Not a number of type LONG
            Invalid value 2147483648 for configuration max.message.bytes: Not a number of type INT
            cleanup.policy=compact,delete: fine
            Invalid value compact,burn for configuration cleanup.policy: each must be one of delete, compact
            Invalid value 1.5 for configuration min.cleanable.dirty.ratio: must be between 0 and 1
            Invalid value yes for configuration preallocate: must be one of true, false
            Invalid value none for configuration compression.type: must be one of uncompressed, zstd, lz4, snappy, gzip, producer
            Invalid value 10 for configuration compression.gzip.level: Value must be no more than 9
        "]]
        .assert_eq(&cases.map(judge).concat());
    }
}
