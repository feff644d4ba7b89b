//! Writes groups into preallocated files and takes those files back once nobody needs them.
//!
//! Owns: the files of the directory `wal/`, the position in the current one, group numbers.
//! Does not own: when to sync, or when a group is no longer needed (`engine` says both).
//!
//! Invariants
//! - A group is written at a page border behind the last group that succeeded; one that failed is
//!   overwritten by the next, under a new number.
//! - A file goes back to the spares only when a durable checkpoint covers all its groups, so stale
//!   groups always have lower numbers than the checkpoint.
//! - After a recovery writing starts in another file: bytes of the crash are never appended to.

use crate::wal::buffer::Buffer;
use crate::wal::frame::{self, Entry, Head, Sequence};
use crate::wal::name;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_world::{Disk, File, Open};

/// Zeroes are written in pieces of this size.
const ZEROES_BYTES: usize = 256 * 1024;
/// While files grow from the small first one, each is this many times larger than the last.
const GROWTH: u64 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) first_file_bytes: u64,
    pub(crate) file_bytes: u64,
    /// More spare files than this are removed.
    pub(crate) spare_files_max: usize,
}

#[derive(Debug)]
pub(crate) struct WalFile {
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    newest: Sequence,
}

#[derive(Debug)]
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log_id: u64,
    sizes: Sizes,
    current: Option<WalFile>,
    position: u64,
    full: Vec<WalFile>,
    spares: Vec<WalFile>,
    next_name: u64,
    largest: u64,
    /// The newest group that was written; what a crash leaves of it is another matter.
    written: Sequence,
    synced: Sequence,
    next: Sequence,
    buffer: Buffer,
}

/// What a recovery found: where to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resume {
    pub(crate) log_id: u64,
    /// The last group that counts.
    pub(crate) previous: Sequence,
    /// No group before this start has a higher number.
    pub(crate) highest: Sequence,
}

impl Wal {
    /// `used`: the files that recovery read, each with its newest group; the next checkpoint that
    /// covers that frees them.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        sizes: Sizes,
        (resume, used): (Resume, Vec<(PathBuf, Sequence)>),
    ) -> io::Result<Self> {
        let mut it = Self {
            disk,
            dir: dir.to_owned(),
            log_id: resume.log_id,
            sizes,
            current: None,
            position: 0,
            full: Vec::new(),
            spares: Vec::new(),
            next_name: 0,
            largest: 0,
            written: resume.previous,
            synced: resume.previous,
            next: resume.highest + 1,
            buffer: Buffer::default(),
        };
        // A killed process may have made one without the name being durable.
        it.disk.sync_dir(dir)?;
        for (path, newest) in used {
            let file = it.disk.open(&path, Open::ReadWriteDirect)?;
            it.next_name = it.next_name.max(name::number(&path) + 1);
            // One that became shorter is of no more use: it would pass for damage again.
            let bytes = Some(file.len()?).filter(|it| *it >= name::bytes(&path)).unwrap_or(0);
            it.largest = it.largest.max(bytes.min(sizes.file_bytes));
            it.full.push(WalFile { path, file, bytes, newest });
        }
        Ok(it)
    }

    /// Writes one group. It is durable after the next [`Wal::sync`].
    ///
    /// # Errors  After [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] nothing
    /// of the group counts and writing may be tried again. After any other error nothing is known.
    pub(crate) fn write<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
    ) -> io::Result<Sequence> {
        let sequence = self.next;
        self.next += 1;
        let mut buffer = std::mem::take(&mut self.buffer);
        let head = Head {
            log_id: self.log_id,
            sequence,
            previous: self.written,
            synced: self.synced,
            length: 0,
            count: 0,
        };
        frame::encode_group(&mut buffer, head, entries);
        let outcome = self.write_group(buffer.bytes(), sequence);
        self.buffer = buffer;
        outcome.map(|()| sequence)
    }

    fn write_group(&mut self, group: &[u8], sequence: Sequence) -> io::Result<()> {
        let length = group.len() as u64;
        if self.current.as_ref().is_none_or(|it| self.position + length > it.bytes) {
            self.change_file(length)?;
        }
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("no current file in the write-ahead log"));
        };
        current.file.write_all_at(group, self.position)?;
        current.newest = sequence;
        self.written = sequence;
        self.position += length;
        Ok(())
    }

    /// Makes everything written so far durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.synced < self.written {
            if let Some(current) = &self.current {
                current.file.sync_data()?;
            }
            self.synced = self.written;
        }
        Ok(())
    }

    fn change_file(&mut self, room: u64) -> io::Result<()> {
        // The old file leaves the reach of `sync`; a failure here must not pass for a full disk.
        self.sync().map_err(io::Error::other)?;
        let file = match self.spares.iter().position(|it| it.bytes >= room) {
            Some(at) => self.spares.swap_remove(at),
            None => self.create(self.next_file_bytes().max(room))?,
        };
        self.full.extend(self.current.replace(file));
        self.position = 0;
        Ok(())
    }

    /// A file whose space is taken as it is written: for the moment when no spare is ready.
    fn create(&mut self, bytes: u64) -> io::Result<WalFile> {
        let path = self.next_path(bytes);
        let unfinished = name::unfinished(&path);
        let file = self.disk.open(&unfinished, Open::CreateNewDirect)?;
        if let Err(error) = file.set_len(bytes) {
            let _ = self.disk.remove_file(&unfinished); // or the next start does it
            return Err(error);
        }
        complete(&*self.disk, &*file, &path)?;
        self.largest = self.largest.max(bytes.min(self.sizes.file_bytes));
        Ok(WalFile { path, file, bytes, newest: 0 })
    }

    fn next_path(&mut self, bytes: u64) -> PathBuf {
        let path = name::of(&self.dir, self.next_name, bytes);
        self.next_name += 1;
        path
    }

    fn next_file_bytes(&self) -> u64 {
        let grown = self.largest.saturating_mul(GROWTH).max(self.sizes.first_file_bytes);
        grown.min(self.sizes.file_bytes)
    }

    /// The current file is half full and nothing is in reserve.
    pub(crate) fn wants_spare(&self) -> bool {
        let half_full = self.current.as_ref().is_none_or(|it| self.position * 2 >= it.bytes);
        self.spares.is_empty() && half_full
    }
    /// What to preallocate now, if anything. `anyway`: to see whether there is space again.
    pub(crate) fn start_spare(&mut self, anyway: bool) -> Option<Spare> {
        if !anyway && !self.wants_spare() {
            return None;
        }
        let bytes = self.next_file_bytes();
        Some(Spare { path: self.next_path(bytes), bytes })
    }

    pub(crate) fn add_spare(&mut self, spare: WalFile) {
        self.largest = self.largest.max(spare.bytes);
        self.spares.push(spare);
    }

    /// Takes back every full file whose groups are all covered by the checkpoint at `covered`.
    pub(crate) fn retire(&mut self, covered: Sequence) {
        let (free, full) = self.full.drain(..).partition(|it| it.newest <= covered);
        self.full = full;
        let mut free: Vec<WalFile> = free;
        self.spares.append(&mut free);
        self.spares.sort_by_key(|it| std::cmp::Reverse(it.bytes));
        let small = self.largest;
        let keep = self.sizes.spare_files_max;
        let mut kept = Vec::new();
        for (at, spare) in self.spares.drain(..).enumerate() {
            let useful = spare.bytes >= self.sizes.first_file_bytes;
            if useful && at < keep && (at == 0 || spare.bytes >= small) {
                kept.push(spare);
            } else if let Err(error) = self.disk.remove_file(&spare.path) {
                tracing::warn!(path = %spare.path.display(), %error, "spare file not removed");
            }
        }
        self.spares = kept;
    }

    pub(crate) const fn written(&self) -> Sequence {
        self.written
    }
    /// Bytes that a recovery would have to read.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.full.iter().map(|it| it.bytes).sum::<u64>() + self.position
    }
}

/// A file to be made ready outside the writer's lock.
#[derive(Debug)]
pub(crate) struct Spare {
    path: PathBuf,
    bytes: u64,
}

/// Gives a file of full length its name, durably.
fn complete(disk: &dyn Disk, file: &dyn File, path: &Path) -> io::Result<()> {
    file.sync_data()?;
    disk.rename(&name::unfinished(path), path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

impl Spare {
    /// Fills the file with zeroes and makes it durable, so that later syncs need not allocate. On
    /// an error nothing is left behind.
    pub(crate) fn prepare(self, disk: &dyn Disk) -> io::Result<WalFile> {
        let made = self.fill(disk);
        let unfinished = name::unfinished(&self.path);
        if made.is_err() && disk.remove_file(&unfinished).is_err() {
            tracing::warn!(path = %unfinished.display(), "unfinished spare file not removed");
        }
        made
    }
    fn fill(&self, disk: &dyn Disk) -> io::Result<WalFile> {
        let file = disk.open(&name::unfinished(&self.path), Open::CreateNewDirect)?;
        let mut zeroes = Buffer::default();
        zeroes.restart(ZEROES_BYTES);
        zeroes.resize(ZEROES_BYTES);
        let mut at = 0;
        while at < self.bytes {
            let piece = crate::field::size((self.bytes - at).min(ZEROES_BYTES as u64));
            file.write_all_at(zeroes.bytes().get(..piece).unwrap_or_default(), at)?;
            at += piece as u64;
        }
        complete(disk, &*file, &self.path)?;
        Ok(WalFile { path: self.path.clone(), file, bytes: self.bytes, newest: 0 })
    }
}

/// Whether an error says that space ran out, which may pass.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
