//! `[broker.groups]`: the settings of consumer groups.
//!
//! Owns: names, defaults and rules. Kafka's name of each setting is given with it.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use systole_group::consumer::{self, ASSIGNORS};
use systole_group::share;
use systole_group::streams;
use systole_kit::{ByteSize, Problems};

/// One group's record, its members' metadata and assignments included: larger ones are not written,
/// and the members learn `UNKNOWN_SERVER_ERROR`, as they do in Kafka above `max.message.bytes`.
pub(super) const GROUP_RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What one member may bring along in JoinGroup: Kafka's default for a whole record.
pub const MEMBER_BYTES_MAX: usize = 1024 * 1024;
/// A member's client id and instance id, in bytes: they are repeated in its id.
pub const NAME_BYTES_MAX: usize = 1024;

/// `[broker.groups]`: consumer groups and their committed offsets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// How long the first generation of a new group waits for more members. Kafka:
    /// `group.initial.rebalance.delay.ms`, there 3 s. Here none: on one node a further rebalance
    /// costs milliseconds, and the wait would be felt at each start.
    #[serde(with = "humantime_serde")]
    pub initial_rebalance_delay: Duration,
    /// Shortest session that a member may ask for. Kafka: `group.min.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub session_timeout_min: Duration,
    /// Longest session that a member may ask for. Kafka: `group.max.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub session_timeout_max: Duration,
    /// Members of one group, those about to join included. Range: 1..=100000. Kafka:
    /// `group.max.size`, there without limit.
    pub members_max: usize,
    /// How long a member of a consumer group (KIP-848) may be silent. Range: 1s..=10m. Kafka:
    /// `group.consumer.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub consumer_session_timeout: Duration,
    /// How often such members report while nothing changes. At least 50ms, below the session
    /// timeout. Kafka: `group.consumer.heartbeat.interval.ms`, there 5 s: a member learns of a
    /// rebalance with its next heartbeat, so this is how long one may take to begin.
    #[serde(with = "humantime_serde")]
    pub consumer_heartbeat_interval: Duration,
    /// How often they report while partitions are on their way from one to another. At least 10ms,
    /// at most `consumer_heartbeat_interval`. Kafka has no such setting.
    #[serde(with = "humantime_serde")]
    pub consumer_heartbeat_interval_unsettled: Duration,
    /// Assignors that members may ask for, the default first: `uniform`, `range`. Kafka:
    /// `group.consumer.assignors`.
    pub consumer_assignors: Vec<String>,
    /// How long a member of a share group (KIP-932) may be silent. Range: 1s..=10m. Kafka:
    /// `group.share.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub share_session_timeout: Duration,
    /// How often such members report. At least 50ms, below the session timeout. Kafka:
    /// `group.share.heartbeat.interval.ms`, there 5 s: a member learns with its heartbeat which
    /// partitions it may read.
    #[serde(with = "humantime_serde")]
    pub share_heartbeat_interval: Duration,
    /// How long a member of a streams group (KIP-1071) may be silent. Range: 1s..=10m. Kafka:
    /// `group.streams.session.timeout.ms`.
    #[serde(with = "humantime_serde")]
    pub streams_session_timeout: Duration,
    /// How often such members report while nothing changes. At least
    /// `consumer_heartbeat_interval_unsettled`, which holds while tasks move; below the session
    /// timeout. Kafka: `group.streams.heartbeat.interval.ms`, there 5 s.
    #[serde(with = "humantime_serde")]
    pub streams_heartbeat_interval: Duration,
    /// Copies of the state of each task of a streams group. Range: 0..=2. Kafka:
    /// `group.streams.num.standby.replicas`.
    pub streams_standby_replicas: usize,
    /// How long the first member of a streams group waits for others before tasks are handed out.
    /// At most `1m`. Kafka: `group.streams.initial.rebalance.delay.ms`, there 3 s.
    #[serde(with = "humantime_serde")]
    pub streams_initial_rebalance_delay: Duration,
    /// Memory for all groups and offsets, in bytes; at the limit new members and new offsets are
    /// refused, and those that are there go on. At least 1 MiB.
    pub memory_bytes_max: u64,
    /// Longest text beside a committed offset, in UTF-16 units. Kafka: `offset.metadata.max.bytes`.
    pub offset_metadata_max: usize,
    /// How long the offsets of a group without members are kept. At least `1m`. Kafka:
    /// `offsets.retention.minutes`.
    #[serde(with = "humantime_serde")]
    pub offsets_retention: Duration,
    /// How often offsets that are too old are looked for. At least `1s`. Kafka:
    /// `offsets.retention.check.interval.ms`.
    #[serde(with = "humantime_serde")]
    pub offsets_retention_check_interval: Duration,
    /// Partitions of `__consumer_offsets` when it is created; later changes have no effect. Range:
    /// 1..=10000. Kafka: `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_mins(30),
            members_max: 5_000,
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_millis(500),
            consumer_heartbeat_interval_unsettled: Duration::from_millis(100),
            share_session_timeout: Duration::from_secs(45),
            share_heartbeat_interval: Duration::from_millis(500),
            consumer_assignors: ASSIGNORS.map(str::to_owned).to_vec(),
            streams_session_timeout: Duration::from_secs(45),
            streams_heartbeat_interval: Duration::from_millis(500),
            streams_standby_replicas: 0,
            streams_initial_rebalance_delay: Duration::ZERO,
            memory_bytes_max: ByteSize::gib(1).bytes(),
            offset_metadata_max: 4096,
            offsets_retention: Duration::from_hours(7 * 24),
            offsets_retention_check_interval: Duration::from_mins(10),
            offsets_topic_partitions: 50,
        }
    }
}

impl GroupConfig {
    /// Reports every broken rule; `problems` is told about keys below `groups.`.
    pub fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, wrong: &str, cure: &str| {
            if !holds {
                problems.add(place, wrong, cure);
            }
        };
        let sessions = self.session_timeout_min <= self.session_timeout_max;
        let cure = "use at least session_timeout_min";
        rule(sessions, "groups.session_timeout_max", "is below session_timeout_min", cure);
        let members = (1..=100_000).contains(&self.members_max);
        rule(members, "groups.members_max", "is out of range", "use 1..=100000");
        self.check_consumer(&mut rule);
        self.check_share(&mut rule);
        self.check_streams(&mut rule);
        let memory = self.memory_bytes_max >= ByteSize::mib(1).bytes();
        rule(memory, "groups.memory_bytes_max", "is below 1 MiB", "use at least 1048576");
        let retention = self.offsets_retention >= Duration::from_mins(1);
        rule(retention, "groups.offsets_retention", "is below a minute", "use at least 1m");
        let check = self.offsets_retention_check_interval >= Duration::from_secs(1);
        let place = "groups.offsets_retention_check_interval";
        rule(check, place, "is below a second", "use at least 1s");
        let partitions = (1..=10_000).contains(&self.offsets_topic_partitions);
        rule(partitions, "groups.offsets_topic_partitions", "is out of range", "use 1..=10000");
    }

    fn check_consumer(&self, rule: &mut dyn FnMut(bool, &str, &str, &str)) {
        let (session, heartbeat) =
            (self.consumer_session_timeout, self.consumer_heartbeat_interval);
        let sessions = Duration::from_secs(1)..=Duration::from_mins(10);
        let place = "groups.consumer_session_timeout";
        rule(sessions.contains(&session), place, "is out of range", "use 1s..=10m");
        let is_right = heartbeat >= Duration::from_millis(50) && heartbeat < session;
        let (place, cure) =
            ("groups.consumer_heartbeat_interval", "use 50ms to below consumer_session_timeout");
        rule(is_right, place, "is out of range", cure);
        let unsettled = self.consumer_heartbeat_interval_unsettled;
        let is_right = unsettled >= Duration::from_millis(10) && unsettled <= heartbeat;
        let (place, cure) = (
            "groups.consumer_heartbeat_interval_unsettled",
            "use 10ms to consumer_heartbeat_interval",
        );
        rule(is_right, place, "is out of range", cure);
        let names = &self.consumer_assignors;
        let are_known = names.iter().all(|it| ASSIGNORS.contains(&it.as_str()));
        let is_right = !names.is_empty() && are_known;
        let cure = "name at least one of uniform, range";
        rule(is_right, "groups.consumer_assignors", "is empty or names an unknown one", cure);
    }

    fn check_share(&self, rule: &mut dyn FnMut(bool, &str, &str, &str)) {
        let (session, heartbeat) = (self.share_session_timeout, self.share_heartbeat_interval);
        let sessions = Duration::from_secs(1)..=Duration::from_mins(10);
        let place = "groups.share_session_timeout";
        rule(sessions.contains(&session), place, "is out of range", "use 1s..=10m");
        let is_right = heartbeat >= Duration::from_millis(50) && heartbeat < session;
        let (place, cure) =
            ("groups.share_heartbeat_interval", "use 50ms to below share_session_timeout");
        rule(is_right, place, "is out of range", cure);
    }

    /// The same, as a share group takes it.
    pub(super) fn share(&self) -> share::Config {
        share::Config {
            members_max: self.members_max,
            session_timeout: self.share_session_timeout,
            heartbeat_interval: self.share_heartbeat_interval,
        }
    }

    fn check_streams(&self, rule: &mut dyn FnMut(bool, &str, &str, &str)) {
        let (session, heartbeat) = (self.streams_session_timeout, self.streams_heartbeat_interval);
        let sessions = Duration::from_secs(1)..=Duration::from_mins(10);
        let place = "groups.streams_session_timeout";
        rule(sessions.contains(&session), place, "is out of range", "use 1s..=10m");
        let is_right = heartbeat >= self.consumer_heartbeat_interval_unsettled;
        let (place, cure) = (
            "groups.streams_heartbeat_interval",
            "use consumer_heartbeat_interval_unsettled to below streams_session_timeout",
        );
        rule(is_right && heartbeat < session, place, "is out of range", cure);
        let place = "groups.streams_standby_replicas";
        rule(self.streams_standby_replicas <= 2, place, "is out of range", "use 0..=2");
        let is_right = self.streams_initial_rebalance_delay <= Duration::from_mins(1);
        let place = "groups.streams_initial_rebalance_delay";
        rule(is_right, place, "is above a minute", "use at most 1m");
    }

    /// The same, as a streams group takes it.
    pub(super) fn streams(&self) -> streams::Config {
        streams::Config {
            members_max: self.members_max,
            session_timeout: self.streams_session_timeout,
            heartbeat_interval: self.streams_heartbeat_interval,
            heartbeat_interval_unsettled: self.consumer_heartbeat_interval_unsettled,
            standby_replicas: self.streams_standby_replicas,
            initial_rebalance_delay: self.streams_initial_rebalance_delay,
        }
    }

    /// The same, as a consumer group takes it.
    pub(super) fn consumer(&self) -> consumer::Config {
        consumer::Config {
            members_max: self.members_max,
            session_timeout: self.consumer_session_timeout,
            heartbeat_interval: self.consumer_heartbeat_interval,
            heartbeat_interval_unsettled: self.consumer_heartbeat_interval_unsettled,
            assignors: self.consumer_assignors.iter().map(|it| it.as_str().into()).collect(),
        }
    }
}
