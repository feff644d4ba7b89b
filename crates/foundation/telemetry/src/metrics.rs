//! Numbers about the process, in the OpenMetrics text form.
//!
//! Owns: the registry, one section per service, unique names. Does not own: the metrics themselves;
//! a service registers its own once, keeps the handles, and counts without a look-up.

pub use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
pub use prometheus_client::registry::Unit;

use crate::board::Board;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::{Metric, Registry};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// In front of every name.
const PREFIX: &str = "systole";
/// What the text form is served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of one process (or of one node in a test). Clones are the same registry.
///
/// ```
/// use systole_telemetry::metrics::{Counter, Metrics};
/// let metrics = Metrics::default();
/// let broker = metrics.section("broker");
/// let requests = broker.add("requests", "Requests answered", Counter::<u64>::default());
/// requests.inc();
/// assert!(metrics.text().contains("systole_broker_requests_total 1\n"));
/// ```
#[derive(Clone)]
pub struct Metrics {
    state: Arc<Mutex<State>>,
}

struct State {
    registry: Registry,
    names: BTreeSet<String>,
    boards: Vec<Board>,
}

impl Default for Metrics {
    fn default() -> Self {
        let state = State {
            registry: Registry::with_prefix(PREFIX),
            names: BTreeSet::new(),
            boards: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl Metrics {
    /// The metrics of one service; `name` comes before each of their names.
    pub fn section(&self, name: &'static str) -> Section {
        Section { metrics: self.clone(), name }
    }
    /// A new place for series that come and go, under names without our prefix.
    pub fn board(&self) -> Board {
        let board = Board::default();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.boards.push(board.clone());
        board
    }
    /// Everything as text, to be served as [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only if a metric's own encoding does; what was written before it stands.
        if encode_registry(&mut text, &state.registry).is_err() {
            tracing::warn!("a metric could not be written as text");
        }
        state.boards.iter().for_each(|it| it.write(&mut text));
        text.push_str("# EOF\n");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Metrics({} names)", state.names.len())
    }
}

/// Where one service registers what it measures.
#[derive(Debug, Clone)]
pub struct Section {
    metrics: Metrics,
    name: &'static str,
}

impl Section {
    /// Registers a count or a level without unit and gives it back as the handle to keep.
    /// Counters get `_total` behind their name in the text.
    ///
    /// # Panics  If the section has this name already: two metrics would be one line.
    pub fn add<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.register(name, help, (None, metric))
    }
    /// The same with a unit, which becomes the end of the name (`request` in seconds is
    /// `request_seconds`).
    pub fn add_in<M: Metric + Clone>(&self, unit: Unit, name: &str, help: &str, metric: M) -> M {
        self.register(name, help, (Some(unit), metric))
    }
    fn register<M: Metric + Clone>(
        &self,
        name: &str,
        help: &str,
        (unit, metric): (Option<Unit>, M),
    ) -> M {
        let full = format!("{}_{name}", self.name);
        let mut state = self.metrics.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(state.names.insert(full.clone()), "the metric {full} is registered twice");
        match unit {
            None => state.registry.register(full, help, metric.clone()),
            Some(unit) => state.registry.register_with_unit(full, help, unit, metric.clone()),
        }
        metric
    }
}

/// For durations in seconds: 16 buckets from 100 µs to 3.3 s, each twice the one before.
pub fn latency_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct ByApi {
        api: &'static str,
    }

    #[test]
    fn the_text_has_a_section_per_service_and_units_in_the_names() {
        let metrics = Metrics::default();
        let broker = metrics.section("broker");
        let requests =
            broker.add("requests", "Requests answered", Family::<ByApi, Counter>::default());
        let written =
            broker.add_in(Unit::Bytes, "written", "Record bytes", Counter::<u64>::default());
        let open =
            metrics.section("gateway").add("streams", "Open streams", Gauge::<i64>::default());
        requests.get_or_create(&ByApi { api: "Fetch" }).inc();
        written.inc_by(512);
        open.set(2);
        expect![[r#"
            # HELP systole_broker_requests Requests answered.
            # TYPE systole_broker_requests counter
            systole_broker_requests_total{api="Fetch"} 1
            # HELP systole_broker_written_bytes Record bytes.
            # TYPE systole_broker_written_bytes counter
            # UNIT systole_broker_written_bytes bytes
            systole_broker_written_bytes_total 512
            # HELP systole_gateway_streams Open streams.
            # TYPE systole_gateway_streams gauge
            systole_gateway_streams 2
            # EOF
        "#]]
        .assert_eq(&metrics.text());
    }

    #[test]
    #[should_panic(expected = "broker_requests is registered twice")]
    fn two_metrics_never_share_a_name() {
        let section = Metrics::default().section("broker");
        section.add("requests", "Requests answered", Counter::<u64>::default());
        section.add("requests", "Requests refused", Counter::<u64>::default());
    }
}
