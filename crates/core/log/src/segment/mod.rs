//! Record batches of one partition in files: a chain of segments, each large one with a sparse
//! index.
//!
//! Owns: file names, how far a segment reaches, its index, reading with verification. Does not own:
//! which segments a partition has (`partition`), or when they are written, synced and removed
//! (`keeper`). Reading order: [`Segment`] -> [`name`] -> [`handles`] -> [`index`] -> [`reader`].
//! Bytes: `docs/formats/segment.md`.
//!
//! Invariants
//! - Only batches below the high watermark are written here, so every intact byte counts.
//! - Offsets within a segment are without gaps, so a flipped bit in a base offset (which the
//!   batch's checksum does not cover) shows. Where recovery had to leave a gap, a new segment
//!   begins.

pub(crate) mod handles;
pub(crate) mod index;
pub(crate) mod name;
pub(crate) mod reader;

use crate::batch::Header;
use crate::position::{Offset, PartitionId};
pub(crate) use name::Name;
use name::{FileName, Kind};
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
    /// `dir` is the directory of all segments.
    pub(crate) fn new(
        key: u64,
        dir: &Path,
        (partition, name): (PartitionId, Name),
        extent: Extent,
    ) -> Self {
        let path = |kind| dir.join(FileName { partition, name, kind }.to_string());
        let (log_path, index_path) = (path(Kind::Log), path(Kind::Index));
        let file = SegmentFile { key, name, log_path, index_path };
        Self { file: Arc::new(file), extent, index_end: None, synced: true }
    }
    pub(crate) fn base(&self) -> Offset {
        self.file.name.base
    }
}
