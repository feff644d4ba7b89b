//! From a directory as a crash left it to a log that goes on.
//!
//! Owns: the order of recovery. Does not own: which groups count (`wal::chain`), file formats.
//!
//! Checkpoint -> groups of the write-ahead log behind it -> segments behind it. Batches from the
//! write-ahead log stay in memory, as if the process had not stopped, unless the partition's
//! segments had been written to since the checkpoint: then they go where they were before, byte for
//! byte. A batch that the write-ahead log lost is taken from the segment if it is intact there;
//! what remains is a gap, reported, and a new segment begins behind it.
//!
//! Nothing that the checkpoint needs is touched, so a crash during recovery, or before the next
//! checkpoint, leaves it to be done again. Where the two do not suffice (no checkpoint, or damage),
//! recovery ends with a new one.

use crate::batch::{self, Header};
use crate::checkpoint::{self, Checkpoint, Slots};
use crate::directory::{self, Format};
use crate::engine::{Engine, Parts};
use crate::error::OpenError;
use crate::options::{Options, PartitionConfig};
use crate::partition::{Shared, Stored};
use crate::position::{Offset, PartitionId};
use crate::report::{Damage, RecoveryReport};
use crate::segment::name::{FileName, Kind as FileKind};
use crate::segment::reader::Walk;
use crate::segment::{Extent, Name};
use crate::wal::chain::{self, Chain};
use crate::wal::frame::{self, Place};
use crate::wal::writer::{Resume, Sizes, is_full};
use crate::wal::{Kind, Sequence, Wal, name, renewal};
use crate::{field, lock, transactions};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use systole_world::{File, Open, World};

/// A start begins so many group numbers later. A group behind a torn one may hide from the scan
/// until the torn one is overwritten; its number must not be given to another meanwhile. No process
/// writes so many groups before it syncs one.
const LIFE: Sequence = 1 << 32;

/// Rolls happen where they happened before and nowhere else.
const NO_ROLL: PartitionConfig = PartitionConfig {
    segment_bytes: u64::MAX,
    segment_age: Duration::MAX,
    retention_age: None,
    retention_bytes: None,
    flush_messages: 1,
    flush_age: None,
    log_append_time: false,
    compaction: None,
};

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) report: RecoveryReport,
    pub(crate) lock: Arc<dyn File>,
}

pub(crate) fn open(world: &World, root: &Path, options: Options) -> Result<Opened, OpenError> {
    let began = world.clock.instant();
    let disk = Arc::clone(&world.disk);
    let wal_dir = root.join("wal");
    directory::create(&*disk, root).map_err(OpenError::io(root))?;
    let lock = directory::take(&*disk, root)?;
    let format = directory::read_format(&*disk, root)?;
    let slots = checkpoint::read_slots(&*disk, root).map_err(OpenError::io(root))?;
    let mut report = RecoveryReport::default();
    let stopped_in_order = directory::take_clean(&*disk, root).map_err(OpenError::io(root))?;
    let files = wal_files(world, &wal_dir).map_err(OpenError::io(&wal_dir))?;
    let log_id = settle_log_id(world, root, (&format, &slots, &files))?;
    directory::flatten(&*disk, root).map_err(OpenError::io(root))?;
    let covered = slots.newest.as_ref().map_or(0, |it| it.covered);
    let scanned = scan(world, &files, log_id).map_err(OpenError::io(&wal_dir))?;
    report.wal_bytes = scanned.bytes;
    let seen = scanned.found.iter().map(|it| it.head.sequence).max().unwrap_or(0).max(covered);
    let highest = seen + LIFE;
    let used = used(&files, &scanned.found, (covered, highest));
    let chain = chain::choose(scanned.found, covered);
    let previous = chain.groups.last().map_or(covered, |it| it.head.sequence);

    let sizes = Sizes {
        first_file_bytes: options.wal_first_file_bytes,
        file_bytes: options.wal_file_bytes,
        spare_files_max: options.wal_spare_files_max,
    };
    let resume = Resume { log_id, previous, highest };
    let wal = Wal::new(disk, &wal_dir, sizes, (resume, used));
    let wal = wal.map_err(OpenError::io(&wal_dir))?;
    let anchor = world.disk.open(&root.join("format"), Open::ReadWrite);
    let anchor = anchor.map_err(OpenError::io(root))?;
    let parts = Parts { root: root.to_owned(), log_id, options, wal, anchor };
    let engine = Engine::new(world.clone(), parts);
    engine.published.store(highest, Ordering::Release);
    note_found(&engine, root, (&format, &slots, &chain));
    note_shortened(&engine, &files).map_err(OpenError::io(&wal_dir))?;

    let dirty = seen > covered || slots.newest.is_none() || slots.unreadable.is_some();
    report.clean = (stopped_in_order && !dirty) || format == Format::Absent;
    let (segments, touched) = (BTreeMap::new(), BTreeSet::new());
    let recovery = Recovery { engine: &engine, files, segments, touched, report: &mut report };
    recovery.run(slots, &chain, dirty).map_err(OpenError::io(root))?;
    report.damage = engine.damage.all();
    report.took = world.clock.instant().since(began);
    Ok(Opened { engine, report, lock })
}

/// The id is in `format`, in both checkpoints and in every group; one readable copy is enough.
fn settle_log_id(
    world: &World,
    root: &Path,
    (format, slots, files): (&Format, &Slots, &[PathBuf]),
) -> Result<u64, OpenError> {
    if let Format::Ours { log_id, is_old } = *format {
        if is_old {
            directory::write_format(&*world.disk, root, log_id)?;
        }
        return Ok(log_id);
    }
    let log_id = match &slots.newest {
        Some(newest) => newest.log_id,
        None => owner(world, files)
            .map_err(OpenError::io(root))?
            .unwrap_or_else(|| world.random.next_u64()),
    };
    directory::write_format(&*world.disk, root, log_id)?;
    Ok(log_id)
}

/// The files with the newest group that they may hold: one that any checkpoint from here on covers,
/// or none that the present one does not cover.
fn used(
    files: &[PathBuf],
    found: &[frame::Found],
    (covered, highest): (Sequence, Sequence),
) -> Vec<(PathBuf, Sequence)> {
    let needed = found.iter().filter(|it| it.head.sequence > covered);
    let needed: BTreeSet<_> = needed.map(|it| it.file).collect();
    let newest = |number| if needed.contains(&number) { highest } else { 0 };
    files.iter().enumerate().map(|(number, path)| (path.clone(), newest(number))).collect()
}

/// Whose groups lie in the write-ahead log. A file whose beginning says so is believed first.
fn owner(world: &World, files: &[PathBuf]) -> io::Result<Option<u64>> {
    let mut guess = None;
    for path in files {
        match frame::owner(&read_whole(world, path)?) {
            Some((log_id, true)) => return Ok(Some(log_id)),
            Some((log_id, false)) => guess = guess.or(Some(log_id)),
            None => {}
        }
    }
    Ok(guess)
}

/// A file of the write-ahead log has its whole length before it has its name. If it is shorter,
/// groups may be gone of which no other file knows.
fn note_shortened(engine: &Engine, files: &[PathBuf]) -> io::Result<()> {
    for path in files {
        let there = engine.world.disk.open(path, Open::Read)?.len()?;
        if there < name::bytes(path) {
            engine.damage.report(Damage::File { path: path.clone() });
        }
    }
    Ok(())
}

fn note_found(engine: &Engine, root: &Path, (format, slots, chain): (&Format, &Slots, &Chain)) {
    for sequence in &chain.damaged {
        engine.damage.report(Damage::Group { sequence: *sequence });
    }
    // Before the first checkpoint and the first group an unreadable format is a first start that
    // did not finish.
    let was_whole = slots.newest.is_some() || !chain.groups.is_empty();
    if *format == Format::Unreadable && was_whole {
        engine.damage.report(Damage::File { path: root.join("format") });
    }
    if let Some(path) = &slots.unreadable {
        tracing::warn!(path = %path.display(), "checkpoint unreadable, using the one before it");
    }
}

fn wal_files(world: &World, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = world.disk.list(dir)?.into_iter().map(|it| dir.join(it));
    let (unfinished, files): (Vec<_>, Vec<_>) =
        paths.filter(|it| name::is_ours(it)).partition(|it| name::is_unfinished(it));
    for path in unfinished {
        world.disk.remove_file(&path)?;
    }
    Ok(files)
}

struct Scanned {
    found: Vec<frame::Found>,
    bytes: u64,
}

fn scan(world: &World, files: &[PathBuf], log_id: u64) -> io::Result<Scanned> {
    let mut scanned = Scanned { found: Vec::new(), bytes: 0 };
    for (number, path) in files.iter().enumerate() {
        let bytes = read_whole(world, path)?;
        scanned.bytes += bytes.len() as u64;
        scanned.found.extend(frame::scan(&bytes, log_id, number));
    }
    Ok(scanned)
}

fn read_whole(world: &World, path: &Path) -> io::Result<Bytes> {
    let file = world.disk.open(path, Open::Read)?;
    let mut bytes = vec![0; field::size(file.len()?)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

struct Recovery<'a> {
    engine: &'a Engine,
    files: Vec<PathBuf>,
    /// Segment files of partitions that nobody has asked for yet, by base and generation.
    segments: BTreeMap<PartitionId, Vec<Name>>,
    /// Partitions with segments that are not as the checkpoint says.
    touched: BTreeSet<PartitionId>,
    report: &'a mut RecoveryReport,
}

impl Recovery<'_> {
    fn run(mut self, slots: Slots, chain: &Chain, dirty: bool) -> io::Result<()> {
        self.list_segments()?;
        let mut certain = slots.newest.is_some() && slots.unreadable.is_none();
        let renewed = renewal::renew(&*self.engine.world.disk, &self.files, chain.unattested());
        if let Err(error) = renewed {
            self.tolerate_full(error)?;
            certain = false;
        }
        if let Some(checkpoint) = slots.newest {
            self.load(checkpoint, &slots.also_named)?;
        }
        self.report.groups_dropped = chain.dropped;
        self.report.groups_replayed = chain.groups.len();
        let deleted = self.replay(chain)?;
        if !certain {
            self.adopt(&deleted)?;
        }
        self.report.partitions = self.engine.all_shared().len();
        match self.finish().and_then(|()| self.settle(certain, dirty)) {
            Ok(()) if certain => self.remove_orphans()?,
            Ok(()) => {}
            Err(error) => self.tolerate_full(error)?,
        }
        for shared in self.engine.all_shared() {
            lock(&shared.state).config = PartitionConfig::default();
        }
        let bytes = lock(&self.engine.wal).live_bytes();
        self.engine.wal_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// A full disk is no reason not to open: what could not be written stays in memory and in the
    /// write-ahead log until there is space.
    fn tolerate_full(&self, error: io::Error) -> io::Result<()> {
        if !is_full(&error) {
            return Err(error);
        }
        self.engine.note_keeping_error(&error);
        Ok(())
    }

    /// Makes the recovered state the new beginning where the old one would not do: what was damaged
    /// is told once.
    fn settle(&self, certain: bool, dirty: bool) -> io::Result<()> {
        if dirty && !(certain && self.engine.damage.is_empty()) {
            return self.engine.checkpoint();
        }
        lock(&self.engine.wal).retire(self.engine.checkpointed.load(Ordering::Relaxed));
        Ok(())
    }

    fn load(
        &mut self,
        checkpoint: Checkpoint,
        also_named: &HashSet<(PartitionId, Name)>,
    ) -> io::Result<()> {
        let number = checkpoint.number;
        self.engine.checkpoints.store(checkpoint.number, Ordering::Relaxed);
        self.engine.checkpointed.store(checkpoint.covered, Ordering::Relaxed);
        for saved in checkpoint.partitions {
            let shared = self.add(saved.id);
            shared.advance(saved.end);
            let mut state = lock(&shared.state);
            (state.log_start, state.next) = (saved.log_start, saved.end);
            state.producers = saved.producers;
            self.engine.note_producers(state.producers.end());
            let open = state.producers.settled_open();
            state.transactions = transactions::Transactions::new(open, saved.aborted);
            state.compacted_to = saved.compacted_to;
            for (name, extent) in saved.segments {
                state.segments.push(self.engine.segment(shared.id, name, extent));
            }
            drop(state);
            self.sort_files(&shared, |name| {
                also_named.contains(&(shared.id, name)).then_some(number.saturating_sub(1))
            })?;
            self.compare_active_segment(&shared)?;
        }
        Ok(())
    }

    /// An active segment that is shorter than it was must not be appended to; a longer one was
    /// written to after the checkpoint.
    fn compare_active_segment(&mut self, shared: &Shared) -> io::Result<()> {
        let active = lock(&shared.state).segments.last().cloned();
        let Some(active) = active else { return Ok(()) };
        let there = match self.engine.handles.log(&active.file, Open::ReadWrite) {
            Ok(log) => log.len()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if there < active.extent.bytes {
            lock(&shared.state).ahead.insert(active.extent.end, 0);
        }
        if there != active.extent.bytes {
            self.touched.insert(shared.id);
        }
        Ok(())
    }

    /// Without a checkpoint to rely on, the segments say which partitions there are besides those
    /// that the write-ahead log knows.
    fn adopt(&mut self, deleted: &BTreeSet<PartitionId>) -> io::Result<()> {
        let unclaimed: Vec<_> = self.segments.keys().copied().collect();
        for id in unclaimed {
            if self.find(id).is_none() && !deleted.contains(&id) {
                let shared = self.add(id);
                self.look_ahead(&shared)?;
                Self::begin_at_first_segment(&shared);
            }
        }
        Ok(())
    }

    /// What lay before the first segment that is left was trimmed.
    fn begin_at_first_segment(shared: &Shared) {
        let mut state = lock(&shared.state);
        if let Some(first) = state.ahead.first_key_value().map(|it| *it.0) {
            (state.log_start, state.next) = (first, first);
            shared.advance(first);
        }
    }

    fn find(&self, id: PartitionId) -> Option<Arc<Shared>> {
        let all = self.engine.partitions.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&id).cloned()
    }

    fn add(&self, id: PartitionId) -> Arc<Shared> {
        let shared = Arc::new(Shared::new(id, NO_ROLL));
        let mut all = self.engine.partitions.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Arc::clone(&shared));
        shared
    }

    /// Finds segment files that the checkpoint does not know: written after it, or removed before
    /// it and back because their removal was not durable. `named_before` knows those that the
    /// checkpoint before names, and its number.
    fn sort_files(
        &mut self,
        shared: &Shared,
        named_before: impl Fn(Name) -> Option<u64>,
    ) -> io::Result<()> {
        let files = self.segments.remove(&shared.id).unwrap_or_default();
        let mut state = lock(&shared.state);
        let known: HashSet<Name> = state.segments.iter().map(|it| it.file.name).collect();
        for name in files.into_iter().filter(|it| !known.contains(it)) {
            // Of what was written since, the write-ahead log has all as it came.
            if name.base >= state.next && name.generation == 0 {
                state.ahead.insert(name.base, 0);
                self.touched.insert(shared.id);
            } else if let Some(number) = named_before(name) {
                let it = self.engine.segment(shared.id, name, Extent::empty(name.base));
                state.replaced.push((it.file, number));
            } else {
                self.remove_segment(shared.id, name)?;
            }
        }
        Ok(())
    }

    /// The same of a partition that no checkpoint knows. Of the files that begin at one offset the
    /// one that was compacted last counts.
    fn look_ahead(&mut self, shared: &Shared) -> io::Result<()> {
        let files = self.segments.remove(&shared.id).unwrap_or_default();
        let mut state = lock(&shared.state);
        for name in files {
            self.touched.insert(shared.id);
            if let Some(older) = state.ahead.insert(name.base, name.generation) {
                self.remove_segment(shared.id, Name { base: name.base, generation: older })?;
            }
        }
        Ok(())
    }

    /// Notes the files of every partition. Unfinished ones go, and indexes without their segment.
    fn list_segments(&mut self) -> io::Result<()> {
        let (disk, dir) = (self.engine.handles.disk(), &self.engine.segments_dir);
        let files = disk.list(dir)?;
        let files: Vec<_> = files.iter().filter_map(|it| FileName::parse(it)).collect();
        for it in files.iter().filter(|it| it.kind == FileKind::Log) {
            self.segments.entry(it.partition).or_default().push(it.name);
        }
        self.segments.values_mut().for_each(|it| it.sort_unstable());
        for it in files {
            let of = self.segments.get(&it.partition);
            let has_log = of.is_some_and(|names| names.binary_search(&it.name).is_ok());
            if it.kind == FileKind::Unfinished || !has_log {
                disk.remove_file(&dir.join(it.to_string()))?;
            }
        }
        Ok(())
    }

    fn remove_segment(&self, id: PartitionId, name: Name) -> io::Result<()> {
        let gone = self.engine.segment(id, name, Extent::empty(name.base));
        for path in [&gone.file.log_path, &gone.file.index_path] {
            match self.engine.handles.disk().remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the partitions that were deleted.
    fn replay(&mut self, chain: &Chain) -> io::Result<BTreeSet<PartitionId>> {
        let mut deleted = BTreeSet::new();
        let mut current: Option<(usize, Bytes)> = None;
        for group in &chain.groups {
            let bytes = match &current {
                Some((number, bytes)) if *number == group.file => bytes.clone(),
                _ => {
                    let Some(path) = self.files.get(group.file) else { continue };
                    let bytes = read_whole(&self.engine.world, path)?;
                    current = Some((group.file, bytes.clone()));
                    bytes
                }
            };
            for place in &group.entries {
                if place.intact && !deleted.contains(&place.partition) {
                    let body = bytes.get(place.body_at..place.body_at + place.body_len);
                    self.apply(place, body.unwrap_or_default(), &mut deleted)?;
                }
            }
        }
        Ok(deleted)
    }

    fn apply(
        &mut self,
        place: &Place,
        body: &[u8],
        deleted: &mut BTreeSet<PartitionId>,
    ) -> io::Result<()> {
        let shared = if let Some(shared) = self.find(place.partition) {
            shared
        } else {
            let shared = self.add(place.partition);
            self.look_ahead(&shared)?;
            if place.kind != Kind::Create {
                Self::begin_at_first_segment(&shared); // its beginning was in a lost checkpoint
            }
            shared
        };
        match place.kind {
            Kind::Create => lock(&shared.state).producers.begin_below(place.first.raw()),
            Kind::Trim => {
                self.engine.publish_trim(&shared, place.first);
                // Now: a segment that went then must not be appended to.
                self.engine.remove_due();
            }
            Kind::Delete => {
                deleted.insert(place.partition);
                self.engine.publish_delete(&shared);
            }
            Kind::Batch => self.apply_batch(&shared, place, body)?,
        }
        Ok(())
    }

    fn apply_batch(&mut self, shared: &Arc<Shared>, place: &Place, body: &[u8]) -> io::Result<()> {
        let next = lock(&shared.state).next;
        let header = batch::read_intact(body).filter(|it| it.base == place.first);
        let Some(header) = header.filter(|it| it.base >= next) else {
            return Ok(()); // in the segments already
        };
        if header.base > next {
            let salvaged = self.engine.fill(shared, next);
            let salvaged = salvaged.and_then(|()| self.salvage(shared, Some(header.base)));
            salvaged.or_else(|error| self.tolerate_full(error))?;
            self.leave_gap(shared, header.base);
            if lock(&shared.state).next > header.base {
                return Ok(()); // a compacted batch covers it
            }
        }
        self.push(shared, Stored { header, bytes: Bytes::copy_from_slice(body) });
        self.report.batches_replayed += 1;
        if self.engine.filling_due() {
            self.engine.fill_all().or_else(|error| self.tolerate_full(error))?;
        }
        Ok(())
    }

    fn push(&self, shared: &Arc<Shared>, stored: Stored) {
        let now = self.engine.world.clock.now();
        let end = stored.header.last().next();
        self.engine.tail_bytes.fetch_add(stored.bytes.len() as u64, Ordering::Relaxed);
        let mut state = lock(&shared.state);
        self.engine.note_producers(stored.header.producer.map_or(0, |it| it.id.saturating_add(1)));
        state.push(stored, now);
        drop(state);
        self.engine.publish_batch(shared, end, true);
    }

    /// Records between what is there and `base` are lost.
    fn leave_gap(&self, shared: &Shared, base: Offset) {
        let mut state = lock(&shared.state);
        if state.next < base {
            let (first, last) = (state.next, base.before());
            state.next = base;
            shared.advance(base);
            let partition = shared.id;
            self.engine.damage.report(Damage::Records { partition, first, last });
        }
    }

    /// Takes over intact batches that lie in the segments where the log goes on, below `until`.
    fn salvage(&self, shared: &Arc<Shared>, until: Option<Offset>) -> io::Result<()> {
        while let Some(found) = self.next_in_segments(shared, until)? {
            self.push(shared, found);
            let next = lock(&shared.state).next;
            self.engine.fill(shared, next)?;
        }
        Ok(())
    }

    fn next_in_segments(
        &self,
        shared: &Shared,
        until: Option<Offset>,
    ) -> io::Result<Option<Stored>> {
        let (segment, next) = {
            let state = lock(&shared.state);
            let next = state.next;
            let segment = if let Some(generation) = state.ahead.get(&next) {
                let name = Name { base: next, generation: *generation };
                Some(self.engine.segment(shared.id, name, Extent::empty(next)))
            } else {
                state.segments.last().filter(|it| it.extent.end == next).cloned()
            };
            (segment, next)
        };
        let Some(segment) = segment else { return Ok(None) };
        let log = match self.engine.handles.log(&segment.file, Open::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            log => log?,
        };
        let Some(bytes) = Walk::new(&*log, log.len()?).batch(segment.extent.bytes)? else {
            return Ok(None);
        };
        // A compacted batch may cover what the write-ahead log still has.
        let until = until.filter(|_| segment.file.name.generation == 0);
        let fits = |it: &Header| it.base == next && until.is_none_or(|until| it.last() < until);
        let header = batch::read_intact(&bytes).filter(fits);
        Ok(header.map(|header| Stored { header, bytes }))
    }

    /// Brings the segments that were written to after the checkpoint in order.
    fn finish(&self) -> io::Result<()> {
        for shared in self.touched.iter().filter_map(|id| self.find(*id)) {
            self.engine.fill(&shared, shared.high_watermark())?;
            self.salvage(&shared, None)?;
            loop {
                let (ahead, next) = {
                    let state = lock(&shared.state);
                    (state.ahead.first_key_value().map(|it| (*it.0, *it.1)), state.next)
                };
                let Some((base, generation)) = ahead else { break };
                let name = Name { base, generation };
                if base > next && self.begins_well(&shared, name)? {
                    self.leave_gap(&shared, base);
                    self.salvage(&shared, None)?;
                } else {
                    self.remove_segment(shared.id, name)?;
                    lock(&shared.state).ahead.remove(&base);
                }
            }
            self.cut(&shared)?;
        }
        Ok(())
    }

    fn begins_well(&self, shared: &Shared, name: Name) -> io::Result<bool> {
        let base = name.base;
        let it = self.engine.segment(shared.id, name, Extent::empty(base));
        let log = self.engine.handles.log(&it.file, Open::ReadWrite)?;
        let first = Walk::new(&*log, log.len()?).intact(0)?;
        Ok(first.is_some_and(|it| it.base == base))
    }

    /// Removes what lies behind the last batch of the active segment.
    fn cut(&self, shared: &Shared) -> io::Result<()> {
        let mut state = lock(&shared.state);
        let count = state.segments.len();
        for (at, segment) in state.segments.iter_mut().enumerate() {
            if segment.synced && at + 1 < count {
                continue;
            }
            let path = segment.file.log_path.clone();
            let log = match self.engine.handles.log(&segment.file, Open::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.engine.damage.report(Damage::File { path });
                    continue;
                }
                log => log?,
            };
            let there = log.len()?;
            if there > segment.extent.bytes {
                log.set_len(segment.extent.bytes)?;
                segment.synced = false;
            } else if there < segment.extent.bytes {
                self.engine.damage.report(Damage::File { path });
            }
        }
        Ok(())
    }

    /// Segments of partitions that the checkpoint and the write-ahead log do not know belong to
    /// deleted ones, and their removal was not durable.
    fn remove_orphans(&self) -> io::Result<()> {
        for (id, names) in &self.segments {
            names.iter().try_for_each(|name| self.remove_segment(*id, *name))?;
        }
        Ok(())
    }
}
