//! How far the write-ahead log has come, and who waits for it.
//!
//! Owns: [`Ticket`]s and their outcome. Does not own: writing.
//!
//! Everything appended gets the next number. Numbers become written, then durable, in order, or a
//! range of them fails. So a request that touched a thousand partitions waits for one ticket.

use crate::error::AppendError;
use crate::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// Failed ranges that are remembered. An older ticket counts as failed: better one needless retry
/// than a false answer.
const FAILURES_MAX: usize = 1024;

/// What to wait for until an append may be answered. [`Ticket::and`] joins several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    first: u64,
    written: u64,
    durable: u64,
}

impl Ticket {
    /// Nothing to wait for.
    pub const NONE: Self = Self { first: u64::MAX, written: 0, durable: 0 };

    pub(crate) const fn new(number: u64, durable: bool) -> Self {
        Self { first: number, written: number, durable: if durable { number } else { 0 } }
    }
    /// Succeeds when both do. A failure of anything appended between the two may fail it as well.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            written: self.written.max(other.written),
            durable: self.durable.max(other.durable),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Commits(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    written: u64,
    durable: u64,
    failures: Vec<Failure>,
    /// Outcomes up to here are forgotten.
    forgotten: u64,
    waiting: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    next_waiter: u64,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    first: u64,
    last: u64,
    error: AppendError,
}

impl Progress {
    fn outcome(&self, ticket: Ticket) -> Option<Result<(), AppendError>> {
        let failure =
            self.failures.iter().find(|it| it.first <= ticket.written && ticket.first <= it.last);
        if let Some(it) = failure {
            return Some(Err(it.error));
        }
        if ticket.first <= self.forgotten {
            return Some(Err(AppendError::DiskFailed));
        }
        let done = ticket.written <= self.written && ticket.durable <= self.durable;
        done.then_some(Ok(()))
    }
    /// Whoever waits for a number up to `reached` looks again.
    fn take_waiting(&mut self, reached: u64) -> Vec<oneshot::Sender<()>> {
        let later = self.waiting.split_off(&(reached.saturating_add(1), 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }
}

impl Commits {
    pub(crate) fn written(&self, number: u64) {
        let woken = {
            let mut it = lock(&self.0);
            it.written = it.written.max(number);
            // Those who wait for durability look as well; they are few while this is used.
            it.take_waiting(number)
        };
        wake(woken);
    }
    pub(crate) fn durable(&self, number: u64) {
        let woken = {
            let mut it = lock(&self.0);
            it.written = it.written.max(number);
            it.durable = it.durable.max(number);
            it.take_waiting(number)
        };
        wake(woken);
    }
    pub(crate) fn fail(&self, first: u64, last: u64, error: AppendError) {
        let woken = {
            let mut it = lock(&self.0);
            match it.failures.last_mut() {
                Some(newest) if newest.error == error && newest.last + 1 >= first => {
                    newest.last = newest.last.max(last);
                }
                _ => it.failures.push(Failure { first, last, error }),
            }
            if it.failures.len() > FAILURES_MAX {
                it.forgotten = it.failures.remove(0).last;
            }
            it.written = it.written.max(last);
            it.durable = it.durable.max(last);
            it.take_waiting(u64::MAX - 1)
        };
        wake(woken);
    }
    /// Fails everything up to `last` that is not known to be durable.
    pub(crate) fn fail_unsettled(&self, last: u64, error: AppendError) {
        let first = lock(&self.0).durable + 1;
        if first <= last {
            self.fail(first, last, error);
        }
    }
    pub(crate) fn outcome(&self, ticket: Ticket) -> Option<Result<(), AppendError>> {
        lock(&self.0).outcome(ticket)
    }
    pub(crate) async fn wait(&self, ticket: Ticket) -> Result<(), AppendError> {
        loop {
            let woken = {
                let mut it = lock(&self.0);
                if let Some(outcome) = it.outcome(ticket) {
                    return outcome;
                }
                let (sender, receiver) = oneshot::channel();
                let target =
                    if ticket.durable > it.durable { ticket.durable } else { ticket.written };
                let waiter = it.next_waiter;
                it.next_waiter += 1;
                it.waiting.insert((target, waiter), sender);
                receiver
            };
            // An error means only that the sender was dropped; the loop finds out what happened.
            let _: Result<(), _> = woken.await;
        }
    }
}

fn wake(waiting: Vec<oneshot::Sender<()>>) {
    for it in waiting {
        let _: Result<(), ()> = it.send(()); // a waiter that gave up is no failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_ticket_fails_when_a_part_did() {
        let commits = Commits::default();
        commits.durable(1);
        commits.fail(2, 3, AppendError::DiskFull);
        commits.durable(4);
        let [one, two, four] = [1, 2, 4].map(|it| Ticket::new(it, true));
        assert_eq!(commits.outcome(one), Some(Ok(())));
        assert_eq!(commits.outcome(four), Some(Ok(())));
        assert_eq!(commits.outcome(four.and(two)), Some(Err(AppendError::DiskFull)));
        assert_eq!(commits.outcome(Ticket::new(5, true)), None);
        assert_eq!(commits.outcome(Ticket::NONE), Some(Ok(())));
    }
    #[test]
    fn a_relaxed_ticket_does_not_wait_for_the_sync() {
        let commits = Commits::default();
        commits.written(1);
        assert_eq!(commits.outcome(Ticket::new(1, false)), Some(Ok(())));
        assert_eq!(commits.outcome(Ticket::new(1, true)), None);
    }
    #[tokio::test]
    async fn waiters_are_woken_when_their_number_is_durable() {
        let commits = Commits::default();
        let wait = commits.wait(Ticket::new(2, true));
        tokio::pin!(wait);
        assert!(futures_util::poll!(&mut wait).is_pending());
        commits.written(2);
        assert!(futures_util::poll!(&mut wait).is_pending());
        commits.durable(2);
        assert_eq!(wait.await, Ok(()));
    }
}
