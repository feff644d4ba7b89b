//! `[gateway]`: the HTTP door.
//!
//! Owns: its settings and their check. Does not own: reading a file (`node`).

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use systole_guard::door::{self, Authentication};
use systole_kit::Problems;

/// `[gateway]`: events over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where HTTP is served. Loopback only, because nobody is asked who they are. Port 0 takes a
    /// free one. Since 0.1.
    pub listen: SocketAddr,
    /// How many connections are served at once; further ones wait to be accepted. Since 0.1.
    pub connections_max: usize,
    /// How many of them may follow a topic at once. Since 0.1.
    pub streams_max: usize,
    /// Largest head of a request (request line and headers), in bytes; one read more may pass. 8192
    /// or more. Since 0.1.
    pub head_bytes_max: usize,
    /// How long a client may take to send the head of a request, or stay silent between two.
    /// Since 0.1.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Largest body of a publish, in bytes. Since 0.1.
    pub body_bytes_max: usize,
    /// How long a client may take to send a body. Since 0.1.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Most events in one batch. Since 0.1.
    pub batch_events_max: usize,
    /// Largest record that a publish may write, in bytes; brokers take about 1 MB by default.
    /// Since 0.1.
    pub record_bytes_max: u64,
    /// How long a publish waits until its records are durable. Since 0.1.
    #[serde(with = "humantime_serde")]
    pub publish_timeout: Duration,
    /// How much is read ahead for one follower, in bytes. A slow follower costs about three times
    /// this. Since 0.1.
    pub stream_buffer_bytes: u64,
    /// A follower to whom nothing was sent for so long gets a comment; and so often it is checked
    /// whether its topic has gone or grown. Since 0.1.
    #[serde(with = "humantime_serde")]
    pub keep_alive_every: Duration,
    /// How long a stop waits for requests under way. Since 0.1.
    #[serde(with = "humantime_serde")]
    pub stop_timeout: Duration,
}

/// What hyper needs to read any head at all.
const HEAD_BYTES_MIN: usize = 8192;

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            connections_max: 1024,
            streams_max: 256,
            head_bytes_max: 32 * 1024,
            head_timeout: Duration::from_secs(15),
            body_bytes_max: 8 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            batch_events_max: 1000,
            record_bytes_max: 1_000_000,
            publish_timeout: Duration::from_secs(30),
            stream_buffer_bytes: 1024 * 1024,
            keep_alive_every: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

impl GatewayConfig {
    pub fn check(&self, problems: &mut Problems) {
        if let Err(refusal) = door::may_listen("http", self.listen, Authentication::None) {
            problems.add("listen", refusal.to_string(), "listen on 127.0.0.1 or [::1]");
        }
        let counts = [
            ("connections_max", self.connections_max),
            ("streams_max", self.streams_max),
            ("body_bytes_max", self.body_bytes_max),
            ("batch_events_max", self.batch_events_max),
        ];
        for (name, _) in counts.into_iter().filter(|(_, count)| *count == 0) {
            problems.add(name, "0 would refuse everything", "use 1 or more");
        }
        if self.streams_max > self.connections_max {
            let cure = "use at most connections_max";
            problems.add("streams_max", "is more than connections_max", cure);
        }
        if self.head_bytes_max < HEAD_BYTES_MIN {
            problems.add("head_bytes_max", "is too small for a request", "use 8192 or more");
        }
        if self.record_bytes_max < 1000 || self.stream_buffer_bytes < 1000 {
            let wrong = "is smaller than most events";
            problems.add("record_bytes_max, stream_buffer_bytes", wrong, "use 1000 or more");
        }
        let durations = [
            ("head_timeout", self.head_timeout),
            ("body_timeout", self.body_timeout),
            ("publish_timeout", self.publish_timeout),
            ("keep_alive_every", self.keep_alive_every),
        ];
        for (name, _) in durations.into_iter().filter(|(_, it)| it.is_zero()) {
            problems.add(name, "0s leaves no time", "use 1s or more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_default_is_good_and_every_bad_value_is_named() {
        let mut problems = Problems::default();
        GatewayConfig::default().check(&mut problems);
        assert!(problems.is_empty());
        let bad = GatewayConfig {
            listen: SocketAddr::from(([0, 0, 0, 0], 80)),
            connections_max: 0,
            head_bytes_max: 1,
            record_bytes_max: 1,
            body_timeout: Duration::ZERO,
            ..GatewayConfig::default()
        };
        bad.check(&mut problems);
        expect![[r#"
            listen: the http listener 0.0.0.0:80 is open to the network and asks nobody who they are; listen on 127.0.0.1 or [::1]
            connections_max: 0 would refuse everything; use 1 or more
            streams_max: is more than connections_max; use at most connections_max
            head_bytes_max: is too small for a request; use 8192 or more
            record_bytes_max, stream_buffer_bytes: is smaller than most events; use 1000 or more
            body_timeout: 0s leaves no time; use 1s or more"#]].assert_eq(&problems.to_string());
    }
}
