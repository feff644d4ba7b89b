//! One timer for all groups.
//!
//! Owns: which group wants to be woken when. Does not own: what happens then (the coordinator).
//!
//! Memory: one entry for a group, and one more each time it moved its deadline forward before the
//! old one was reached; entries go when their time comes.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use systole_world::{Clock, Instant};
use tokio::sync::Notify;

/// Wakes holders of `T` at their time, earliest first.
#[derive(Debug)]
pub(crate) struct Alarm<T> {
    queue: Mutex<BinaryHeap<Reverse<Due<T>>>>,
    /// Something earlier than before is at the head of the queue.
    moved: Notify,
}

#[derive(Debug)]
struct Due<T> {
    at: Instant,
    whom: T,
}

impl<T> Alarm<T> {
    pub(crate) fn new() -> Self {
        Self { queue: Mutex::new(BinaryHeap::new()), moved: Notify::new() }
    }

    pub(crate) fn set(&self, at: Instant, whom: T) {
        let mut queue = self.lock();
        let is_first = queue.peek().is_none_or(|Reverse(head)| at < head.at);
        queue.push(Reverse(Due { at, whom }));
        drop(queue);
        if is_first {
            self.moved.notify_one();
        }
    }

    /// Waits until the earliest time has come. Cancelling loses nothing.
    pub(crate) async fn next(&self, clock: &dyn Clock) -> (Instant, T) {
        loop {
            let head = self.lock().peek().map(|Reverse(head)| head.at);
            match head {
                Some(at) if at <= clock.instant() => {
                    if let Some(Reverse(due)) = self.lock().pop() {
                        return (due.at, due.whom);
                    }
                }
                Some(at) => tokio::select! {
                    () = clock.sleep_until(at) => {}
                    () = self.moved.notified() => {}
                },
                None => self.moved.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Due<T>>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl<T> Eq for Due<T> {}
impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use systole_kit::Timestamp;
    use systole_world::sim::HandClock;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn the_earliest_comes_first_even_if_it_is_set_last() {
        let clock = HandClock::starting_at(Timestamp::default());
        let alarm = Alarm::new();
        alarm.set(at(9), 'b');
        let (mut next, mut polled) = (Box::pin(alarm.next(&clock)), false);
        let first = std::future::poll_fn(|cx| {
            if !polled {
                assert!(next.as_mut().poll(cx).is_pending());
                polled = true;
                alarm.set(at(5), 'a');
                clock.turn(Duration::from_secs(5));
            }
            next.as_mut().poll(cx)
        });
        assert_eq!(first.await, (at(5), 'a'));
        clock.turn(Duration::from_secs(4));
        assert_eq!(alarm.next(&clock).await, (at(9), 'b'));
    }
}
