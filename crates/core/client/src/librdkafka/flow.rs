//! Records under way: how many, how heavy, and who waits for them.
//!
//! Owns: the limit of a producer's queue, and bringing each result to its receiver. Does not own:
//! the queue itself, which is librdkafka's.

use crate::{Delivered, Error, Kind, NewRecord};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use systole_kit::ByteSize;
use tokio::sync::{Notify, oneshot};

/// What librdkafka keeps beside the bytes of a record, about.
const RECORD_OVERHEAD_BYTES: u64 = 128;

type Outcome = Result<Delivered, Error>;

pub(super) struct Flow {
    bytes_max: u64,
    bytes: AtomicU64,
    records: AtomicU64,
    lost: AtomicU64,
    closed: AtomicBool,
    /// Told when the queue has drained to half, so that waiters do not wake for each record.
    room: Notify,
    idle: Notify,
}

impl Flow {
    pub(super) fn new(bytes_max: ByteSize) -> Self {
        Self {
            bytes_max: bytes_max.bytes(),
            bytes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            room: Notify::new(),
            idle: Notify::new(),
        }
    }

    pub(super) fn weight(record: &NewRecord) -> u64 {
        u64::try_from(record.size_bytes()).unwrap_or(u64::MAX).saturating_add(RECORD_OVERHEAD_BYTES)
    }

    /// Takes room for one record, or says that there is none.
    pub(super) fn enter(&self, weight: u64) -> bool {
        let take = |bytes: u64| {
            let after = bytes.saturating_add(weight);
            (after <= self.bytes_max).then_some(after)
        };
        let taken = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok();
        if taken {
            self.records.fetch_add(1, Ordering::AcqRel);
        }
        taken
    }

    /// Gives the room back.
    pub(super) fn leave(&self, weight: u64) {
        let before = self.bytes.fetch_sub(weight, Ordering::AcqRel);
        let half = self.bytes_max / 2;
        if before > half && before - weight <= half {
            self.room.notify_waiters();
        }
        if self.records.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    pub(super) async fn wait_for_room(&self) -> Result<(), Error> {
        wait(&self.room, || {
            self.is_closed() || self.bytes.load(Ordering::Acquire) <= self.bytes_max / 2
        })
        .await;
        if self.is_closed() { Err(Error::closed()) } else { Ok(()) }
    }
    pub(super) async fn wait_until_idle(&self) {
        wait(&self.idle, || self.is_idle()).await;
    }
    pub(super) fn is_idle(&self) -> bool {
        self.records.load(Ordering::Acquire) == 0
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.room.notify_waiters();
    }
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// An error if records were lost whose result nobody received.
    pub(super) fn losses(&self) -> Result<(), Error> {
        match self.lost.load(Ordering::Acquire) {
            0 => Ok(()),
            count => Err(Error::new(Kind::Undelivered).because(format!("{count} records"))),
        }
    }

    pub(super) fn finish(&self, ticket: Ticket, outcome: Outcome) {
        let failed = outcome.is_err();
        let heard = match ticket.reply {
            Reply::One(to) => to.send(outcome).is_ok(),
            Reply::Part(batch, at) => batch.set(at, outcome),
        };
        if failed && !heard {
            self.lost.fetch_add(1, Ordering::AcqRel);
        }
        self.leave(ticket.weight);
    }
}

/// Waits until `ready`, which became true before `told` was notified.
async fn wait(told: &Notify, ready: impl Fn() -> bool) {
    loop {
        let mut notified = std::pin::pin!(told.notified());
        notified.as_mut().enable(); // before the question, so that no answer slips between
        if ready() {
            return;
        }
        notified.await;
    }
}

/// What librdkafka carries for us with each record.
pub(super) struct Ticket {
    pub(super) weight: u64,
    pub(super) reply: Reply,
}

pub(super) enum Reply {
    One(oneshot::Sender<Outcome>),
    Part(Arc<Batch>, usize),
}

/// Results of records that were sent together: one wake-up for all.
pub(super) struct Batch {
    results: Mutex<Vec<Option<Outcome>>>,
    left: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Batch {
    /// `count` is at least 1.
    pub(super) fn new(count: usize) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, finished) = oneshot::channel();
        let batch = Self {
            results: Mutex::new(vec![None; count]),
            left: AtomicUsize::new(count),
            done: Mutex::new(Some(done)),
        };
        (Arc::new(batch), finished)
    }

    /// Whether somebody is still there to hear it.
    pub(super) fn set(&self, at: usize, outcome: Outcome) -> bool {
        if let Some(slot) = lock(&self.results).get_mut(at) {
            *slot = Some(outcome);
        }
        let last = self.left.fetch_sub(1, Ordering::AcqRel) == 1;
        let mut done = lock(&self.done);
        if last {
            done.take().is_some_and(|it| it.send(()).is_ok())
        } else {
            done.as_ref().is_some_and(|it| !it.is_closed())
        }
    }

    pub(super) fn take(&self) -> Vec<Outcome> {
        let results = std::mem::take(&mut *lock(&self.results));
        results.into_iter().map(|it| it.unwrap_or_else(|| Err(Error::closed()))).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_full_queue_lets_waiters_in_again_at_half() {
        let flow = Flow::new(ByteSize::new(100));
        assert!(flow.enter(40) && flow.enter(40) && !flow.enter(40));
        let mut waiter = std::pin::pin!(flow.wait_for_room());
        assert!(waiter.as_mut().now_or_never().is_none());
        flow.leave(40);
        assert_eq!(waiter.now_or_never(), Some(Ok(())));
    }

    #[test]
    fn closing_wakes_who_waits_for_room() {
        let flow = Flow::new(ByteSize::new(100));
        assert!(flow.enter(100));
        let mut waiter = std::pin::pin!(flow.wait_for_room());
        assert!(waiter.as_mut().now_or_never().is_none());
        flow.close();
        assert_eq!(waiter.now_or_never(), Some(Err(Error::closed())));
    }

    #[test]
    fn a_failure_that_nobody_hears_is_counted() {
        let flow = Flow::new(ByteSize::new(100));
        let (one, heard) = oneshot::channel();
        let (two, _) = oneshot::channel();
        for to in [one, two] {
            assert!(flow.enter(1));
            flow.finish(Ticket { weight: 1, reply: Reply::One(to) }, Err(Error::closed()));
        }
        drop(heard);
        assert_eq!(flow.losses().unwrap_err().kind(), Kind::Undelivered);
        assert!(flow.is_idle());
    }

    #[test]
    fn a_batch_ends_with_its_last_record() {
        let (batch, mut finished) = Batch::new(2);
        assert!(batch.set(1, Err(Error::closed())));
        assert!(finished.try_recv().is_err());
        let delivered = Delivered { partition: 0, offset: crate::Offset::ZERO, timestamp: None };
        assert!(batch.set(0, Ok(delivered)));
        assert!(finished.try_recv().is_ok());
        assert_eq!(batch.take(), [Ok(delivered), Err(Error::closed())]);
    }
}
