//! `[broker]`: the embedded node's settings.
//!
//! Owns: names, defaults and rules of the settings that are read at start. Does not own: settings
//! that Kafka's tools change while the node runs (`catalogue::config`).

use crate::listener::{ListenerConfig, Protocol};
use crate::quota::QuotaConfig;
use crate::sasl::{Mechanism, OWN_PRINCIPAL, SaslConfig};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use systole_catalogue::plan::PARTITIONS_MAX;
use systole_coordinator::group::GroupConfig;
use systole_coordinator::share::ShareConfig;
use systole_coordinator::transaction::TransactionConfig;
use systole_guard::door::Authentication;
use systole_guard::{Policy, Principal};
use systole_kit::Problems;
use systole_world::os;

/// Connections where nobody says how many: what one node has been seen to carry.
const CONNECTIONS_DEFAULT: usize = 20_000;
/// Open files that connections may not take: segments, indexes, the write-ahead log, other doors.
const FILE_HANDLES_RESERVED: usize = 256;

/// `[broker]`: the embedded Kafka node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerConfig {
    /// Directory of the write-ahead log, the partitions and the catalogue of topics. One node only.
    pub dir: PathBuf,
    /// Address of the Kafka listener. Port 0 takes a free one. Only loopback is accepted as long as
    /// the listener asks nobody who they are.
    pub listen: SocketAddr,
    /// Address that clients are told to connect to, as HOST:PORT. Absent: the one they came to.
    pub advertised: Option<String>,
    /// This node's id, as clients see it. Range: 0..=2147483647.
    pub node_id: i32,
    /// Creates a topic when a client that allows it asks for an absent one.
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator does not say. Range: 1..=10000.
    pub partitions_default: i32,
    /// Longest request, in bytes. Range: 1024..=1073741824. Kafka: `socket.request.max.bytes`.
    pub request_bytes_max: u32,
    /// Bytes of requests under way on all connections together; beyond it, reading pauses. At
    /// least `request_bytes_max`.
    pub requests_in_flight_bytes_max: u32,
    /// Requests under way on one connection; beyond it, reading from it pauses. Range: 1..=10000.
    pub requests_in_flight_max: usize,
    /// Connections in total; those above are closed at once. At least 1. Each takes an open file,
    /// of which 256 are kept for the log: a low limit of the system (`ulimit -Hn`) lowers this
    /// number. Absent: 20000, or as many as that limit leaves.
    pub connections_max: Option<usize>,
    /// Connections from one IP address; those above are closed at once. At least 1.
    pub connections_per_address_max: usize,
    /// Connections from single IP addresses, instead of `connections_per_address_max`:
    /// `{ "10.0.0.7" = 100 }`. Kafka: `max.connections.per.ip.overrides`.
    pub connections_per_address_overrides: BTreeMap<IpAddr, usize>,
    /// A connection on which nothing was heard for so long is closed. At least `1s`. Kafka:
    /// `connections.max.idle.ms`.
    #[serde(with = "humantime_serde")]
    pub connections_idle_max: Duration,
    /// A request once begun must be complete after so long, plus a second for every 64 KiB of it
    /// that came. At least `1s`.
    #[serde(with = "humantime_serde")]
    pub frame_wait_max: Duration,
    /// How often retention, expired producers and the like are looked after. At least `1s`.
    #[serde(with = "humantime_serde")]
    pub maintenance_interval: Duration,
    /// A connection that has not proved who it is after so long is closed; TLS counts too. At least
    /// `1s`.
    #[serde(with = "humantime_serde")]
    pub authentication_wait_max: Duration,
    /// Connections that have not proved who they are, on all listeners together. One more closes
    /// the one that has been silent longest. At least 1.
    pub connections_unproven_max: usize,
    /// How often certificates and the provider's keys are looked at for changes. At least `1s`.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// `[[broker.listeners]]`: the doors for Kafka clients, instead of `listen` and `advertised`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerConfig>,
    /// `[broker.sasl]`: how callers prove who they are.
    pub sasl: SaslConfig,
    /// `[broker.access]`: who may do what.
    pub access: AccessConfig,
    /// `[broker.quotas]`: over which time rates of clients are measured.
    pub quotas: QuotaConfig,
    /// `[broker.groups]`: consumer groups and their offsets.
    pub groups: GroupConfig,
    /// `[broker.share_groups]`: share groups and what becomes of the records they read.
    pub share_groups: ShareConfig,
    /// `[broker.transactions]`: transactional producers.
    pub transactions: TransactionConfig,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("data/broker"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9092)),
            advertised: None,
            node_id: 1,
            auto_create_topics: true,
            partitions_default: 1,
            request_bytes_max: 100 * 1024 * 1024,
            requests_in_flight_bytes_max: 512 * 1024 * 1024,
            requests_in_flight_max: 128,
            connections_max: None,
            connections_per_address_max: 20_000,
            connections_per_address_overrides: BTreeMap::new(),
            connections_idle_max: Duration::from_mins(10),
            frame_wait_max: Duration::from_secs(30),
            maintenance_interval: Duration::from_secs(5),
            authentication_wait_max: Duration::from_secs(10),
            connections_unproven_max: 1000,
            reload_interval: Duration::from_secs(10),
            listeners: Vec::new(),
            sasl: SaslConfig::default(),
            access: AccessConfig::default(),
            quotas: QuotaConfig::default(),
            groups: GroupConfig::default(),
            share_groups: ShareConfig::default(),
            transactions: TransactionConfig::default(),
        }
    }
}

/// `[broker.access]`: access lists, kept and changed as in Kafka (`kafka-acls`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// Asks the access lists about every request. Absent: as soon as a listener asks callers who
    /// they are.
    pub enforce: Option<bool>,
    /// Callers who may do everything, as `User:NAME`. Kafka: `super.users`.
    pub super_users: BTreeSet<String>,
    /// Whether a resource without any rule is open to everyone. Kafka:
    /// `allow.everyone.if.no.acl.found`.
    pub allow_if_no_rule: bool,
}

impl AccessConfig {
    fn check(&self, problems: &mut Problems) {
        for it in self.super_users.iter().filter(|it| Principal::parse(it).is_err()) {
            problems.add("super_users", format!("{it:?} is no principal"), "write User:NAME");
        }
    }
    /// What holds beside the rules.
    pub(crate) fn policy(&self) -> Policy {
        let super_users = self.super_users.iter().filter_map(|it| Principal::parse(it).ok());
        let super_users = super_users.chain(Principal::parse(OWN_PRINCIPAL));
        Policy { super_users: super_users.collect(), allow_if_no_rule: self.allow_if_no_rule }
    }
}

impl BrokerConfig {
    /// As many connections as are wanted, as far as the system's limit on open files leaves enough
    /// of them for the log: a crowd of clients must not keep it from its segments.
    pub(crate) fn connections(&self) -> usize {
        let possible = os::file_handles_max()
            .map_or(usize::MAX, |it| it.saturating_sub(FILE_HANDLES_RESERVED).max(1));
        self.connections_max.unwrap_or(CONNECTIONS_DEFAULT).min(possible)
    }
    /// Whether requests are allowed or refused by access lists.
    pub(crate) fn enforces_access(&self) -> bool {
        let proves = |it: &ListenerConfig| it.authentication() != Authentication::None;
        self.access.enforce.unwrap_or_else(|| self.listeners.iter().any(proves))
    }

    /// The doors to open, that of the node's own services among them.
    pub(crate) fn doors(&self) -> Vec<ListenerConfig> {
        if self.listeners.is_empty() {
            return vec![ListenerConfig::plain(self.listen, self.advertised.clone())];
        }
        self.listeners.iter().cloned().chain([ListenerConfig::own()]).collect()
    }

    fn check_listeners(&self, problems: &mut Problems) {
        for (at, it) in self.listeners.iter().enumerate() {
            problems.within(&format!("listeners[{at}]"), |problems| {
                it.check(problems);
                let is_used = self.listeners.iter().take(at).any(|other| other.name == it.name);
                if is_used || it.name == ListenerConfig::own().name {
                    problems.add("name", "is taken", "give each listener a name of its own");
                }
                let readable = [Mechanism::Plain, Mechanism::OauthBearer];
                let is_readable = readable.iter().any(|it| self.sasl.mechanisms.contains(it));
                let is_near = it.address.ip().to_canonical().is_loopback();
                if it.protocol == Protocol::SaslPlaintext && is_readable && !is_near {
                    let wrong = "would let passwords or tokens travel readable";
                    let cure = "use SASL_SSL, or offer SCRAM mechanisms only";
                    problems.add("protocol", wrong, cure);
                }
            });
        }
    }

    /// Reports every broken rule.
    pub fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, wrong: &str, cure: &str| {
            if !holds {
                problems.add(place, wrong, cure);
            }
        };
        let second = Duration::from_secs(1);
        rule(!self.dir.as_os_str().is_empty(), "dir", "is empty", "name a directory");
        rule(self.node_id >= 0, "node_id", "is negative", "use 0 or more");
        let partitions = (1..=PARTITIONS_MAX).contains(&self.partitions_default);
        rule(partitions, "partitions_default", "is out of range", "use 1..=10000");
        let request = (1024..=1 << 30).contains(&self.request_bytes_max);
        rule(request, "request_bytes_max", "is out of range", "use 1024..=1073741824");
        let budget = self.requests_in_flight_bytes_max >= self.request_bytes_max;
        let cure = "use at least request_bytes_max";
        rule(budget, "requests_in_flight_bytes_max", "is below request_bytes_max", cure);
        let in_flight = (1..=10_000).contains(&self.requests_in_flight_max);
        rule(in_flight, "requests_in_flight_max", "is out of range", "use 1..=10000");
        rule(self.connections_max != Some(0), "connections_max", "is 0", "use at least 1");
        let per_address = self.connections_per_address_max > 0;
        rule(per_address, "connections_per_address_max", "is 0", "use at least 1");
        let unproven = self.connections_unproven_max > 0;
        rule(unproven, "connections_unproven_max", "is 0", "use at least 1");
        for (place, value) in [
            ("connections_idle_max", self.connections_idle_max),
            ("frame_wait_max", self.frame_wait_max),
            ("maintenance_interval", self.maintenance_interval),
            ("authentication_wait_max", self.authentication_wait_max),
            ("reload_interval", self.reload_interval),
        ] {
            rule(value >= second, place, "is below a second", "use at least 1s");
        }
        if let Some(advertised) = &self.advertised {
            let cure = "write it as HOST:PORT";
            rule(split_address(advertised).is_some(), "advertised", "is not an address", cure);
        }
        self.check_listeners(problems);
        problems.within("sasl", |it| self.sasl.check(it));
        problems.within("access", |it| self.access.check(it));
        problems.within("quotas", |it| self.quotas.check(it));
        self.groups.check(problems);
        self.share_groups.check(problems);
        self.transactions.check(problems);
    }
}

/// `HOST:PORT` in its parts; the brackets of an IPv6 address go.
pub(crate) fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { None } else { Some((host, port.parse().ok()?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_every_rule() {
        let mut problems = Problems::default();
        BrokerConfig::default().check(&mut problems);
        assert_eq!(problems, Problems::default());
    }

    #[test]
    fn connections_are_never_more_than_the_open_files_that_are_left() {
        let with = |connections_max| BrokerConfig { connections_max, ..BrokerConfig::default() };
        let possible = with(Some(usize::MAX)).connections();
        assert!(os::file_handles_max().is_none_or(|it| possible < it));
        assert_eq!(with(None).connections(), possible.min(CONNECTIONS_DEFAULT));
        assert_eq!(with(Some(1)).connections(), 1);
    }

    #[test]
    fn every_broken_rule_is_reported_at_once() {
        let config = BrokerConfig {
            dir: PathBuf::new(),
            node_id: -1,
            partitions_default: 0,
            requests_in_flight_bytes_max: 0,
            connections_idle_max: Duration::ZERO,
            advertised: Some("nowhere".into()),
            ..BrokerConfig::default()
        };
        let mut problems = Problems::default();
        config.check(&mut problems);
        let places: Vec<_> = problems.iter().map(|it| it.place.as_str()).collect();
        let expected = [
            "dir",
            "node_id",
            "partitions_default",
            "requests_in_flight_bytes_max",
            "connections_idle_max",
            "advertised",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn an_address_is_split_at_its_last_colon() {
        assert_eq!(split_address("broker.example:9092"), Some(("broker.example", 9092)));
        assert_eq!(split_address("[::1]:1"), Some(("::1", 1)));
        assert_eq!(split_address(":1"), None);
        assert_eq!(split_address("host"), None);
    }
}
