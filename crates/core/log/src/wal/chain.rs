//! Which of the groups found after a crash count.
//!
//! Owns: the decision, as a pure function. Does not own: reading files or applying entries.
//!
//! Each group names the one before it and the newest that was durable when it was written. From the
//! newest group backwards: a group that is missing or torn although a later one saw it durable was
//! **damaged** later; its intact entries still count and the rest is reported. One that nobody saw
//! durable was **torn** by the crash; it was never acknowledged, and neither was anything that
//! follows it, so all of that is dropped.

use crate::wal::frame::{Found, Sequence};

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Oldest first. Groups that are not whole are among `damaged`.
    pub(crate) groups: Vec<Found>,
    pub(crate) damaged: Vec<Sequence>,
    pub(crate) dropped: usize,
}

impl Chain {
    /// The groups that no later one saw durable. All of them are whole.
    pub(crate) fn unattested(&self) -> impl Iterator<Item = &Found> {
        let attested = self.groups.iter().map(|it| it.head.synced).max().unwrap_or(0);
        self.groups.iter().filter(move |it| it.head.sequence > attested)
    }
}

/// `start`: the newest group whose effects are in the segments already.
pub(crate) fn choose(mut found: Vec<Found>, start: Sequence) -> Chain {
    found.retain(|it| it.head.sequence > start);
    found.sort_by_key(|it| it.head.sequence);
    let all = found.len();
    while !found.is_empty() {
        match walk_back(&found, start) {
            Ok((picked, damaged)) => {
                let mut at = 0;
                found.retain(|it| {
                    let keep = picked.get(at) == Some(&it.head.sequence);
                    at += usize::from(keep);
                    keep
                });
                let dropped = all - found.len();
                return Chain { groups: found, damaged, dropped };
            }
            Err(torn) => found.retain(|it| it.head.sequence < torn),
        }
    }
    Chain { dropped: all, ..Chain::default() }
}

type Picked = (Vec<Sequence>, Vec<Sequence>);

/// The sequences that count and the damaged ones, both ascending; or the group that the crash tore.
fn walk_back(found: &[Found], start: Sequence) -> Result<Picked, Sequence> {
    let (mut picked, mut damaged) = (Vec::new(), Vec::new());
    let mut wanted = found.last().map_or(start, |it| it.head.sequence);
    let mut synced = 0;
    while wanted > start {
        let at = found.partition_point(|it| it.head.sequence < wanted);
        let there = found.get(at).filter(|it| it.head.sequence == wanted);
        let whole = there.is_some_and(|it| it.whole);
        if !whole && synced < wanted {
            return Err(wanted);
        }
        if !whole {
            damaged.push(wanted);
        }
        wanted = if let Some(group) = there {
            picked.push(wanted);
            synced = synced.max(group.head.synced);
            group.head.previous
        } else {
            let below = at.checked_sub(1).and_then(|it| found.get(it));
            below.map_or(start, |it| it.head.sequence)
        };
    }
    picked.reverse();
    damaged.reverse();
    Ok((picked, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::frame::Head;

    fn group(sequence: u64, previous: u64, synced: u64, whole: bool) -> Found {
        let head = Head { log_id: 1, sequence, previous, synced, length: 0, count: 0 };
        Found { head, file: 0, at: 0, bytes: 0, entries: Vec::new(), whole }
    }
    fn check(found: &[Found], start: u64, picked: &[u64], damaged: &[u64]) {
        let chain = choose(found.to_vec(), start);
        let sequences: Vec<_> = chain.groups.iter().map(|it| it.head.sequence).collect();
        assert_eq!((sequences.as_slice(), chain.damaged.as_slice()), (picked, damaged));
        assert_eq!(
            chain.dropped,
            found.iter().filter(|it| it.head.sequence > start).count() - picked.len()
        );
    }

    #[test]
    fn everything_after_the_checkpoint_counts() {
        let all = [group(1, 0, 0, true), group(2, 1, 1, true), group(3, 2, 2, true)];
        check(&all, 1, &[2, 3], &[]);
    }
    #[test]
    fn a_torn_last_group_is_dropped() {
        check(&[group(1, 0, 0, true), group(2, 1, 1, false)], 0, &[1], &[]);
    }
    #[test]
    fn what_follows_a_torn_group_is_dropped_too() {
        check(&[group(1, 0, 0, true), group(3, 2, 1, true)], 0, &[1], &[]);
    }
    #[test]
    fn a_group_that_was_durable_once_is_damaged_not_torn() {
        check(&[group(1, 0, 0, true), group(3, 2, 2, true)], 0, &[1, 3], &[2]);
        let all = [group(1, 0, 0, true), group(2, 1, 1, false), group(3, 2, 2, true)];
        check(&all, 0, &[1, 2, 3], &[2]);
    }
    #[test]
    fn a_group_dropped_by_an_earlier_recovery_stays_dropped() {
        // 2 was torn, 3 followed it; the recovery went on with 4 behind 1.
        check(&[group(1, 0, 0, true), group(3, 2, 1, true), group(4, 1, 1, true)], 0, &[1, 4], &[]);
    }
    #[test]
    fn a_torn_first_group_after_a_recovery_leaves_the_groups_before_it() {
        check(&[group(1, 0, 0, true), group(4, 1, 1, false)], 0, &[1], &[]);
    }
}
