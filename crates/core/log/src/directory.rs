//! The log's directory: who owns it, which format it has, and how an earlier one becomes ours.
//!
//! Owns: the files `lock`, `format` and `clean`, and moving the files of format 2 to their places.
//! Does not own: the rest.

use crate::error::OpenError;
use crate::field;
use crate::position::PartitionId;
use crate::segment::name::{FileName, Kind};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_world::{Disk, File, Open};

/// Changes with any change of bytes on disk that an older version would misread. Directories of
/// every earlier format are read and become this one at the start.
///
/// 2: checkpoints know transactions. 3: all segments in one directory.
pub(crate) const FORMAT: u32 = 3;

pub(crate) fn segments(root: &Path) -> PathBuf {
    root.join("segments")
}

/// Makes the directory and those inside it, durably. Until the first start is complete nobody knows
/// which of the directories above were made by an earlier attempt, so all are synced.
pub(crate) fn create(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    disk.create_dir_all(&root.join("wal"))?;
    disk.create_dir_all(&segments(root))?;
    disk.sync_dir(root)?;
    if disk.exists(&root.join("format"))? {
        return Ok(());
    }
    for dir in root.ancestors().skip(1) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        match disk.sync_dir(dir) {
            // Then it is not ours to read, and we made nothing in it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Takes the directory for this process, or says who has it. Held until the result is dropped.
pub(crate) fn take(disk: &dyn Disk, root: &Path) -> Result<Arc<dyn File>, OpenError> {
    let path = root.join("lock");
    let lock = disk.open(&path, Open::Create).map_err(OpenError::io(&path))?;
    if !lock.try_lock().map_err(OpenError::io(&path))? {
        let holder = read_text(&*lock).ok().and_then(|it| it.trim().parse().ok());
        return Err(OpenError::Locked { dir: root.to_owned(), holder });
    }
    // A courtesy to whoever finds the directory locked, for which a full disk must not stop us.
    let pid = format!("{}\n", std::process::id());
    if lock.write_all_at(pid.as_bytes(), 0).and_then(|()| lock.set_len(pid.len() as u64)).is_err() {
        tracing::debug!(path = %path.display(), "process id not noted in the lock file");
    }
    Ok(lock)
}

/// What the file `format` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Absent,
    Ours {
        log_id: u64,
        /// Of an earlier version of this program.
        is_old: bool,
    },
    /// Damaged, or torn by a crash in the first start of a program up to format 2.
    Unreadable,
}

pub(crate) fn read_format(disk: &dyn Disk, root: &Path) -> Result<Format, OpenError> {
    let path = root.join("format");
    let read = |file: Arc<dyn File>| {
        file.sync_data()?; // a killed process may have left it to the kernel only
        read_text(&*file)
    };
    let text = match disk.open(&path, Open::ReadWrite).and_then(read) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Absent),
        Err(error) => return Err(OpenError::io(&path)(error)),
    };
    let Some((body, crc)) = text.trim_end().rsplit_once(' ') else { return Ok(Format::Unreadable) };
    if u32::from_str_radix(crc, 16).ok() != Some(crc32c::crc32c(body.as_bytes())) {
        return Ok(Format::Unreadable);
    }
    let mut words = body.split(' ');
    let found = words.nth(1).unwrap_or_default();
    let Some(version) = found.parse().ok().filter(|it| (1..=FORMAT).contains(it)) else {
        let (dir, found) = (root.to_owned(), found.to_owned());
        return Err(OpenError::Format { dir, found, ours: FORMAT });
    };
    let log_id = words.next().and_then(|it| u64::from_str_radix(it, 16).ok());
    let is_old = version < FORMAT;
    Ok(log_id.map_or(Format::Unreadable, |log_id| Format::Ours { log_id, is_old }))
}

/// One line: `systole-log FORMAT LOG-ID CRC`, the numbers behind the format in hexadecimal. The old
/// line stays whole until the new one is.
pub(crate) fn write_format(disk: &dyn Disk, root: &Path, log_id: u64) -> Result<(), OpenError> {
    let (path, unfinished) = (root.join("format"), root.join("format.new"));
    let body = format!("systole-log {FORMAT} {log_id:016x}");
    let line = format!("{body} {:08x}\n", crc32c::crc32c(body.as_bytes()));
    let write = || {
        let file = disk.open(&unfinished, Open::Create)?;
        file.write_all_at(line.as_bytes(), 0)?;
        file.set_len(line.len() as u64)?;
        file.sync_data()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_dir(root)
    };
    write().map_err(OpenError::io(&path))
}

/// Up to format 2 each partition had a directory in `partitions/`. Moves what is there to
/// `segments/`. The file `format` says 3 already, durably: a program of format 2 must not come by
/// when half of it is moved. Whatever a crash leaves in the old place is moved the next time.
pub(crate) fn flatten(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    let old = root.join("partitions");
    let dirs = match disk.list(&old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        dirs => dirs?,
    };
    let (ours, others): (Vec<_>, Vec<_>) =
        dirs.into_iter().partition(|it| PartitionId::parse(it).is_some());
    let new = segments(root);
    for dir in &ours {
        for file in disk.list(&old.join(dir))? {
            let name = format!("{dir}.{file}");
            if FileName::parse(&name).is_some_and(|it| it.kind != Kind::Unfinished) {
                disk.rename(&old.join(dir).join(file), &new.join(name))?;
            }
        }
    }
    disk.sync_dir(&new)?; // before the directories may go, in whichever order that becomes durable
    for dir in &ours {
        disk.remove_dir_all(&old.join(dir))?;
    }
    if others.is_empty() {
        disk.remove_dir_all(&old)?;
    }
    disk.sync_dir(root)
}

/// Leaves word that nothing was lost: the last thing that an orderly stop does.
pub(crate) fn leave_clean(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    disk.open(&root.join("clean"), Open::Create)?.sync_data()?;
    disk.sync_dir(root)
}

/// Whether the last stop left word; takes it away before anything is appended.
pub(crate) fn take_clean(disk: &dyn Disk, root: &Path) -> io::Result<bool> {
    match disk.remove_file(&root.join("clean")) {
        Ok(()) => disk.sync_dir(root).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_text(file: &dyn File) -> io::Result<String> {
    const TEXT_BYTES_MAX: u64 = 4096;
    let mut bytes = vec![0; field::size(file.len()?.min(TEXT_BYTES_MAX))];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
