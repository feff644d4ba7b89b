//! What each producer wrote last, so that a repeated batch is recognised and a gap refused.
//!
//! Owns: the rules of Kafka's idempotent producer for one partition, as a pure state. Does not own:
//! handing out producer ids, transactions, or when to expire (the owner passes the time).
//!
//! Invariant: for every producer at least [`WINDOW`] batches below the settled end are remembered,
//! as far as they existed; so a roll-back and a checkpoint still know them.
//!
//! # Source  Kafka `ProducerStateManager`, `ProducerAppendInfo`; KIP-98, KIP-360

use crate::batch::{Header, Producer as Writer};
use crate::field;
use crate::position::Offset;
use std::collections::{HashMap, VecDeque};
use systole_kit::Timestamp;

/// A client may have this many batches in flight and repeat any of them.
pub(crate) const WINDOW: usize = 5;
/// Most producers that a snapshot may name: a bound for reading damaged bytes.
const PRODUCERS_MAX: u32 = 1 << 24;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Producers(HashMap<i64, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    batches: VecDeque<Written>,
    last_append_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    epoch: i16,
    first_sequence: i32,
    last_sequence: i32,
    first: Offset,
    last: Offset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// Written before, at these offsets.
    Duplicate {
        first: Offset,
        last: Offset,
    },
    /// An older incarnation of the producer.
    Fenced {
        current: i16,
    },
    OutOfOrder {
        expected: i32,
    },
}

impl Producers {
    pub(crate) fn check(&self, writer: Writer, count: i32) -> Verdict {
        let Some(first_sequence) = writer.first_sequence else { return Verdict::Append };
        let Some(newest) = self.0.get(&writer.id).and_then(|it| it.batches.back()) else {
            // Nothing is known (new, expired or deleted): Kafka accepts any sequence (KIP-360).
            return Verdict::Append;
        };
        if writer.epoch < newest.epoch {
            return Verdict::Fenced { current: newest.epoch };
        }
        if writer.epoch > newest.epoch {
            return if first_sequence == 0 {
                Verdict::Append
            } else {
                Verdict::OutOfOrder { expected: 0 }
            };
        }
        let last_sequence = advance(first_sequence, count - 1);
        // More may be remembered, as long as they can be rolled back.
        let known = self.0.get(&writer.id).into_iter().flat_map(|it| it.batches.iter().rev());
        let repeated = known.take(WINDOW).find(|it| {
            (it.epoch, it.first_sequence, it.last_sequence)
                == (writer.epoch, first_sequence, last_sequence)
        });
        if let Some(it) = repeated {
            return Verdict::Duplicate { first: it.first, last: it.last };
        }
        let expected = advance(newest.last_sequence, 1);
        if first_sequence == expected { Verdict::Append } else { Verdict::OutOfOrder { expected } }
    }

    /// Takes note of a batch that was appended or replayed. `settled`: below it nothing can be
    /// rolled back.
    pub(crate) fn note(&mut self, header: &Header, settled: Offset, at: Timestamp) {
        let Some(writer) = header.producer else { return };
        let Some(first_sequence) = writer.first_sequence else { return };
        let entry = self
            .0
            .entry(writer.id)
            .or_insert_with(|| Entry { batches: VecDeque::new(), last_append_at: at });
        entry.last_append_at = at;
        entry.batches.push_back(Written {
            epoch: writer.epoch,
            first_sequence,
            last_sequence: advance(first_sequence, header.count - 1),
            first: header.base,
            last: header.last(),
        });
        let durable = entry.batches.iter().take_while(|it| it.last < settled).count();
        entry.batches.drain(..durable.saturating_sub(WINDOW));
    }

    /// The state as it was when the log ended at `end`.
    pub(crate) fn roll_back(&mut self, end: Offset) {
        self.0.retain(|_, entry| {
            while entry.batches.back().is_some_and(|it| it.last >= end) {
                entry.batches.pop_back();
            }
            !entry.batches.is_empty()
        });
    }

    pub(crate) fn expire(&mut self, older_than: Timestamp) {
        self.0.retain(|_, entry| entry.last_append_at >= older_than);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The part below `end`, in a form that does not depend on the order of the map.
    pub(crate) fn encode_below(&self, end: Offset, out: &mut Vec<u8>) {
        let mut state = self.clone();
        state.roll_back(end);
        let mut sorted: Vec<_> = state.0.into_iter().collect();
        sorted.sort_by_key(|(id, _)| *id);
        out.extend_from_slice(&u32::try_from(sorted.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (id, entry) in sorted {
            let skipped = entry.batches.len().saturating_sub(WINDOW);
            let kept = entry.batches.len() - skipped;
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&entry.last_append_at.as_millis().to_le_bytes());
            out.extend_from_slice(&u32::try_from(kept).unwrap_or(0).to_le_bytes());
            for it in entry.batches.iter().skip(skipped) {
                out.extend_from_slice(&i32::from(it.epoch).to_le_bytes());
                out.extend_from_slice(&it.first_sequence.to_le_bytes());
                out.extend_from_slice(&it.last_sequence.to_le_bytes());
                out.extend_from_slice(&it.first.raw().to_le_bytes());
                out.extend_from_slice(&it.last.raw().to_le_bytes());
            }
        }
    }

    /// The inverse of [`Producers::encode_below`]; moves `at` behind what was read.
    pub(crate) fn decode(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let count = take_u32(bytes, at)?;
        if count > PRODUCERS_MAX {
            return None;
        }
        let mut state = Self::default();
        for _ in 0..count {
            let id = field::le_i64(bytes, *at)?;
            let last_append_at = Timestamp::from_millis(field::le_i64(bytes, *at + 8)?);
            *at += 16;
            let mut batches = VecDeque::new();
            for _ in 0..take_u32(bytes, at)? {
                batches.push_back(Written {
                    epoch: i16::try_from(field::le_i32(bytes, *at)?).ok()?,
                    first_sequence: field::le_i32(bytes, *at + 4)?,
                    last_sequence: field::le_i32(bytes, *at + 8)?,
                    first: Offset::from_wire(field::le_i64(bytes, *at + 12)?)?,
                    last: Offset::from_wire(field::le_i64(bytes, *at + 20)?)?,
                });
                *at += 28;
            }
            state.0.insert(id, Entry { batches, last_append_at });
        }
        Some(state)
    }
}

fn take_u32(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let value = field::le_u32(bytes, *at)?;
    *at += 4;
    Some(value)
}

/// Sequences run from 0 to the largest `i32` and start again at 0.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(by)) % (i64::from(i32::MAX) + 1);
    i32::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(first: i64, epoch: i16, sequence: i32, count: i32) -> Header {
        Header {
            base: Offset::new(first),
            bytes: 100,
            last_delta: count - 1,
            max_timestamp: 0,
            producer: Some(writer(epoch, sequence)),
            count,
        }
    }
    fn writer(epoch: i16, sequence: i32) -> Writer {
        Writer { id: 7, epoch, first_sequence: Some(sequence) }
    }
    fn after(batches: &[(i64, i16, i32, i32)]) -> Producers {
        let mut it = Producers::default();
        for &(first, epoch, sequence, count) in batches {
            let header = header(first, epoch, sequence, count);
            it.note(&header, header.last().next(), Timestamp::from_millis(first));
        }
        it
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere() {
        assert_eq!(Producers::default().check(writer(3, 99), 2), Verdict::Append);
    }
    #[test]
    fn a_repeated_batch_gets_its_first_offsets() {
        let it = after(&[(0, 0, 0, 3), (3, 0, 3, 2)]);
        let expected = Verdict::Duplicate { first: Offset::new(0), last: Offset::new(2) };
        assert_eq!(it.check(writer(0, 0), 3), expected);
    }
    #[test]
    fn a_gap_is_refused_and_says_what_was_expected() {
        let it = after(&[(0, 0, 0, 3)]);
        assert_eq!(it.check(writer(0, 4), 1), Verdict::OutOfOrder { expected: 3 });
        assert_eq!(it.check(writer(0, 3), 1), Verdict::Append);
    }
    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let it = after(&[(0, 0, 0, 3), (3, 1, 0, 1)]);
        assert_eq!(it.check(writer(0, 3), 1), Verdict::Fenced { current: 1 });
        assert_eq!(it.check(writer(2, 5), 1), Verdict::OutOfOrder { expected: 0 });
        assert_eq!(it.check(writer(2, 0), 1), Verdict::Append);
    }
    #[test]
    fn sequences_wrap_to_zero() {
        let it = after(&[(0, 0, i32::MAX - 1, 2)]);
        assert_eq!(it.check(writer(0, 0), 1), Verdict::Append);
        assert_eq!(it.check(writer(0, 1), 1), Verdict::OutOfOrder { expected: 0 });
    }
    #[test]
    fn a_batch_older_than_the_window_is_out_of_order() {
        for settled in [Offset::ZERO, Offset::new(6), Offset::new(7)] {
            let mut it = Producers::default();
            for at in 0..7 {
                it.note(&header(i64::from(at), 0, at, 1), settled, Timestamp::default());
            }
            assert_eq!(it.check(writer(0, 1), 1), Verdict::OutOfOrder { expected: 7 });
            assert!(matches!(it.check(writer(0, 2), 1), Verdict::Duplicate { .. }));
        }
    }
    #[test]
    fn rolling_back_restores_epoch_and_sequence() {
        let mut it = after(&[(0, 0, 0, 1)]);
        let durable = Offset::new(1);
        for at in 1..9 {
            let sequence = i32::try_from(at - 1).unwrap();
            it.note(&header(at, 1, sequence, 1), durable, Timestamp::default());
        }
        it.roll_back(durable);
        assert_eq!(it, after(&[(0, 0, 0, 1)]));
        assert_eq!(it.check(writer(0, 1), 1), Verdict::Append);
    }
    #[test]
    fn a_snapshot_reads_back_as_the_state_below_its_end() {
        let it = after(&[(0, 0, 0, 1), (1, 0, 1, 1), (2, 0, 2, 1)]);
        let mut bytes = Vec::new();
        it.encode_below(Offset::new(2), &mut bytes);
        let mut at = 0;
        let read = Producers::decode(&bytes, &mut at).unwrap();
        let mut expected = it;
        expected.roll_back(Offset::new(2));
        assert_eq!((read, at), (expected, bytes.len()));
    }
    #[test]
    fn an_idle_producer_is_forgotten() {
        let mut it = after(&[(0, 0, 0, 1), (50, 0, 1, 1)]);
        it.expire(Timestamp::from_millis(51));
        assert_eq!(it.len(), 0);
    }
}
