//! The embedded Kafka node: one process that real Kafka clients accept as a broker.
//!
//! Owns: listeners and connections ([`server`]), one file per Kafka API ([`api`]), the catalogue of
//! topics ([`topic`]), the start and the orderly stop ([`Broker`]). It alone opens the log.
//! Does not own: bytes on the wire (`wire`), bytes on disk (`log`), decisions (`guard`), HTTP.
//! Reading order: [`Broker`] -> [`server`] -> [`api`] -> [`topic`].
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
mod code;
mod config;
mod ctx;
mod doors;
mod fetch_budget;
mod fetch_session;
mod group;
mod listener;
mod metric;
mod producer_id;
mod sasl;
mod server;
mod tls;
mod topic;
mod transaction;

pub use broker::{Broker, StartError};
pub use config::{AccessConfig, BrokerConfig};
pub use doors::OwnAccess;
pub use group::GroupConfig;
pub use listener::{ClientAuth, ListenerConfig, Protocol, TlsConfig};
pub use sasl::{KeysError, Mechanism, OauthConfig, SaslConfig, SaslError};
pub use tls::TlsError;
pub use transaction::TransactionConfig;
