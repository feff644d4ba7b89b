//! The sparse index of a segment: from offsets and times to byte positions.
//!
//! Owns: the entry format, searching, the place of the next entry. Does not own: rebuilding
//! (`reader`, which reads the batches), or from which size on a segment has one
//! ([`Options::index_from_bytes`]). The index is a hint that can always be made again: it is never
//! synced, each entry has its own checksum, and whoever follows an entry checks the batch.
//!
//! [`Options::index_from_bytes`]: crate::Options::index_from_bytes

use crate::batch::Header;
use crate::field;
use crate::position::Offset;
use crate::segment::Extent;
use std::io;
use systole_world::File;

/// At most one entry per this many bytes of batches.
const INTERVAL_BYTES: u64 = 4096;
const ENTRY_LEN: usize = 32;
const ENTRY_BYTES: u64 = ENTRY_LEN as u64;

/// A batch: its first offset, its place, and the largest timestamp of all batches before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: Offset,
    pub(crate) position: u64,
    pub(crate) max_timestamp_before: i64,
}

impl Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; ENTRY_LEN];
        field::put(&mut bytes, 0, &self.offset.raw().to_le_bytes());
        field::put(&mut bytes, 8, &self.position.to_le_bytes());
        field::put(&mut bytes, 16, &self.max_timestamp_before.to_le_bytes());
        let crc = crc32c::crc32c(bytes.get(..28).unwrap_or_default());
        field::put(&mut bytes, 28, &crc.to_le_bytes());
        out.extend_from_slice(&bytes);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        if crc32c::crc32c(bytes.get(..28)?) != field::le_u32(bytes, 28)? {
            return None;
        }
        Some(Self {
            offset: Offset::from_wire(field::le_i64(bytes, 0)?)?,
            position: field::le_u64(bytes, 8)?,
            max_timestamp_before: field::le_i64(bytes, 16)?,
        })
    }
}

/// Where the next entry goes and which batch the last one names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct End {
    pub(crate) bytes: u64,
    pub(crate) indexed_at: u64,
}

/// Entries for batches that are, or will be, written one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) end: End,
    /// Those behind the end that the builder began with.
    pub(crate) entries: Vec<u8>,
}

impl Builder {
    pub(crate) const fn behind(end: End) -> Self {
        Self { end, entries: Vec::new() }
    }
    /// `before`: the segment up to the batch.
    pub(crate) fn take_in(&mut self, batch: &Header, before: &Extent) {
        if before.bytes < self.end.indexed_at + INTERVAL_BYTES {
            return;
        }
        let entry = Entry {
            offset: batch.base,
            position: before.bytes,
            max_timestamp_before: before.max_timestamp,
        };
        entry.encode(&mut self.entries);
        self.end.bytes += ENTRY_BYTES;
        self.end.indexed_at = before.bytes;
    }
}

/// What a search gave. A damaged index says so and is rebuilt by the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The batch lies before the first entry.
    Start,
    At(Entry),
    Damaged,
}

/// The last entry for which `before` holds; `before` must hold for a prefix of the entries.
pub(crate) fn search(file: &dyn File, before: impl Fn(&Entry) -> bool) -> io::Result<Found> {
    let (mut low, mut high) = (0, file.len()? / ENTRY_BYTES);
    let mut found = Found::Start;
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(entry) = read(file, middle)? else { return Ok(Found::Damaged) };
        if before(&entry) {
            found = Found::At(entry);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(found)
}

/// The first entry for which `before` does not hold.
pub(crate) fn search_after(
    file: &dyn File,
    before: impl Fn(&Entry) -> bool,
) -> io::Result<Option<Entry>> {
    let (mut low, mut high) = (0, file.len()? / ENTRY_BYTES);
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        match read(file, middle)? {
            Some(entry) if before(&entry) => low = middle + 1,
            Some(entry) => {
                found = Some(entry);
                high = middle;
            }
            None => high = middle,
        }
    }
    Ok(found)
}

/// Finds the place behind the last entry that names a batch before `segment_bytes`.
pub(crate) fn end(file: &dyn File, segment_bytes: u64) -> io::Result<End> {
    let mut count = file.len()? / ENTRY_BYTES;
    while let Some(last) = count.checked_sub(1) {
        if let Some(entry) = read(file, last)?.filter(|it| it.position < segment_bytes) {
            return Ok(End { bytes: count * ENTRY_BYTES, indexed_at: entry.position });
        }
        count = last;
    }
    Ok(End::default())
}

fn read(file: &dyn File, number: u64) -> io::Result<Option<Entry>> {
    let mut bytes = [0; ENTRY_LEN];
    match file.read_exact_at(&mut bytes, number * ENTRY_BYTES) {
        Ok(()) => Ok(Entry::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
