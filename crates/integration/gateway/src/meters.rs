//! What the gateway measures.
//!
//! Owns: its metrics. Does not own: the registry (`telemetry`).

use systole_telemetry::metrics::{
    Counter, EncodeLabelSet, Family, Gauge, Histogram, Metrics, Unit, latency_histogram,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: u16,
}

/// Handles, registered once.
pub(crate) struct Meters {
    requests: Family<ByStatus, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) published: Counter,
    pub(crate) publish: Histogram,
    pub(crate) streams: Gauge,
    pub(crate) sent: Counter,
}

impl Meters {
    pub(crate) fn new(all: &Metrics) -> Self {
        let it = all.section("gateway");
        let seconds = Unit::Seconds;
        Self {
            requests: it.add("requests", "Requests answered, by status", Family::default()),
            connections: it.add("connections", "Open connections", Gauge::default()),
            published: it.add("published", "Events written", Counter::default()),
            publish: it.add_in(
                seconds,
                "publish",
                "From a whole request until all its records are durable",
                latency_histogram(),
            ),
            streams: it.add("streams", "Followers being served", Gauge::default()),
            sent: it.add("sent", "Events sent to followers", Counter::default()),
        }
    }

    pub(crate) fn answered(&self, status: u16) {
        self.requests.get_or_create(&ByStatus { status }).inc();
    }
}
