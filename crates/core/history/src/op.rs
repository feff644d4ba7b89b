//! The history: operations with their beginning, their end, and what came of them.
//!
//! Owns: the words. Does not own: who records ([`crate::Recorder`]), what follows from it
//! ([`crate::check`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A point in the one order in which a recorder saw things begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Moment(pub u64);

/// A partition of a topic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl Place {
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How an operation ended, as far as its client can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The broker said that it is done.
    Done,
    /// The broker said that it is not done and never will be.
    Refused,
    /// No answer, or one that leaves it open.
    Unknown,
}

/// One thing that one client did.
#[derive(Debug, Clone)]
pub struct Op {
    pub client: Arc<str>,
    pub begun: Moment,
    /// `None`: it never ended, or nobody lived to see it.
    pub ended: Option<Moment>,
    pub outcome: Outcome,
    pub act: Act,
}

#[derive(Debug, Clone)]
pub enum Act {
    Send(Send),
    End(End),
    Poll(Poll),
    Commit(Commit),
    Look(Look),
}

/// One record on its way to a partition. Trying again with the same sequence is the same send.
#[derive(Debug, Clone)]
pub struct Send {
    /// Told in the record; no two sends have the same.
    pub id: u64,
    pub to: Place,
    /// What compaction goes by.
    pub key: Option<u64>,
    /// Without a value: compaction may remove it in the end.
    pub is_tombstone: bool,
    /// One incarnation of a producer; its sends to one partition keep their order.
    pub producer: u64,
    pub transaction: Option<u64>,
    /// Where the broker said that it is.
    pub offset: Option<i64>,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub transaction: u64,
    pub commits: bool,
}

/// What a reader got of one partition.
#[derive(Debug, Clone)]
pub struct Poll {
    /// One uninterrupted pass of one reader.
    pub pass: u64,
    pub of: Place,
    /// Only what was committed.
    pub committed: bool,
    pub from: i64,
    /// Where the reader goes on: everything it may see before is in `records` or not there.
    pub next: i64,
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    pub id: u64,
}

/// A group's offset in a partition. In a history without anomaly it only rises.
#[derive(Debug, Clone)]
pub struct Commit {
    pub group: Arc<str>,
    pub of: Place,
    pub offset: i64,
    pub transaction: Option<u64>,
}

/// What the broker told of a group's offset; `None`: there is none.
#[derive(Debug, Clone)]
pub struct Look {
    pub group: Arc<str>,
    pub of: Place,
    pub offset: Option<i64>,
}

/// What may go from a topic without anyone's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleanup {
    /// Records with a newer one of the same key, and tombstones.
    pub compacts: bool,
    /// Whatever lies before the log start.
    pub trims: bool,
}

/// All operations of one run, in the order of their beginnings.
#[derive(Debug, Default)]
pub struct History {
    pub ops: Vec<Op>,
    /// By topic; none: nothing may go.
    pub cleanup: BTreeMap<Arc<str>, Cleanup>,
    /// Log starts at the end of the run, where a topic trims.
    pub starts: BTreeMap<Place, i64>,
}

impl History {
    pub fn cleanup_of(&self, place: &Place) -> Cleanup {
        self.cleanup.get(&place.topic).copied().unwrap_or_default()
    }
    /// The lines that concern these records and transactions, for a report.
    pub fn about(&self, ids: &[u64], transactions: &[u64]) -> String {
        let concerns = |op: &&Op| match &op.act {
            Act::Send(it) => {
                ids.contains(&it.id) || it.transaction.is_some_and(|it| transactions.contains(&it))
            }
            Act::End(it) => transactions.contains(&it.transaction),
            Act::Commit(it) => it.transaction.is_some_and(|it| transactions.contains(&it)),
            Act::Poll(it) => it.records.iter().any(|it| ids.contains(&it.id)),
            Act::Look(_) => false,
        };
        self.ops.iter().filter(concerns).map(|it| format!("{it}\n")).collect()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}", self.begun.0)?;
        match self.ended {
            Some(it) => write!(f, "..{:<6} {:<10}", it.0, self.client)?,
            None => write!(f, "..       {:<10}", self.client)?,
        }
        match &self.act {
            Act::Send(it) => {
                write!(f, "send {} to {} by {}", it.id, it.to, it.producer)?;
                it.transaction.map_or(Ok(()), |it| write!(f, " in {it}"))?;
                it.offset.map_or(Ok(()), |it| write!(f, " at {it}"))?;
            }
            Act::End(it) => {
                let word = if it.commits { "commit" } else { "abort" };
                write!(f, "{word} {}", it.transaction)?;
            }
            Act::Poll(it) => {
                let what = if it.committed { "committed" } else { "all" };
                write!(f, "poll {what} of {} {}..{}:", it.of, it.from, it.next)?;
                it.records.iter().try_for_each(|it| write!(f, " {}@{}", it.id, it.offset))?;
            }
            Act::Commit(it) => {
                write!(f, "offset {} of {} for {}", it.offset, it.of, it.group)?;
                it.transaction.map_or(Ok(()), |it| write!(f, " in {it}"))?;
            }
            Act::Look(it) => write!(f, "{} is at {:?} of {}", it.group, it.offset, it.of)?,
        }
        write!(f, " -> {:?}", self.outcome)
    }
}
