//! Records and where they lie.
//!
//! Owns: the values that go in and come out. Does not own: what the bytes mean.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use systole_kit::Timestamp;

/// A position in one partition: the number of a record, or of the next one. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(i64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// Kafka uses negative numbers as commands, never as positions.
    pub const fn new(raw: i64) -> Option<Self> {
        if raw < 0 { None } else { Some(Self(raw)) }
    }
    pub const fn get(self) -> i64 {
        self.0
    }
    /// The position after this record: what a commit names once it has been processed.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic, printed as Kafka prints it: `clinical.observation-3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A name and a value beside the record's value. Names may repeat; the order is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    pub name: Arc<str>,
    pub value: Option<Bytes>,
}

impl Header {
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

/// A record to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub topic: Arc<str>,
    /// `None`: by the hash of the key (murmur2, as Java's clients do it), or at random without key.
    pub partition: Option<i32>,
    /// Records of equal keys keep their order.
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
    /// `None`: the time of sending.
    pub timestamp: Option<Timestamp>,
}

impl NewRecord {
    pub fn to(topic: impl Into<Arc<str>>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp: None,
        }
    }
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }
    #[must_use]
    pub fn header(mut self, name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }
    #[must_use]
    pub fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
    /// Bytes of key, value and headers.
    pub fn size_bytes(&self) -> usize {
        size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

/// What a record's timestamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampKind {
    /// When its producer made it.
    Create,
    /// When the broker appended it.
    LogAppend,
}

/// A record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: Offset,
    /// `None`: written before Kafka knew timestamps.
    pub timestamp: Option<(Timestamp, TimestampKind)>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

impl Record {
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
    /// The value of the last header of this name, as Kafka's `lastHeader` does.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().rev().find(|it| &*it.name == name).and_then(|it| it.value.as_ref())
    }
    /// Bytes of key, value and headers.
    pub fn size_bytes(&self) -> usize {
        size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

fn size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &[Header]) -> usize {
    let len = |it: Option<&Bytes>| it.map_or(0, Bytes::len);
    let headers: usize = headers.iter().map(|it| it.name.len() + len(it.value.as_ref())).sum();
    len(key) + len(value) + headers
}

// Keys and values may identify a patient, so what prints shows their sizes only.

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, Length(self.value.as_ref()))
    }
}
impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("key", &format_args!("{}", Length(self.key.as_ref())))
            .field("value", &format_args!("{}", Length(self.value.as_ref())))
            .field("headers", &self.headers.len())
            .field("timestamp", &self.timestamp)
            .finish()
    }
}
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &format_args!("{}", Length(self.key.as_ref())))
            .field("value", &format_args!("{}", Length(self.value.as_ref())))
            .field("headers", &self.headers.len())
            .finish()
    }
}

struct Length<'a>(Option<&'a Bytes>);

impl fmt::Display for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(it) => write!(f, "{} bytes", it.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_shows_sizes_and_never_bytes() {
        let it =
            NewRecord::to("t").key("MRN-4711").value("DOE^J").header("ce_subject", "Patient/9");
        let shown = format!("{it:?} {:?}", it.headers);
        for secret in ["MRN", "DOE", "Patient/9"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("key: 8 bytes") && shown.contains("ce_subject: 9 bytes"), "{shown}");
    }

    #[test]
    fn an_offset_is_never_negative() {
        assert_eq!(Offset::new(-1), None);
        assert_eq!(Offset::new(7).map(|it| it.next().get()), Some(8));
    }
}
