//! The segment that compaction writes.
//!
//! Owns: its file and index until they are complete and durable under their final names. Does not
//! own: what goes into it, or when the partition begins to use it (`compaction`).

use crate::batch::Header;
use crate::engine::Engine;
use crate::position::{Offset, PartitionId};
use crate::segment::{Extent, Name, Segment, index};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use systole_wire::record;
use systole_world::{Disk, File, Open};

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 1024 * 1024;
/// Synced after so many, so that one sync at the end does not hold up those of the write-ahead log.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Output {
    segment: Segment,
    unfinished: PathBuf,
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
    index: index::Builder,
    index_from_bytes: u64,
    /// Where offsets begin that nothing was written for yet.
    gap: Offset,
}

impl Output {
    pub(super) fn create(engine: &Engine, id: PartitionId, name: Name) -> io::Result<Self> {
        let segment = engine.segment(id, name, Extent::empty(name.base));
        let unfinished = segment.file.log_path.with_extension("tmp");
        let disk = Arc::clone(&engine.world.disk);
        let file = disk.open(&unfinished, Open::Create)?;
        file.set_len(0)?;
        Ok(Self {
            segment,
            unfinished,
            disk,
            file,
            buffer: Vec::new(),
            written: 0,
            synced: 0,
            index: index::Builder::default(),
            index_from_bytes: engine.options.index_from_bytes,
            gap: name.base,
        })
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.segment.extent.bytes
    }

    /// Adds a batch; the offsets before it that nothing was written for are covered by one without
    /// records.
    pub(super) fn put(&mut self, batch: &[u8]) -> io::Result<()> {
        let header = Header::read(batch).ok_or_else(|| io::Error::other("no batch"))?;
        self.fill_gap(header.base)?;
        self.write(batch, &header)
    }

    fn fill_gap(&mut self, until: Offset) -> io::Result<()> {
        while self.gap < until {
            let count = (until.raw() - self.gap.raw()).min(i64::from(i32::MAX));
            let last_delta = i32::try_from(count - 1).map_err(io::Error::other)?;
            let filler = record::filler(self.gap.raw(), last_delta).map_err(io::Error::other)?;
            let header = Header::read(&filler).ok_or_else(|| io::Error::other("no batch"))?;
            self.write(&filler, &header)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &[u8], header: &Header) -> io::Result<()> {
        let extent = &mut self.segment.extent;
        self.index.take_in(header, extent);
        extent.take_in(header);
        self.gap = extent.end;
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written >= self.synced + SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Completes the segment, which ends at `end`, and makes it durable. Blocks on fsyncs.
    pub(super) fn finish(mut self, end: Offset) -> io::Result<Segment> {
        self.fill_gap(end)?;
        self.flush()?;
        self.file.sync_data()?;
        let file = &self.segment.file;
        if self.segment.extent.bytes > self.index_from_bytes {
            let index = self.disk.open(&file.index_path, Open::Create)?;
            index.write_all_at(&self.index.entries, 0)?;
            index.set_len(self.index.end.bytes)?;
        }
        self.disk.rename(&self.unfinished, &file.log_path)?;
        if let Some(dir) = file.log_path.parent() {
            self.disk.sync_dir(dir)?;
        }
        Ok(self.segment)
    }

    /// Takes back what was written.
    pub(super) fn discard(self) {
        if let Err(error) = self.disk.remove_file(&self.unfinished) {
            // The next start removes what no checkpoint knows.
            tracing::warn!(path = %self.unfinished.display(), %error, "unfinished segment stays");
        }
    }
}
