//! Giving records to a member.
//!
//! Owns: which of the records that were read a member gets. Does not own: reading.
//!
//! # Source  Kafka's `SharePartition.acquire`. Kafka looks at the batches in which records were
//! acquired before; here the batches of the log are looked at, so that a piece is neither larger
//! nor smaller because of what became of it.

use super::state::{Partition, Rules, Run, State};
use std::sync::Arc;
use systole_kit::Instant;

/// Whole batches, or records by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The batch in which the wanted number is reached is given whole.
    Batches,
    Records,
}

/// Who asks for how much.
#[derive(Debug, Clone)]
pub struct Ask {
    pub member: Arc<str>,
    pub mode: Mode,
    pub records_max: i64,
    /// Records of one piece of the answer, above which the next batch begins another.
    pub piece_records: i64,
}

/// A batch of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub first: i64,
    pub last: i64,
    /// Of a transaction that was aborted, and the group reads committed records only.
    pub is_aborted: bool,
}

/// What was read for a member.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// The offset that was asked for.
    pub from: i64,
    /// In the order of offsets. What is missing between `from` and them is in the log no more.
    pub batches: &'a [Batch],
}

/// Records that a member got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    pub first: i64,
    pub last: i64,
    /// This delivery included.
    pub deliveries: i16,
}

impl Partition {
    /// Gives the member what it may have of what was read. Nothing is to be written for it: after a
    /// crash these records are available again, and this delivery did not count.
    pub fn acquire(
        &mut self,
        ask: &Ask,
        fetched: Fetched<'_>,
        rules: Rules,
        now: Instant,
    ) -> Vec<Acquired> {
        let Some(first) = fetched.batches.first() else { return Vec::new() };
        self.skip(fetched.from, first.first);
        let mut giving = Giving {
            holder: (Arc::clone(&ask.member), now.plus(rules.lock)),
            room: rules.locks_max - self.in_flight(),
            count: 0,
            pieces: Vec::new(),
            ask,
            rules,
        };
        let mut from = fetched.from.max(self.start);
        for batch in fetched.batches {
            if batch.last < from {
                continue;
            }
            if batch.is_aborted {
                self.archive(from, batch.last);
            } else if !self.give(from, batch, &mut giving) {
                break;
            }
            from = batch.last + 1;
        }
        self.advance();
        self.settle();
        giving.pieces
    }

    /// The log has nothing from `from` to `to`: compaction took it.
    fn skip(&mut self, from: i64, to: i64) {
        if to <= from {
            return;
        }
        if self.runs.is_empty() {
            self.start = self.start.max(to);
            self.end = self.start;
            return;
        }
        self.archive(from, to - 1);
    }

    /// Nobody is to get what is still available here.
    fn archive(&mut self, from: i64, last: i64) {
        let available: Vec<_> = self.available_in(from, last);
        for (first, last, _) in available {
            self.change(first, last, |run| run.state = State::Archived);
        }
        if last >= self.end {
            self.extend(Run { last, state: State::Archived, deliveries: 0, holder: None });
        }
    }

    fn available_in(&self, from: i64, last: i64) -> Vec<(i64, i64, i16)> {
        let available = self.overlapping(from, last).filter(|(_, it)| it.state == State::Available);
        available.map(|(at, it)| (at.max(from), it.last.min(last), it.deliveries)).collect()
    }

    /// Gives what is available of one batch, and of the gap before it. False: that is all for now.
    fn give(&mut self, from: i64, batch: &Batch, giving: &mut Giving<'_>) -> bool {
        let (last, records) = (batch.last, batch.last + 1 - batch.first);
        if giving.left() <= 0 {
            return false;
        }
        for (first, end, deliveries) in self.available_in(from, last) {
            if let Some(alone) = giving.rules.alone(deliveries, records) {
                // A record that failed often goes with few others, the last time with none: it may
                // be what makes its members fail.
                if giving.count == 0 {
                    let end = giving.end_of(first, end.min(first + alone - 1));
                    self.hand_over(first, end, deliveries, giving);
                }
                return false;
            }
            let end = giving.end_of(first, end);
            if end >= first {
                self.hand_over(first, end, deliveries, giving);
            }
        }
        let first = from.max(self.end);
        if last < first {
            return true;
        }
        if giving.room <= 0 || giving.left() <= 0 {
            return false;
        }
        let end = match giving.ask.mode {
            Mode::Batches => last,
            Mode::Records => last.min(first + giving.left().min(giving.room) - 1),
        };
        let holder = Some(giving.holder.clone());
        self.extend(Run { last: end, state: State::Acquired, deliveries: 1, holder });
        giving.room -= end + 1 - first;
        giving.note(first, end, 1);
        end == last
    }

    fn hand_over(&mut self, first: i64, last: i64, deliveries: i16, giving: &mut Giving<'_>) {
        let deliveries = deliveries.saturating_add(1);
        let holder = giving.holder.clone();
        self.change(first, last, |run| {
            run.state = State::Acquired;
            run.deliveries = deliveries;
            run.holder = Some(holder.clone());
        });
        giving.note(first, last, deliveries);
    }
}

/// How far one answer is filled.
struct Giving<'a> {
    ask: &'a Ask,
    rules: Rules,
    holder: (Arc<str>, Instant),
    /// Records that may be acquired for the first time.
    room: i64,
    count: i64,
    pieces: Vec<Acquired>,
}

impl Giving<'_> {
    fn left(&self) -> i64 {
        self.ask.records_max - self.count
    }
    /// Where a piece of a batch ends that begins at `first`.
    fn end_of(&self, first: i64, last: i64) -> i64 {
        match self.ask.mode {
            Mode::Batches => last,
            Mode::Records => last.min(first + self.left() - 1),
        }
    }
    fn note(&mut self, first: i64, last: i64, deliveries: i16) {
        self.count += last + 1 - first;
        let is_full = |it: &Acquired| {
            self.ask.mode == Mode::Batches && it.last + 1 - it.first >= self.ask.piece_records
        };
        match self.pieces.last_mut() {
            Some(it) if it.last + 1 == first && it.deliveries == deliveries && !is_full(it) => {
                it.last = last;
            }
            _ => self.pieces.push(Acquired { first, last, deliveries }),
        }
    }
}

/// Deliveries that a record has at least had before it goes with few others.
const DELIVERIES_BEFORE_ALONE: i16 = 2;

impl Rules {
    /// With how many others of its batch a record may go that was delivered so often; `None`: with
    /// all.
    fn alone(self, deliveries: i16, batch_records: i64) -> Option<i64> {
        let half = self.deliveries_max / 2 + self.deliveries_max % 2;
        let from = half.max(DELIVERIES_BEFORE_ALONE);
        if deliveries < from {
            return None;
        }
        if self.deliveries_max > 2 && deliveries >= self.deliveries_max - 1 {
            return Some(1);
        }
        let halvings = u32::from((deliveries - from + 1).unsigned_abs()).min(62);
        Some((batch_records >> halvings).max(1))
    }
}
