//! The broker from outside: a node in a temporary directory, and clients that speak frames.
#![allow(clippy::disallowed_methods)] // tests open their own sockets
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end here
#![allow(dead_code)] // parts of the harness wait for their first user

mod access;
mod compaction;
mod configs;
mod consumer_groups;
mod crowd;
mod damage;
mod disk;
mod fetch;
mod frames;
mod groups;
mod harness;
mod lag;
mod login;
mod matrix;
mod metadata;
mod offsets;
mod one_node;
mod produce;
mod provider;
mod questions;
mod quotas;
mod records;
mod sasl;
mod share_groups;
mod share_offsets;
mod share_records;
mod start;
mod table;
mod tls;
mod token;
mod topics;
mod transaction_offsets;
mod transaction_stops;
mod transactions;
