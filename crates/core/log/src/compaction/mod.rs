//! Compaction: of each key the newest record stays.
//!
//! Owns: which partition is due, the pass over its segments, and the change from old segments to
//! new ones. Does not own: when to run (the owner calls [`Log::compact`](crate::Log::compact)), or
//! retention. Reading order: [`Engine::compact`] -> `verdict` -> `output`; `latest` is the table of
//! keys. Bytes: `docs/formats/segment.md`.
//!
//! A pass reads the segments that no pass has read yet into the table, then writes every segment up
//! to there anew, several small ones as one. It takes no lock that an append takes, except to look
//! and to change segments in memory. When the table is full the pass ends at the last record that
//! fitted; the next one goes on from there.
//!
//! Invariants
//! - Never the active segment, nothing above the last stable offset.
//! - Offsets keep their values and segments stay without gaps: where nothing is left, a batch
//!   without records covers the offsets, so that damage shows as everywhere else.
//! - A new segment is durable under its final name before it is used, and the old ones stay until
//!   two checkpoints name the new one: whichever checkpoint a recovery can read, its segments are
//!   there. What no checkpoint names is removed at the start.

mod latest;
mod output;
#[cfg(test)]
mod tests;
mod verdict;

use crate::engine::Engine;
use crate::lock;
use crate::options::Compaction;
use crate::partition::{Life, Shared, State};
use crate::position::Offset;
use crate::report::Damage;
use crate::segment::reader::{Ask, Damaged};
use crate::segment::{Name, Segment};
use crate::transactions::Aborted;
use bytes::Bytes;
use latest::Latest;
use output::Output;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::record::{BatchHeader, RecordSet};
use verdict::{AbortedBy, Judge, Verdict};

/// Read at a time, or one larger batch. Between two reads a stop is obeyed.
const READ_BYTES: usize = 1024 * 1024;
/// Most offsets in one segment: as far as clients and tools of Kafka count from a base offset.
const OFFSETS_MAX: i64 = i32::MAX as i64;

/// A pass over one partition.
#[derive(Debug)]
pub(crate) struct Pass {
    shared: Arc<Shared>,
    segment_bytes: u64,
    generation: u64,
    rest: VecDeque<Segment>,
    judge: Judge,
}

/// Why a pass ends before its end.
#[derive(Debug)]
enum Halt {
    /// The caller wants to stop; the partition is due again later.
    Stopped,
    /// The segments are not what they were: trimmed, deleted, changed.
    Overtaken,
    /// Records are damaged, or one batch has more keys than the table: the partition is left alone
    /// until the next start.
    GiveUp,
    Io(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What could be compacted in one partition.
struct Due {
    segments: Vec<Segment>,
    /// No pass has read the segments that end behind it.
    dirty_from: Offset,
    /// Bytes that no pass has read, in millionths of all.
    dirty_ppm: u64,
}

impl Due {
    fn of(state: &State, now: Timestamp, last_stable: Offset) -> Option<(Self, Compaction)> {
        let config = state.config.compaction.filter(|_| state.life == Life::Open)?;
        if state.compaction_off {
            return None;
        }
        let young =
            if config.lag_min.is_zero() { i64::MAX } else { now.minus(config.lag_min).as_millis() };
        let closed = state.segments.len().saturating_sub(1);
        let settled = state.segments.iter().take(closed);
        let settled = settled
            .take_while(|it| it.extent.end <= last_stable && it.extent.max_timestamp <= young);
        let segments: Vec<_> = settled.cloned().collect();
        let dirty_from = state.compacted_to.max(state.log_start);
        let (mut dirty, mut all, mut overdue) = (0, 0, false);
        let oldest = now.minus(config.lag_max).as_millis();
        for it in &segments {
            all += it.extent.bytes;
            if it.extent.end > dirty_from {
                dirty += it.extent.bytes;
                overdue |= config.lag_max < Duration::MAX && it.extent.first_timestamp < oldest;
            }
        }
        let dirty_ppm = dirty.saturating_mul(1_000_000).checked_div(all).unwrap_or(0);
        let is_due = dirty > 0 && (overdue || dirty_ppm >= u64::from(config.dirty_ppm_min));
        is_due.then_some((Self { segments, dirty_from, dirty_ppm }, config))
    }
}

impl Engine {
    /// One step: chooses the partition that gains most and fills the table of its keys, or writes
    /// one segment anew. Whether there is more to do now. Blocks on file IO; looks at `go_on`
    /// between two reads.
    pub(crate) fn compact(&self, now: Timestamp, go_on: &dyn Fn() -> bool) -> bool {
        let mut slot = lock(&self.pass);
        if self.refusing().is_some() || !go_on() {
            *slot = None;
            return false;
        }
        let outcome = match slot.as_mut() {
            None => self.begin_pass(now, go_on).map(|pass| *slot = pass),
            Some(pass) => self.step(pass, go_on),
        };
        match outcome {
            Ok(()) => {}
            Err(halt) => {
                let pass = slot.take();
                return self.note_halt(halt, pass.as_ref().map(|it| it.shared.as_ref()));
            }
        }
        if slot.as_ref().is_some_and(|it| it.rest.is_empty())
            && let Some(done) = slot.take()
        {
            lock(&done.shared.state).compacted_to = done.judge.until;
            return true;
        }
        slot.is_some()
    }

    fn begin_pass(&self, now: Timestamp, go_on: &dyn Fn() -> bool) -> Result<Option<Pass>, Halt> {
        let mut best: Option<(Due, Compaction, Arc<Shared>)> = None;
        for shared in self.all_shared() {
            let due = {
                let state = lock(&shared.state);
                Due::of(&state, now, shared.bounds(&state).last_stable)
            };
            if let Some((due, config)) = due
                && best.as_ref().is_none_or(|it| it.0.dirty_ppm < due.dirty_ppm)
            {
                best = Some((due, config, shared));
            }
        }
        let Some((due, config, shared)) = best else { return Ok(None) };
        let pass = self.prepare(&due, (config, now), &shared, go_on);
        if let Err(Halt::GiveUp) = &pass {
            self.give_up(&shared);
        }
        pass.map(Some)
    }

    fn prepare(
        &self,
        due: &Due,
        (config, now): (Compaction, Timestamp),
        shared: &Arc<Shared>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Pass, Halt> {
        let state = lock(&shared.state);
        let end = due.segments.last().map_or(Offset::ZERO, |it| it.extent.end);
        let start = due.segments.first().map_or(Offset::ZERO, Segment::base);
        let aborted: Vec<Aborted> = state.transactions.overlapping(start, end);
        let newest = state.producers.newest_batches();
        let segment_bytes = state.config.segment_bytes;
        let generation = state.segments.iter().map(|it| it.file.name.generation).max().unwrap_or(0);
        drop(state);
        let keys = u64::try_from(end.raw() - due.dirty_from.raw()).unwrap_or(0);
        let seeds = [(); 2].map(|()| self.world.random.next_u64());
        let mut pass = Pass {
            shared: Arc::clone(shared),
            segment_bytes,
            generation: generation + 1,
            rest: VecDeque::new(),
            judge: Judge {
                latest: Latest::new(keys, self.options.compaction_table_bytes, seeds),
                until: end,
                now: now.as_millis(),
                horizon: now.plus(config.delete_retention).as_millis(),
                aborted: AbortedBy::new(&aborted),
                newest,
                in_transaction: HashSet::new(),
                markers_gone: Vec::new(),
            },
        };
        let dirty = due.segments.iter().filter(|it| it.extent.end > due.dirty_from);
        for segment in dirty {
            let from = due.dirty_from.max(segment.base());
            let learn = |batch: &Bytes| Ok(pass.judge.learn(batch));
            if !self.each_batch((shared, segment), from, go_on, learn)? {
                break;
            }
        }
        let until = pass.judge.until;
        if until <= due.dirty_from {
            let bytes_max = self.options.compaction_table_bytes;
            let text = "more keys in one batch than the table holds; it is not compacted";
            tracing::warn!(partition = %shared.id, bytes_max, "{text}");
            return Err(Halt::GiveUp);
        }
        pass.rest = due.segments.iter().filter(|it| it.base() < until).cloned().collect();
        Ok(pass)
    }

    /// Hands every batch from `from` on to `take`, until that gives `false`. Whether it never did.
    fn each_batch(
        &self,
        (shared, segment): (&Shared, &Segment),
        mut from: Offset,
        go_on: &dyn Fn() -> bool,
        mut take: impl FnMut(&Bytes) -> io::Result<bool>,
    ) -> Result<bool, Halt> {
        let view = self.view(segment);
        let (until, mut hint) = (segment.extent.end, None);
        while from < until {
            if !go_on() || self.refusing().is_some() {
                return Err(Halt::Stopped);
            }
            let read = view.read(Ask { from, until, max_bytes: READ_BYTES, hint });
            let mut batches = match read {
                Ok(Ok(batches)) if batches.next.offset > from => batches,
                _ if !lock(&shared.state).has(segment) => return Err(Halt::Overtaken),
                Ok(Ok(_)) => return Err(Halt::GiveUp),
                Ok(Err(Damaged { first, last })) => {
                    self.damage.report(Damage::Records { partition: shared.id, first, last });
                    return Err(Halt::GiveUp);
                }
                Err(error) => return Err(Halt::Io(error)),
            };
            (from, hint) = (batches.next.offset, Some(batches.next));
            while let Ok(header) = BatchHeader::read(&batches.bytes) {
                let size = header.size_bytes().min(batches.bytes.len());
                if !take(&batches.bytes.split_to(size))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Writes one segment instead of one or several.
    fn step(&self, pass: &mut Pass, go_on: &dyn Fn() -> bool) -> Result<(), Halt> {
        let Some(first) = pass.rest.pop_front() else { return Ok(()) };
        let name = Name { base: first.base(), generation: pass.generation };
        let shared = Arc::clone(&pass.shared);
        if lock(&shared.state).life != Life::Open {
            return Err(Halt::Overtaken);
        }
        let mut output = Output::create(self, shared.id, name)?;
        let (mut group, mut changed) = (vec![first], false);
        let written = loop {
            let Some(segment) = group.last() else { break Ok(()) };
            let written = self.each_batch((&shared, segment), segment.base(), go_on, |batch| {
                // What cannot be read as records stays as it is.
                let verdict = pass.judge.judge(batch).unwrap_or(Verdict::Same);
                changed |= !matches!(verdict, Verdict::Same);
                match verdict {
                    Verdict::Same => output.put(batch)?,
                    Verdict::Changed(batch) => output.put(&batch)?,
                    Verdict::Gone => {}
                }
                Ok(true)
            });
            if written.is_err() {
                break written.map(|_| ());
            }
            let Some(next) = pass.next_fitting(name.base, output.bytes()) else { break Ok(()) };
            group.push(next);
        };
        let end = group.last().map_or(name.base, |it| it.extent.end);
        if written.is_err() || !(changed || group.len() > 1) {
            output.discard();
            return written;
        }
        let segment = output.finish(end)?;
        if self.exchange(pass, &group, &segment) {
            return Ok(());
        }
        self.remove_segment_files(&segment.file);
        Err(Halt::Overtaken)
    }

    /// Puts the new segment in the place of the old ones, if these are still there.
    fn exchange(&self, pass: &mut Pass, group: &[Segment], new: &Segment) -> bool {
        let _turn = self.chores.turn(); // no checkpoint sees half of it
        let checkpoint = self.checkpoints.load(Ordering::Relaxed);
        let mut state = lock(&pass.shared.state);
        let Some(first) = group.first() else { return false };
        let at = state.segments.iter().position(|it| it.file.key == first.file.key);
        let Some(at) = at.filter(|_| state.life == Life::Open) else { return false };
        let there = state.segments.iter().skip(at).take(group.len());
        if !there.map(|it| it.file.key).eq(group.iter().map(|it| it.file.key)) {
            return false;
        }
        let old = state.segments.splice(at..at + group.len(), [new.clone()]);
        let old: Vec<_> = old.map(|it| (it.file, checkpoint)).collect();
        state.replaced.extend(old);
        state.transactions.forget(&pass.judge.markers_gone);
        pass.judge.markers_gone.clear();
        true
    }

    /// Checkpoint `number` is durable: old segments that neither it nor the one before names go.
    pub(crate) fn remove_replaced(&self, partitions: &[Arc<Shared>], number: u64) {
        for shared in partitions {
            let mut state = lock(&shared.state);
            let gone: Vec<_> = state.replaced.extract_if(.., |it| it.1 + 2 <= number).collect();
            drop(state);
            for (file, _) in gone {
                self.remove_segment_files(&file);
            }
        }
    }
}

impl Engine {
    /// Whether to go on with others.
    fn note_halt(&self, halt: Halt, shared: Option<&Shared>) -> bool {
        match (halt, shared) {
            (Halt::Overtaken, _) => true,
            (Halt::GiveUp, Some(shared)) => {
                self.give_up(shared);
                true
            }
            (Halt::Stopped | Halt::GiveUp, _) => false,
            (Halt::Io(error), _) => {
                // Nothing was changed. A full disk may pass; reads and appends find out the rest.
                tracing::warn!(%error, "compaction failed; it is tried again later");
                false
            }
        }
    }

    fn give_up(&self, shared: &Shared) {
        lock(&shared.state).compaction_off = true;
        self.uncompactable.fetch_add(1, Ordering::Relaxed);
        let partition = &shared.id;
        tracing::warn!(?partition, "a partition is not compacted any more until the next start");
    }
}

impl Pass {
    /// The next segment if it is certain to fit behind `bytes` of one that begins at `base`.
    fn next_fitting(&mut self, base: Offset, bytes: u64) -> Option<Segment> {
        let limit = self.segment_bytes;
        self.rest.pop_front_if(|it| {
            let few = it.extent.end.raw() - base.raw() <= OFFSETS_MAX;
            few && bytes + it.extent.bytes <= limit
        })
    }
}

impl Judge {
    /// Notes the keys of a batch. `false`: the table is full, and the pass ends before it.
    fn learn(&mut self, batch: &Bytes) -> bool {
        let Ok(header) = BatchHeader::read(batch) else { return true };
        let aborted = header.attributes.is_transactional() && self.aborted.has(&header);
        if header.attributes.is_control() || aborted || header.records_count == 0 {
            return true;
        }
        let Ok(records) = RecordSet::open(batch, verdict::DECOMPRESSED_BYTES_MAX) else {
            return true;
        };
        for record in records.iter().map_while(Result::ok) {
            if let Some(key) = record.key
                && !self.latest.put(key, record.offset)
            {
                self.until = Offset::new(header.base_offset);
                return false;
            }
        }
        true
    }
}
