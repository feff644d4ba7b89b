//! The window of a share partition: runs of records in one state.
//!
//! Owns: the runs, the indexes over them, taking changes back. Does not own: which changes a
//! request makes (`acquire`, `acknowledge`).

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Instant;

/// The settings of a group, as its share partitions take them.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Deliveries of one record, after which it is archived if nobody accepted it.
    pub deliveries_max: i16,
    /// Records from the start of the window to its end, above which none is acquired anew.
    pub locks_max: i64,
    /// How long an acquired record is its member's.
    pub lock: Duration,
    /// May a member ask for more time?
    pub renews: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Available,
    Acquired,
    Acknowledged,
    Archived,
}

impl State {
    /// Decided: the record is never delivered again.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Archived)
    }
}

/// Neighbours in one state; where it begins is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) last: i64,
    pub(super) state: State,
    pub(super) deliveries: i16,
    /// Whose it is and until when, while acquired.
    pub(super) holder: Option<(Arc<str>, Instant)>,
}

/// What was in a range, from its first to its last offset.
type Before = (i64, i64, Vec<(i64, Run)>);

/// See the module. Empty windows begin and end at the same offset, the next to be fetched.
#[derive(Debug)]
pub struct Partition {
    pub(super) start: i64,
    /// Behind the last record that was ever acquired.
    pub(super) end: i64,
    pub(super) runs: BTreeMap<i64, Run>,
    /// Where runs begin that are available.
    available: BTreeSet<i64>,
    locks: BTreeSet<(Instant, i64)>,
    /// Decided records in the window.
    decided: i64,
    /// Ranges whose state is to be written.
    pub(super) changed: Vec<(i64, i64)>,
    pub(super) start_written: i64,
    undo: Vec<Before>,
    undo_start: Option<i64>,
}

/// What a run takes in memory, with its indexes: an estimate, in bytes.
const RUN_BYTES: usize = 160;

impl Partition {
    /// An empty window.
    pub fn new(start: i64) -> Self {
        Self {
            start,
            end: start,
            runs: BTreeMap::new(),
            available: BTreeSet::new(),
            locks: BTreeSet::new(),
            decided: 0,
            changed: Vec::new(),
            start_written: start,
            undo: Vec::new(),
            undo_start: None,
        }
    }

    pub fn start(&self) -> i64 {
        self.start
    }
    /// Decided records in the window.
    pub fn decided(&self) -> i64 {
        self.decided
    }
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.runs.len() * RUN_BYTES
    }
    /// From where to read for the next member that asks.
    pub fn next_fetch(&self) -> i64 {
        self.available.first().copied().unwrap_or(self.end)
    }
    /// Is there anything to acquire, provided that the log has it?
    pub fn can_acquire(&self, rules: Rules) -> bool {
        !self.available.is_empty() || self.in_flight() < rules.locks_max
    }
    pub(super) fn in_flight(&self) -> i64 {
        self.end - self.start
    }
    /// The earliest instant at which [`Partition::expire`] may have something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.locks.first().map(|(at, _)| *at)
    }
    pub(super) fn first_lock(&self) -> Option<(Instant, i64)> {
        self.locks.first().copied()
    }

    /// Records before `log_start` are gone, whoever has them.
    pub fn trim_to(&mut self, log_start: i64) {
        if log_start > self.start {
            drop(self.cut(self.start, log_start.min(self.end) - 1));
            self.start = log_start;
            self.end = self.end.max(log_start);
            self.advance();
            self.settle();
        }
    }

    /// What was changed has its place in the log.
    pub fn appended(&mut self) {
        self.start_written = self.start;
        self.settle();
    }
    /// Takes back what was changed since the last [`Partition::appended`].
    pub fn undo(&mut self) {
        for (first, last, runs) in mem::take(&mut self.undo).into_iter().rev() {
            drop(self.cut(first, last));
            for (first, run) in runs {
                self.insert(first, run);
            }
        }
        self.start = self.undo_start.take().unwrap_or(self.start);
        self.changed.clear();
    }
    /// Nothing that was changed is to be taken back.
    pub(super) fn settle(&mut self) {
        self.undo.clear();
        self.undo_start = None;
    }

    /// Replaces what is in a range: `change` says what each of its runs becomes.
    pub(super) fn change(&mut self, first: i64, last: i64, change: impl Fn(&mut Run)) {
        let before = self.cut(first, last);
        for (first, run) in &before {
            let mut run = run.clone();
            change(&mut run);
            self.put(*first, run);
        }
        self.undo.push((first, last, before));
    }

    /// Makes the window begin at the first record that is not decided.
    pub(super) fn advance(&mut self) {
        while let Some((first, run)) = self.runs.first_key_value()
            && run.state.is_final()
        {
            let (first, last) = (*first, run.last);
            let before = self.cut(first, last);
            self.undo.push((first, last, before));
            self.undo_start.get_or_insert(self.start);
            self.start = last + 1;
        }
    }

    /// Adds a run behind all others.
    pub(super) fn extend(&mut self, run: Run) {
        let first = self.end;
        self.end = run.last + 1;
        self.put(first, run);
    }

    /// The runs that overlap a range, whole.
    pub(super) fn overlapping(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, &Run)> {
        let from = self.runs.range(..=first).next_back().map_or(first, |(it, _)| *it);
        let all = self.runs.range(from..=last.max(from)).map(|(it, run)| (*it, run));
        all.filter(move |(begins, run)| run.last >= first && *begins <= last)
    }

    /// Takes out what is in a range; runs that reach beyond are split.
    fn cut(&mut self, first: i64, last: i64) -> Vec<(i64, Run)> {
        if last < first {
            return Vec::new();
        }
        self.split(first);
        self.split(last + 1);
        let keys: Vec<_> = self.runs.range(first..=last).map(|(it, _)| *it).collect();
        keys.into_iter().filter_map(|it| Some((it, self.remove(it)?))).collect()
    }

    /// Makes a run begin at `at`, if one goes across it.
    fn split(&mut self, at: i64) {
        let across = self.runs.range(..at).next_back().filter(|(_, run)| run.last >= at);
        if let Some(first) = across.map(|(first, _)| *first)
            && let Some(mut front) = self.remove(first)
        {
            let back = front.clone();
            front.last = at - 1;
            self.insert(first, front);
            self.insert(at, back);
        }
    }

    /// Puts a run into its gap; it becomes one with neighbours like it.
    fn put(&mut self, first: i64, mut run: Run) {
        let mut first = first;
        let is_like = |a: &Run, b: &Run| {
            (a.state, a.deliveries, &a.holder) == (b.state, b.deliveries, &b.holder)
        };
        let before = self.runs.range(..first).next_back();
        if let Some(key) =
            before.filter(|(_, it)| it.last + 1 == first && is_like(it, &run)).map(|(key, _)| *key)
        {
            self.remove(key);
            first = key;
        }
        let behind = self.runs.get(&(run.last + 1)).filter(|it| is_like(it, &run));
        if let Some(last) = behind.map(|it| it.last) {
            self.remove(run.last + 1);
            run.last = last;
        }
        self.insert(first, run);
    }

    fn insert(&mut self, first: i64, run: Run) {
        match (run.state, &run.holder) {
            (State::Available, _) => drop(self.available.insert(first)),
            (State::Acquired, Some((_, until))) => drop(self.locks.insert((*until, first))),
            _ => self.decided += run.last + 1 - first,
        }
        self.runs.insert(first, run);
    }

    fn remove(&mut self, first: i64) -> Option<Run> {
        let run = self.runs.remove(&first)?;
        match (run.state, &run.holder) {
            (State::Available, _) => drop(self.available.remove(&first)),
            (State::Acquired, Some((_, until))) => drop(self.locks.remove(&(*until, first))),
            _ => self.decided -= run.last + 1 - first,
        }
        Some(run)
    }

    /// The invariants of the module; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let (mut at, mut decided) = (self.start, 0);
        for (first, run) in &self.runs {
            assert_eq!(at, *first, "runs tile the window");
            assert!(run.last >= *first);
            assert_eq!(run.holder.is_some(), run.state == State::Acquired);
            decided += if run.state.is_final() { run.last + 1 - first } else { 0 };
            at = run.last + 1;
        }
        assert_eq!((at, decided), (self.end, self.decided));
        assert!(self.runs.values().next().is_none_or(|it| !it.state.is_final()));
        let of = |state: State| self.runs.values().filter(move |it| it.state == state).count();
        assert_eq!(of(State::Available), self.available.len());
        assert_eq!(of(State::Acquired), self.locks.len());
    }
}
