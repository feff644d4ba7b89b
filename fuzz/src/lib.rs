//! What is done with bytes of strangers, one function per place that reads them.
//!
//! Owns: [`TARGETS`], each with inputs to begin with, and [`mutate`]. Does not own: who makes up
//! the bytes: `main.rs` on stable Rust, libFuzzer in `libfuzzer/`.
#![allow(clippy::disallowed_methods)] // a test tool: it meets real sockets and real files

pub mod connection;
pub mod decode_request;
mod frames;
mod mutation;
pub mod record_batch;

pub use mutation::mutate;

/// One place that reads bytes of strangers.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Panics if the bytes show that something is wrong.
    pub run: fn(&[u8]),
    /// Inputs that get far, to be changed.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 3] = [
    Target { name: "decode_request", run: decode_request::run, seeds: decode_request::seeds },
    Target { name: "record_batch", run: record_batch::run, seeds: record_batch::seeds },
    Target { name: "connection", run: connection::run, seeds: connection::seeds },
];
