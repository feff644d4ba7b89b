//! `range`: of each topic, a run of neighbouring partitions to each subscriber, so that a member
//! reads the same numbers of topics with equally many partitions.

use super::{Candidate, Counts};
use crate::consumer::Partitions;
use systole_kit::Uuid;

pub(super) fn assign(candidates: &[Candidate], counts: &Counts) -> Vec<Partitions> {
    let mut targets = vec![Partitions::new(); candidates.len()];
    let order = in_order(candidates);
    for (topic, count) in counts {
        let subscribers = order.iter().copied().filter(|it| subscribes(candidates, *it, topic));
        let subscribers: Vec<usize> = subscribers.collect();
        let Ok(members) = i32::try_from(subscribers.len()) else { continue };
        if members == 0 {
            continue;
        }
        let (share, extra) = (count / members, count % members);
        let mut next = 0;
        for (place, member) in (0_i32..).zip(subscribers) {
            let end = next + share + i32::from(place < extra);
            if next < end
                && let Some(target) = targets.get_mut(member)
            {
                target.insert(*topic, (next..end).collect());
            }
            next = end;
        }
    }
    targets
}

/// Static members first, by instance id: they keep their places through restarts.
fn in_order(candidates: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<(bool, &str, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(at, it)| match &it.instance_id {
            Some(instance) => (false, &**instance, at),
            None => (true, &*it.id, at),
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(.., at)| at).collect()
}

fn subscribes(candidates: &[Candidate], at: usize, topic: &Uuid) -> bool {
    candidates.get(at).is_some_and(|it| it.topics.contains(topic))
}
