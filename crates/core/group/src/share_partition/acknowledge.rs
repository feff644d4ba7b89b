//! What members say of the records that they got, and what happens when they say nothing.

use super::state::{Partition, Rules, Run, State};
use systole_kit::Instant;
use systole_wire::ErrorCode;

/// What is to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckKind {
    /// There is no such record: compaction took it, or it is a marker of a transaction.
    Gap,
    Accept,
    Release,
    Reject,
    /// More time, please.
    Renew,
}

impl AckKind {
    /// By Kafka's number.
    pub fn from_wire(number: i8) -> Option<Self> {
        Some(match number {
            0 => Self::Gap,
            1 => Self::Accept,
            2 => Self::Release,
            3 => Self::Reject,
            4 => Self::Renew,
            _ => return None,
        })
    }
}

/// Records and what is to become of them: one kind for all, or one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    pub first: i64,
    pub last: i64,
    pub kinds: Vec<AckKind>,
}

/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    /// For people.
    pub message: &'static str,
}

const fn refused(code: ErrorCode, message: &'static str) -> Refused {
    Refused { code, message }
}

const NOT_ACQUIRED: Refused = refused(
    ErrorCode::InvalidRecordState,
    "The record is not acquired by this member, or not any more.",
);
const NOT_RENEWED: Refused = refused(
    ErrorCode::InvalidRecordState,
    "Renewing acquisition locks is not enabled for the group.",
);
const PAST: Refused =
    refused(ErrorCode::InvalidRequest, "The batch ends past the records that were acquired.");

impl Partition {
    /// Carries out what a member says of its records, all or nothing. Records before the window are
    /// decided, so what is said of them has no effect.
    ///
    /// # Errors  `INVALID_RECORD_STATE` for a record that is not the member's, `INVALID_REQUEST`
    /// for one that nobody ever got.
    pub fn acknowledge(
        &mut self,
        member: &str,
        acks: &[Ack],
        rules: Rules,
        now: Instant,
    ) -> Result<(), Refused> {
        let done = acks.iter().try_for_each(|ack| {
            for (first, last, kind) in pieces(ack) {
                self.acknowledge_range(member, (first, last, kind), rules, now)?;
            }
            Ok(())
        });
        match done {
            Ok(()) => self.advance(),
            Err(_) => self.undo(),
        }
        done
    }

    fn acknowledge_range(
        &mut self,
        member: &str,
        (first, last, kind): (i64, i64, AckKind),
        rules: Rules,
        now: Instant,
    ) -> Result<(), Refused> {
        if last < self.start {
            return Ok(());
        }
        if self.runs.is_empty() {
            return Err(NOT_ACQUIRED);
        }
        if last >= self.end {
            return Err(PAST);
        }
        let first = first.max(self.start);
        let is_mine = |it: &Run| it.holder.as_ref().is_some_and(|(holder, _)| **holder == *member);
        if !self.overlapping(first, last).all(|(_, it)| is_mine(it)) {
            return Err(NOT_ACQUIRED);
        }
        let until = now.plus(rules.lock);
        match kind {
            AckKind::Renew if !rules.renews => return Err(NOT_RENEWED),
            AckKind::Renew => self.change(first, last, |run| {
                if let Some((_, it)) = &mut run.holder {
                    *it = until;
                }
            }),
            AckKind::Accept => self.decide(first, last, |_| State::Acknowledged),
            AckKind::Reject | AckKind::Gap => self.decide(first, last, |_| State::Archived),
            AckKind::Release => self.decide(first, last, |it| released(it, rules)),
        }
        Ok(())
    }

    /// Takes back everything that a member has: it left.
    pub fn release(&mut self, member: &str, rules: Rules) {
        let is_its = |it: &Run| it.holder.as_ref().is_some_and(|(holder, _)| **holder == *member);
        let its = self.runs.iter().filter(|(_, it)| is_its(it));
        let its: Vec<_> = its.map(|(first, it)| (*first, it.last)).collect();
        for (first, last) in its {
            self.decide(first, last, |it| released(it, rules));
        }
        self.advance();
    }

    /// Takes back what was held too long at `now`. True: something was.
    pub fn expire(&mut self, now: Instant, rules: Rules) -> bool {
        let mut is_changed = false;
        while let Some((until, first)) = self.first_lock()
            && until <= now
        {
            let last = self.runs.get(&first).map_or(first, |it| it.last);
            self.decide(first, last, |it| released(it, rules));
            is_changed = true;
        }
        self.advance();
        is_changed
    }

    /// Acquired records become something else, which is to be written.
    fn decide(&mut self, first: i64, last: i64, state: impl Fn(&Run) -> State) {
        self.change(first, last, |run| {
            run.state = state(run);
            run.holder = None;
        });
        self.changed.push((first, last));
    }
}

/// Given back: for another member, unless that would be one delivery too many.
fn released(run: &Run, rules: Rules) -> State {
    if run.deliveries >= rules.deliveries_max { State::Archived } else { State::Available }
}

/// Neighbours of one kind, together.
fn pieces(ack: &Ack) -> Vec<(i64, i64, AckKind)> {
    if let [kind] = ack.kinds[..] {
        return vec![(ack.first, ack.last, kind)];
    }
    let mut pieces: Vec<(i64, i64, AckKind)> = Vec::new();
    for (offset, kind) in (ack.first..=ack.last).zip(&ack.kinds) {
        match pieces.last_mut() {
            Some((_, last, it)) if it == kind => *last = offset,
            _ => pieces.push((offset, offset, *kind)),
        }
    }
    pieces
}
