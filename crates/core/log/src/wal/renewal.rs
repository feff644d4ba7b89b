//! Makes groups durable that an earlier life of the process may have left to the kernel.
//!
//! Owns: writing them once more. Does not own: which ones (`chain`).
//!
//! A killed process leaves written groups to the kernel. A sync now would not do: if one failed in
//! the life before, the kernel may have dropped the bytes and reports the next sync as good, while
//! reads still give them. So they are written again, the same bytes in the same place: a crash in
//! between tears nothing that is not torn already.

use crate::wal::buffer::Buffer;
use crate::wal::frame::Found;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use systole_world::{Disk, Open};

/// `files`: those that were scanned, in that order. Blocks on one sync per file concerned.
pub(crate) fn renew<'a>(
    disk: &dyn Disk,
    files: &[PathBuf],
    groups: impl Iterator<Item = &'a Found>,
) -> io::Result<()> {
    let mut by_file: BTreeMap<usize, Vec<&Found>> = BTreeMap::new();
    for group in groups {
        by_file.entry(group.file).or_default().push(group);
    }
    let mut buffer = Buffer::default();
    for (number, groups) in by_file {
        let Some(path) = files.get(number) else { continue };
        // Read as it was scanned: past the page cache there may be something else.
        let (from, to) = (disk.open(path, Open::Read)?, disk.open(path, Open::ReadWriteDirect)?);
        for group in groups {
            buffer.restart(group.bytes);
            buffer.resize(group.bytes);
            from.read_exact_at(buffer.bytes_mut(), group.at as u64)?;
            to.write_all_at(buffer.bytes(), group.at as u64)?;
        }
        to.sync_data()?;
    }
    Ok(())
}
