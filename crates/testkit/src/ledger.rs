//! Who was promised what: acknowledged records, to be compared with what a reader finds.
//!
//! Owns: the comparison. Does not own: writing, reading or crashing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use systole_client::{Offset, TopicPartition};

/// Records by their number, as a writer numbered them.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeSet<u64>,
    acknowledged: BTreeMap<u64, (TopicPartition, Offset)>,
}

/// What the comparison found. All zero but `read` and `unpromised` is what a broker promises.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub read: usize,
    /// Acknowledged and not there.
    pub lost: usize,
    /// There more than once.
    pub duplicated: usize,
    /// Acknowledged at one place and found at another.
    pub moved: usize,
    /// Found and never sent.
    pub invented: usize,
    /// Found and sent, but never acknowledged: the writer must not rely on either.
    pub unpromised: usize,
}

impl Ledger {
    /// To be called before a record is sent.
    pub fn sent(&mut self, number: u64) {
        self.sent.insert(number);
    }
    pub fn acknowledged(&mut self, number: u64, at: TopicPartition, offset: Offset) {
        self.acknowledged.insert(number, (at, offset));
    }

    /// `found`: the number of each record that a reader saw, and where.
    pub fn compare(
        &self,
        found: impl IntoIterator<Item = (u64, TopicPartition, Offset)>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen = BTreeSet::new();
        for (number, at, offset) in found {
            verdict.read += 1;
            if !seen.insert(number) {
                verdict.duplicated += 1;
            } else if !self.sent.contains(&number) {
                verdict.invented += 1;
            } else {
                match self.acknowledged.get(&number) {
                    None => verdict.unpromised += 1,
                    Some(promised) if *promised != (at, offset) => verdict.moved += 1,
                    Some(_) => {}
                }
            }
        }
        verdict.lost = self.acknowledged.keys().filter(|it| !seen.contains(it)).count();
        verdict
    }
}

impl Verdict {
    pub const fn is_good(self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.moved == 0 && self.invented == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} read, {} lost, {} duplicated, {} moved, {} invented, {} unpromised",
            self.read, self.lost, self.duplicated, self.moved, self.invented, self.unpromised
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_breaking_a_promise_is_counted() {
        let at = |offset| (TopicPartition::new("t", 0), Offset::new(offset).unwrap());
        let mut ledger = Ledger::default();
        for number in 0..5 {
            ledger.sent(number);
        }
        for number in 0..4 {
            let (partition, offset) = at(i64::try_from(number).unwrap());
            ledger.acknowledged(number, partition, offset);
        }
        let found = [(0, 0), (1, 1), (1, 2), (2, 7), (4, 8), (9, 9)];
        let verdict =
            ledger.compare(found.map(|(number, offset)| (number, at(offset).0, at(offset).1)));
        assert!(!verdict.is_good());
        assert_eq!(
            verdict.to_string(),
            "6 read, 1 lost, 1 duplicated, 1 moved, 1 invented, 1 unpromised"
        );
    }
}
