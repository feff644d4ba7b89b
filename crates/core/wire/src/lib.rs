//! The Kafka protocol, sans-IO.

pub mod compression;
pub mod record;
