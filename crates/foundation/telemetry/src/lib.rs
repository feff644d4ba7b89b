//! How the process is watched: metrics, logs, health.
//!
//! Owns: the metric registry and its text form ([`Metrics`]), series that come and go ([`board`]),
//! log set-up ([`logs`], [`levels`]), the state of
//! each service for probes ([`Health`]). Does not own: what is worth measuring (the crate that does
//! the work says) or the doors they are read through (`gateway`).
//! Reading order: [`metrics`] -> [`board`] -> [`health`] -> [`logs`] -> [`levels`].
//!
//! Invariants
//! - Nothing here is global except the one log subscriber that [`logs::start`] installs, and
//!   its levels.
//! - No payload, key or patient identifier: names, labels and reasons come from the code, or from
//!   what an administrator named.

pub mod board;
pub mod health;
pub mod levels;
pub mod logs;
pub mod metrics;

pub use health::Health;
pub use metrics::Metrics;
