//! Housekeeping behind the write-ahead log: batches go from memory into segments, files that nobody
//! needs go, spare files come.
//!
//! Owns: the list of chores and each chore as one step. Does not own: the thread (`log`), or the
//! checkpoint itself (`checkpoint`).
//!
//! One thread at a time runs these steps ([`Chores::turn`]), so only it writes, syncs and removes
//! segments. Batches wait in memory until there is enough of them for one large write: per
//! partition, or over all; never one system call per batch.

use crate::engine::Engine;
use crate::error::AppendError;
use crate::lock;
use crate::partition::{Life, Shared, State, Stored};
use crate::position::Offset;
use crate::segment::{Extent, Name, Segment, SegmentFile, index};
use crate::wal::writer::is_full;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use systole_world::Open;

/// Bytes gathered for one write to a segment, or one larger batch.
const WRITE_BYTES: usize = 2 * 1024 * 1024;

/// What is to be done, and by whom it was asked.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    list: Mutex<List>,
    woken: Condvar,
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct List {
    /// Partitions with batches in memory.
    waiting: Vec<Arc<Shared>>,
    /// Those with many.
    full: Vec<Arc<Shared>>,
    trimmed: Vec<Arc<Shared>>,
    removed: Vec<Arc<Shared>>,
    wake: bool,
    stop: bool,
}

impl Chores {
    /// Whoever holds this may write segments.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }
    pub(crate) fn list(&self, shared: &Arc<Shared>, state: &mut State, full_bytes: u64) {
        let full = state.tail_bytes >= full_bytes;
        if state.listed && !full {
            return;
        }
        let mut list = lock(&self.list);
        if !std::mem::replace(&mut state.listed, true) {
            list.waiting.push(Arc::clone(shared));
        }
        if full && !list.full.last().is_some_and(|it| Arc::ptr_eq(it, shared)) {
            list.full.push(Arc::clone(shared));
            self.wake_with(&mut list);
        }
    }
    pub(crate) fn add_trimmed(&self, shared: &Arc<Shared>) {
        let mut list = lock(&self.list);
        list.trimmed.push(Arc::clone(shared));
        self.wake_with(&mut list);
    }
    pub(crate) fn add_removed(&self, shared: &Arc<Shared>) {
        let mut list = lock(&self.list);
        list.removed.push(Arc::clone(shared));
        self.wake_with(&mut list);
    }
    pub(crate) fn wake(&self) {
        self.wake_with(&mut lock(&self.list));
    }
    pub(crate) fn stop(&self) {
        let mut list = lock(&self.list);
        list.stop = true;
        self.wake_with(&mut list);
    }
    fn wake_with(&self, list: &mut List) {
        list.wake = true;
        self.woken.notify_one();
    }
    /// Blocks until there may be something to do; `false` once stopped.
    pub(crate) fn wait(&self) -> bool {
        let mut list = lock(&self.list);
        while !list.wake && !list.stop {
            list = self.woken.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
        list.wake = false;
        !list.stop
    }
}

/// Batches of one partition on their way into one segment.
struct Load {
    /// As it was before.
    segment: Segment,
    batches: Vec<Stored>,
}

impl Engine {
    pub(crate) fn filling_due(&self) -> bool {
        let (tail, options) = (self.tail_bytes.load(Ordering::Relaxed), &self.options);
        tail >= options.fill_total_bytes && {
            let waiting = lock(&self.chores.list).waiting.len() as u64;
            tail >= (waiting * options.fill_share_bytes).min(options.tail_bytes_max / 2)
        }
    }

    /// Does what is due. Blocks on file IO.
    pub(crate) fn keep(&self) {
        let _turn = self.chores.turn();
        if self.refusing() == Some(AppendError::DiskFailed) {
            return;
        }
        if let Err(error) = self.keep_inner() {
            self.note_keeping_error(&error);
        }
    }

    /// A full disk may pass; anything else leaves unknown bytes behind and is fatal.
    pub(crate) fn note_keeping_error(&self, error: &io::Error) {
        if !is_full(error) {
            self.fail(None, error);
        } else if !self.stalled.swap(true, Ordering::Relaxed) {
            let code = AppendError::DiskFull.code();
            let text = "no space for segments; batches stay in memory and in the log";
            tracing::warn!(%code, %error, "{text}");
            self.room.notify_waiters();
        }
    }

    fn keep_inner(&self) -> io::Result<()> {
        self.remove_due();
        let full = std::mem::take(&mut lock(&self.chores.list).full);
        for shared in full {
            self.fill(&shared, shared.high_watermark())?;
        }
        if self.filling_due() {
            self.fill_all()?;
        }
        self.add_spare();
        if self.checkpoint_due() {
            self.checkpoint()?;
        }
        self.stalled.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what deletions and trims left behind.
    pub(crate) fn remove_due(&self) {
        let (trimmed, removed) = {
            let mut list = lock(&self.chores.list);
            (std::mem::take(&mut list.trimmed), std::mem::take(&mut list.removed))
        };
        for shared in removed {
            self.remove_partition_files(&shared);
        }
        for shared in trimmed {
            self.remove_trimmed_segments(&shared);
        }
    }

    pub(crate) fn remove_partition_files(&self, shared: &Shared) {
        let mut state = lock(&shared.state);
        let segments = std::mem::take(&mut state.segments);
        let replaced = std::mem::take(&mut state.replaced);
        let ahead = std::mem::take(&mut state.ahead);
        drop(state);
        let files = segments.into_iter().map(|it| it.file);
        files.chain(replaced.into_iter().map(|it| it.0)).for_each(|it| {
            self.remove_segment_files(&it);
        });
        for (base, generation) in ahead {
            let name = Name { base, generation };
            self.remove_segment_files(&self.segment(shared.id, name, Extent::empty(base)).file);
        }
    }

    fn remove_trimmed_segments(&self, shared: &Shared) {
        let gone: Vec<Segment> = {
            let mut state = lock(&shared.state);
            let start = state.log_start;
            let count = state.segments.iter().take_while(|it| it.extent.end <= start).count();
            state.segments.drain(..count).collect()
        };
        for segment in gone {
            self.remove_segment_files(&segment.file);
        }
    }

    pub(crate) fn remove_segment_files(&self, file: &SegmentFile) {
        self.handles.forget(file);
        for path in [&file.log_path, &file.index_path] {
            match self.handles.disk().remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // The next start removes what no checkpoint knows.
                    tracing::warn!(path = %path.display(), %error, "a segment that went stays");
                }
                _ => {}
            }
        }
    }

    fn add_spare(&self) {
        let out_of_space = self.out_of_space.load(Ordering::Relaxed);
        let Some(spare) = lock(&self.wal).start_spare(out_of_space) else { return };
        match spare.prepare(self.handles.disk()) {
            Ok(spare) => {
                lock(&self.wal).add_spare(spare);
                self.note_space();
            }
            // The writer makes a file itself when it needs one, or says why it cannot.
            Err(error) if is_full(&error) => {
                tracing::debug!(%error, "no spare file for the write-ahead log");
            }
            Err(error) => tracing::warn!(%error, "no spare file for the write-ahead log"),
        }
    }

    /// Writes everything durable of every partition into its segments.
    pub(crate) fn fill_all(&self) -> io::Result<()> {
        let waiting = std::mem::take(&mut lock(&self.chores.list).waiting);
        for (at, shared) in waiting.iter().enumerate() {
            lock(&shared.state).listed = false;
            let outcome = self.fill(shared, shared.high_watermark());
            if outcome.is_err() {
                for shared in waiting.iter().skip(at) {
                    let mut state = lock(&shared.state);
                    self.chores.list(shared, &mut state, u64::MAX);
                }
                return outcome;
            }
            self.relist(shared);
        }
        Ok(())
    }

    /// What came in meanwhile, or is not durable yet, must not be forgotten.
    fn relist(&self, shared: &Arc<Shared>) {
        let mut state = lock(&shared.state);
        if !state.tail.is_empty() && state.life != Life::Gone {
            self.chores.list(shared, &mut state, u64::MAX);
        }
    }

    /// Writes the batches below `up_to` into segments. The caller has the turn.
    pub(crate) fn fill(&self, shared: &Shared, up_to: Offset) -> io::Result<()> {
        // Segments hold only what the write-ahead log holds durably; `up_to` was read before.
        self.sync_relaxed()?;
        while let Some(load) = self.next_load(shared, up_to) {
            self.write_load(shared, &load)?;
        }
        if lock(&shared.state).unsynced_bytes >= self.options.sync_ahead_bytes {
            self.sync_partition(shared)?;
        }
        Ok(())
    }

    fn next_load(&self, shared: &Shared, up_to: Offset) -> Option<Load> {
        let mut state = lock(&shared.state);
        let first = state.tail.front().map(|it| it.header).filter(|it| it.last() < up_to)?;
        if state.life == Life::Gone {
            return None;
        }
        if state.wants_roll(state.segments.last().map(|it| (it.base(), it.extent)), &first) {
            let empty = Extent::empty(first.base);
            let generation = state.ahead.remove(&first.base).unwrap_or(0);
            let name = Name { base: first.base, generation };
            state.segments.push(self.segment(shared.id, name, empty));
        }
        let active = state.segments.last()?;
        let (base, before) = (active.base(), active.extent);
        let (mut extent, mut bytes) = (before, 0);
        let fitting = state.tail.iter().take_while(|it| {
            let is_first = bytes == 0;
            bytes += it.bytes.len();
            let fits = is_first
                || (bytes <= WRITE_BYTES && !state.wants_roll(Some((base, extent)), &it.header));
            extent.take_in(&it.header);
            fits && it.header.last() < up_to
        });
        let batches = fitting.cloned().collect();
        Some(Load { segment: active.clone(), batches })
    }

    fn write_load(&self, shared: &Shared, load: &Load) -> io::Result<()> {
        let Load { segment, batches } = load;
        let log = self.handles.log(&segment.file, Open::Create)?;
        let added: u64 = batches.iter().map(|it| it.bytes.len() as u64).sum();
        let large = segment.extent.bytes + added > self.options.index_from_bytes;
        let mut index = if large { self.index(segment) } else { None };
        let index_at = index.as_ref().map_or(0, |it| it.end.bytes);
        let (mut bytes, mut extent) = (Vec::new(), segment.extent);
        for Stored { header, bytes: batch } in batches {
            if let Some(index) = &mut index {
                index.take_in(header, &extent);
            }
            bytes.extend_from_slice(batch);
            extent.take_in(header);
        }
        log.write_all_at(&bytes, segment.extent.bytes)?;
        if let Some(index) = index.as_ref().filter(|it| !it.entries.is_empty()) {
            let file = self.handles.index(&segment.file, Open::Create)?;
            file.write_all_at(&index.entries, index_at)?;
        }
        self.finish_load(shared, segment, (extent, index.map(|it| it.end)));
        Ok(())
    }

    /// What goes into the index next. Without one the segment can be read all the same, so that it
    /// cannot be made is no reason not to write; the next write tries again.
    fn index(&self, segment: &Segment) -> Option<index::Builder> {
        match self.index_end(segment) {
            Ok(end) => Some(index::Builder::behind(end)),
            Err(error) => {
                let path = segment.file.index_path.display();
                tracing::warn!(%path, %error, "a segment stays without an index for now");
                None
            }
        }
    }

    /// Where the index of a segment goes on. It is made here when the segment grows large enough,
    /// and when what is there of it lacks more than a search would walk anyway.
    fn index_end(&self, segment: &Segment) -> io::Result<index::End> {
        if let Some(end) = segment.index_end {
            return Ok(end);
        }
        let (bytes, from) = (segment.extent.bytes, self.options.index_from_bytes);
        if bytes > from {
            match self.handles.index(&segment.file, Open::ReadWrite) {
                Ok(file) => {
                    let end = index::end(&*file, bytes)?;
                    if end.indexed_at + from >= bytes {
                        file.set_len(end.bytes)?;
                        return Ok(end);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.view(segment).build_index()
    }

    fn finish_load(
        &self,
        shared: &Shared,
        before: &Segment,
        (extent, index_end): (Extent, Option<index::End>),
    ) {
        let mut state = lock(&shared.state);
        state.unsynced_bytes += extent.bytes - before.extent.bytes;
        let active = state.segments.iter_mut().rfind(|it| it.file.key == before.file.key);
        if let Some(segment) = active {
            segment.extent = extent;
            segment.index_end = index_end;
            segment.synced = false;
        }
        let freed = state.settle(extent.end);
        drop(state);
        self.tail_bytes.fetch_sub(freed, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    /// Makes everything written to the segments of one partition durable; their names become so
    /// with the next checkpoint.
    pub(crate) fn sync_partition(&self, shared: &Shared) -> io::Result<()> {
        let unsynced: Vec<_> = {
            let state = lock(&shared.state);
            let unsynced = state.segments.iter().filter(|it| !it.synced);
            unsynced.map(|it| Arc::clone(&it.file)).collect()
        };
        for file in &unsynced {
            self.handles.log(file, Open::ReadWrite)?.sync_data()?;
        }
        lock(&shared.state).note_synced();
        Ok(())
    }
}

impl State {
    pub(crate) fn note_synced(&mut self) {
        self.segments.iter_mut().for_each(|it| it.synced = true);
        self.unsynced_bytes = 0;
    }
    /// Whether `batch` must begin a new segment, the last one being as given.
    fn wants_roll(&self, last: Option<(Offset, Extent)>, batch: &crate::batch::Header) -> bool {
        let Some((base, extent)) = last else { return true };
        if base == batch.base {
            return false;
        }
        let lag_max = self.config.compaction.map_or(Duration::MAX, |it| it.lag_max);
        let age = self.config.segment_age.min(lag_max);
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let spans = batch.max_timestamp.saturating_sub(extent.first_timestamp);
        extent.end != batch.base
            || self.ahead.contains_key(&batch.base)
            || (extent.bytes > 0
                && (extent.bytes + batch.bytes as u64 > self.config.segment_bytes || spans > age))
    }
}
