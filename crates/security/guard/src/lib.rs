//! Decisions as pure functions: who may pass.
//!
//! Owns: whether a listener may open ([`door`]). Does not own: sockets, storage, enforcement; the
//! edges ask and obey.

pub mod door;
