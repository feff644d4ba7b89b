//! Where a consumer's messages come from: all partitions merged, or one lane for each.
//!
//! Owns: which lane has something, and their turns. Does not own: what comes out (`consumer`).
//!
//! `rdkafka` tells the end of a partition by its number and not by its topic, so a reader that
//! wants to know which one has ended needs a queue for each. Asking the broker instead would wait
//! behind the fetch that it holds open, once for each partition.

use crate::TopicPartition;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// So many messages of one lane, then it is the turn of the next that has some.
const TURN_MESSAGES: usize = 1000;

/// A message or an error, and whose it is where that is known.
type Polled<'a> = (Option<&'a TopicPartition>, KafkaResult<BorrowedMessage<'a>>);

pub(super) enum Source<C: ConsumerContext + 'static> {
    /// As a group assigns them.
    Merged,
    Lanes(Lanes<C>),
}

impl<C: ConsumerContext> Source<C> {
    /// The next message. Waits for it, and serves callbacks meanwhile; with lanes, callbacks are
    /// served before the wait.
    pub(super) fn poll<'a>(
        &'a mut self,
        native: &'a BaseConsumer<C>,
        wait: Duration,
    ) -> Option<Polled<'a>> {
        match self {
            Self::Merged => Some((None, native.poll(wait)?)),
            Self::Lanes(lanes) => match native.poll(Duration::ZERO) {
                Some(polled) => Some((None, polled)),
                None => lanes.poll(wait),
            },
        }
    }
}

pub(super) struct Lanes<C: ConsumerContext + 'static> {
    queues: Vec<(TopicPartition, PartitionQueue<C>)>,
    ready: Arc<Ready>,
    /// Whose turn it is, and how many messages are left of it.
    turn: (usize, usize),
}

/// Lanes that had something when we last heard of them. librdkafka's threads tell it.
#[derive(Default)]
struct Ready {
    lanes: Mutex<BTreeSet<usize>>,
    changed: Condvar,
}

impl<C: ConsumerContext> Lanes<C> {
    /// To be called before the partitions are assigned, so that nothing goes past the lanes.
    pub(super) fn split<'a>(
        native: &Arc<BaseConsumer<C>>,
        partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Self {
        let ready = Arc::new(Ready::default());
        let lane = |(number, at): (usize, &TopicPartition)| {
            let mut queue = native.split_partition_queue(&at.topic, at.partition)?;
            let ready = ready.clone();
            queue.set_nonempty_callback(move || ready.tell(number));
            Some((at.clone(), queue))
        };
        let queues = partitions.enumerate().filter_map(lane).collect();
        Self { queues, ready, turn: (0, 0) }
    }

    fn poll(&mut self, mut wait: Duration) -> Option<Polled<'_>> {
        let Self { queues, ready, turn } = self;
        loop {
            let (number, left) = *turn;
            if left > 0
                && let Some((at, queue)) = queues.get(number)
                && let Some(polled) = queue.poll(Duration::ZERO)
            {
                *turn = (number, left - 1);
                if left == 1 {
                    ready.tell(number); // there may be more
                }
                return Some((Some(at), polled));
            }
            *turn = (ready.next(number, wait)?, TURN_MESSAGES);
            wait = Duration::ZERO;
        }
    }
}

impl Ready {
    fn tell(&self, lane: usize) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).insert(lane);
        self.changed.notify_one();
    }
    /// The next in a circle after `last`, if there is one within `wait`.
    fn next(&self, last: usize, wait: Duration) -> Option<usize> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.changed.wait_timeout_while(lanes, wait, |it| it.is_empty());
        let mut lanes = told.unwrap_or_else(PoisonError::into_inner).0;
        let next = lanes.range(last + 1..).next().or_else(|| lanes.first()).copied()?;
        lanes.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_take_turns_however_often_one_tells_that_it_has_something() {
        let ready = Ready::default();
        for lane in [2, 0, 2, 7, 2] {
            ready.tell(lane);
        }
        assert_eq!(ready.next(0, Duration::ZERO), Some(2));
        ready.tell(2);
        assert_eq!(ready.next(2, Duration::ZERO), Some(7));
        assert_eq!(ready.next(7, Duration::ZERO), Some(0));
        assert_eq!(ready.next(0, Duration::ZERO), Some(2));
        assert_eq!(ready.next(2, Duration::ZERO), None);
    }
}
