//! Administration: topics, configurations, groups, the cluster.
//!
//! Owns: the traits and what they show. Does not own: permission (the broker decides).

use crate::{Answer, Offset, Start, TopicPartition};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

/// Everything an administrator asks of a cluster.
pub trait Admin: Topics + Groups {
    /// Brokers and topics: all of them, or one topic.
    /// # Errors  [`crate::Kind::UnknownTopic`] if `topic` is given and does not exist.
    fn cluster<'a>(&'a self, topic: Option<&'a str>) -> Answer<'a, Cluster>;
}

pub trait Topics: Debug + Send + Sync {
    fn create_topic<'a>(&'a self, topic: &'a NewTopic) -> Answer<'a, ()>;
    fn delete_topic<'a>(&'a self, topic: &'a str) -> Answer<'a, ()>;
    /// Grows a topic to `count` partitions. Keys then hash to other partitions than before.
    fn grow_topic<'a>(&'a self, topic: &'a str, count: usize) -> Answer<'a, ()>;
    fn configs<'a>(&'a self, of: ConfigOf<'a>) -> Answer<'a, BTreeMap<String, Config>>;
    /// Sets (`Some`) or takes back to the default (`None`) some configurations of a topic and
    /// leaves the others. Reads them first, so two callers at once may undo each other.
    /// # Errors  [`crate::Kind::Invalid`] if the change does not show within a few seconds: the
    /// library below hides the broker's reason.
    fn alter_configs<'a>(
        &'a self,
        topic: &'a str,
        changes: &'a [(&'a str, Option<&'a str>)],
    ) -> Answer<'a, ()>;
    /// Deletes every record before these offsets.
    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> Answer<'a, ()>;
    /// The offsets that these starts mean now. [`Start::At`] is given back as it is.
    fn offsets<'a>(
        &'a self,
        of: &'a [(TopicPartition, Start)],
    ) -> Answer<'a, Vec<(TopicPartition, Offset)>>;
}

pub trait Groups: Debug + Send + Sync {
    fn groups(&self) -> Answer<'_, Vec<Group>>;
    /// A group with its members.
    /// # Errors  [`crate::Kind::UnknownGroup`]
    fn group<'a>(&'a self, group: &'a str) -> Answer<'a, Group>;
    /// # Errors  [`crate::Kind::GroupInUse`] while it has members.
    fn delete_group<'a>(&'a self, group: &'a str) -> Answer<'a, ()>;
    /// What the group has committed in these partitions, `None` where nothing.
    fn group_offsets<'a>(
        &'a self,
        group: &'a str,
        of: &'a [TopicPartition],
    ) -> Answer<'a, Vec<(TopicPartition, Option<Offset>)>>;
    /// Commits for a group from outside.
    /// # Errors  [`crate::Kind::GroupChanged`] while it has members.
    fn set_group_offsets<'a>(
        &'a self,
        group: &'a str,
        to: &'a [(TopicPartition, Offset)],
    ) -> Answer<'a, ()>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub partitions: i32,
    /// `None`: the broker's default.
    pub replication: Option<i32>,
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication: None, configs: BTreeMap::new() }
    }
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }
}

/// Whose configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOf<'a> {
    Topic(&'a str),
    Broker(i32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `None`: secret.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub sensitive: bool,
}

/// Who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    Topic,
    Broker,
    Default,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub id: Option<String>,
    pub brokers: Vec<Broker>,
    /// Sorted by name.
    pub topics: Vec<Topic>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Sorted by id.
    pub partitions: Vec<Partition>,
}

impl Topic {
    pub fn topic_partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.partitions.iter().map(|it| TopicPartition::new(self.name.as_str(), it.id))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub id: i32,
    /// `None`: nobody leads it now.
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The assignor in use.
    pub protocol: String,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    pub client_id: String,
    /// `None`: the broker gave something else than an address.
    pub host: Option<IpAddr>,
    /// Sorted. Empty if the member has none, or they are not in the consumer protocol's form.
    pub assigned: Vec<TopicPartition>,
}
