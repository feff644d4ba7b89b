//! How far groups are.
//!
//! Owns: the rules about committed offsets. Does not own: what members read.

use super::truth::{Of, Truth, Verdict};
use crate::anomaly::Anomaly;
use crate::op::{Commit, Look, Moment, Outcome, Place};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What is known of one group in one partition.
#[derive(Default)]
struct Known<'a> {
    /// The highest offset that was certain from each moment on.
    certain: BTreeMap<Moment, i64>,
    commits: HashMap<i64, Vec<Of<'a, Commit>>>,
}

pub(super) fn check(truth: &Truth<'_>, found: &mut Vec<Anomaly>) {
    let mut known: HashMap<(&Arc<str>, &Place), Known<'_>> = HashMap::new();
    for (op, commit) in &truth.commits {
        let it = known.entry((&commit.group, &commit.of)).or_default();
        it.commits.entry(commit.offset).or_default().push((op, commit));
        if let Some(since) = certain_since(truth, (op, commit)) {
            let highest = it.certain.entry(since).or_insert(commit.offset);
            *highest = commit.offset.max(*highest);
        }
    }
    for it in known.values_mut() {
        let mut highest = i64::MIN;
        for offset in it.certain.values_mut() {
            highest = highest.max(*offset);
            *offset = highest;
        }
    }
    let (nothing, mut told) = (Known::default(), HashSet::new());
    for (op, look) in &truth.looks {
        let known = known.get(&(&look.group, &look.of)).unwrap_or(&nothing);
        if let Some(wrong) = wrong(truth, known, (op, look))
            && told.insert((&look.group, &look.of))
        {
            found.push(wrong);
        }
    }
}

/// From when on everybody must see it.
fn certain_since(truth: &Truth<'_>, (op, commit): Of<'_, Commit>) -> Option<Moment> {
    let ended = op.ended.filter(|_| op.outcome == Outcome::Done)?;
    match commit.transaction {
        None => Some(ended),
        Some(it) if truth.is_committed(it) => truth.fate(it).since.map(|it| it.max(ended)),
        Some(_) => None,
    }
}

fn wrong(truth: &Truth<'_>, known: &Known<'_>, (op, look): Of<'_, Look>) -> Option<Anomaly> {
    let (group, of) = (Arc::clone(&look.group), look.of.clone());
    let least = known.certain.range(..op.begun).next_back().map(|it| *it.1);
    if let Some(committed) = least
        && look.offset.is_none_or(|it| it < committed)
    {
        return Some(Anomaly::OffsetWentBack { group, of, committed, found: look.offset });
    }
    let found = look.offset?;
    let Some(commits) = known.commits.get(&found) else {
        return Some(Anomaly::InventedOffset { group, of, found });
    };
    let may_hold = |(asked, commit): &Of<'_, Commit>| {
        let is_asked = op.ended.is_none_or(|it| asked.begun < it);
        is_asked
            && match commit.transaction {
                None => asked.outcome != Outcome::Refused,
                Some(it) => {
                    let fate = truth.fate(it);
                    let is_early = fate.asked.is_none_or(|it| op.ended.is_some_and(|end| end < it));
                    fate.verdict != Verdict::Never && !is_early
                }
            }
    };
    (!commits.iter().any(may_hold)).then_some(Anomaly::AbortedOffset { group, of, found })
}
