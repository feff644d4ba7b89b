//! Log lines that a stranger can cause, held to one in a while.
//!
//! Owns: when the next line is due and how many were hidden. Does not own: the line.

use crate::ctx::Ctx;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systole_world::Instant;

#[derive(Debug)]
pub(crate) struct Seldom {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    quiet_until: Option<Instant>,
    hidden: u64,
}

impl Seldom {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::default() }
    }

    /// Calls `line` with the number of calls that were hidden since the last line, at most once in
    /// the interval.
    pub(crate) fn say(&self, ctx: &Ctx, line: impl FnOnce(u64)) {
        let now = ctx.world.clock.instant();
        let hidden = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.quiet_until.is_some_and(|until| now < until) {
                state.hidden += 1;
                return;
            }
            state.quiet_until = Some(now.plus(self.interval));
            std::mem::take(&mut state.hidden)
        };
        line(hidden);
    }
}
