//! The embedded Kafka node: one process that real Kafka clients accept as a broker.
//!
//! Owns: listeners and connections ([`server`]), one file per Kafka API ([`api`]), the start and
//! the orderly stop ([`Broker`]). It alone opens the log.
//! Does not own: bytes on the wire (`wire`), bytes on disk (`log`), topics (`catalogue`), groups
//! and transactions (`coordinator`), decisions (`guard`), HTTP.
//! Reading order: [`Broker`] -> [`server`] -> [`api`].
//!
//! Invariants
//! - An answer that says "written" leaves only after the log said "durable".
//! - Requests of one connection take effect in the order in which they arrived, and their answers
//!   leave in that order, however many are in flight.
//! - Nothing a peer announces reserves memory; only what it has sent does.

mod access;
mod admission;
mod api;
mod broker;
mod config;
mod ctx;
mod doors;
mod fetch_budget;
mod fetch_session;
mod lag;
mod listener;
mod metric;
mod quota;
mod sasl;
mod server;
mod share_session;
mod tls;

pub use broker::{Broker, StartError};
pub use config::{AccessConfig, BrokerConfig};
pub use doors::OwnAccess;
pub use listener::{ClientAuth, ListenerConfig, Protocol, TlsConfig};
pub use quota::QuotaConfig;
pub use sasl::{KeysError, Mechanism, OauthConfig, SaslConfig, SaslError};
pub use systole_coordinator::group::GroupConfig;
pub use systole_coordinator::transaction::TransactionConfig;
pub use tls::TlsError;
