//! Groups that change through facts, one record each.
//!
//! Owns: the order of a group's facts and its answers. Does not own: decisions (`systole_group`),
//! what a request asks (`consumer`).
//!
//! A request changes the group at once and its facts are appended under the same lock. If they
//! cannot be, the change is taken back. An answer leaves when everything that it may show is
//! durable, the facts of earlier requests included.

use super::coordinator::Shared;
use super::journal::Durable;
use super::kind::Kind;
use super::slot::{Inner, Slot};
use futures_util::FutureExt as _;
use std::future::ready;
use std::sync::Arc;
use systole_group::Now;
use systole_group::consumer::Topics;
use systole_wire::{ErrorCode, Rejected};

impl Shared {
    /// One turn of a group: the change, its records, its next waking, its memory.
    /// The outer error: the records could not be appended, and the change is taken back.
    pub(super) fn turn_by_facts<R>(
        &self,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        turn: impl FnOnce(&mut Kind, &dyn Topics, Now) -> Result<R, Rejected>,
    ) -> Result<Result<(R, Durable), Rejected>, Rejected> {
        let answer = turn(&mut inner.kind, self.journal.topics(), self.now());
        let stored = self.append_facts(slot, inner);
        self.arm(slot, inner);
        inner.group_bytes = slot.id.len() + inner.kind.bytes();
        self.weigh(inner);
        stored.map_err(failed)?;
        let durable = inner.durable();
        Ok(answer.map(|it| (it, durable)))
    }

    /// Fences whoever is late in a consumer or a streams group.
    pub(super) fn advance_by_facts(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        let late = |kind: &mut Kind, topics: &dyn Topics, now: Now| {
            match kind {
                Kind::Classic(_) | Kind::Share(_) => {}
                Kind::Consumer(group) => group.advance(topics, now),
                Kind::Streams(group) => group.advance(now),
            }
            Ok(())
        };
        if let Err(rejected) | Ok(Err(rejected)) = self.turn_by_facts(slot, inner, late) {
            tracing::warn!(%rejected, "late members could not be fenced");
            inner.kind.resume(self.now());
            self.arm(slot, inner);
        }
    }

    /// Appends what the group has to tell the log.
    fn append_facts(&self, slot: &Slot, inner: &mut Inner) -> Result<(), ErrorCode> {
        let facts = inner.kind.take_pairs(&slot.id);
        if facts.as_ref().is_ok_and(Vec::is_empty) {
            return Ok(());
        }
        let mut pairs = std::mem::take(&mut inner.prefix);
        let appended = facts.and_then(|facts| {
            pairs.extend(facts);
            self.append(slot.partition, &pairs)
        });
        match appended {
            Ok(appended) => {
                inner.kind.appended();
                inner.in_flight = Some(appended.durable.shared());
                Ok(())
            }
            Err(code) => {
                inner.kind.undo();
                Err(code)
            }
        }
    }
}

impl Inner {
    /// Ready once everything that the group shows is durable.
    pub(super) fn durable(&self) -> Durable {
        match &self.in_flight {
            Some(it) => Box::pin(it.clone()),
            None => Box::pin(ready(Ok(()))),
        }
    }
}

pub(super) fn failed(code: ErrorCode) -> Rejected {
    Rejected::new(code, "The group's records cannot be written now.")
}
