//! A disk in memory that forgets, tears, flips and fails as a real one may, from a seed.
//!
//! Owns: [`SimDisk`]. Does not own: time, or deciding when to crash (the test does).
//! Reading order: [`SimDisk`] (what a test may do to it) -> `State` (names) -> `Content` (bytes).
//!
//! Every file and every name has two images: what the running system sees and what is durable. A
//! crash keeps the durable image and, of the rest, any part: single sectors of 512 bytes, in any
//! order, torn within, and single changes of names.

use crate::disk::{DIRECT_BYTES, Disk, File, Open};
use crate::random::Random;
use crate::sim::SeededRandom;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes as a whole, or tears.
pub const SECTOR_BYTES: usize = 512;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// Ends the process: handles die, locks go, everything written stays readable but what was not
    /// synced stays at risk (`kill -9`).
    pub fn kill(&self) {
        self.state().end_process();
    }
    /// Ends the machine: of what was not synced, `seed` says what is left.
    pub fn crash(&self, seed: u64) {
        self.state().crash(&Dice(SeededRandom::new(seed)));
    }
    /// After `changes` more changing calls (writes, syncs, creations ...) the next is done in part
    /// and fails, and so does every call of any kind until [`SimDisk::kill`] or
    /// [`SimDisk::crash`].
    pub fn power_off_after(&self, changes: u64) {
        self.state().changes_left = Some(changes);
    }
    pub fn is_off(&self) -> bool {
        self.state().off
    }
    /// Changing calls so far.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }
    /// The `nth` sync of a file from now (1 is the next) fails with EIO. What it should have made
    /// durable stays readable but never becomes durable, although later syncs succeed: the
    /// behaviour of real kernels that made "retry the fsync" wrong.
    pub fn fail_sync(&self, nth: u64) {
        self.state().syncs_until_failure = Some(nth);
    }
    /// Writes that would make all files together larger fail, after writing what fits.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }
    /// Reading files whose path contains `part` fails with EIO.
    pub fn fail_reads_of(&self, part: Option<&str>) {
        self.state().unreadable = part.map(str::to_owned);
    }
    /// Changes one bit of a file, in both images. Nothing happens past the end.
    pub fn flip(&self, path: &Path, bit: u64) {
        let mut state = self.state();
        let Ok(content) = state.content(path) else { return };
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        for image in [&mut content.now, &mut content.durable] {
            if let Some(byte) = image.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
    /// All files, sorted, with their lengths.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let length = |id| state.contents.get(id).map_or(0, |it| it.now.len() as u64);
        state.names.files.iter().map(|(path, id)| (path.clone(), length(id))).collect()
    }
    /// Bytes in all files.
    pub fn used(&self) -> u64 {
        self.state().used()
    }
    /// Handles that are open at this moment.
    pub fn open_handles(&self) -> usize {
        self.state().handles
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type FileId = u64;

#[derive(Debug, Default)]
struct State {
    /// Raised when the process ends; handles of an older epoch are dead.
    epoch: u64,
    contents: HashMap<FileId, Content>,
    next_id: FileId,
    names: Names,
    durable_names: Names,
    /// Changes of names not yet durable, oldest first.
    journal: Vec<Rename>,
    handles: usize,
    changes: u64,
    changes_left: Option<u64>,
    off: bool,
    syncs_until_failure: Option<u64>,
    capacity: Option<u64>,
    unreadable: Option<String>,
}

#[derive(Debug, Default, Clone)]
struct Names {
    files: BTreeMap<PathBuf, FileId>,
    dirs: BTreeSet<PathBuf>,
}

/// One change of names.
#[derive(Debug, Clone)]
enum Rename {
    MakeDir(PathBuf),
    RemoveDir(PathBuf),
    Link(PathBuf, FileId),
    Unlink(PathBuf),
    Move(PathBuf, PathBuf, FileId),
}

impl Rename {
    /// The directory whose sync makes this durable.
    fn dir(&self) -> &Path {
        let (Self::MakeDir(path)
        | Self::RemoveDir(path)
        | Self::Link(path, _)
        | Self::Unlink(path)
        | Self::Move(_, path, _)) = self;
        path.parent().unwrap_or(path)
    }
}

impl Names {
    fn apply(&mut self, change: &Rename) {
        match change {
            Rename::MakeDir(path) => {
                self.dirs.insert(path.clone());
            }
            Rename::RemoveDir(path) => {
                self.dirs.retain(|it| !it.starts_with(path));
                self.files.retain(|it, _| !it.starts_with(path));
            }
            Rename::Link(path, id) => {
                self.files.insert(path.clone(), *id);
            }
            Rename::Unlink(path) => {
                self.files.remove(path);
            }
            Rename::Move(from, to, id) => {
                self.files.remove(from);
                self.files.insert(to.clone(), *id);
            }
        }
    }
    fn drop_unreachable(&mut self) {
        let dirs = self.dirs.clone();
        let reachable =
            |it: &Path| it.ancestors().skip(1).all(|dir| is_root(dir) || dirs.contains(dir));
        self.dirs.retain(|it| reachable(it));
        self.files.retain(|it, _| reachable(it));
    }
}

/// The root, and the empty parent of a relative path, always exist.
fn is_root(dir: &Path) -> bool {
    dir.parent().is_none()
}

impl State {
    fn content(&mut self, path: &Path) -> io::Result<&mut Content> {
        let id = self.names.files.get(path).copied().ok_or(io::ErrorKind::NotFound)?;
        self.contents.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn check_power(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
    /// Counts one change; `true` if the power goes off in the middle of it.
    fn count_change(&mut self) -> io::Result<bool> {
        self.check_power()?;
        self.changes += 1;
        match &mut self.changes_left {
            Some(0) => self.off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(self.off)
    }
    fn rename(&mut self, change: Rename) -> io::Result<()> {
        let torn = self.count_change()?;
        self.names.apply(&change);
        self.journal.push(change);
        if torn { self.check_power() } else { Ok(()) }
    }
    fn sync_names(&mut self, dir: &Path) {
        let (synced, rest) =
            std::mem::take(&mut self.journal).into_iter().partition(|it| it.dir() == dir);
        self.journal = rest;
        let synced: Vec<Rename> = synced;
        for change in &synced {
            self.durable_names.apply(change);
        }
    }
    /// Counts one sync; `true` if it is the one that was to fail.
    fn sync_fails(&mut self) -> bool {
        let left = self.syncs_until_failure.map(|it| it.saturating_sub(1));
        self.syncs_until_failure = left.filter(|it| *it > 0);
        left == Some(0)
    }
    fn used(&self) -> u64 {
        self.contents.values().map(|it| it.now.len() as u64).sum()
    }
    fn end_process(&mut self) {
        self.epoch += 1;
        self.handles = 0;
        self.off = false;
        self.changes_left = None;
        self.syncs_until_failure = None;
        self.contents.values_mut().for_each(|it| it.locked = false);
        self.collect();
    }
    fn crash(&mut self, dice: &Dice) {
        for change in std::mem::take(&mut self.journal) {
            if dice.below(2) == 0 {
                self.durable_names.apply(&change);
            }
        }
        self.durable_names.drop_unreachable();
        self.names = self.durable_names.clone();
        self.end_process();
        let mut ids: Vec<_> = self.contents.keys().copied().collect();
        ids.sort_unstable(); // a map's order must not decide what a seed means
        for id in ids {
            if let Some(content) = self.contents.get_mut(&id) {
                content.crash(dice);
            }
        }
    }
    /// Drops files without a name in either image (or on its way to one).
    fn collect(&mut self) {
        let mut named: BTreeSet<FileId> =
            self.names.files.values().chain(self.durable_names.files.values()).copied().collect();
        named.extend(self.journal.iter().filter_map(|it| match it {
            Rename::Link(_, id) | Rename::Move(_, _, id) => Some(*id),
            _ => None,
        }));
        self.contents.retain(|id, _| named.contains(id));
    }
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors in which `now` may differ from what a sync has promised.
    dirty: BTreeSet<usize>,
    locked: bool,
}

impl Content {
    fn write(&mut self, bytes: &[u8], at: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        let touched_from = at.min(self.now.len());
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[at..end].copy_from_slice(bytes);
        self.dirty.extend(touched_from / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }
    fn set_len(&mut self, len: usize) {
        let old = self.now.len();
        self.now.resize(len, 0);
        if len > old {
            self.dirty.extend(old / SECTOR_BYTES..len.div_ceil(SECTOR_BYTES));
        }
    }
    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = (sector * SECTOR_BYTES).min(self.now.len());
            let to = (from + SECTOR_BYTES).min(self.now.len());
            self.durable[from..to].copy_from_slice(&self.now[from..to]);
        }
    }
    /// The kernel forgets that these sectors were to be written.
    fn lose_sync(&mut self) {
        self.dirty.clear();
    }
    fn crash(&mut self, dice: &Dice) {
        let (low, high) =
            (self.now.len().min(self.durable.len()), self.now.len().max(self.durable.len()));
        let len = match dice.below(3) {
            0 => self.durable.len(),
            1 => self.now.len(),
            _ => low + dice.below(high - low + 1),
        };
        let mut left = std::mem::take(&mut self.durable);
        left.resize(len, 0);
        // Often all or nothing, as a disk with or without a cache would have it.
        let mood = dice.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR_BYTES;
            let end = (from + SECTOR_BYTES).min(len).min(self.now.len());
            let to = match if mood < 2 { mood } else { dice.below(3) } {
                0 => from,
                1 => end,
                _ => from + dice.below(SECTOR_BYTES),
            };
            if from < to.min(end) {
                let to = to.min(end);
                left[from..to].copy_from_slice(&self.now[from..to]);
            }
        }
        self.now.clone_from(&left);
        self.durable = left;
    }
}

#[derive(Debug)]
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.next_u64() % count).unwrap_or(0)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.check_power()?;
        let id = match (state.names.files.get(path).copied(), how) {
            (Some(_), Open::CreateNew | Open::CreateNewDirect) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (Some(id), _) => id,
            (None, Open::Read | Open::ReadWrite | Open::ReadWriteDirect) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            (None, Open::Create | Open::CreateNew | Open::CreateNewDirect) => {
                let dir = path.parent().unwrap_or(path);
                if !is_root(dir) && !state.names.dirs.contains(dir) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let id = state.next_id;
                state.next_id += 1;
                state.contents.insert(id, Content::default());
                state.rename(Rename::Link(path.to_owned(), id))?;
                id
            }
        };
        state.handles += 1;
        let file = SimFile {
            disk: self.clone(),
            id,
            path: path.to_owned(),
            epoch: state.epoch,
            writable: how != Open::Read,
            direct: matches!(how, Open::ReadWriteDirect | Open::CreateNewDirect),
            holds_lock: Mutex::new(false),
        };
        Ok(Arc::new(file))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.check_power()?;
        if !is_root(dir) && !state.names.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.files.keys().chain(&state.names.dirs);
        let inside = inside.filter(|it| it.parent() == Some(dir));
        let names = inside.filter_map(|it| it.file_name());
        let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.check_power()?;
        Ok(state.names.files.contains_key(path) || state.names.dirs.contains(path))
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        let mut missing: Vec<_> = dir
            .ancestors()
            .filter(|it| !is_root(it) && !state.names.dirs.contains(*it))
            .map(Path::to_owned)
            .collect();
        missing.reverse();
        missing.into_iter().try_for_each(|it| state.rename(Rename::MakeDir(it)))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        if !state.names.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.rename(Rename::Unlink(path.to_owned()))
    }
    /// File by file, so that a crash may leave some of them.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        if !state.names.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let files = state.names.files.keys().filter(|it| it.starts_with(dir));
        let files: Vec<_> = files.cloned().collect();
        files.into_iter().try_for_each(|it| state.rename(Rename::Unlink(it)))?;
        state.rename(Rename::RemoveDir(dir.to_owned()))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_power()?;
        let id = state.names.files.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.rename(Rename::Move(from.to_owned(), to.to_owned(), id))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.count_change()? {
            return state.check_power();
        }
        state.sync_names(dir);
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: FileId,
    path: PathBuf,
    epoch: u64,
    writable: bool,
    direct: bool,
    holds_lock: Mutex<bool>,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.check_power()?;
        if state.epoch != self.epoch {
            return Err(io::Error::other("the process that opened this file is gone"));
        }
        Ok(state)
    }
    fn content<'a>(&self, state: &'a mut State) -> io::Result<&'a mut Content> {
        state.contents.get_mut(&self.id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Whether a write may pass by the page cache.
fn is_direct(bytes: &[u8], at: u64) -> bool {
    bytes.as_ptr().align_offset(DIRECT_BYTES) == 0
        && bytes.len().is_multiple_of(DIRECT_BYTES)
        && at.is_multiple_of(DIRECT_BYTES as u64)
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        let path = self.path.to_string_lossy();
        if state.unreadable.as_ref().is_some_and(|it| path.contains(it)) {
            return Err(io::Error::other("input/output error (simulated)"));
        }
        let content = self.content(&mut state)?;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let there = content.now.get(at..).unwrap_or_default();
        let length = there.len().min(buf.len());
        buf[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state()?;
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if self.direct && !is_direct(bytes, at) {
            return Err(io::ErrorKind::InvalidInput.into()); // as Linux does
        }
        let torn = state.count_change()?;
        let free = state.capacity.map(|it| it.saturating_sub(state.used()));
        let content = self.content(&mut state)?;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let room = free.map_or(usize::MAX, |it| {
            let end = content.now.len().saturating_add(usize::try_from(it).unwrap_or(usize::MAX));
            end.saturating_sub(at)
        });
        let fits = bytes.len().min(room);
        content.write(&bytes[..if torn { fits / 2 } else { fits }], at);
        state.check_power()?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if state.count_change()? {
            return state.check_power();
        }
        if state.sync_fails() {
            self.content(&mut state)?.lose_sync();
            return Err(io::Error::other("input/output error (simulated)"));
        }
        self.content(&mut state)?.sync();
        Ok(())
    }
    fn sync_file_system(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if state.count_change()? {
            return state.check_power();
        }
        let fails = state.sync_fails();
        for content in state.contents.values_mut() {
            if fails { content.lose_sync() } else { content.sync() }
        }
        if fails {
            return Err(io::Error::other("input/output error (simulated)"));
        }
        for change in std::mem::take(&mut state.journal) {
            state.durable_names.apply(&change);
        }
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        Ok(self.content(&mut state)?.now.len() as u64)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let torn = state.count_change()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let free = state.capacity.map(|it| it.saturating_sub(state.used()));
        let content = self.content(&mut state)?;
        let grows = len.saturating_sub(content.now.len()) as u64;
        if free.is_some_and(|it| grows > it) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.set_len(len);
        if torn { state.check_power() } else { Ok(()) }
    }
    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.state()?;
        let content = self.content(&mut state)?;
        let mut holds = self.holds_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if content.locked && !*holds {
            return Ok(false);
        }
        content.locked = true;
        *holds = true;
        Ok(true)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.epoch != self.epoch {
            return;
        }
        state.handles = state.handles.saturating_sub(1);
        let holds = *self.holds_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = state.contents.get_mut(&self.id).filter(|_| holds) {
            content.locked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(disk: &SimDisk, path: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = disk.open(Path::new(path), Open::Create).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }
    fn read(disk: &SimDisk, path: &str) -> Vec<u8> {
        let file = disk.open(Path::new(path), Open::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn synced_bytes_under_a_synced_name_survive_every_crash() {
        for seed in 0..200 {
            let disk = SimDisk::default();
            let file = make(&disk, "/a", &[1; 1500]);
            file.sync_data().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            file.write_all_at(&[2; 100], 1500).unwrap();
            disk.crash(seed);
            assert_eq!(read(&disk, "/a")[..1500], [1; 1500], "seed {seed}");
        }
    }
    #[test]
    fn unsynced_bytes_may_be_kept_lost_and_torn() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..300 {
            let disk = SimDisk::default();
            let file = make(&disk, "/a", &[1; 1024]);
            file.sync_data().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            file.write_all_at(&[2; 1024], 0).unwrap();
            disk.crash(seed);
            let (first, second) =
                (read(&disk, "/a")[..512].to_vec(), read(&disk, "/a")[512..].to_vec());
            let kind = |it: &[u8]| match it.iter().map(|it| usize::from(*it == 2)).sum::<usize>() {
                0 => "lost",
                512 => "kept",
                _ => "torn",
            };
            outcomes.insert((kind(&first), kind(&second)));
        }
        assert_eq!(outcomes.len(), 9, "{outcomes:?}");
    }
    #[test]
    fn an_unsynced_name_may_vanish_and_a_removed_one_come_back() {
        let (mut vanished, mut returned) = (0, 0);
        for seed in 0..100 {
            let disk = SimDisk::default();
            make(&disk, "/old", b"x").sync_data().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            disk.remove_file(Path::new("/old")).unwrap();
            make(&disk, "/new", b"x").sync_data().unwrap();
            disk.crash(seed);
            vanished += usize::from(!disk.exists(Path::new("/new")).unwrap());
            returned += usize::from(disk.exists(Path::new("/old")).unwrap());
        }
        assert!((20..80).contains(&vanished) && (20..80).contains(&returned));
    }
    #[test]
    fn equal_seeds_leave_equal_disks() {
        let left = |seed| {
            let disk = SimDisk::default();
            for number in 0..20 {
                make(&disk, &format!("/{number}"), &vec![number; 3000]);
            }
            disk.crash(seed);
            disk.files().into_iter().map(|(path, _)| read(&disk, path.to_str().unwrap())).collect()
        };
        let (first, second): (Vec<_>, Vec<_>) = (left(7), left(7));
        assert_eq!(first, second);
    }
    #[test]
    fn bytes_of_a_failed_sync_are_lost_although_the_next_sync_succeeds() {
        let disk = SimDisk::default();
        let file = make(&disk, "/a", &[1; 600]);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(&[2; 600], 0).unwrap();
        disk.fail_sync(1);
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        assert_eq!(read(&disk, "/a"), [2; 600]);
        disk.crash(0);
        assert_eq!(read(&disk, "/a"), [1; 600]);
    }
    #[test]
    fn a_full_disk_takes_what_fits_and_goes_on_when_there_is_space() {
        let disk = SimDisk::default();
        let file = make(&disk, "/a", &[1; 100]);
        disk.set_capacity(Some(150));
        let error = file.write_all_at(&[2; 100], 100).unwrap_err();
        assert_eq!((error.kind(), disk.used()), (io::ErrorKind::StorageFull, 150));
        file.write_all_at(&[3; 100], 0).unwrap();
        disk.set_capacity(None);
        file.write_all_at(&[2; 100], 100).unwrap();
    }
    #[test]
    fn what_passes_the_page_cache_lies_at_page_borders() {
        let disk = SimDisk::default();
        let file = disk.open(Path::new("/a"), Open::CreateNewDirect).unwrap();
        let bytes = vec![1; 3 * DIRECT_BYTES];
        let start = bytes.as_ptr().align_offset(DIRECT_BYTES);
        let page = &bytes[start..start + DIRECT_BYTES];
        file.write_all_at(page, DIRECT_BYTES as u64).unwrap();
        for (wrong, at) in [(page, 1), (&page[..1], 0), (&bytes[start + 1..][..DIRECT_BYTES], 0)] {
            let error = file.write_all_at(wrong, at).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
    #[test]
    fn when_the_power_goes_off_the_last_change_is_done_in_part() {
        let disk = SimDisk::default();
        let file = make(&disk, "/a", b"");
        disk.power_off_after(1);
        file.write_all_at(&[1; 10], 0).unwrap();
        file.write_all_at(&[2; 10], 10).unwrap_err();
        assert!(file.read_at(&mut [0], 0).is_err() && disk.is_off());
        disk.kill();
        assert!(file.len().is_err(), "the handle died with its process");
        assert_eq!(read(&disk, "/a").len(), 15);
    }
    #[test]
    fn a_lock_lasts_until_its_holder_is_gone() {
        let disk = SimDisk::default();
        let (one, two) = (make(&disk, "/a", b""), make(&disk, "/a", b""));
        assert!(one.try_lock().unwrap() && !two.try_lock().unwrap());
        drop(one);
        assert!(two.try_lock().unwrap());
        disk.kill();
        assert!(make(&disk, "/a", b"").try_lock().unwrap());
    }
}
