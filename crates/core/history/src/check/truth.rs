//! What must have happened, as far as answers and readers tell.
//!
//! Owns: the fate of each transaction, what lies where, what may be gone. Does not own: what
//! readers should have got (`records`).

use crate::anomaly::Anomaly;
use crate::op::{Act, Commit, End, History, Look, Moment, Op, Outcome, Place, Poll, Send};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An operation with what it did.
pub(super) type Of<'a, T> = (&'a Op, &'a T);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Committed,
    /// Asked to commit, and nothing tells whether it was.
    Undecided,
    /// Not committed: aborted, refused, or nobody asked.
    Never,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    /// When someone first asked to commit it.
    pub(super) asked: Option<Moment>,
    /// From when on it is certain that it is committed.
    pub(super) since: Option<Moment>,
}

const UNASKED: Fate = Fate { verdict: Verdict::Never, asked: None, since: None };

pub(super) struct Truth<'a> {
    pub(super) history: &'a History,
    pub(super) sends: HashMap<u64, Of<'a, Send>>,
    pub(super) polls: Vec<Of<'a, Poll>>,
    pub(super) commits: Vec<Of<'a, Commit>>,
    pub(super) looks: Vec<Of<'a, Look>>,
    /// What readers of committed records got.
    pub(super) seen: HashSet<u64>,
    /// What any reader got.
    pub(super) seen_by_any: HashSet<u64>,
    /// What lies where.
    pub(super) log: HashMap<&'a Place, BTreeMap<i64, u64>>,
    pub(super) places: HashMap<u64, (&'a Place, i64)>,
    fates: HashMap<u64, Fate>,
    /// The last offset of each key.
    newest: HashMap<(&'a Place, u64), i64>,
}

impl<'a> Truth<'a> {
    pub(super) fn of(history: &'a History, found: &mut Vec<Anomaly>) -> Self {
        let mut it = Self {
            history,
            sends: HashMap::new(),
            polls: Vec::new(),
            commits: Vec::new(),
            looks: Vec::new(),
            seen: HashSet::new(),
            seen_by_any: HashSet::new(),
            log: HashMap::new(),
            places: HashMap::new(),
            fates: HashMap::new(),
            newest: HashMap::new(),
        };
        let mut ends = Vec::new();
        for op in &history.ops {
            match &op.act {
                Act::Send(send) => drop(it.sends.insert(send.id, (op, send))),
                Act::Poll(poll) if op.ended.is_some() => it.polls.push((op, poll)),
                Act::Commit(commit) => it.commits.push((op, commit)),
                Act::Look(look) if op.outcome == Outcome::Done => it.looks.push((op, look)),
                Act::End(end) => ends.push((op, end)),
                Act::Poll(_) | Act::Look(_) => {}
            }
        }
        it.judge(&ends);
        it.settle();
        it.place(found);
        it
    }

    /// What the answers say.
    fn judge(&mut self, ends: &[Of<'a, End>]) {
        for (op, end) in ends.iter().filter(|(_, it)| it.commits) {
            let fate = self.fates.entry(end.transaction).or_insert(UNASKED);
            fate.asked = Some(fate.asked.map_or(op.begun, |it| it.min(op.begun)));
            match op.outcome {
                Outcome::Done => {
                    fate.verdict = Verdict::Committed;
                    fate.since = op.ended;
                }
                Outcome::Unknown if fate.verdict == Verdict::Never => {
                    fate.verdict = Verdict::Undecided;
                }
                Outcome::Unknown | Outcome::Refused => {}
            }
        }
    }

    /// What readers say where the answers leave it open.
    fn settle(&mut self) {
        let mut hopeful = HashSet::new();
        for (op, send) in self.sends.values() {
            if let Some(transaction) = send.transaction
                && op.outcome == Outcome::Done
                && self.fate(transaction).verdict == Verdict::Undecided
            {
                hopeful.insert(transaction);
            }
        }
        for (op, poll) in &self.polls {
            self.seen_by_any.extend(poll.records.iter().map(|it| it.id));
            if !poll.committed {
                continue;
            }
            for record in &poll.records {
                self.seen.insert(record.id);
                let send = self.sends.get(&record.id);
                let Some(transaction) = send.and_then(|it| it.1.transaction) else { continue };
                let Some(fate) = self.fates.get_mut(&transaction) else { continue };
                if fate.verdict == Verdict::Undecided {
                    fate.verdict = Verdict::Committed;
                    fate.since = op.ended;
                }
            }
        }
        for transaction in hopeful {
            if let Some(fate) = self.fates.get_mut(&transaction)
                && fate.verdict == Verdict::Undecided
            {
                fate.verdict = Verdict::Never;
            }
        }
    }

    /// Where each record lies, by acknowledgement or by sight. A batch of a transaction may be
    /// acknowledged before it is durable, so it counts only if the transaction is committed.
    fn place(&mut self, found: &mut Vec<Anomaly>) {
        let mut all = Vec::new();
        for (op, send) in self.sends.values() {
            let counts = send.transaction.is_none_or(|it| self.is_committed(it));
            if let Some(offset) = send.offset.filter(|_| op.outcome == Outcome::Done && counts) {
                all.push((&send.to, offset, send.id));
            }
        }
        for (_, poll) in &self.polls {
            all.extend(poll.records.iter().map(|it| (&poll.of, it.offset, it.id)));
        }
        all.sort_unstable();
        all.dedup();
        for (at, offset, id) in all {
            match self.log.entry(at).or_default().insert(offset, id) {
                Some(other) if other != id => {
                    found.push(Anomaly::InconsistentOffset {
                        at: at.clone(),
                        offset,
                        one: other,
                        other: id,
                    });
                }
                _ => {}
            }
            match self.places.insert(id, (at, offset)) {
                Some((place, before)) if (place, before) != (at, offset) => {
                    let (one, other) = ((place.clone(), before), (at.clone(), offset));
                    found.push(Anomaly::Duplicate { id, one, other });
                }
                _ => {}
            }
            if let Some(key) = self.sends.get(&id).and_then(|it| it.1.key) {
                let newest = self.newest.entry((at, key)).or_insert(offset);
                *newest = offset.max(*newest);
            }
        }
    }

    pub(super) fn fate(&self, transaction: u64) -> Fate {
        self.fates.get(&transaction).copied().unwrap_or(UNASKED)
    }
    pub(super) fn is_committed(&self, transaction: u64) -> bool {
        self.fate(transaction).verdict == Verdict::Committed
    }
    /// Whether a reader of committed records must get it.
    pub(super) fn must_show(&self, send: &Send) -> bool {
        send.transaction.is_none_or(|it| self.is_committed(it))
    }
    /// Whether it may be gone without anyone's fault.
    pub(super) fn may_be_gone(&self, send: &Send, at: &Place, offset: i64) -> bool {
        let cleanup = self.history.cleanup_of(at);
        let is_old = |key| self.newest.get(&(at, key)).is_some_and(|it| *it > offset);
        let is_superseded =
            send.is_tombstone || !self.must_show(send) || send.key.is_some_and(is_old);
        let is_trimmed = || self.history.starts.get(at).is_some_and(|it| offset < *it);
        cleanup.compacts && is_superseded || cleanup.trims && is_trimmed()
    }
}
