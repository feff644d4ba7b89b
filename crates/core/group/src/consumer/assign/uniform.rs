//! `uniform`: everyone as many partitions as everyone else, and as few moves as that allows.

use super::{Candidate, Counts};
use crate::consumer::Partitions;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use systole_kit::Uuid;

/// Rounds over all topics that a balance may take.
const ROUNDS_MAX: usize = 16;

pub(super) fn assign(candidates: &[Candidate], counts: &Counts) -> Vec<Partitions> {
    let Some(first) = candidates.first() else { return Vec::new() };
    if candidates.iter().all(|it| it.topics == first.topics) {
        share_alike(candidates, counts)
    } else {
        Balance::new(candidates, counts).find()
    }
}

/// All subscribe to the same topics: the shares differ by one at most.
fn share_alike(candidates: &[Candidate], counts: &Counts) -> Vec<Partitions> {
    let total = counts.values().map(|it| usize::try_from(*it).unwrap_or(0)).sum::<usize>();
    let (share, mut extras) = (total / candidates.len(), total % candidates.len());
    let mut free = unassigned(candidates, counts);
    let mut targets = Vec::new();
    let mut rooms = Vec::new();
    for (place, candidate) in candidates.iter().enumerate() {
        let mut takes_extra = extras > 0;
        let mut room = share + usize::from(takes_extra);
        let mut target = Partitions::new();
        for (topic, partition) in kept(candidate, counts) {
            if room > 0 {
                room -= 1;
                target.entry(topic).or_default().insert(partition);
            } else {
                free.push((topic, partition));
            }
        }
        // One more than the others is for whoever has it already, while enough members are left
        // to take what remains.
        if room > 0 && takes_extra && candidates.len() - place > extras {
            room -= 1;
            takes_extra = false;
        }
        extras -= usize::from(takes_extra);
        targets.push(target);
        rooms.push(room);
    }
    let mut free = free.into_iter();
    for (target, room) in targets.iter_mut().zip(rooms) {
        for (topic, partition) in free.by_ref().take(room) {
            target.entry(topic).or_default().insert(partition);
        }
    }
    targets
}

/// What a candidate had and still subscribes to, as far as it exists.
fn kept<'a>(
    candidate: &'a Candidate,
    counts: &'a Counts,
) -> impl Iterator<Item = (Uuid, i32)> + 'a {
    let subscribed = candidate.target.iter().filter(|(it, _)| candidate.topics.contains(it));
    subscribed.flat_map(|(topic, those)| {
        let count = counts.get(topic).copied().unwrap_or(0);
        those.iter().filter(move |it| **it < count).map(|it| (*topic, *it))
    })
}

fn unassigned(candidates: &[Candidate], counts: &Counts) -> Vec<(Uuid, i32)> {
    let taken: BTreeSet<_> = candidates.iter().flat_map(|it| kept(it, counts)).collect();
    let all = counts.iter().flat_map(|(topic, count)| (0..*count).map(|it| (*topic, it)));
    all.filter(|it| !taken.contains(it)).collect()
}

/// Subscriptions differ: partitions go to the least loaded of their topic's subscribers, and move
/// from the most to the least loaded while that helps.
struct Balance<'a> {
    candidates: &'a [Candidate],
    counts: &'a Counts,
    targets: Vec<Partitions>,
    loads: Vec<usize>,
}

impl<'a> Balance<'a> {
    fn new(candidates: &'a [Candidate], counts: &'a Counts) -> Self {
        let mut targets = vec![Partitions::new(); candidates.len()];
        for (target, candidate) in targets.iter_mut().zip(candidates) {
            for (topic, partition) in kept(candidate, counts) {
                target.entry(topic).or_default().insert(partition);
            }
        }
        let loads = targets.iter().map(|it| it.values().map(BTreeSet::len).sum()).collect();
        Self { candidates, counts, targets, loads }
    }

    fn find(mut self) -> Vec<Partitions> {
        let topics = self.topics_in_order();
        for (topic, partition) in self.unassigned_in_order(&topics) {
            if let Some(least) = self.least_loaded(topic) {
                self.give(topic, partition, least);
            }
        }
        for _ in 0..ROUNDS_MAX {
            let moves: usize = topics.iter().map(|it| self.level(*it)).sum();
            if moves == 0 {
                break;
            }
        }
        self.targets
    }

    /// The topics with the most partitions for each subscriber first.
    fn topics_in_order(&self) -> Vec<Uuid> {
        let mut topics: Vec<_> = self
            .counts
            .iter()
            .map(|(topic, count)| (*topic, *count, self.subscribers(*topic).count()))
            .filter(|(.., subscribers)| *subscribers > 0)
            .collect();
        topics.sort_by(|(a, a_count, a_members), (b, b_count, b_members)| {
            let crossed = |count: &i32, members: &usize| i64::from(*count) * clamp(*members);
            crossed(b_count, a_members)
                .cmp(&crossed(a_count, b_members))
                .then(a_members.cmp(b_members))
                .then(a.cmp(b))
        });
        topics.into_iter().map(|(topic, ..)| topic).collect()
    }

    fn unassigned_in_order(&self, topics: &[Uuid]) -> Vec<(Uuid, i32)> {
        let mut free = unassigned(self.candidates, self.counts);
        free.sort_by_cached_key(|(topic, it)| (topics.iter().position(|at| at == topic), *it));
        free
    }

    fn subscribers(&self, topic: Uuid) -> impl Iterator<Item = usize> + '_ {
        let all = self.candidates.iter().enumerate();
        all.filter(move |(_, it)| it.topics.contains(&topic)).map(|(at, _)| at)
    }

    fn load(&self, at: usize) -> usize {
        self.loads.get(at).copied().unwrap_or(0)
    }

    fn least_loaded(&self, topic: Uuid) -> Option<usize> {
        self.subscribers(topic).min_by_key(|it| (self.load(*it), *it))
    }

    /// Moves partitions of one topic until its subscribers are as even as they can be; how many.
    fn level(&mut self, topic: Uuid) -> usize {
        let mut moves = 0;
        loop {
            let owners = self.subscribers(topic).filter(|it| self.last_of(topic, *it).is_some());
            let most = owners.max_by_key(|it| (self.load(*it), Reverse(*it)));
            let (Some(most), Some(least)) = (most, self.least_loaded(topic)) else { return moves };
            if self.load(most) <= self.load(least) + 1 {
                return moves;
            }
            let Some(partition) = self.last_of(topic, most) else { return moves };
            self.take(topic, partition, most);
            self.give(topic, partition, least);
            moves += 1;
        }
    }

    fn last_of(&self, topic: Uuid, at: usize) -> Option<i32> {
        self.targets.get(at)?.get(&topic)?.last().copied()
    }

    fn take(&mut self, topic: Uuid, partition: i32, at: usize) {
        let Some(target) = self.targets.get_mut(at) else { return };
        if let Some(those) = target.get_mut(&topic) {
            those.remove(&partition);
            if those.is_empty() {
                target.remove(&topic);
            }
        }
        if let Some(load) = self.loads.get_mut(at) {
            *load -= 1;
        }
    }

    fn give(&mut self, topic: Uuid, partition: i32, at: usize) {
        if let Some(target) = self.targets.get_mut(at) {
            target.entry(topic).or_default().insert(partition);
        }
        if let Some(load) = self.loads.get_mut(at) {
            *load += 1;
        }
    }
}

fn clamp(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
