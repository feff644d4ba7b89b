//! The write-ahead log: what every partition appends, in one sequence of groups.
//!
//! Owns: the group format, the files with their recycling, and which groups count after a crash.
//! Does not own: threads, tickets, or what an entry does to a partition (`engine`, `recovery`).
//! Reading order: [`frame`] -> [`writer`] -> [`chain`] -> [`renewal`].
//! Bytes: `docs/formats/wal.md`.

mod buffer;
pub(crate) mod chain;
pub(crate) mod frame;
pub(crate) mod name;
pub(crate) mod renewal;
pub(crate) mod writer;

pub(crate) use frame::{Entry, Kind, Sequence};
pub(crate) use writer::Wal;
