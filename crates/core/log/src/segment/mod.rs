//! Record batches of one partition in files: a chain of segments, each with a sparse index.
//!
//! Owns: file names, how far a segment reaches, its index, reading with verification. Does not own:
//! which segments a partition has (`partition`), or when they are written, synced and removed
//! (`engine`). Reading order: [`Segment`] -> [`handles`] -> [`index`] -> [`reader`].
//! Bytes: `docs/formats/segment.md`.
//!
//! Invariants
//! - Only batches below the high watermark are written here, so every intact byte counts.
//! - Offsets within a segment are without gaps, so a flipped bit in a base offset (which the
//!   batch's checksum does not cover) shows. Where recovery had to leave a gap, a new segment
//!   begins.

pub(crate) mod handles;
pub(crate) mod index;
pub(crate) mod reader;

use crate::batch::Header;
use crate::position::Offset;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The identity of a segment; outlives its place in the partition while someone reads it.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    /// Unique in the process: the key of its open handles.
    pub(crate) key: u64,
    pub(crate) name: Name,
    pub(crate) log_path: PathBuf,
    pub(crate) index_path: PathBuf,
}

/// How far a segment reaches and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) bytes: u64,
    /// Of the first batch; milliseconds. `i64::MIN` if there is none.
    pub(crate) first_timestamp: i64,
    /// The largest of all batches, and the first batch that has it.
    pub(crate) max_timestamp: i64,
    pub(crate) max_timestamp_at: Offset,
    /// The first offset behind the last batch.
    pub(crate) end: Offset,
}

impl Extent {
    pub(crate) const fn empty(base: Offset) -> Self {
        Self {
            bytes: 0,
            first_timestamp: i64::MIN,
            max_timestamp: i64::MIN,
            max_timestamp_at: base,
            end: base,
        }
    }
    pub(crate) fn take_in(&mut self, batch: &Header) {
        if self.bytes == 0 {
            self.first_timestamp = batch.max_timestamp;
        }
        if self.bytes == 0 || batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.max_timestamp_at = batch.base;
        }
        self.bytes += batch.bytes as u64;
        self.end = batch.last().next();
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) extent: Extent,
    /// Where the next index entry goes; `None` until the index was looked at.
    pub(crate) index_end: Option<index::End>,
    /// Everything in it is durable.
    pub(crate) synced: bool,
}

impl Segment {
    pub(crate) fn new(key: u64, dir: &Path, name: Name, extent: Extent) -> Self {
        let file = SegmentFile {
            key,
            name,
            log_path: dir.join(format!("{name}.log")),
            index_path: dir.join(format!("{name}.index")),
        };
        Self { file: Arc::new(file), extent, index_end: None, synced: true }
    }
    pub(crate) fn base(&self) -> Offset {
        self.file.name.base
    }
}

/// What tells the segments of a partition apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) base: Offset,
    /// 0: as the records came. Each compaction writes a higher one.
    pub(crate) generation: u64,
}

impl Name {
    pub(crate) const fn plain(base: Offset) -> Self {
        Self { base, generation: 0 }
    }
    /// The name of a `.log` file, if `file` is one.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let name = file.strip_suffix(".log")?;
        let (digits, generation) = match name.split_once('.') {
            Some((digits, generation)) => (digits, generation.parse().ok().filter(|it| *it > 0)?),
            None => (name, 0),
        };
        if digits.len() != 20 {
            return None;
        }
        Some(Self { base: Offset::from_wire(digits.parse().ok()?)?, generation })
    }
}

/// Twenty digits, so that names sort as offsets do.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:020}", self.base.raw())?;
        if self.generation > 0 {
            write!(f, ".{}", self.generation)?;
        }
        Ok(())
    }
}
