//! What a consumer has read ahead of its user.
//!
//! Owns: the limit in bytes, the order of events, and the handshake of a revocation. Does not own:
//! reading (`consumer`).

use crate::{Error, Event};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use systole_kit::ByteSize;
use tokio::sync::mpsc;

/// How long the reading thread waits for room before it looks whether it should end.
const WAIT: Duration = Duration::from_millis(100);

/// One event with its weight, and whoever waits until it has been dealt with.
pub(super) struct Item {
    pub(super) event: Result<Event, Error>,
    pub(super) weight: usize,
    pub(super) dealt_with: Option<std::sync::mpsc::SyncSender<()>>,
}

/// Shared by the reading thread, which fills it, and the user's handle, which empties it.
pub(super) struct Inbox {
    items: mpsc::UnboundedSender<Item>, // bounded by `weight_max`
    weight_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    weight: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(weight_max: ByteSize) -> (Self, mpsc::UnboundedReceiver<Item>) {
        let (items, out) = mpsc::unbounded_channel();
        let weight_max = usize::try_from(weight_max.bytes()).unwrap_or(usize::MAX);
        (Self { items, weight_max, state: Mutex::default(), changed: Condvar::new() }, out)
    }

    /// Blocks until there is room or the inbox is closed. An item heavier than all room goes alone.
    pub(super) fn put(&self, event: Result<Event, Error>, weight: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.closed && state.weight > 0 && state.weight + weight > self.weight_max {
            let waited = self.changed.wait_timeout(state, WAIT);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.weight += weight;
        drop(state);
        // Nobody receives any more: the consumer is being closed, and its records with it.
        let _ = self.items.send(Item { event, weight, dealt_with: None });
    }

    /// Blocks until the user has seen the event and asks for the next one, at most for `limit`.
    pub(super) fn put_and_wait(&self, event: Event, limit: Duration) {
        if self.is_closed() {
            return;
        }
        let (sender, dealt_with) = std::sync::mpsc::sync_channel(1);
        let item = Item { event: Ok(event), weight: 0, dealt_with: Some(sender) };
        if self.items.send(item).is_ok() {
            // An error is as good: the handle is gone, or the group has given us up by then.
            let _ = dealt_with.recv_timeout(limit);
        }
    }

    /// Gives the room of a received item back.
    pub(super) fn release(&self, weight: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).weight -= weight;
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_reader_waits_until_there_is_room() {
        let (inbox, mut out) = Inbox::new(ByteSize::new(10));
        let inbox = Arc::new(inbox);
        inbox.put(Ok(Event::Records(Vec::new())), 8);
        let second = std::thread::spawn({
            let inbox = inbox.clone();
            move || inbox.put(Ok(Event::Records(Vec::new())), 8)
        });
        let first = out.blocking_recv().unwrap();
        assert!(out.try_recv().is_err());
        inbox.release(first.weight);
        second.join().unwrap();
        assert_eq!(out.blocking_recv().unwrap().weight, 8);
    }

    #[test]
    fn a_closed_inbox_holds_nobody() {
        let (inbox, _out) = Inbox::new(ByteSize::new(1));
        inbox.put(Ok(Event::Records(Vec::new())), 8);
        inbox.close();
        inbox.put(Ok(Event::Records(Vec::new())), 8);
        inbox.put_and_wait(Event::Revoked(Vec::new()), Duration::MAX);
    }
}
