//! What came of one input.
//!
//! Owns: the counts. Does not own: showing them to people (`cli`).

use std::collections::BTreeMap;
use std::fmt;
use systole_kit::{ByteSize, Code};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes consumed.
    pub bytes: u64,
    /// Bundles and bare resources begun.
    pub documents: u64,
    /// Entries of bundles, good or bad.
    pub entries: u64,
    /// Entries that change nothing: GET and HEAD requests, responses without a resource.
    pub without_change: u64,
    /// Events by resource type.
    pub events: BTreeMap<&'static str, u64>,
    /// Problems by code.
    pub problems: BTreeMap<Code, u64>,
}

impl Summary {
    pub fn events_total(&self) -> u64 {
        self.events.values().sum()
    }
    pub fn problems_total(&self) -> u64 {
        self.problems.values().sum()
    }
    /// Adds another input's counts.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.documents += other.documents;
        self.entries += other.entries;
        self.without_change += other.without_change;
        for (name, count) in &other.events {
            *self.events.entry(name).or_default() += count;
        }
        for (code, count) in &other.problems {
            *self.problems.entry(*code).or_default() += count;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, problems) = (self.events_total(), self.problems_total());
        let size = ByteSize::new(self.bytes);
        writeln!(f, "{events} events, {problems} problems, {} documents, {size}", self.documents)?;
        for (name, count) in &self.events {
            writeln!(f, "{count:>9} {name}")?;
        }
        for (code, count) in &self.problems {
            writeln!(f, "{count:>9} {code}")?;
        }
        Ok(())
    }
}
