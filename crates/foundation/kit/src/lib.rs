//! Words that every crate shares and that belong to no domain.
//!
//! Owns: ids and units as types, named limits, the retry schedule, the collection of problems,
//! error codes with their remedy, and [`Phi`], the wrapper that cannot be printed.
//! Does not own: anything asynchronous, anything that does input or output, any domain word.
//! Reading order: [`problem`] -> [`code`] -> [`phi`] -> [`unit`] -> [`retry`].

pub mod code;
pub mod id;
pub mod phi;
pub mod problem;
pub mod retry;
pub mod unit;

pub use code::{Code, Remedy};
pub use id::Uuid;
pub use phi::Phi;
pub use problem::Problems;
pub use retry::Backoff;
pub use unit::{ByteSize, Instant, Timestamp};
