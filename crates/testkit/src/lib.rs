//! What tests of several crates share.
//!
//! Owns: the embedded broker and a real Apache Kafka for tests, the contract suites that run with
//! any backend, a ledger of what was acknowledged, waiting for conditions, a cable that can be cut.
//! Does not own: fixtures of one crate alone.
//! Reading order: [`contract`] -> [`real_kafka`] -> [`identities`] -> [`ledger`] -> [`wait`] ->
//! [`cable`].
//!
//! Never a dependency of what ships; tests only.
#![allow(clippy::disallowed_methods)] // tests meet the real clock, real files and real sockets
#![allow(clippy::expect_used, clippy::print_stderr)] // a broken fixture stops the test

pub mod cable;
pub mod contract;
pub mod embedded_node;
pub mod identities;
pub mod ledger;
pub mod port;
pub mod real_kafka;
pub mod wait;

pub use cable::Cable;
pub use contract::Backend;
pub use embedded_node::EmbeddedNode;
pub use ledger::Ledger;
pub use real_kafka::RealKafka;
