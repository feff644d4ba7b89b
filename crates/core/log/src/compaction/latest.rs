//! The newest offset of each key, in bounded memory.
//!
//! Owns: the table. Does not own: which records count.
//!
//! Keys are kept as 128 bits of two hashes with random seeds: two of ten million keys share them
//! with a probability of 1 to 10^25, and nobody can choose keys that do.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

/// Bytes of one place in the table.
const SLOT_LEN: u64 = 24;

#[derive(Debug)]
pub(super) struct Latest {
    slots: Vec<Slot>,
    free: usize,
    seeds: [u64; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: [u64; 2],
    /// One more than the offset; 0: nothing is here.
    after: i64,
}

impl Latest {
    /// Room for `keys`, or as many as `bytes_max` allow.
    pub(super) fn new(keys: u64, bytes_max: u64, seeds: [u64; 2]) -> Self {
        // A quarter stays empty, so that searches stay short.
        let wanted = keys.saturating_add(keys / 3).saturating_add(4);
        let count = crate::field::size(wanted.min(bytes_max / SLOT_LEN).max(4));
        Self { slots: vec![Slot::default(); count], free: count - count / 4, seeds }
    }

    /// `false`: there is no room for another key.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        let has_room = self.free > 0;
        match self.slots.get_mut(at) {
            Some(slot) if slot.after == 0 && !has_room => false,
            Some(slot) => {
                self.free -= usize::from(slot.after == 0);
                *slot = Slot { hash, after: slot.after.max(offset.saturating_add(1)) };
                true
            }
            None => false,
        }
    }

    /// Whether the table knows a newer record of this key.
    pub(super) fn is_outdated(&self, key: &[u8], offset: i64) -> bool {
        let at = self.find(self.hash(key));
        self.slots.get(at).is_some_and(|it| it.after > offset.saturating_add(1))
    }

    /// The place of a key, or the empty place where it belongs: there always is one.
    fn find(&self, hash: [u64; 2]) -> usize {
        let count = self.slots.len() as u64;
        let start = crate::field::size(hash[0] % count);
        let (before, from) = self.slots.split_at(start);
        let is_it = |it: &Slot| it.after == 0 || it.hash == hash;
        let behind = from.iter().position(is_it).map(|it| start + it);
        behind.or_else(|| before.iter().position(is_it)).unwrap_or(usize::MAX)
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        self.seeds.map(|seed| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write(key);
            hasher.finish()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_newest_offset_of_each_key_is_known_up_to_the_limit() {
        let mut table = Latest::new(1000, 100 * SLOT_LEN, [1, 2]);
        let mut model = BTreeMap::new();
        for offset in 0..1000_i64 {
            let key = (offset * 7 % 90).to_be_bytes();
            let fits = table.put(&key, offset);
            assert_eq!(fits, model.contains_key(&key) || model.len() < 75, "at {offset}");
            if fits {
                model.insert(key, offset);
            }
        }
        assert_eq!(model.len(), 75);
        for (key, newest) in model {
            assert!(table.is_outdated(&key, newest - 1) && !table.is_outdated(&key, newest));
        }
        assert!(!table.is_outdated(b"another", 0));
    }
}
