//! Where input comes from: files, directories, standard input, bundled samples.
//!
//! Owns: finding and opening. Does not own: what is in it.

use crate::context::Context;
use crate::failure::{Failure, Result, code};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_world::{Disk, File, Open};

/// One input. Opened when its turn comes, so that a thousand files need one handle.
pub(crate) enum Source {
    File { path: PathBuf, size: u64, disk: Arc<dyn Disk> },
    StandardInput,
    Text { name: &'static str, text: &'static str },
}

impl Source {
    /// `None`: nobody knows.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::File { size, .. } => Some(*size),
            Self::StandardInput => None,
            Self::Text { text, .. } => Some(text.len() as u64),
        }
    }
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::File { path, disk, .. } => {
                Box::new(FileReader { file: disk.open(path, Open::Read)?, at: 0 })
            }
            Self::StandardInput => Box::new(io::stdin().lock()),
            Self::Text { text, .. } => Box::new(text.as_bytes()),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => path.display().fmt(f),
            Self::StandardInput => f.write_str("standard input"),
            Self::Text { name, .. } => f.write_str(name),
        }
    }
}

/// A file of the disk seam as a stream.
struct FileReader {
    file: Arc<dyn File>,
    at: u64,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buf, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The inputs behind these paths, in their order; those of a directory sorted by name.
pub(crate) fn find(paths: &[PathBuf], cx: &Context) -> Result<Vec<Source>> {
    let disk = &cx.world.disk;
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            sources.push(Source::StandardInput);
            continue;
        }
        match disk.list(path) {
            Ok(names) => {
                let wanted = |it: &&String| it.ends_with(".json") || it.ends_with(".ndjson");
                for name in names.iter().filter(wanted) {
                    sources.push(file(&path.join(name), disk)?);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                sources.push(file(path, disk)?);
            }
            Err(error) => return Err(cannot_read(path, &error)),
        }
    }
    if sources.is_empty() {
        return Err(Failure::usage("no .json or .ndjson file there"));
    }
    Ok(sources)
}

fn file(path: &Path, disk: &Arc<dyn Disk>) -> Result<Source> {
    let file = disk.open(path, Open::Read).and_then(|it| it.len());
    let size = file.map_err(|it| cannot_read(path, &it))?;
    Ok(Source::File { path: path.to_owned(), size, disk: Arc::clone(disk) })
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(code::READ, format!("{}: {error}", path.display()))
}
