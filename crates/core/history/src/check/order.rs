//! In which order records were sent, and in which order readers got them.
//!
//! Owns: the rules about neighbours. Does not own: what is there at all (`records`).

use super::truth::{Of, Truth};
use crate::anomaly::Anomaly;
use crate::op::{Outcome, Place, Send};
use std::collections::{BTreeMap, HashMap};

pub(super) fn check(truth: &Truth<'_>, found: &mut Vec<Anomaly>) {
    polls(truth, found);
    sends(truth, found);
}

fn polls(truth: &Truth<'_>, found: &mut Vec<Anomaly>) {
    let mut nexts: HashMap<(u64, &Place), i64> = HashMap::new();
    for (_, poll) in &truth.polls {
        let next = nexts.entry((poll.pass, &poll.of)).or_insert(poll.from);
        for record in &poll.records {
            if record.offset < *next {
                found.push(Anomaly::NonmonotonicPoll {
                    pass: poll.pass,
                    at: poll.of.clone(),
                    offset: record.offset,
                    next: *next,
                });
            }
            *next = record.offset + 1;
        }
        *next = poll.next.max(*next);
    }
}

fn sends(truth: &Truth<'_>, found: &mut Vec<Anomaly>) {
    let mut by_producer: BTreeMap<(u64, &Place), Vec<Of<'_, Send>>> = BTreeMap::new();
    for (op, send) in truth.sends.values() {
        by_producer.entry((send.producer, &send.to)).or_default().push((op, send));
    }
    for ((producer, at), mut sends) in by_producer {
        sends.sort_unstable_by_key(|it| it.0.begun);
        // From the end, so that each earlier send meets the nearest later one that is there.
        let mut later: Option<(u64, i64)> = None;
        for (op, send) in sends.into_iter().rev() {
            let place = truth.places.get(&send.id).filter(|it| it.0 == at).map(|it| it.1);
            let (earlier, at) = (send.id, at.clone());
            match (place, later) {
                (Some(offset), Some((id, after))) if offset > after => {
                    found.push(Anomaly::NonmonotonicSend { producer, at, earlier, later: id });
                }
                (None, Some((later, after))) if is_owed(truth, (op, send), after) => {
                    found.push(Anomaly::SendSkip { producer, at, earlier, later });
                }
                _ => {}
            }
            later = place.map(|offset| (earlier, offset)).or(later);
        }
    }
}

/// Whether a send must be there because a later one of its producer is, at `after` or before.
fn is_owed(truth: &Truth<'_>, (op, send): Of<'_, Send>, after: i64) -> bool {
    op.outcome != Outcome::Refused && !truth.may_be_gone(send, &send.to, after - 1)
}
