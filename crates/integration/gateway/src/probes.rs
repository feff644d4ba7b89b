//! `/health/live`, `/health/ready`, `/metrics`.
//!
//! Owns: the answers. Does not own: what is healthy or measured (`telemetry`).

use crate::door::Shared;
use crate::error::json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use systole_telemetry::metrics;

#[derive(Serialize)]
struct Report {
    ok: bool,
    /// What each service says about itself.
    services: BTreeMap<&'static str, String>,
}

/// 200 unless a service has failed for good: then restart the process.
pub(crate) async fn live(State(shared): State<Arc<Shared>>) -> Response {
    report(&shared, shared.health.is_live())
}

/// 200 while every service can work: only then send traffic.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    report(&shared, shared.health.is_ready() && shared.check_running().is_ok())
}

/// OpenMetrics text.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.text()).into_response()
}

fn report(shared: &Shared, ok: bool) -> Response {
    let services =
        shared.health.report().into_iter().map(|(name, state)| (name, state.to_string()));
    let body = json(&Report { ok, services: services.collect() });
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
