//! Reads batches back and serves none that is not exactly what was written.
//!
//! Owns: walking a segment, verification, finding a batch by offset or time, rebuilding an index.
//! Does not own: what happens to a damaged range (`partition` reports it).

use crate::batch::{self, HEADER_LEN, Header};
use crate::field;
use crate::position::Offset;
use crate::segment::handles::Handles;
use crate::segment::{Extent, SegmentFile, index};
use bytes::{Bytes, BytesMut};
use std::io;
use systole_world::{File, Open};

/// Headers are looked for in pieces of this size.
const WALK_BYTES: usize = 8 * 1024;
/// Batches behind damage are looked for in pieces of this size,
const SCAN_BYTES: usize = 64 * 1024;
/// and so many that turn out not to be intact are verified: bytes made to look like batches must
/// not keep a reader busy.
const VERIFIED_MAX: u32 = 64;

/// Offsets `first..=last` cannot be read: their bytes changed or went missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) first: Offset,
    pub(crate) last: Offset,
}

/// A batch's first offset and its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) offset: Offset,
    pub(crate) position: u64,
}

/// One segment as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) handles: &'a Handles,
    pub(crate) file: &'a SegmentFile,
    pub(crate) extent: Extent,
    /// It is large enough to have an index.
    pub(crate) indexed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) from: Offset,
    /// No batch that reaches beyond it.
    pub(crate) until: Offset,
    pub(crate) max_bytes: usize,
    /// A place known from an earlier read, at or before `from`.
    pub(crate) hint: Option<Spot>,
}

#[derive(Debug)]
pub(crate) struct Batches {
    pub(crate) bytes: Bytes,
    /// The batch behind the last one.
    pub(crate) next: Spot,
}

impl View<'_> {
    /// Whole batches from the one that holds `ask.from`: at least one, and no more than
    /// `ask.max_bytes` unless that one alone is larger.
    pub(crate) fn read(&self, ask: Ask) -> io::Result<Result<Batches, Damaged>> {
        let log = match self.handles.log(self.file, Open::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Damaged { first: ask.from, last: self.extent.end.before() }));
            }
            log => log?,
        };
        let spot = match ask.hint.filter(|it| it.offset == ask.from) {
            Some(spot) => spot,
            None => match self.find(&*log, ask.from)? {
                Ok(spot) => spot,
                Err(damaged) => return Ok(Err(damaged)),
            },
        };
        match self.read_at(&*log, spot, ask)? {
            // A damaged header claimed more offsets than it had.
            Err(damaged) if damaged.last < ask.from => {
                match self.walk_verified(&*log, spot, ask.from)? {
                    Ok(spot) => self.read_at(&*log, spot, ask),
                    Err(damaged) => Ok(Err(damaged)),
                }
            }
            outcome => Ok(outcome),
        }
    }

    fn read_at(
        &self,
        log: &dyn File,
        spot: Spot,
        ask: Ask,
    ) -> io::Result<Result<Batches, Damaged>> {
        let there = self.extent.bytes.saturating_sub(spot.position);
        let wanted = field::size(there).min(ask.max_bytes.max(HEADER_LEN));
        let mut bytes = read_up_to(log, spot.position, wanted)?;
        if let Some(first) = Header::read(&bytes).filter(|it| it.bytes > bytes.len())
            && first.bytes as u64 <= there
        {
            bytes = read_up_to(log, spot.position, first.bytes)?;
        }
        let mut next = spot;
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|it| !it.is_empty()) {
            match batch::read_intact(rest) {
                Some(it) if it.base == next.offset => {
                    if it.last() >= ask.until {
                        bytes.truncate(taken);
                        return Ok(Ok(Batches { bytes: bytes.freeze(), next }));
                    }
                    taken += it.bytes;
                    next.offset = it.last().next();
                    next.position += it.bytes as u64;
                }
                // Perhaps only cut off by the limit: the next read will tell.
                _ if taken > 0 => break,
                _ => return Ok(Err(self.damage_at(spot)?)),
            }
        }
        if taken == 0 {
            return Ok(Err(self.damage_at(spot)?));
        }
        bytes.truncate(taken);
        Ok(Ok(Batches { bytes: bytes.freeze(), next }))
    }

    /// The batch that holds `wanted`, by the index and then from batch to batch.
    pub(crate) fn find(&self, log: &dyn File, wanted: Offset) -> io::Result<Result<Spot, Damaged>> {
        let start = self.spot_before(|it| it.offset <= wanted)?;
        match self.walk_to(log, start, wanted)? {
            // An index that does not fit the file is made again, once.
            Err(damaged) if start.position > 0 && damaged.first == start.offset => {
                self.rebuild_index()?;
                let start = self.spot_before(|it| it.offset <= wanted)?;
                self.walk_to(log, start, wanted)
            }
            found => Ok(found),
        }
    }

    fn walk_to(
        &self,
        log: &dyn File,
        start: Spot,
        wanted: Offset,
    ) -> io::Result<Result<Spot, Damaged>> {
        let mut walk = Walk::new(log, self.extent.bytes);
        let mut spot = start;
        while let Some(it) = walk.header(spot.position)?.filter(|it| it.base == spot.offset) {
            if it.last() >= wanted {
                return Ok(Ok(spot));
            }
            spot = behind(&it, spot.position);
        }
        // One of the headers is damaged, not necessarily the last.
        self.walk_verified(log, start, wanted)
    }

    /// As [`Self::walk_to`], but trusts no header before its batch is verified.
    fn walk_verified(
        &self,
        log: &dyn File,
        start: Spot,
        wanted: Offset,
    ) -> io::Result<Result<Spot, Damaged>> {
        let mut walk = Walk::new(log, self.extent.bytes);
        let mut spot = start;
        while spot.offset <= wanted {
            let intact = walk.intact(spot.position)?.filter(|it| it.base == spot.offset);
            let next = match &intact {
                Some(it) => behind(it, spot.position),
                None => self.behind_damage(log, spot)?,
            };
            if next.offset > wanted {
                let damaged = Damaged { first: spot.offset, last: next.offset.before() };
                return Ok(intact.map(|_| spot).ok_or(damaged));
            }
            spot = next;
        }
        Ok(Err(Damaged { first: wanted, last: wanted }))
    }

    /// The first batch whose records may be at `at` or later, by timestamp. `None`: none here.
    pub(crate) fn find_time(&self, at: i64) -> io::Result<Option<Result<Spot, Damaged>>> {
        if self.extent.bytes == 0 || self.extent.max_timestamp < at {
            return Ok(None);
        }
        let log = self.handles.log(self.file, Open::ReadWrite)?;
        let mut spot = self.spot_before(|it| it.max_timestamp_before < at)?;
        let mut walk = Walk::new(&*log, self.extent.bytes);
        while spot.position < self.extent.bytes {
            match walk.header(spot.position)? {
                Some(it) if it.base == spot.offset && it.max_timestamp >= at => {
                    return Ok(Some(Ok(spot)));
                }
                Some(it) if it.base == spot.offset => spot = behind(&it, spot.position),
                _ => return Ok(Some(Err(self.damage_at(spot)?))),
            }
        }
        Ok(None)
    }

    fn start(&self) -> Spot {
        Spot { offset: self.file.name.base, position: 0 }
    }

    fn spot_before(&self, before: impl Fn(&index::Entry) -> bool) -> io::Result<Spot> {
        let start = self.start();
        for _ in 0..if self.indexed { 2 } else { 0 } {
            let found = match self.handles.index(self.file, Open::ReadWrite) {
                Ok(file) => {
                    index::search(&*file, |it| it.position < self.extent.bytes && before(it))?
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => index::Found::Damaged,
                Err(error) => return Err(error),
            };
            match found {
                index::Found::Start => return Ok(start),
                index::Found::At(it) => {
                    return Ok(Spot { offset: it.offset, position: it.position });
                }
                index::Found::Damaged => self.rebuild_index()?,
            }
        }
        Ok(start)
    }

    /// The range that is lost if no batch can be read at `spot`.
    fn damage_at(&self, spot: Spot) -> io::Result<Damaged> {
        let log = self.handles.log(self.file, Open::ReadWrite)?;
        let next = self.behind_damage(&*log, spot)?;
        Ok(Damaged { first: spot.offset, last: next.offset.before() })
    }

    /// Where to go on behind a damaged batch: by its length, or else at the next batch that is
    /// found, or else by the index, or else at the end of the segment.
    fn behind_damage(&self, log: &dyn File, spot: Spot) -> io::Result<Spot> {
        if let Some(next) = self.behind_by_length(log, spot)? {
            return Ok(next);
        }
        let end = Spot { offset: self.extent.end, position: self.extent.bytes };
        let beyond = self.next_indexed(spot).unwrap_or(end);
        Ok(self.next_intact(log, spot, beyond.position)?.unwrap_or(beyond))
    }

    /// The first batch between `spot` and `until` that is intact and leads to its neighbour. Bytes
    /// in a payload may look like a batch but do not lead on, unless a producer made them so, and
    /// then they stand in the place of a batch of its own.
    fn next_intact(&self, log: &dyn File, spot: Spot, until: u64) -> io::Result<Option<Spot>> {
        let mut walk = Walk::new(log, self.extent.bytes);
        let (mut at, mut verified) = (spot.position + 1, 0);
        while at + HEADER_LEN as u64 <= until {
            let piece = read_up_to(log, at, field::size(until - at).min(SCAN_BYTES))?;
            for (bytes, position) in piece.windows(HEADER_LEN).zip(at..) {
                let inside = |it: &Header| it.base > spot.offset && it.last() < self.extent.end;
                let Some(header) = Header::read(bytes).filter(inside) else { continue };
                if !self.leads_on(&mut walk, behind(&header, position))? {
                    continue;
                }
                if walk.intact(position)?.is_some() {
                    return Ok(Some(Spot { offset: header.base, position }));
                }
                verified += 1;
                if verified == VERIFIED_MAX {
                    return Ok(None);
                }
            }
            at += (piece.len() as u64).saturating_sub(HEADER_LEN as u64 - 1).max(1);
        }
        Ok(None)
    }

    /// Whether a batch, or the end of the segment, is at `spot`.
    fn leads_on(&self, walk: &mut Walk<'_>, spot: Spot) -> io::Result<bool> {
        if spot.position == self.extent.bytes {
            return Ok(spot.offset == self.extent.end);
        }
        Ok(walk.header(spot.position)?.is_some_and(|it| it.base == spot.offset))
    }

    /// Its length as it is, or with one bit flipped back and then only if the offsets fit too, must
    /// lead to an intact batch or to the end.
    fn behind_by_length(&self, log: &dyn File, spot: Spot) -> io::Result<Option<Spot>> {
        let header = read_up_to(log, spot.position, HEADER_LEN)?;
        let Some((length, count)) = batch::read_damaged(&header) else { return Ok(None) };
        let expected = spot.offset.plus(count);
        let mut walk = Walk::new(log, self.extent.bytes);
        for flipped in std::iter::once(0).chain((0..u32::BITS).map(|it| 1 << it)) {
            let position = spot.position + batch::size_of(length ^ flipped);
            let there = if position == self.extent.bytes {
                Some(self.extent.end)
            } else {
                walk.intact(position)?.map(|it| it.base).filter(|it| *it < self.extent.end)
            };
            let fits = |it: &Offset| *it > spot.offset && (flipped == 0 || *it == expected);
            if let Some(offset) = there.filter(fits) {
                return Ok(Some(Spot { offset, position }));
            }
        }
        Ok(None)
    }

    fn next_indexed(&self, spot: Spot) -> Option<Spot> {
        if !self.indexed {
            return None;
        }
        let file = self.handles.index(self.file, Open::ReadWrite).ok()?;
        let next = index::search_after(&*file, |it| it.position <= spot.position).ok()??;
        let inside = next.position < self.extent.bytes && next.offset < self.extent.end;
        let next = Spot { offset: next.offset, position: next.position };
        (inside && next.offset > spot.offset).then_some(next)
    }

    fn rebuild_index(&self) -> io::Result<()> {
        tracing::warn!(path = %self.file.index_path.display(), "index damaged, making it again");
        self.build_index().map(|_| ())
    }

    /// Makes the index from the batches.
    pub(crate) fn build_index(&self) -> io::Result<index::End> {
        let log = self.handles.log(self.file, Open::ReadWrite)?;
        let index = match self.index_batches(&*log, false)? {
            Some(index) => index,
            // A header is damaged, not necessarily the one that did not fit.
            None => self.index_batches(&*log, true)?.unwrap_or_default(),
        };
        let file = self.handles.index(self.file, Open::Create)?;
        file.write_all_at(&index.entries, 0)?;
        file.set_len(index.end.bytes)?;
        Ok(index.end)
    }

    /// `verify`: trusts no header whose batch is not intact, and goes on behind damage. Otherwise
    /// `None` where a header does not fit.
    fn index_batches(&self, log: &dyn File, verify: bool) -> io::Result<Option<index::Builder>> {
        let mut walk = Walk::new(log, self.extent.bytes);
        let (mut index, mut before) =
            (index::Builder::default(), Extent::empty(self.file.name.base));
        while before.bytes < self.extent.bytes {
            let at = before.bytes;
            let there = if verify { walk.intact(at)? } else { walk.header(at)? };
            match there.filter(|it| it.base == before.end) {
                Some(batch) => {
                    index.take_in(&batch, &before);
                    before.take_in(&batch);
                }
                None if verify => {
                    let damaged = Spot { offset: before.end, position: at };
                    let next = self.behind_damage(log, damaged)?;
                    (before.bytes, before.end) = (next.position, next.offset);
                }
                None => return Ok(None),
            }
        }
        Ok(Some(index))
    }
}

fn behind(batch: &Header, position: u64) -> Spot {
    Spot { offset: batch.last().next(), position: position + batch.bytes as u64 }
}

/// Reads batch headers one behind the other with few system calls.
pub(crate) struct Walk<'a> {
    log: &'a dyn File,
    end: u64,
    buffer: BytesMut,
    buffer_at: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(log: &'a dyn File, end: u64) -> Self {
        Self { log, end, buffer: BytesMut::new(), buffer_at: 0 }
    }
    /// The header at `position`; `None` if there is none that fits before the end.
    pub(crate) fn header(&mut self, position: u64) -> io::Result<Option<Header>> {
        let fits = |it: &Header| position + it.bytes as u64 <= self.end;
        if position + HEADER_LEN as u64 > self.end {
            return Ok(None);
        }
        if let Some(offset) = position.checked_sub(self.buffer_at).map(field::size)
            && let Some(header) = self.buffer.get(offset..).and_then(Header::read)
        {
            return Ok(Some(header).filter(fits));
        }
        let wanted = field::size(self.end - position).min(WALK_BYTES);
        self.buffer = read_up_to(self.log, position, wanted)?;
        self.buffer_at = position;
        Ok(Header::read(&self.buffer).filter(|it| position + it.bytes as u64 <= self.end))
    }
    /// The header at `position` if the whole batch is intact.
    pub(crate) fn intact(&mut self, position: u64) -> io::Result<Option<Header>> {
        Ok(self.batch(position)?.and_then(|it| batch::read_intact(&it)))
    }
    /// The bytes of the batch at `position`, not verified.
    pub(crate) fn batch(&mut self, position: u64) -> io::Result<Option<Bytes>> {
        let Some(header) = self.header(position)? else { return Ok(None) };
        Ok(Some(read_up_to(self.log, position, header.bytes)?.freeze()))
    }
}

/// Fewer bytes than `wanted` if the file ends.
fn read_up_to(log: &dyn File, position: u64, wanted: usize) -> io::Result<BytesMut> {
    let mut bytes = BytesMut::zeroed(wanted);
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|it| !it.is_empty()) {
        match log.read_at(rest, position + read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
