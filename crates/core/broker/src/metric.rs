//! What the node counts about itself.
//!
//! Owns: names and handles. Does not own: how they are shown (`telemetry`).
//!
//! Labels are API names and error codes, and in `lag` groups and topics. Client ids are none:
//! anyone may choose them, and they may name people.

use crate::api;
use std::collections::BTreeMap;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_telemetry::board::Board;
use systole_telemetry::metrics::{
    self, Counter, Family, Gauge, Histogram, Unit, latency_histogram,
};
use systole_wire::ApiKey;
use systole_wire::ErrorCode;

/// One label: its name and its value.
type Label = [(&'static str, &'static str); 1];

/// Handles, looked up once: counting costs an atomic addition.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) connections_open: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) connections_throttled: Counter,
    pub(crate) connections_broken: Counter,
    pub(crate) connections_crowded_out: Counter,
    pub(crate) reading_paused: Counter,
    /// Callers who proved by SASL who they are, and those who did not.
    pub(crate) proven: Counter,
    pub(crate) not_proven: Counter,
    /// When the provider's keys were read last, in seconds since 1970; 0: never.
    pub(crate) token_keys_read_at: Gauge,
    pub(crate) token_keys_failed: Counter,
    /// Requests, or items of them, that access lists refused.
    pub(crate) denied: Counter,
    /// Ranges of records, groups and files that are damaged on disk.
    pub(crate) damaged: Gauge,
    /// Partitions that grow because compaction gave up on them.
    pub(crate) partitions_uncompactable: Gauge,
    /// Rounds of retention and compaction; one that stands still has a disk in trouble.
    pub(crate) maintenance_rounds: Counter,
    /// 1 while appends are refused or the disk is full.
    pub(crate) log_in_trouble: Gauge,
    pub(crate) lag: Board,
    /// Committed offsets whose lag is not shown because there are too many.
    pub(crate) lag_left_out: Gauge,
    certificate_ends: Family<[(&'static str, String); 2], Gauge>,
    apis: BTreeMap<ApiKey, OneApi>,
    answers: BTreeMap<ErrorCode, Counter>,
}

#[derive(Debug)]
struct OneApi {
    requests: Counter,
    seconds: Histogram,
    throttle_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(all: &metrics::Metrics) -> Self {
        let section = all.section("broker");
        let count = |name, help| section.add(name, help, Counter::default());
        let count_bytes = |name, help| section.add_in(Unit::Bytes, name, help, Counter::default());
        let requests = Family::<Label, Counter>::default();
        let requests = section.add("requests", "Requests answered, by API", requests);
        let seconds =
            Family::<Label, Histogram, fn() -> Histogram>::new_with_constructor(latency_histogram);
        let help = "Time from a whole request to its encoded answer, by API";
        let seconds = section.add_in(Unit::Seconds, "request", help, seconds);
        let throttled =
            Family::<Label, Histogram, fn() -> Histogram>::new_with_constructor(latency_histogram);
        let help = "Time for which clients over a quota were told to rest, by API";
        let throttled = section.add_in(Unit::Seconds, "throttle", help, throttled);
        let answers = Family::<Label, Counter>::default();
        let answers = section.add("errors", "Error codes in answers", answers);
        let open = "Connections now";
        let damaged = "Damages found on disk since the start";
        let trouble = "1 while appends are refused or the disk is full";
        let refused = "Connections closed at once because all seats were taken";
        let throttled_connections = "Connections closed because their address opened too many";
        let crowded = "Connections closed because too many had not proved who they are";
        let broken = "Connections closed because the peer did not keep the protocol";
        let paused =
            "Requests that had to wait for the budget of bytes in flight or for room in the log";
        let keys_read = "When the provider's keys were read last, in seconds since 1970";
        let keys_failed = "Attempts to read the provider's keys that failed";
        let ends = "When the first certificate of a file ends, in seconds since 1970";
        let denied = "Questions that access lists answered with no";
        let left_out = "Committed offsets whose lag is not shown, because there are too many";
        let one = |api: &api::Api| {
            let of = [("api", api.key.name())];
            let requests = requests.get_or_create(&of).clone();
            let seconds = seconds.get_or_create(&of).clone();
            let throttle_seconds = throttled.get_or_create(&of).clone();
            (api.key, OneApi { requests, seconds, throttle_seconds })
        };
        let counter =
            |code: &ErrorCode| (*code, answers.get_or_create(&[("code", code.name())]).clone());
        Self {
            bytes_in: count_bytes("received", "Bytes received from clients"),
            bytes_out: count_bytes("sent", "Bytes sent to clients"),
            connections_open: section.add("connections_open", open, Gauge::default()),
            connections_refused: count("connections_refused", refused),
            connections_throttled: count("connections_throttled", throttled_connections),
            connections_crowded_out: count("connections_crowded_out", crowded),
            connections_broken: count("connections_broken", broken),
            reading_paused: count("reading_paused", paused),
            proven: count("authentications", "Proofs by SASL that held"),
            not_proven: count("authentications_failed", "Proofs by SASL that did not hold"),
            token_keys_read_at: section.add("token_keys_read_at", keys_read, Gauge::default()),
            certificate_ends: section.add("certificate_expires_at", ends, Family::default()),
            token_keys_failed: count("token_keys_failed", keys_failed),
            denied: count("authorization_denied", denied),
            damaged: section.add("damaged", damaged, Gauge::default()),
            partitions_uncompactable: section.add(
                "partitions_uncompactable",
                "Partitions that compaction leaves alone until the next start",
                Gauge::default(),
            ),
            maintenance_rounds: count("maintenance_rounds", "Rounds of retention and compaction"),
            log_in_trouble: section.add("log_in_trouble", trouble, Gauge::default()),
            lag: all.board(),
            lag_left_out: section.add("lag_left_out", left_out, Gauge::default()),
            apis: api::TABLE.iter().map(one).collect(),
            answers: ErrorCode::ALL.iter().map(counter).collect(),
        }
    }

    pub(crate) fn count_request(&self, api: ApiKey, took: Duration, rest: Duration) {
        if let Some(it) = self.apis.get(&api) {
            it.requests.inc();
            it.seconds.observe(took.as_secs_f64());
            if !rest.is_zero() {
                it.throttle_seconds.observe(rest.as_secs_f64());
            }
        }
    }
    pub(crate) fn set_certificate_end(&self, listener: &str, file: &str, at: Timestamp) {
        let of = [("listener", listener.to_owned()), ("file", file.to_owned())];
        self.certificate_ends.get_or_create(&of).set(at.as_millis() / 1000);
    }
    pub(crate) fn count_answer(&self, code: ErrorCode) {
        if code != ErrorCode::None
            && let Some(counter) = self.answers.get(&code)
        {
            counter.inc();
        }
    }
}
