//! The heart of the log: takes what partitions append and makes it durable, group by group.
//!
//! Owns: the queue, [`Engine::commit_group`], publishing, and what happens when the disk is full or
//! fails. Does not own: threads (`log`), segments and checkpoints (`keeper`), recovery.
//! Reading order: [`Engine::enqueue`] -> [`Engine::commit_group`] -> [`Engine::publish`].
//!
//! Every step is an explicit call, so that a test can stop the world between any two.
//!
//! Invariants
//! - Per partition the queue is in offset order: offsets are given and queued under its lock.
//! - Nothing is published before the sync that covers it (relaxed appends: before the write).
//! - After a failed sync nothing more is written, and nothing that was in flight is acknowledged.

use crate::commits::{Commits, Ticket};
use crate::compaction::Pass;
use crate::directory;
use crate::error::AppendError;
use crate::keeper::Chores;
use crate::lock;
use crate::options::Options;
use crate::partition::{Life, Shared};
use crate::position::{Offset, PartitionId};
use crate::report::DamageBook;
use crate::segment::handles::Handles;
use crate::segment::reader::View;
use crate::segment::{Extent, Name, Segment};
use crate::wal::writer::is_full;
use crate::wal::{Entry, Kind, Wal};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use systole_world::{File, World};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) world: World,
    pub(crate) root: PathBuf,
    /// Where all segments are.
    pub(crate) segments_dir: PathBuf,
    pub(crate) log_id: u64,
    pub(crate) options: Options,
    pub(crate) partitions: RwLock<HashMap<PartitionId, Arc<Shared>>>,
    pub(crate) handles: Handles,
    /// A file of the directory, open from the start, through which the file system is synced.
    pub(crate) anchor: Arc<dyn File>,
    pub(crate) wal: Mutex<Wal>,
    pub(crate) commits: Commits,
    pub(crate) damage: DamageBook,
    pub(crate) chores: Chores,
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Batches in memory that are not in a segment.
    pub(crate) tail_bytes: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    /// Something was published that no sync covers yet.
    unsynced: AtomicBool,
    /// The newest group whose effects every partition shows.
    pub(crate) published: AtomicU64,
    /// Checkpoints taken so far, and the newest group that the last one covers.
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpointed: AtomicU64,
    /// Segments cannot be written for want of space.
    pub(crate) stalled: AtomicBool,
    /// The write-ahead log found no space when it last needed some.
    pub(crate) out_of_space: AtomicBool,
    pub(crate) room: Notify,
    /// The compaction that is under way.
    pub(crate) pass: Mutex<Option<Pass>>,
    /// Partitions on which compaction gave up since the start.
    pub(crate) uncompactable: AtomicU64,
    next_key: AtomicU64,
    /// No producer that ever wrote has this id or a higher one.
    producers_end: AtomicI64,
}

#[derive(Debug)]
pub(crate) struct Queued {
    shared: Arc<Shared>,
    entry: Entry,
    durable: bool,
    number: u64,
}

impl Queued {
    /// `durable`: answered after the sync, not already after the write.
    pub(crate) const fn new(shared: Arc<Shared>, entry: Entry, durable: bool) -> Self {
        Self { shared, entry, durable, number: 0 }
    }
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Queued>,
    next_number: u64,
    state: Accepting,
    /// Units under way; see [`Hold`].
    holds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    Yes,
    No(AppendError),
}

/// Keeps the writer from taking what is queued, so that a unit of several appends is written and
/// synced together. For the time of a few appends only: everyone waits.
#[derive(Debug)]
#[must_use]
pub struct Hold(Arc<Engine>);

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.0.queue).holds -= 1;
        self.0.filled.notify_all();
    }
}

/// What [`Engine::new`] starts from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) root: PathBuf,
    pub(crate) log_id: u64,
    pub(crate) options: Options,
    pub(crate) wal: Wal,
    pub(crate) anchor: Arc<dyn File>,
}

impl Engine {
    pub(crate) fn new(world: World, parts: Parts) -> Self {
        let Parts { root, log_id, options, wal, anchor } = parts;
        let handles = Handles::new(Arc::clone(&world.disk), options.open_files_max);
        let queue =
            Queue { waiting: VecDeque::new(), next_number: 1, state: Accepting::Yes, holds: 0 };
        Self {
            world,
            segments_dir: directory::segments(&root),
            root,
            log_id,
            options,
            partitions: RwLock::default(),
            handles,
            anchor,
            wal: Mutex::new(wal),
            commits: Commits::default(),
            damage: DamageBook::default(),
            chores: Chores::default(),
            queue: Mutex::new(queue),
            filled: Condvar::new(),
            tail_bytes: AtomicU64::new(0),
            wal_bytes: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            published: AtomicU64::new(0),
            checkpoints: AtomicU64::new(0),
            checkpointed: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            out_of_space: AtomicBool::new(false),
            room: Notify::new(),
            pass: Mutex::default(),
            uncompactable: AtomicU64::new(0),
            next_key: AtomicU64::new(0),
            producers_end: AtomicI64::new(0),
        }
    }

    /// A segment that may or may not be on disk yet.
    pub(crate) fn segment(&self, id: PartitionId, name: Name, extent: Extent) -> Segment {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        Segment::new(key, &self.segments_dir, (id, name), extent)
    }
    pub(crate) fn view<'a>(&'a self, segment: &'a Segment) -> View<'a> {
        let indexed = segment.extent.bytes > self.options.index_from_bytes;
        View { handles: &self.handles, file: &segment.file, extent: segment.extent, indexed }
    }

    pub(crate) fn producers_end(&self) -> i64 {
        self.producers_end.load(Ordering::Relaxed)
    }
    pub(crate) fn note_producers(&self, end: i64) {
        if end > self.producers_end() {
            self.producers_end.fetch_max(end, Ordering::Relaxed);
        }
    }

    /// Whether [`crate::Partition::append`] may take `bytes` more.
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), AppendError> {
        let limit = self.options.batch_bytes_max;
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let limit_bytes = self.options.tail_bytes_max / 4 * 5;
        if self.tail_bytes.load(Ordering::Relaxed) + bytes as u64 <= limit_bytes {
            return Ok(());
        }
        self.chores.wake();
        if self.stalled.load(Ordering::Relaxed) {
            return Err(AppendError::DiskFull);
        }
        Err(AppendError::Overloaded { limit_bytes })
    }
    pub(crate) fn has_room(&self) -> bool {
        let tail = self.tail_bytes.load(Ordering::Relaxed) <= self.options.tail_bytes_max;
        let wal = self.wal_bytes.load(Ordering::Relaxed) <= self.options.wal_bytes_max;
        (tail && wal) || self.stalled.load(Ordering::Relaxed) || self.refusing().is_some()
    }
    /// Why nothing is appended any more.
    pub(crate) fn refusing(&self) -> Option<AppendError> {
        match lock(&self.queue).state {
            Accepting::Yes => None,
            Accepting::No(error) => Some(error),
        }
    }

    /// Queues one entry. The caller holds the state of the partition.
    pub(crate) fn enqueue(&self, mut queued: Queued) -> Result<Ticket, AppendError> {
        let mut queue = lock(&self.queue);
        if let Accepting::No(error) = queue.state {
            return Err(error);
        }
        queued.number = queue.next_number;
        queue.next_number += 1;
        let ticket = Ticket::new(queued.number, queued.durable);
        self.tail_bytes.fetch_add(queued.entry.body.len() as u64, Ordering::Relaxed);
        let idle = queue.waiting.is_empty();
        queue.waiting.push_back(queued);
        drop(queue);
        if idle {
            self.filled.notify_one();
        }
        Ok(ticket)
    }

    /// Blocks until something is queued (`true`) or the queue is closed and empty (`false`).
    pub(crate) fn wait_for_work(&self) -> bool {
        let mut queue = lock(&self.queue);
        loop {
            if !queue.waiting.is_empty() && queue.holds == 0 {
                return true;
            }
            if matches!(queue.state, Accepting::No(AppendError::Closed | AppendError::DiskFailed)) {
                return false;
            }
            queue = self.filled.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// Appends are refused from here on; what is queued will still be written.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        if queue.state == Accepting::Yes {
            queue.state = Accepting::No(AppendError::Closed);
        }
        drop(queue);
        self.filled.notify_all();
        self.room.notify_waiters();
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        lock(&self.queue).holds += 1;
        Hold(Arc::clone(self))
    }

    pub(crate) fn take_group(&self) -> Vec<Queued> {
        let mut queue = lock(&self.queue);
        if queue.holds > 0 {
            return Vec::new();
        }
        let mut bytes = 0;
        let fitting = queue.waiting.iter().take_while(|it| {
            let first = bytes == 0;
            bytes += it.entry.size();
            first || bytes <= self.options.group_bytes_max
        });
        let count = fitting.count();
        queue.waiting.drain(..count).collect()
    }

    /// One group: writes it, syncs it, publishes it. `false` if there was nothing to do. Blocks on
    /// one write and one fdatasync.
    pub(crate) fn commit_group(&self) -> bool {
        let group = self.take_group();
        let Some(last) = group.last().map(|it| it.number) else { return false };
        let mut wal = lock(&self.wal);
        match wal.write(group.iter().map(|it| &it.entry)) {
            Ok(_) => {}
            Err(error) if is_full(&error) => {
                drop(wal);
                self.roll_back(group, &error);
                return true;
            }
            Err(error) => {
                drop(wal);
                self.fail(Some(&group), &error);
                return true;
            }
        }
        self.note_space();
        self.wal_bytes.store(wal.live_bytes(), Ordering::Relaxed);
        let (sequence, spare_wanted) = (wal.written(), wal.wants_spare());
        let relaxed = group.iter().any(|it| !it.durable);
        if relaxed {
            self.unsynced.store(true, Ordering::Release);
            self.publish_written(&group);
            self.commits.written(last);
        }
        if group.iter().any(|it| it.durable) {
            if let Err(error) = wal.sync() {
                drop(wal);
                self.fail(Some(&group), &error);
                return true;
            }
            self.unsynced.store(false, Ordering::Release);
            self.publish(&group, |_| true);
            self.commits.durable(last);
        }
        drop(wal);
        self.published.store(sequence, Ordering::Release);
        if spare_wanted || self.filling_due() || self.checkpoint_due() {
            self.chores.wake();
        }
        true
    }

    /// Makes durable what was answered without a sync. Blocks on an fdatasync if there is any.
    pub(crate) fn sync_relaxed(&self) -> io::Result<()> {
        if self.unsynced.load(Ordering::Acquire) {
            let mut wal = lock(&self.wal);
            wal.sync()?;
            self.unsynced.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// What is answered without a sync shows, unless something before it in its partition is not.
    fn publish_written(&self, group: &[Queued]) {
        let mut behind = HashSet::new();
        for it in group {
            if it.durable {
                behind.insert(it.shared.id);
            } else if !behind.contains(&it.shared.id) {
                self.publish(std::slice::from_ref(it), |_| true);
            }
        }
    }

    fn publish(&self, group: &[Queued], which: impl Fn(&Queued) -> bool) {
        for Queued { shared, entry, durable, .. } in group.iter().filter(|it| which(it)) {
            match entry.kind {
                Kind::Batch => self.publish_batch(shared, entry.last.next(), *durable),
                Kind::Create => {}
                Kind::Delete => self.publish_delete(shared),
                Kind::Trim => self.publish_trim(shared, entry.first),
            }
        }
    }

    /// `durable`: so is everything below `end`.
    pub(crate) fn publish_batch(&self, shared: &Arc<Shared>, end: Offset, durable: bool) {
        let mut state = lock(&shared.state);
        shared.advance(end);
        if durable {
            state.transactions.note_durable(end);
        }
        state.notify();
        if state.life != Life::Gone {
            self.chores.list(shared, &mut state, self.options.fill_partition_bytes);
        }
    }

    pub(crate) fn publish_trim(&self, shared: &Arc<Shared>, start: Offset) {
        let mut state = lock(&shared.state);
        state.log_start = state.log_start.max(start);
        let log_start = state.log_start;
        state.transactions.trim(log_start);
        state.notify();
        drop(state);
        self.chores.add_trimmed(shared);
    }

    pub(crate) fn publish_delete(&self, shared: &Arc<Shared>) {
        let mut state = lock(&shared.state);
        state.life = Life::Gone;
        state.tail.clear();
        self.tail_bytes.fetch_sub(std::mem::take(&mut state.tail_bytes), Ordering::Relaxed);
        state.notify();
        drop(state);
        let mut partitions =
            self.partitions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if partitions.get(&shared.id).is_some_and(|it| Arc::ptr_eq(it, shared)) {
            partitions.remove(&shared.id);
        }
        drop(partitions);
        self.chores.add_removed(shared);
    }

    /// The disk is full: the group and everything queued behind it never happened.
    fn roll_back(&self, mut group: Vec<Queued>, error: &io::Error) {
        if !self.out_of_space.swap(true, Ordering::Relaxed) {
            let code = AppendError::DiskFull.code();
            tracing::warn!(%code, %error, "no space for the write-ahead log; appends are refused");
        }
        {
            let mut queue = lock(&self.queue);
            if queue.state == Accepting::Yes {
                queue.state = Accepting::No(AppendError::DiskFull);
            }
            group.extend(queue.waiting.drain(..));
        }
        let now = self.world.clock.now();
        let touched: BTreeMap<PartitionId, &Arc<Shared>> =
            group.iter().map(|it| (it.shared.id, &it.shared)).collect();
        for shared in touched.into_values() {
            let mut state = lock(&shared.state);
            let freed = state.roll_back(shared.high_watermark(), now);
            self.tail_bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        self.undo_controls(&group);
        // Before anyone is told: who tries again at once must not be refused for this group's sake.
        let mut queue = lock(&self.queue);
        if queue.state == Accepting::No(AppendError::DiskFull) {
            queue.state = Accepting::Yes;
        }
        drop(queue);
        if let (Some(first), Some(last)) = (group.first(), group.last()) {
            self.commits.fail(first.number, last.number, AppendError::DiskFull);
        }
        self.room.notify_waiters();
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) || self.out_of_space.load(Ordering::Relaxed)
    }
    pub(crate) fn note_space(&self) {
        if self.out_of_space.load(Ordering::Relaxed)
            && self.out_of_space.swap(false, Ordering::Relaxed)
        {
            tracing::info!("space for the write-ahead log again; appends are accepted");
        }
    }

    fn undo_controls(&self, group: &[Queued]) {
        for Queued { shared, entry, .. } in group {
            match entry.kind {
                Kind::Batch | Kind::Trim => {}
                Kind::Delete => lock(&shared.state).life = Life::Open,
                Kind::Create => {
                    lock(&shared.state).life = Life::Gone;
                    let mut partitions =
                        self.partitions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                    partitions.remove(&shared.id);
                }
            }
        }
    }

    /// A thread panicked: what it had in hand may or may not be on disk.
    pub(crate) fn abandon(&self) {
        self.fail(None, &io::Error::other("a thread of the log panicked"));
        let last = lock(&self.queue).next_number.saturating_sub(1);
        self.commits.fail_unsettled(last, AppendError::DiskFailed);
    }

    /// The disk failed: nothing is appended any more, everything that waits is told.
    pub(crate) fn fail(&self, group: Option<&[Queued]>, error: &io::Error) {
        let code = AppendError::DiskFailed.code();
        tracing::error!(%code, %error, "the log failed; appends are refused until a restart");
        let mut queue = lock(&self.queue);
        queue.state = Accepting::No(AppendError::DiskFailed);
        let waiting: Vec<_> = queue.waiting.drain(..).collect();
        let last = queue.next_number.saturating_sub(1);
        drop(queue);
        let first = group.and_then(|it| it.first()).or(waiting.first()).map(|it| it.number);
        if let Some(first) = first {
            self.commits.fail(first, last, AppendError::DiskFailed);
        }
        self.filled.notify_all();
        self.room.notify_waiters();
        self.chores.wake();
    }
}
