//! Events over HTTP: publish as CloudEvents, follow as Server-Sent Events.
//!
//! Owns: the HTTP door and its limits, the CloudEvents forms on both sides, resumable cursors,
//! probes and the metrics page. Does not own: topics, records, durability (`client` and the broker
//! behind it), health itself (`telemetry`), the rule which doors may open (`guard`).
//! Reading order: [`Gateway`] -> `publish` -> `subscribe` -> `cloudevent` -> `cursor` -> `error`.
//! For users: `docs/http-api.md`.
//!
//! Invariants
//! - A publish is answered only when every record of it is durable or has failed for good.
//! - A reader that is slow is waited for: what it costs is its own buffer, and nothing is skipped.
//! - No body, key, subject or event id reaches a log line, a metric or an error's text.

mod cloudevent;
pub mod config;
mod cursor;
mod door;
pub mod error;
mod filter;
mod format;
mod meters;
mod position;
mod probes;
mod publish;
mod subscribe;
mod topic;
mod watch;

pub use config::GatewayConfig;
pub use door::{Gateway, Parts};
pub use error::StartError;
