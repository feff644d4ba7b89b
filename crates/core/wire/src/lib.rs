//! The Kafka protocol without any input or output: bytes in, values out, and back.
//!
//! Owns: messages of every API in every version, headers, record batches, compression, and the
//! bounds of decoding. Does not own: sockets, time, what a message means.
//! Reading order: [`codec`] -> [`message`] -> [`header`] -> [`api`], [`error_code`] -> [`record`].
//!
//! Invariants
//! - Decoding is total: any bytes give a value or an error, never a panic.
//! - Decoding allocates at most [`codec::ALLOCATION_FACTOR`] times the bytes it was given. Strings
//!   and byte fields are slices of the frame and cost nothing.
//! - What was decoded encodes to the same bytes, tagged fields of later Kafkas included.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod api;
pub mod catalog;
pub mod codec;
pub mod compression;
pub mod error_code;
#[allow(
    clippy::pedantic,
    clippy::float_cmp,
    clippy::wildcard_imports,
    missing_docs,
    reason = "written by a program for the compiler; readable, but not by hand"
)]
mod generated;
pub mod header;
pub mod message;
pub mod record;
mod rejected;

pub use api::ApiKey;
pub use codec::{DecodeError, EncodeError, Reader, Str, TaggedField, TaggedFields, Writer};
pub use error_code::ErrorCode;
pub use message::{Message, Request};
pub use rejected::Rejected;
