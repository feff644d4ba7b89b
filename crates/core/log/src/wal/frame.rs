//! The bytes of one commit group: a head, then its entries, padded to a page.
//!
//! Owns: encoding and decoding. Does not own: files, or which group counts (`chain`).
//! Bytes: `docs/formats/wal.md`.
//!
//! Groups start on page borders, so that writing one never touches a page that holds another, and a
//! scan can find the next group behind a damaged one. The log's random id in every head keeps bytes
//! inside a payload from passing for a group.

use crate::field;
use crate::position::{Offset, PartitionId};
use crate::wal::buffer::Buffer;
use bytes::Bytes;
use systole_kit::Uuid;

pub(crate) const PAGE: usize = systole_world::DIRECT_BYTES;
pub(crate) const HEAD_LEN: usize = 64;
pub(crate) const ENTRY_LEN: usize = 56;
const MAGIC: [u8; 8] = *b"SYSWAL\0\x01";

/// Groups are numbered over all files, upwards, never twice; 0 is "none".
pub(crate) type Sequence = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) log_id: u64,
    pub(crate) sequence: Sequence,
    /// The group before this one. Usually one less; after a recovery it jumps over what was
    /// dropped.
    pub(crate) previous: Sequence,
    /// Every group up to this one was durable before this one was written.
    pub(crate) synced: Sequence,
    /// Of the entries, in bytes.
    pub(crate) length: u32,
    pub(crate) count: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        field::put(&mut out, 0, &MAGIC);
        field::put(&mut out, 8, &self.log_id.to_le_bytes());
        field::put(&mut out, 16, &self.sequence.to_le_bytes());
        field::put(&mut out, 24, &self.previous.to_le_bytes());
        field::put(&mut out, 32, &self.synced.to_le_bytes());
        field::put(&mut out, 40, &self.length.to_le_bytes());
        field::put(&mut out, 44, &self.count.to_le_bytes());
        let crc = crc32c::crc32c(out.get(..60).unwrap_or_default());
        field::put(&mut out, 60, &crc.to_le_bytes());
        out
    }
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if field::array(bytes, 0)? != MAGIC
            || crc32c::crc32c(bytes.get(..60)?) != field::le_u32(bytes, 60)?
        {
            return None;
        }
        Some(Self {
            log_id: field::le_u64(bytes, 8)?,
            sequence: field::le_u64(bytes, 16)?,
            previous: field::le_u64(bytes, 24)?,
            synced: field::le_u64(bytes, 32)?,
            length: field::le_u32(bytes, 40)?,
            count: field::le_u32(bytes, 44)?,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `first..=last` are the offsets of the batch in the body.
    Batch,
    /// The partition exists from here on.
    Create,
    /// The partition and all its records are gone.
    Delete,
    /// Records below `first` are gone.
    Trim,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Batch => 1,
            Self::Create => 2,
            Self::Delete => 3,
            Self::Trim => 4,
        }
    }
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Batch),
            2 => Some(Self::Create),
            3 => Some(Self::Delete),
            4 => Some(Self::Trim),
            _ => None,
        }
    }
}

/// One change of one partition.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) partition: PartitionId,
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    pub(crate) body: Bytes,
}

impl Entry {
    pub(crate) fn control(kind: Kind, partition: PartitionId, first: Offset) -> Self {
        Self { kind, partition, first, last: first, body: Bytes::new() }
    }
    /// Bytes that it takes in a group.
    pub(crate) fn size(&self) -> usize {
        ENTRY_LEN + self.body.len()
    }
    fn encode(&self, sequence: Sequence, out: &mut Buffer) {
        let mut head = [0; ENTRY_LEN];
        let length = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        field::put(&mut head, 4, &crc32c::crc32c(&self.body).to_le_bytes());
        field::put(&mut head, 8, &length.to_le_bytes());
        field::put(&mut head, 12, &[self.kind.code()]);
        field::put(&mut head, 16, self.partition.topic.as_bytes());
        field::put(&mut head, 32, &self.partition.index.to_le_bytes());
        field::put(&mut head, 40, &self.first.raw().to_le_bytes());
        field::put(&mut head, 48, &self.last.raw().to_le_bytes());
        let crc = entry_crc(sequence, head.get(4..).unwrap_or_default());
        field::put(&mut head, 0, &crc.to_le_bytes());
        out.extend(&head);
        out.extend(&self.body);
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, partition, first, last, body } = self;
        write!(f, "{kind:?} {partition} {first}..={last} ({} bytes)", body.len())
    }
}

/// Where an entry lies in a file, and whether its body is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) partition: PartitionId,
    pub(crate) first: Offset,
    pub(crate) last: Offset,
    pub(crate) body_at: usize,
    pub(crate) body_len: usize,
    pub(crate) intact: bool,
}

impl Place {
    /// `None` if the entry's head is damaged: then its length is unknown too.
    fn decode(bytes: &[u8], at: usize, sequence: Sequence) -> Option<Self> {
        let head = bytes.get(at..at.checked_add(ENTRY_LEN)?)?;
        if entry_crc(sequence, head.get(4..)?) != field::le_u32(head, 0)? {
            return None;
        }
        let body_at = at + ENTRY_LEN;
        let body_len = usize::try_from(field::le_u32(head, 8)?).ok()?;
        let body = bytes.get(body_at..body_at.checked_add(body_len)?);
        let crc = field::le_u32(head, 4)?;
        Some(Self {
            kind: Kind::from_code(*head.get(12)?)?,
            partition: PartitionId {
                topic: Uuid::from_bytes(field::array(head, 16)?),
                index: field::le_i32(head, 32)?,
            },
            first: Offset::from_wire(field::le_i64(head, 40)?)?,
            last: Offset::from_wire(field::le_i64(head, 48)?)?,
            body_at,
            body_len,
            intact: body.is_some_and(|it| crc32c::crc32c(it) == crc),
        })
    }
}

/// Binds an entry to its group: a torn write may leave the head of a new group before entries of
/// the old one that lay in the same place of a recycled file.
fn entry_crc(sequence: Sequence, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&sequence.to_le_bytes()), head)
}

/// Writes the whole group into `out`, replacing what was there. `head.length` and `head.count` are
/// filled in here.
pub(crate) fn encode_group<'a>(
    out: &mut Buffer,
    mut head: Head,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) {
    let length = HEAD_LEN + entries.clone().map(Entry::size).sum::<usize>();
    out.restart(padded(length));
    out.resize(HEAD_LEN);
    head.count = 0;
    for entry in entries {
        entry.encode(head.sequence, out);
        head.count += 1;
    }
    head.length = u32::try_from(length - HEAD_LEN).unwrap_or(u32::MAX);
    field::put(out.bytes_mut(), 0, &head.encode());
    out.resize(padded(length));
}

/// `length` rounded up to whole pages.
pub(crate) const fn padded(length: usize) -> usize {
    length.div_ceil(PAGE).saturating_mul(PAGE)
}

/// A group as found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) head: Head,
    /// Which of the scanned files holds it.
    pub(crate) file: usize,
    /// Where in the file, and how many bytes with the padding.
    pub(crate) at: usize,
    pub(crate) bytes: usize,
    pub(crate) entries: Vec<Place>,
    /// Every entry is there and intact.
    pub(crate) whole: bool,
}

/// Whose groups a file holds, and whether its very first bytes say so. If not, the first group is
/// damaged, and what was found may be bytes of a payload.
pub(crate) fn owner(bytes: &[u8]) -> Option<(u64, bool)> {
    let heads = bytes.chunks(PAGE).map(Head::decode).enumerate();
    heads.into_iter().find_map(|(page, head)| Some((head?.log_id, page == 0)))
}

/// All groups of one file in the order in which they lie, from the bytes of the whole file.
pub(crate) fn scan(bytes: &[u8], log_id: u64, file: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut newest = 0;
    while let Some(rest) = bytes.get(at..).filter(|it| it.len() >= HEAD_LEN) {
        let Some(head) = Head::decode(rest).filter(|it| it.log_id == log_id) else {
            at += PAGE;
            continue;
        };
        if head.sequence <= newest {
            break; // what the file held before it was recycled
        }
        newest = head.sequence;
        let body_at = at + HEAD_LEN;
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        let end = body_at.saturating_add(length);
        let entries = walk(bytes, body_at, &head);
        let all = usize::try_from(head.count).is_ok_and(|it| it == entries.len());
        let whole = all && entries.iter().all(|it| it.intact);
        let next = padded(end);
        found.push(Found { head, file, at, bytes: next - at, entries, whole });
        at = next;
    }
    found
}

fn walk(bytes: &[u8], mut at: usize, head: &Head) -> Vec<Place> {
    let mut entries = Vec::new();
    for _ in 0..head.count {
        let Some(entry) = Place::decode(bytes, at, head.sequence) else { break };
        at = entry.body_at + entry.body_len;
        entries.push(entry);
    }
    entries
}
