//! The handle to a log directory, and the two threads behind it.
//!
//! Owns: opening, closing, the set of partitions, the writer and the keeper thread. Does not own:
//! what the threads do in each step (`engine`, `keeper`).

use crate::commits::Ticket;
use crate::directory;
use crate::engine::{Engine, Hold, Queued};
use crate::error::{AppendError, OpenError};
use crate::lock;
use crate::options::{Options, PartitionConfig};
use crate::partition::{Life, Partition, Shared};
use crate::position::{Offset, PartitionId};
use crate::recovery::{self, Opened};
use crate::report::{Damage, RecoveryReport};
use crate::retention;
use crate::transactions::OpenTransaction;
use crate::wal::{Entry, Kind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use systole_kit::Timestamp;
use systole_world::{File, World};

/// All partitions of one directory. Cheap to clone; the last clone to go stops the threads as a
/// crash would, [`Log::close`] in order.
#[derive(Debug, Clone)]
pub struct Log {
    engine: Arc<Engine>,
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    engine: Arc<Engine>,
    writer: Mutex<Option<JoinHandle<()>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Arc<dyn File>>>,
}

/// How the log is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Why appends are refused for good.
    pub refusing: Option<AppendError>,
    /// Segments or the write-ahead log found no space when they last needed some.
    pub disk_full: bool,
    /// Batches in memory that are not in a segment yet.
    pub tail_bytes: u64,
    /// What a recovery would have to read of the write-ahead log.
    pub wal_bytes: u64,
    /// Partitions that compaction leaves alone until the next start: their records are damaged, or
    /// one batch has more keys than the table holds.
    pub uncompactable: u64,
    pub damage: Vec<Damage>,
}

impl Log {
    /// Opens `dir`, creating it if absent, and recovers what a crash left. Damage inside is
    /// reported, never a reason to fail. Blocks on file IO: bounded by
    /// [`Options::wal_bytes_max`] plus a few system calls per partition.
    pub fn open(
        world: &World,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let (log, report) = Self::open_stepped(world, dir, options)?;
        log.start().map_err(OpenError::io(dir))?;
        Ok((log, report))
    }

    /// Without threads: nothing moves unless someone takes the engine's steps.
    pub(crate) fn open_stepped(
        world: &World,
        dir: &Path,
        options: Options,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let Opened { engine, report, lock } = recovery::open(world, dir, options)?;
        let engine = Arc::new(engine);
        let running = Running {
            engine: Arc::clone(&engine),
            writer: Mutex::new(None),
            keeper: Mutex::new(None),
            lock: Mutex::new(Some(lock)),
        };
        Ok((Self { engine, running: Arc::new(running) }, report))
    }

    fn start(&self) -> std::io::Result<()> {
        let writer = self.spawn("log-writer", |engine| {
            while engine.wait_for_work() {
                engine.commit_group();
            }
        })?;
        *lock(&self.running.writer) = Some(writer);
        let keeper = self.spawn("log-keeper", |engine| {
            while engine.chores.wait() {
                engine.keep();
            }
        })?;
        *lock(&self.running.keeper) = Some(keeper);
        self.engine.chores.wake(); // a first spare file
        Ok(())
    }

    pub(crate) fn spawn(&self, name: &str, work: fn(&Engine)) -> std::io::Result<JoinHandle<()>> {
        let last = LastWord(Arc::clone(&self.engine));
        std::thread::Builder::new().name(name.into()).spawn(move || work(&last.0))
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Creates a partition, or hands out the one that exists with its settings replaced. Its
    /// existence is durable once the ticket is done; appends may follow at once. No IO.
    pub fn create(
        &self,
        id: PartitionId,
        config: PartitionConfig,
    ) -> Result<(Partition, Ticket), AppendError> {
        let mut partitions = self.engine.partitions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = partitions.get(&id) {
            let partition = self.handle(Arc::clone(shared));
            drop(partitions);
            partition.configure(config);
            let latest = lock(&partition.shared.state).latest;
            return Ok((partition, latest));
        }
        let shared = Arc::new(Shared::new(id, config));
        let mut state = lock(&shared.state);
        let older = self.engine.producers_end();
        let entry = Entry::control(Kind::Create, id, Offset::new(older));
        let ticket = self.engine.enqueue(Queued::new(Arc::clone(&shared), entry, true))?;
        state.latest = ticket;
        state.producers.begin_below(older);
        drop(state);
        partitions.insert(id, Arc::clone(&shared));
        drop(partitions);
        Ok((self.handle(shared), ticket))
    }

    /// Deletes a partition with all its records: no append and no read from here on, gone for good
    /// once the ticket is done. No IO; the files go later.
    pub fn delete(&self, id: PartitionId) -> Result<Ticket, AppendError> {
        let partition = self.partition(id).ok_or(AppendError::Deleted)?;
        let mut state = lock(&partition.shared.state);
        if state.life != Life::Open {
            return Err(AppendError::Deleted);
        }
        let entry = Entry::control(Kind::Delete, id, Offset::ZERO);
        let shared = Arc::clone(&partition.shared);
        let ticket = self.engine.enqueue(Queued::new(shared, entry, true))?;
        state.life = Life::Closing;
        state.notify();
        Ok(ticket)
    }

    pub fn partition(&self, id: PartitionId) -> Option<Partition> {
        let partitions = self.engine.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(&id).cloned().map(|it| self.handle(it))
    }
    /// All partitions, sorted by id.
    pub fn partitions(&self) -> Vec<Partition> {
        self.engine.all_shared().into_iter().map(|it| self.handle(it)).collect()
    }
    /// All transactions without a marker. After an unclean start the coordinator aborts them
    /// ([`RecoveryReport::clean`]).
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        self.partitions().iter().flat_map(Partition::open_transactions).collect()
    }
    fn handle(&self, shared: Arc<Shared>) -> Partition {
        Partition { shared, engine: Arc::clone(&self.engine) }
    }

    /// What is appended until the result is dropped goes to the disk together, with one sync, as
    /// far as [`Options::group_bytes_max`] allows. It is a whole or a prefix of it that a crash
    /// leaves.
    pub fn hold(&self) -> Hold {
        self.engine.hold()
    }

    /// Completes when everything that the ticket stands for may be answered (by default: is
    /// durable), or fails when that is no longer certain.
    pub async fn done(&self, ticket: Ticket) -> Result<(), AppendError> {
        self.engine.commits.wait(ticket).await
    }
    /// The outcome if it is known already.
    pub fn outcome(&self, ticket: Ticket) -> Option<Result<(), AppendError>> {
        self.engine.commits.outcome(ticket)
    }

    /// Waits while more is unwritten than the limits allow. Await it before appending; it returns
    /// at once when appends would be refused anyway.
    pub async fn room(&self) {
        loop {
            let freed = self.engine.room.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.engine.has_room() {
                return;
            }
            self.engine.chores.wake();
            freed.await;
        }
    }

    /// Retention, expiry of idle producers, and the overdue sync of relaxed partitions, as of
    /// `now`. To be called every few seconds. Blocks on file IO.
    pub fn maintain(&self, now: Timestamp) {
        let expired = now.minus(self.engine.options.producer_expiry);
        let mut sync = false;
        for partition in self.partitions() {
            let mut state = lock(&partition.shared.state);
            state.producers.expire(expired);
            sync |= state.config.flush_age.is_some();
            let Some(start) = retention::due(&state, now).filter(|_| state.life == Life::Open)
            else {
                continue;
            };
            let entry = Entry::control(Kind::Trim, partition.id(), start);
            let queued = Queued::new(Arc::clone(&partition.shared), entry, true);
            if let Ok(ticket) = self.engine.enqueue(queued) {
                state.latest = ticket;
            } // else the log says elsewhere why it refuses; the next call tries again
        }
        if self.engine.is_disk_full() {
            self.engine.chores.wake(); // to see whether it still is, though nobody appends
        }
        if sync && let Err(error) = self.engine.sync_relaxed() {
            self.engine.fail(None, &error);
        }
    }

    /// One step of compaction, as of `now`: at most one segment written anew. `true`: there is more
    /// to do at once. Blocks on file IO, up to the size of a segment, and returns soon after
    /// `go_on` says no. Appends and reads go on meanwhile.
    pub fn compact(&self, now: Timestamp, go_on: &dyn Fn() -> bool) -> bool {
        self.engine.compact(now, go_on)
    }

    pub fn status(&self) -> Status {
        Status {
            refusing: self.engine.refusing(),
            disk_full: self.engine.is_disk_full(),
            tail_bytes: self.engine.tail_bytes.load(Ordering::Relaxed),
            wal_bytes: self.engine.wal_bytes.load(Ordering::Relaxed),
            uncompactable: self.engine.uncompactable.load(Ordering::Relaxed),
            damage: self.engine.damage.all(),
        }
    }

    /// Writes what was appended, takes a checkpoint, so that the next start has nothing to recover,
    /// and lets the directory go. Appends are refused from here on. Blocks on file IO.
    pub fn close(&self) {
        self.running.stop();
        if self.engine.refusing() != Some(AppendError::DiskFailed) {
            while self.engine.commit_group() {}
            self.engine.checkpoint_now();
            self.leave_clean();
        }
        *lock(&self.running.lock) = None;
    }

    /// Nothing was lost if everything appended is in the checkpoint.
    fn leave_clean(&self) {
        let published = self.engine.published.load(Ordering::Acquire);
        let covered = self.engine.checkpointed.load(Ordering::Acquire) == published;
        if !covered || self.engine.refusing() == Some(AppendError::DiskFailed) {
            return;
        }
        let disk = self.engine.handles.disk();
        if let Err(error) = directory::leave_clean(disk, &self.engine.root) {
            tracing::warn!(%error, "the next start will take this stop for a crash");
        }
    }
}

/// A thread that panics leaves nobody waiting: from then on appends are refused.
struct LastWord(Arc<Engine>);

impl Drop for LastWord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

impl Running {
    fn stop(&self) {
        self.engine.close();
        join(&self.writer);
        self.engine.chores.stop();
        join(&self.keeper);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let Some(thread) = lock(thread).take() else { return };
    if thread.join().is_err() {
        tracing::error!("a thread of the log panicked");
    }
}
