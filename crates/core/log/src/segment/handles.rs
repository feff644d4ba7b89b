//! Open files, a bounded number of them.
//!
//! Owns: which handles stay open. Does not own: what is done with them.

use crate::lock;
use crate::segment::SegmentFile;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use systole_world::{Disk, File, Open};

/// A cache of handles: the one unused for longest is closed when a new one would be too many. A
/// closed file that is still in use stays open for its user.
#[derive(Debug)]
pub(crate) struct Handles {
    disk: Arc<dyn Disk>,
    open_max: usize,
    open: Mutex<Opened>,
}

#[derive(Debug, Default)]
struct Opened {
    files: HashMap<(u64, Which), (Arc<dyn File>, u64)>,
    tick: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Log,
    Index,
}

impl Handles {
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        Self { disk, open_max: open_max.max(1), open: Mutex::default() }
    }
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }
    pub(crate) fn log(&self, segment: &SegmentFile, how: Open) -> io::Result<Arc<dyn File>> {
        self.get((segment.key, Which::Log), &segment.log_path, how)
    }
    pub(crate) fn index(&self, segment: &SegmentFile, how: Open) -> io::Result<Arc<dyn File>> {
        self.get((segment.key, Which::Index), &segment.index_path, how)
    }

    fn get(&self, key: (u64, Which), path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut open = lock(&self.open);
        open.tick += 1;
        let tick = open.tick;
        if let Some((file, used)) = open.files.get_mut(&key) {
            *used = tick;
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open(path, how)?;
        while open.files.len() >= self.open_max {
            let oldest = open.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            open.files.remove(&oldest);
        }
        open.files.insert(key, (Arc::clone(&file), tick));
        Ok(file)
    }

    /// Closes the handles of a segment whose files are about to go.
    pub(crate) fn forget(&self, segment: &SegmentFile) {
        let mut open = lock(&self.open);
        open.files.remove(&(segment.key, Which::Log));
        open.files.remove(&(segment.key, Which::Index));
    }
}
