//! What readers got, and what they should have got.
//!
//! Owns: the rules about single records and whole transactions. Does not own: order.

use super::truth::{Of, Truth};
use crate::anomaly::Anomaly;
use crate::op::{Outcome, Place, Poll, Send};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn check(truth: &Truth<'_>, found: &mut Vec<Anomaly>) {
    let torn = torn(truth, found);
    let mut told = HashSet::new();
    let mut missed = HashSet::new();
    for (op, poll) in &truth.polls {
        for record in &poll.records {
            if told.insert(record.id) {
                let wrong = wrong(truth, (op, poll), (record.id, record.offset));
                if wrong.is_none() {
                    told.remove(&record.id); // another reader may get it wrongly
                }
                found.extend(wrong);
            }
        }
        missing(truth, poll, &mut |anomaly, id| {
            if !torn.contains(&id) && missed.insert(id) {
                found.push(anomaly);
            }
        });
    }
    unseen(truth, &mut |anomaly, id| {
        if !torn.contains(&id) && !missed.contains(&id) {
            found.push(anomaly);
        }
    });
}

/// What is wrong with what a reader got.
fn wrong(truth: &Truth<'_>, (op, poll): Of<'_, Poll>, (id, offset): (u64, i64)) -> Option<Anomaly> {
    let at = || poll.of.clone();
    let Some((sent, send)) = truth.sends.get(&id).filter(|it| it.1.to == poll.of) else {
        return Some(Anomaly::Invented { id, at: at(), offset });
    };
    if sent.outcome == Outcome::Refused {
        return Some(Anomaly::Refused { id, at: at(), offset });
    }
    let transaction = send.transaction.filter(|_| poll.committed)?;
    let fate = truth.fate(transaction);
    match fate.asked {
        Some(asked) if op.ended.is_some_and(|it| it < asked) => {
            Some(Anomaly::PrecommittedRead { id, transaction })
        }
        Some(_) if truth.is_committed(transaction) => None,
        _ => Some(Anomaly::AbortedRead { id, transaction }),
    }
}

/// What a reader went over.
fn missing(truth: &Truth<'_>, poll: &Poll, tell: &mut impl FnMut(Anomaly, u64)) {
    let Some(log) = truth.log.get(&poll.of) else { return };
    if poll.from >= poll.next {
        return;
    }
    let got: HashSet<u64> = poll.records.iter().map(|it| it.id).collect();
    for (offset, id) in log.range(poll.from..poll.next).map(|(offset, id)| (*offset, *id)) {
        let Some((_, send)) = truth.sends.get(&id) else { continue };
        let is_hidden = poll.committed && !truth.must_show(send);
        if got.contains(&id) || is_hidden || truth.may_be_gone(send, &poll.of, offset) {
            continue;
        }
        let at = poll.of.clone();
        let is_seen = truth.seen_by_any.contains(&id);
        let anomaly = if is_seen {
            Anomaly::Skipped { pass: poll.pass, id, at, offset }
        } else {
            Anomaly::Lost { id, at, offset }
        };
        tell(anomaly, id);
    }
}

/// What lies where no reader of committed records came.
fn unseen(truth: &Truth<'_>, tell: &mut impl FnMut(Anomaly, u64)) {
    let covered = Covered::by(truth);
    let mut all: Vec<_> = truth.sends.values().collect();
    all.sort_unstable_by_key(|it| it.1.id);
    for (op, send) in all {
        let Some(offset) = send.offset.filter(|_| op.outcome == Outcome::Done) else { continue };
        if truth.must_show(send)
            && !truth.seen.contains(&send.id)
            && !covered.has(&send.to, offset)
            && !truth.may_be_gone(send, &send.to, offset)
        {
            tell(Anomaly::Unseen { id: send.id, at: send.to.clone(), offset }, send.id);
        }
    }
}

/// Where readers of committed records were: per partition, stretches that do not touch.
struct Covered<'a>(HashMap<&'a Place, BTreeMap<i64, i64>>);

impl<'a> Covered<'a> {
    fn by(truth: &Truth<'a>) -> Self {
        let mut polls: Vec<&'a Poll> = truth.polls.iter().map(|it| it.1).collect();
        polls.retain(|it| it.committed);
        polls.sort_unstable_by_key(|it| it.from);
        let mut all: HashMap<&Place, BTreeMap<i64, i64>> = HashMap::new();
        for poll in polls {
            let stretches = all.entry(&poll.of).or_default();
            match stretches.last_entry() {
                Some(mut last) if *last.get() >= poll.from => {
                    *last.get_mut() = poll.next.max(*last.get());
                }
                _ => drop(stretches.insert(poll.from, poll.next)),
            }
        }
        Self(all)
    }
    fn has(&self, at: &Place, offset: i64) -> bool {
        let before = self.0.get(at).and_then(|it| it.range(..=offset).next_back());
        before.is_some_and(|(_, end)| offset < *end)
    }
}

/// Committed transactions of which only a part was seen; gives the records that are missing.
fn torn(truth: &Truth<'_>, found: &mut Vec<Anomaly>) -> HashSet<u64> {
    let mut by_transaction: BTreeMap<u64, Vec<&Send>> = BTreeMap::new();
    for (op, send) in truth.sends.values() {
        if let Some(transaction) = send.transaction
            && op.outcome == Outcome::Done
            && truth.is_committed(transaction)
        {
            by_transaction.entry(transaction).or_default().push(send);
        }
    }
    let mut all_missing = HashSet::new();
    for (transaction, sends) in by_transaction {
        let (seen, missing): (Vec<_>, Vec<_>) =
            sends.into_iter().partition(|it| truth.seen.contains(&it.id));
        let is_gone =
            |it: &&Send| it.offset.is_some_and(|offset| truth.may_be_gone(it, &it.to, offset));
        let ids = |sends: &[&Send]| {
            let mut ids: Vec<u64> = sends.iter().map(|it| it.id).collect();
            ids.sort_unstable();
            ids
        };
        let missing: Vec<&Send> = missing.into_iter().filter(|it| !is_gone(it)).collect();
        if !seen.is_empty() && !missing.is_empty() {
            all_missing.extend(missing.iter().map(|it| it.id));
            let (seen, missing) = (ids(&seen), ids(&missing));
            found.push(Anomaly::Torn { transaction, seen, missing });
        }
    }
    all_missing
}
