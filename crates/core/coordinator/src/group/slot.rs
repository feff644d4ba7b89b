//! One group in the coordinator: its state, its offsets, and who waits for its answers.
//!
//! Owns: the lock of a group and what lies under it. Does not own: transitions (`Group`), when they
//! happen (`coordinator`).

use super::journal::Durable;
use super::kind::Kind;
use futures_util::future::Shared;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use systole_group::Offsets;
use systole_group::classic::{Effect, Group, JoinAnswer, SyncAnswer, Token};
use systole_group::record::Pair;
use systole_world::Instant;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: Arc<str>,
    /// Of `__consumer_offsets`.
    pub(super) partition: i32,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) kind: Kind,
    /// Removed: whoever still holds it must look the group up anew.
    pub(super) is_dead: bool,
    /// Of a group that changes through facts: those appended last.
    pub(super) in_flight: Option<Shared<Durable>>,
    /// What goes to the log ahead of the next facts.
    pub(super) prefix: Vec<Pair>,
    pub(super) offsets: Offsets,
    waiting: HashMap<Token, Waiter>,
    /// The earliest entry of this group in the alarm's queue.
    pub(super) alarm_at: Option<Instant>,
    /// What the members take in memory, as of the last transition.
    pub(super) group_bytes: usize,
    /// This group's part in the coordinator's count of bytes.
    pub(super) counted_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Waiter {
    Join(oneshot::Sender<JoinAnswer>),
    Sync(oneshot::Sender<SyncAnswer>),
}

impl Slot {
    pub(super) fn new(id: Arc<str>, partition: i32, kind: Kind, offsets: Offsets) -> Self {
        let inner = Inner {
            kind,
            is_dead: false,
            in_flight: None,
            prefix: Vec::new(),
            offsets,
            waiting: HashMap::new(),
            alarm_at: None,
            group_bytes: 0,
            counted_bytes: 0,
        };
        Self { id, partition, inner: Mutex::new(inner) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) fn wait(&mut self, token: Token, waiter: Waiter) {
        self.waiting.insert(token, waiter);
    }

    /// Nobody may listen any more: then the client is gone, and its session will tell.
    pub(super) fn answer_join(&mut self, token: Token, answer: JoinAnswer) {
        if let Some(Waiter::Join(sender)) = self.waiting.remove(&token) {
            let _ = sender.send(answer);
        }
    }

    pub(super) fn answer_sync(&mut self, token: Token, answer: SyncAnswer) {
        if let Some(Waiter::Sync(sender)) = self.waiting.remove(&token) {
            let _ = sender.send(answer);
        }
    }

    /// The group under the classic protocol.
    pub(super) fn classic(&mut self) -> Option<&mut Group> {
        match &mut self.kind {
            Kind::Classic(it) => Some(it),
            Kind::Consumer(_) | Kind::Share(_) | Kind::Streams(_) => None,
        }
    }

    /// Answers the requests that a classic group wants answered.
    pub(super) fn answer_waiters(&mut self) {
        for effect in self.classic().map(Group::take_effects).unwrap_or_default() {
            match effect {
                Effect::Join(token, answer) => self.answer_join(token, answer),
                Effect::Sync(token, answer) => self.answer_sync(token, answer),
                Effect::Save(..) => {}
            }
        }
    }

    /// A group that nobody is in and that left no record.
    pub(super) fn is_unused(&self) -> bool {
        self.kind.is_vacant() && self.offsets.is_empty() && !self.kind.was_saved()
    }
}
