//! What clients did and saw, and what in it must not be.
//!
//! Owns: the [`History`] of one run, its [`Recorder`], and [`check()`], which finds every
//! [`Anomaly`].
//! Does not own: clients, faults, or the judgement whether an operation was right to fail: a broker
//! may refuse and be silent as it likes, it may not lie.
//! Reading order: [`op`] -> [`Anomaly`] -> [`check()`].
//! Definitions after Jepsen's: <https://jepsen-io.github.io/jepsen/jepsen.tests.kafka.html>.
//!
//! Never a dependency of what ships; tests only.

mod anomaly;
mod check;
pub mod op;
mod recorder;
#[cfg(test)]
mod tests;

pub use anomaly::Anomaly;
pub use check::check;
pub use op::{
    Act, Cleanup, Commit, End, History, Look, Moment, Op, Outcome, Place, Poll, Record, Send,
};
pub use recorder::{Recorder, Ticket};
