//! librdkafka's names for our settings and options.
//!
//! Owns: the translation. Does not own: defaults (beside each option) or the check of settings.
//! Source: `CONFIGURATION.md` of librdkafka 2.12.

use crate::consumer::{Assignment, DirectOptions, Fetch, GroupOptions, Reset};
use crate::settings::{Mechanism, Sasl, SecretRef, Settings, Tls};
use crate::{Codec, Error, Kind, ProducerOptions};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::path::Path;
use std::time::Duration;
use systole_kit::ByteSize;
use systole_world::{Disk, World};

/// Longest pause between two attempts to connect: a broker that comes back is noticed within it.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// How long a topic may be unknown before records for it fail: it may just have been created.
const TOPIC_UNKNOWN_MAX: Duration = Duration::from_secs(5);
/// Pause of a partition whose prefetch is full. librdkafka's own second would starve the reader.
const PREFETCH_FULL_PAUSE: Duration = Duration::from_millis(10);
/// librdkafka's upper limit of its own queue, in KiB. Ours (`flow`) is lower and awaits.
const QUEUE_KIB_MAX: u32 = 2_097_151;
/// A response frame may be larger than the records in it by so much.
const RESPONSE_OVERHEAD: u64 = 64 * 1024;

/// What all clients of one cluster have in common. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Base {
    config: ClientConfig,
    token: Option<SecretRef>,
}

impl Base {
    /// Reads secrets; what is missing or empty is an error here, not at the first use.
    pub(super) fn new(settings: &Settings, world: &World) -> Result<Self, Error> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &settings.bootstrap)
            .set("client.id", &settings.client_id)
            .set("reconnect.backoff.max.ms", millis(RECONNECT_MAX))
            .set("log.connection.close", "false")
            .set("socket.nagle.disable", "true")
            .set("security.protocol", protocol(settings))
            .set_log_level(RDKafkaLogLevel::Info);
        if let Some(tls) = &settings.tls {
            set_tls(&mut config, tls, &*world.disk)?;
        }
        let mut token = None;
        if let Some(sasl) = &settings.sasl {
            set_sasl(&mut config, sasl, &*world.disk)?;
            if sasl.mechanism == Mechanism::OauthBearer {
                token = Some(sasl.secret.clone());
            }
        }
        Ok(Self { config, token })
    }

    pub(super) fn bootstrap(&self) -> &str {
        self.config.get("bootstrap.servers").unwrap_or_default()
    }
    /// Where the token lies, with OAUTHBEARER.
    pub(super) const fn token(&self) -> Option<&SecretRef> {
        self.token.as_ref()
    }
    pub(super) fn plain(&self) -> ClientConfig {
        self.config.clone()
    }

    pub(super) fn producer(&self, options: &ProducerOptions) -> ClientConfig {
        let request_max = options.batch_max.max(options.record_max);
        let mut config = self.plain();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("compression.type", codec(options.codec))
            .set("linger.ms", millis(options.linger))
            .set("batch.size", options.batch_max.bytes().to_string())
            .set("batch.num.messages", "1000000")
            .set("message.max.bytes", request_max.bytes().to_string())
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string())
            .set("topic.metadata.propagation.max.ms", millis(TOPIC_UNKNOWN_MAX))
            .set("delivery.timeout.ms", millis(options.delivery_timeout));
        config
    }

    pub(super) fn group(&self, options: &GroupOptions) -> ClientConfig {
        let strategy = match options.assignment {
            Assignment::Cooperative => "cooperative-sticky",
            Assignment::Eager => "range,roundrobin",
        };
        let mut config = self.consumer(&options.group, options.reset, &options.fetch);
        config
            .set("partition.assignment.strategy", strategy)
            .set("session.timeout.ms", millis(options.session_timeout))
            .set("max.poll.interval.ms", millis(options.poll_interval_max));
        if let Some(instance) = &options.instance {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// librdkafka wants a group even from a reader that never joins one.
    pub(super) fn direct(&self, options: &DirectOptions, partitions: usize) -> ClientConfig {
        let name = self.config.get("client.id").unwrap_or_default();
        let mut config = self.consumer(name, options.reset, &options.fetch);
        // Each partition has a queue of its own (`lanes`), and the limit is one of each queue.
        let share_kib = options.fetch.prefetch_max.bytes() / 1024 / partitions.max(1) as u64;
        config
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", share_kib.max(1).to_string());
        config
    }

    /// For one commit or one look at commits, by nobody's member.
    pub(super) fn outsider(&self, group: &str) -> ClientConfig {
        self.consumer(group, Reset::Error, &Fetch::default())
    }

    fn consumer(&self, group: &str, reset: Reset, fetch: &Fetch) -> ClientConfig {
        let prefetch = fetch.prefetch_max;
        let isolation = if fetch.read_uncommitted { "read_uncommitted" } else { "read_committed" };
        let reset = match reset {
            Reset::Earliest => "earliest",
            Reset::Latest => "latest",
            Reset::Error => "error",
        };
        let mut config = self.plain();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false")
            .set("auto.offset.reset", reset)
            .set("isolation.level", isolation)
            .set("fetch.wait.max.ms", millis(fetch.wait_max))
            .set("fetch.queue.backoff.ms", millis(PREFETCH_FULL_PAUSE))
            .set("fetch.max.bytes", prefetch.bytes().to_string())
            .set("message.max.bytes", prefetch.min(ByteSize::mib(1)).bytes().to_string())
            .set("receive.message.max.bytes", receive_max(prefetch).to_string())
            .set("queued.max.messages.kbytes", (prefetch.bytes() / 1024).to_string());
        config
    }
}

/// The broker may answer with one batch more than was asked for, so that a reader always gets on.
fn receive_max(prefetch: ByteSize) -> u64 {
    prefetch.max(ByteSize::mib(96)).bytes() + RESPONSE_OVERHEAD
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

const fn codec(codec: Codec) -> &'static str {
    codec.name() // librdkafka uses Kafka's names
}

fn protocol(settings: &Settings) -> &'static str {
    match (&settings.tls, &settings.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

fn set_tls(config: &mut ClientConfig, tls: &Tls, disk: &dyn Disk) -> Result<(), Error> {
    let mut file = |key: &str, path: &Path| {
        let failed =
            |why: String| Error::new(Kind::Settings).about(path.display().to_string()).because(why);
        match disk.exists(path) {
            Ok(true) => {}
            Ok(false) => return Err(failed("there is no such file".to_owned())),
            Err(it) => return Err(failed(it.to_string())),
        }
        let path = path.to_str().ok_or_else(|| failed("the path is not UTF-8".to_owned()))?;
        config.set(key, path);
        Ok(())
    };
    if let Some(path) = &tls.ca_file {
        file("ssl.ca.location", path)?;
    }
    if let Some(path) = &tls.certificate_file {
        file("ssl.certificate.location", path)?;
    }
    if let Some(path) = &tls.key_file {
        file("ssl.key.location", path)?;
    }
    if tls.ca_file.is_none() {
        // The built-in OpenSSL does not know where this system keeps its authorities.
        config.set("ssl.ca.location", "probe");
    }
    if let Some(password) = &tls.key_password {
        config.set("ssl.key.password", password.read(disk)?);
    }
    Ok(())
}

fn set_sasl(config: &mut ClientConfig, sasl: &Sasl, disk: &dyn Disk) -> Result<(), Error> {
    let secret = sasl.secret.read(disk)?;
    config.set("sasl.mechanism", sasl.mechanism.name());
    if sasl.mechanism != Mechanism::OauthBearer {
        config.set("sasl.username", sasl.user.as_deref().unwrap_or_default());
        config.set("sasl.password", secret);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_promised_was_built_in() {
        let features = ClientConfig::new().create_native_config().unwrap();
        let features = features.get("builtin.features").unwrap();
        for feature in
            ["gzip", "snappy", "lz4", "zstd", "ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer"]
        {
            assert!(features.split(',').any(|it| it == feature), "{feature} is not in {features}");
        }
    }

    #[test]
    fn every_option_is_one_that_librdkafka_knows() {
        let base = Base::new(&Settings::to("127.0.0.1:1"), &World::os()).unwrap();
        for config in [
            base.producer(&ProducerOptions::default()),
            base.group(&GroupOptions::new("g")),
            base.direct(&DirectOptions::default(), 100_000),
            base.outsider("g"),
        ] {
            config.create_native_config().unwrap();
        }
    }
}
