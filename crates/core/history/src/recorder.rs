//! Who writes a history while clients run side by side.
//!
//! Owns: the one order of beginnings and ends, fresh numbers. Does not own: what they mean.

use crate::op::{Act, Cleanup, History, Moment, Op, Outcome, Place};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones write the same history.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    history: History,
    now: u64,
    numbers: u64,
}

/// An operation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(usize);

impl Recorder {
    /// A number that nothing else in this history has.
    pub fn number(&self) -> u64 {
        let mut state = self.lock();
        state.numbers += 1;
        state.numbers
    }
    /// To be called before anything of it can reach the broker. Unknown until [`Recorder::end`].
    pub fn begin(&self, client: &Arc<str>, act: Act) -> Ticket {
        let mut state = self.lock();
        let begun = state.tick();
        let client = Arc::clone(client);
        state.history.ops.push(Op { client, begun, ended: None, outcome: Outcome::Unknown, act });
        Ticket(state.history.ops.len() - 1)
    }
    /// `learn` writes what the answer said into the operation.
    pub fn end(&self, ticket: Ticket, outcome: Outcome, learn: impl FnOnce(&mut Act)) {
        let mut state = self.lock();
        let ended = state.tick();
        if let Some(op) = state.history.ops.get_mut(ticket.0) {
            op.ended = Some(ended);
            op.outcome = outcome;
            learn(&mut op.act);
        }
    }
    /// The operation brought nothing that could be known: it never was.
    pub fn now(&self) -> Moment {
        Moment(self.lock().now)
    }
    pub fn cleans(&self, topic: &str, cleanup: Cleanup) {
        self.lock().history.cleanup.insert(topic.into(), cleanup);
    }
    pub fn starts(&self, place: Place, offset: i64) {
        self.lock().history.starts.insert(place, offset);
    }
    /// Takes what was written so far out.
    pub fn finish(&self) -> History {
        std::mem::take(&mut self.lock().history)
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> Moment {
        self.now += 1;
        Moment(self.now)
    }
}
