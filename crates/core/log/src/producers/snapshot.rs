//! The state of producers as bytes in a checkpoint.
//!
//! Owns: encoding, and decoding of this format and the one before. Bytes:
//! `docs/formats/checkpoint.md`.

use super::entry::{Entry, NO_COORDINATOR, Written};
use super::{Producers, WINDOW};
use crate::field;
use crate::position::Offset;
use std::collections::{HashMap, VecDeque};
use systole_kit::Timestamp;

/// Most producers that a snapshot may name: a bound for reading damaged bytes.
const PRODUCERS_MAX: u32 = 1 << 24;
/// In place of an offset that is not there.
const NONE: i64 = -1;

impl Producers {
    /// The settled part, in a form that does not depend on the order of the map.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<_> = self.settled.iter().collect();
        sorted.sort_by_key(|(id, _)| **id);
        out.extend_from_slice(&self.forgotten_below.to_le_bytes());
        out.extend_from_slice(&u32::try_from(sorted.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (id, entry) in sorted {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&entry.last_append_at.as_millis().to_le_bytes());
            out.extend_from_slice(&i32::from(entry.epoch).to_le_bytes());
            out.extend_from_slice(&entry.coordinator_epoch.to_le_bytes());
            for it in [entry.transaction, entry.ended, Some(entry.newest)] {
                out.extend_from_slice(&it.map_or(NONE, Offset::raw).to_le_bytes());
            }
            out.extend_from_slice(&u32::try_from(entry.batches.len()).unwrap_or(0).to_le_bytes());
            for it in &entry.batches {
                out.extend_from_slice(&it.first_sequence.to_le_bytes());
                out.extend_from_slice(&it.last_sequence.to_le_bytes());
                out.extend_from_slice(&it.first.raw().to_le_bytes());
                out.extend_from_slice(&it.last.raw().to_le_bytes());
            }
        }
    }

    /// The inverse of [`Producers::encode`]; moves `at` behind what was read.
    pub(crate) fn decode(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let forgotten_below = field::le_i64(bytes, *at)?;
        *at += 8;
        let settled = decode_all(bytes, at, decode_entry)?;
        Some(Self { settled, forgotten_below, ..Self::default() })
    }

    /// As format 1 had it, which knew no transactions and could name batches of older epochs.
    pub(crate) fn decode_format_1(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let mut settled = decode_all(bytes, at, decode_entry_format_1)?;
        settled.retain(|_, it| !it.batches.is_empty());
        Some(Self { settled, ..Self::default() })
    }
}

fn decode_all(
    bytes: &[u8],
    at: &mut usize,
    decode: fn(&[u8], &mut usize) -> Option<Entry>,
) -> Option<HashMap<i64, Entry>> {
    let count = take_u32(bytes, at)?;
    if count > PRODUCERS_MAX {
        return None;
    }
    let mut all = HashMap::new();
    for _ in 0..count {
        let id = field::le_i64(bytes, *at)?;
        *at += 8;
        all.insert(id, decode(bytes, at)?);
    }
    Some(all)
}

fn decode_entry(bytes: &[u8], at: &mut usize) -> Option<Entry> {
    let optional = |from: usize| field::le_i64(bytes, *at + from).map(Offset::from_wire);
    let mut entry = Entry {
        last_append_at: Timestamp::from_millis(field::le_i64(bytes, *at)?),
        epoch: i16::try_from(field::le_i32(bytes, *at + 8)?).ok()?,
        coordinator_epoch: field::le_i32(bytes, *at + 12)?,
        transaction: optional(16)?,
        ended: optional(24)?,
        newest: optional(32)??,
        batches: VecDeque::new(),
    };
    *at += 40;
    for _ in 0..take_u32(bytes, at)? {
        entry.batches.push_back(decode_batch(bytes, at)?);
    }
    Some(entry)
}

fn decode_entry_format_1(bytes: &[u8], at: &mut usize) -> Option<Entry> {
    let mut entry = Entry {
        last_append_at: Timestamp::from_millis(field::le_i64(bytes, *at)?),
        epoch: 0,
        coordinator_epoch: NO_COORDINATOR,
        transaction: None,
        ended: None,
        newest: Offset::ZERO,
        batches: VecDeque::new(),
    };
    *at += 8;
    for _ in 0..take_u32(bytes, at)? {
        let epoch = i16::try_from(field::le_i32(bytes, *at)?).ok()?;
        *at += 4;
        if epoch != entry.epoch {
            entry.batches.clear();
            entry.epoch = epoch;
        }
        let batch = decode_batch(bytes, at)?;
        entry.newest = batch.last;
        entry.batches.push_back(batch);
    }
    let surplus = entry.batches.len().saturating_sub(WINDOW);
    entry.batches.drain(..surplus);
    Some(entry)
}

fn decode_batch(bytes: &[u8], at: &mut usize) -> Option<Written> {
    let batch = Written {
        first_sequence: field::le_i32(bytes, *at)?,
        last_sequence: field::le_i32(bytes, *at + 4)?,
        first: Offset::from_wire(field::le_i64(bytes, *at + 8)?)?,
        last: Offset::from_wire(field::le_i64(bytes, *at + 16)?)?,
    };
    *at += 24;
    Some(batch)
}

fn take_u32(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let value = field::le_u32(bytes, *at)?;
    *at += 4;
    Some(value)
}
