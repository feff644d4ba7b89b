//! Files, as much of them as a log needs.
//!
//! Owns: the traits. Does not own: the OS version (`os`) or the one that tears, forgets, flips and
//! fails (`sim`). All calls block; callers on an async runtime hand them to a thread of their own.
//!
//! What a crash may do, and callers must expect: bytes not covered by a successful
//! [`File::sync_data`] may be there, absent, or torn; a created, renamed or removed name may be
//! undone until [`Disk::sync_dir`] of its directory succeeded. After a failed sync nothing is known
//! about the bytes since the last good one, and trying again proves nothing.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// The file must exist; writing to it fails.
    Read,
    /// The file must exist.
    ReadWrite,
    /// Created if absent.
    Create,
    /// Must not exist yet.
    CreateNew,
    /// As [`Self::ReadWrite`], past the page cache where the system can: see [`DIRECT_BYTES`].
    ReadWriteDirect,
    /// As [`Self::CreateNew`], past the page cache where the system can: see [`DIRECT_BYTES`].
    CreateNewDirect,
}

/// What goes past the page cache begins, in memory and in the file, at a multiple of this, and its
/// length is one. A write is then one transfer to the device, and the bytes take no memory twice;
/// they are no more durable before [`File::sync_data`] than others.
pub const DIRECT_BYTES: usize = 4096;

/// The only door to directories.
pub trait Disk: Debug + Send + Sync + 'static {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;
    /// Names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    fn exists(&self, path: &Path) -> io::Result<bool>;
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The only door to a file's bytes. Positions are given with each call, so one handle serves many
/// threads.
pub trait File: Debug + Send + Sync + 'static {
    /// Reads at most `buf.len()` bytes; 0 means the end.
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize>;
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Writes the parts one behind the other, as one call where the OS can.
    fn write_all_vectored_at(&self, parts: &[io::IoSlice<'_>], at: u64) -> io::Result<()> {
        let mut at = at;
        for part in parts {
            self.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }
    /// Makes the bytes and the length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Makes everything in the file system of this file durable: bytes, lengths and names. Costs
    /// what all its users have not written yet; worth it instead of syncing hundreds of files. The
    /// handle must have been opened before the writes, or their errors may go unreported. Where it
    /// is [`io::ErrorKind::Unsupported`], as by default, sync each file.
    fn sync_file_system(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Takes the exclusive lock that lasts until the last handle is dropped; `false` if another
    /// process holds it.
    fn try_lock(&self) -> io::Result<bool>;

    fn read_exact_at(&self, mut buf: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    buf = buf.get_mut(n..).unwrap_or_default();
                    at += n as u64;
                }
            }
        }
        Ok(())
    }
}
