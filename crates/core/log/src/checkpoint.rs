//! A checkpoint: from here on the write-ahead log is needed, before it the segments suffice.
//!
//! Owns: the checkpoint file and taking one. Does not own: recovery from it. Bytes:
//! `docs/formats/checkpoint.md`.
//!
//! Two files are written in turn, each as a whole: a crash while one is written leaves the other.

use crate::engine::Engine;
use crate::field;
use crate::lock;
use crate::partition::{Life, Shared, State};
use crate::position::{Offset, PartitionId};
use crate::producers::Producers;
use crate::segment::{Extent, Name};
use crate::transactions::{self, Aborted};
use crate::wal::Sequence;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use systole_kit::Uuid;
use systole_world::{Disk, Open};

const MAGIC: [u8; 8] = *b"SYSCKP\0\x02";
/// The format before, without transactions.
const MAGIC_1: [u8; 8] = *b"SYSCKP\0\x01";
const HEAD_LEN: usize = 40;
const EXTENT_LEN: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) log_id: u64,
    /// Counts checkpoints; the higher of two files is the newer.
    pub(crate) number: u64,
    /// Groups up to this one are in the segments.
    pub(crate) covered: Sequence,
    pub(crate) partitions: Vec<Saved>,
}

/// One partition as it was at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) id: PartitionId,
    pub(crate) log_start: Offset,
    /// Everything below is durable in the segments.
    pub(crate) end: Offset,
    pub(crate) segments: Vec<(Name, Extent)>,
    pub(crate) producers: Producers,
    pub(crate) aborted: VecDeque<Aborted>,
    /// Compaction has read everything below.
    pub(crate) compacted_to: Offset,
}

/// The two files of a directory, read.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) newest: Option<Checkpoint>,
    /// Segments that the other one names.
    pub(crate) also_named: HashSet<(PartitionId, Name)>,
    /// A file has content that cannot be read: torn by a crash while it was written, or damaged.
    pub(crate) unreadable: Option<PathBuf>,
}

pub(crate) fn slot_path(root: &Path, number: u64) -> PathBuf {
    root.join(format!("checkpoint-{}", number % 2))
}

pub(crate) fn read_slots(disk: &dyn Disk, root: &Path) -> io::Result<Slots> {
    let mut slots = Slots::default();
    for number in 0..2 {
        let path = slot_path(root, number);
        let bytes = match disk.open(&path, Open::Read) {
            Ok(file) => {
                let mut bytes = vec![0; field::size(file.len()?)];
                file.read_exact_at(&mut bytes, 0)?;
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match Checkpoint::decode(&bytes) {
            Some(it) if slots.newest.as_ref().is_none_or(|other| it.number > other.number) => {
                let older = slots.newest.replace(it);
                slots.also_named.extend(older.iter().flat_map(Checkpoint::names));
            }
            Some(older) => slots.also_named.extend(older.names()),
            None => slots.unreadable = Some(path),
        }
    }
    // A killed process may have left it to the kernel only; recovery must be able to build on it.
    if let Some(newest) = &slots.newest {
        disk.open(&slot_path(root, newest.number), Open::ReadWrite)?.sync_data()?;
        disk.sync_dir(root)?;
    }
    Ok(slots)
}

impl Checkpoint {
    fn names(&self) -> impl Iterator<Item = (PartitionId, Name)> {
        let segments = |it: &Saved| it.segments.iter().map(|it| it.0).collect::<Vec<_>>();
        self.partitions
            .iter()
            .flat_map(move |it| segments(it).into_iter().map(|name| (it.id, name)))
    }
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.log_id.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.covered.to_le_bytes());
        put_count(&mut out, self.partitions.len());
        put_count(&mut out, 0);
        self.partitions.iter().for_each(|it| it.encode(&mut out));
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }
    /// `None` unless every byte is as it was written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let body_len = bytes.len().checked_sub(4)?;
        let body = bytes.get(..body_len)?;
        if field::le_u32(bytes, body_len)? != crc32c::crc32c(body) {
            return None;
        }
        let format = match field::array(body, 0)? {
            MAGIC => 2,
            MAGIC_1 => 1,
            _ => return None,
        };
        let mut at = HEAD_LEN;
        let mut partitions = Vec::new();
        for _ in 0..field::le_u32(body, 32)? {
            partitions.push(Saved::decode(body, &mut at, format)?);
        }
        Some(Self {
            log_id: field::le_u64(body, 8)?,
            number: field::le_u64(body, 16)?,
            covered: field::le_u64(body, 24)?,
            partitions,
        })
    }
}

impl Saved {
    fn of(shared: &Shared, state: &State) -> Self {
        let end = state.written();
        let mut producers = state.producers.clone();
        producers.roll_back();
        Self {
            id: shared.id,
            log_start: state.log_start,
            end,
            segments: state.segments.iter().map(|it| (it.file.name, it.extent)).collect(),
            producers,
            aborted: state.transactions.aborted_below(end),
            compacted_to: state.compacted_to,
        }
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.topic.as_bytes());
        out.extend_from_slice(&self.id.index.to_le_bytes());
        out.extend_from_slice(&self.log_start.raw().to_le_bytes());
        out.extend_from_slice(&self.end.raw().to_le_bytes());
        put_count(out, self.segments.len());
        for (name, extent) in &self.segments {
            out.extend_from_slice(&name.base.raw().to_le_bytes());
            out.extend_from_slice(&name.generation.to_le_bytes());
            out.extend_from_slice(&extent.end.raw().to_le_bytes());
            out.extend_from_slice(&extent.bytes.to_le_bytes());
            out.extend_from_slice(&extent.first_timestamp.to_le_bytes());
            out.extend_from_slice(&extent.max_timestamp.to_le_bytes());
            out.extend_from_slice(&extent.max_timestamp_at.raw().to_le_bytes());
        }
        self.producers.encode(out);
        transactions::encode_aborted(&self.aborted, out);
        out.extend_from_slice(&self.compacted_to.raw().to_le_bytes());
    }
    fn decode(bytes: &[u8], at: &mut usize, format: u8) -> Option<Self> {
        let start = *at;
        let mut segments = Vec::new();
        *at = start + 40;
        for _ in 0..field::le_u32(bytes, start + 36)? {
            let base = Offset::from_wire(field::le_i64(bytes, *at)?)?;
            let mut name = Name::plain(base);
            *at += 8;
            if format > 1 {
                name.generation = field::le_u64(bytes, *at)?;
                *at += 8;
            }
            let offset = |from: usize| Offset::from_wire(field::le_i64(bytes, *at + from)?);
            let extent = Extent {
                end: offset(0)?,
                bytes: field::le_u64(bytes, *at + 8)?,
                first_timestamp: field::le_i64(bytes, *at + 16)?,
                max_timestamp: field::le_i64(bytes, *at + 24)?,
                max_timestamp_at: offset(32)?,
            };
            segments.push((name, extent));
            *at += EXTENT_LEN;
        }
        let producing = if format > 1 {
            Producing::decode(bytes, at)?
        } else {
            Producing::decode_format_1(bytes, at)?
        };
        let Producing { producers, aborted, compacted_to } = producing;
        Some(Self {
            id: PartitionId {
                topic: Uuid::from_bytes(field::array(bytes, start)?),
                index: field::le_i32(bytes, start + 16)?,
            },
            log_start: Offset::from_wire(field::le_i64(bytes, start + 20)?)?,
            end: Offset::from_wire(field::le_i64(bytes, start + 28)?)?,
            segments,
            producers,
            aborted,
            compacted_to,
        })
    }
}

/// The part of a partition that depends on the format.
struct Producing {
    producers: Producers,
    aborted: VecDeque<Aborted>,
    compacted_to: Offset,
}

impl Producing {
    fn decode(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let producers = Producers::decode(bytes, at)?;
        let aborted = transactions::decode_aborted(bytes, at)?;
        let compacted_to = Offset::from_wire(field::le_i64(bytes, *at)?)?;
        *at += 8;
        Some(Self { producers, aborted, compacted_to })
    }
    fn decode_format_1(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let producers = Producers::decode_format_1(bytes, at)?;
        Some(Self { producers, aborted: VecDeque::new(), compacted_to: Offset::ZERO })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

impl Engine {
    pub(crate) fn checkpoint_due(&self) -> bool {
        self.wal_bytes.load(Ordering::Relaxed) >= self.options.checkpoint_bytes
            && self.published.load(Ordering::Acquire) > self.checkpointed.load(Ordering::Relaxed)
    }

    /// Moves everything published so far into durable segments, writes that down, and frees the
    /// files of the write-ahead log that are covered. The caller has the turn. Blocks on one fsync
    /// per partition written since the last checkpoint.
    pub(crate) fn checkpoint(&self) -> io::Result<()> {
        // Read first: what is published later may go into the segments as well, and replaying it
        // once more does no harm.
        let covered = self.published.load(Ordering::Acquire);
        self.remove_due();
        let partitions = self.all_shared();
        self.fill_all()?;
        for shared in &partitions {
            self.fill(shared, shared.high_watermark())?;
        }
        self.sync_segments(&partitions)?;
        let disk = self.handles.disk();
        let number = self.checkpoints.load(Ordering::Relaxed) + 1;
        let saved = partitions.iter().filter_map(|shared| {
            let state = lock(&shared.state);
            (state.life != Life::Gone).then(|| Saved::of(shared, &state))
        });
        let saved = saved.collect();
        let checkpoint = Checkpoint { log_id: self.log_id, number, covered, partitions: saved };
        let file = disk.open(&slot_path(&self.root, number), Open::Create)?;
        let bytes = checkpoint.encode();
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_data()?;
        disk.sync_dir(&self.root)?;
        self.checkpoints.store(number, Ordering::Relaxed);
        self.checkpointed.store(covered, Ordering::Relaxed);
        self.remove_replaced(&partitions, number);
        let mut wal = lock(&self.wal);
        wal.retire(covered);
        self.wal_bytes.store(wal.live_bytes(), Ordering::Relaxed);
        drop(wal);
        self.room.notify_waiters();
        Ok(())
    }

    /// Makes all that the segments hold durable: file by file, or the whole file system at once
    /// where that is cheaper.
    fn sync_segments(&self, partitions: &[Arc<Shared>]) -> io::Result<()> {
        let unsynced = partitions.iter().filter(|it| lock(&it.state).unsynced_bytes > 0).count();
        if unsynced > self.options.sync_each_max {
            match self.anchor.sync_file_system() {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    for shared in partitions {
                        lock(&shared.state).note_synced();
                    }
                    return Ok(());
                }
            }
        }
        for shared in partitions {
            self.sync_partition(shared)?;
        }
        self.handles.disk().sync_dir(&self.segments_dir)
    }

    /// A checkpoint outside the usual turn, at an orderly stop.
    pub(crate) fn checkpoint_now(&self) {
        let _turn = self.chores.turn();
        if let Err(error) = self.checkpoint() {
            self.note_keeping_error(&error);
        }
    }

    /// Every partition, in the order of their ids.
    pub(crate) fn all_shared(&self) -> Vec<Arc<Shared>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = partitions.values().cloned().collect();
        all.sort_by_key(|it| it.id);
        all
    }
}
