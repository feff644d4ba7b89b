//! Who is to read which partition: the one assignor of share groups.
//!
//! Owns: the choice of a target, as a pure function of members, partitions and the target before.
//! Does not own: when it is made anew (`heartbeat`).
//!
//! Partitions get the same number of members, give or take what does not divide, and members the
//! same number of partitions; of what a member had, as much stays as the balance allows.
//!
//! # Source  Kafka's `SimpleAssignor`. Kafka takes members in the order of a hash map; here they
//! come in the order of their ids, so the same input gives the same target.

use crate::consumer::Partitions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use systole_kit::Uuid;

/// Kafka's name of it.
pub const NAME: &str = "simple";

/// A member, as the assignor sees it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: Arc<str>,
    /// Those that exist.
    pub(super) topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(super) target: Partitions,
}

type Place = (Uuid, i32);

/// One target for each candidate, in their order.
pub(super) fn assign(candidates: &[Candidate], assignable: &Partitions) -> Vec<Partitions> {
    let mut targets = vec![Partitions::new(); candidates.len()];
    let Some(first) = candidates.first() else { return targets };
    let wanted: BTreeSet<_> = candidates.iter().flat_map(|it| &it.topics).copied().collect();
    let all_alike = candidates.iter().all(|it| it.topics == first.topics);
    // Members that want the same topics share all of them at once; else each topic for itself.
    let rounds: Vec<Vec<Uuid>> = if all_alike {
        vec![wanted.into_iter().collect()]
    } else {
        wanted.into_iter().map(|it| vec![it]).collect()
    };
    for topics in rounds {
        let places: Vec<_> = topics.iter().flat_map(|it| places_of(*it, assignable)).collect();
        let members: Vec<_> = (0..candidates.len())
            .filter(|it| topics.iter().any(|topic| candidates[*it].topics.contains(topic)))
            .collect();
        if places.is_empty() {
            continue;
        }
        let had = |member: usize, (topic, partition): Place| {
            let target = candidates[member].target.get(&topic);
            target.is_some_and(|it| it.contains(&partition))
        };
        for (member, held) in members.iter().zip(Round::new(&places, &members, had).balance()) {
            for (topic, partition) in held {
                targets[*member].entry(topic).or_default().insert(partition);
            }
        }
    }
    targets
}

fn places_of(topic: Uuid, assignable: &Partitions) -> impl Iterator<Item = Place> {
    assignable.get(&topic).into_iter().flatten().map(move |it| (topic, *it))
}

/// Members (by their index) that share places among themselves.
struct Round {
    /// How many members a place is to have.
    sharing: usize,
    /// How many places each member is to have.
    quotas: Vec<usize>,
    holders: BTreeMap<Place, BTreeSet<usize>>,
    held: Vec<BTreeSet<Place>>,
}

impl Round {
    fn new(places: &[Place], members: &[usize], had: impl Fn(usize, Place) -> bool) -> Self {
        let (count, sharing) = (members.len(), members.len().div_ceil(places.len()));
        // Whole numbers that add up to all that is to be given.
        let upto = |it: usize| (sharing * places.len() * it).div_ceil(count);
        let quotas = (0..count).map(|it| upto(it + 1) - upto(it)).collect();
        let mut held = vec![BTreeSet::new(); count];
        let mut holders = BTreeMap::new();
        for place in places {
            let here: BTreeSet<_> = (0..count).filter(|it| had(members[*it], *place)).collect();
            for member in &here {
                held[*member].insert(*place);
            }
            holders.insert(*place, here);
        }
        Self { sharing, quotas, holders, held }
    }

    fn balance(mut self) -> Vec<BTreeSet<Place>> {
        self.take_from_members();
        self.take_from_places();
        self.give();
        self.held
    }

    fn take_from_members(&mut self) {
        for (member, held) in self.held.iter_mut().enumerate() {
            while held.len() > self.quotas[member] {
                let Some(place) = held.pop_first() else { break };
                self.holders.entry(place).or_default().remove(&member);
            }
        }
    }

    fn take_from_places(&mut self) {
        for (place, holders) in &mut self.holders {
            while holders.len() > self.sharing {
                let Some(member) = holders.pop_first() else { break };
                self.held[member].remove(place);
            }
        }
    }

    /// Members take turns; who has enough steps out.
    fn give(&mut self) {
        let mut open: Vec<_> =
            (0..self.held.len()).filter(|it| self.held[*it].len() < self.quotas[*it]).collect();
        let mut turn = 0;
        for (place, holders) in &mut self.holders {
            let mut refused = 0;
            while holders.len() < self.sharing && refused < open.len() {
                turn %= open.len();
                let member = open[turn];
                if !holders.insert(member) {
                    (turn, refused) = (turn + 1, refused + 1);
                    continue;
                }
                refused = 0;
                self.held[member].insert(*place);
                if self.held[member].len() < self.quotas[member] {
                    turn += 1;
                } else {
                    open.remove(turn);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topic(number: u8) -> Uuid {
        Uuid::from_bytes([number; 16])
    }

    fn candidates(topics: &[Vec<u8>], before: &[Partitions]) -> Vec<Candidate> {
        let one = |(index, topics): (usize, &Vec<u8>)| Candidate {
            id: format!("m{index:02}").into(),
            topics: topics.iter().map(|it| topic(*it)).collect(),
            target: before.get(index).cloned().unwrap_or_default(),
        };
        topics.iter().enumerate().map(one).collect()
    }

    fn counts(counts: &[i32]) -> Partitions {
        let one = |(index, count): (usize, &i32)| {
            (topic(u8::try_from(index).unwrap()), (0..*count).collect())
        };
        counts.iter().enumerate().map(one).collect()
    }

    fn shown(targets: &[Partitions]) -> Vec<Vec<i32>> {
        targets.iter().map(|it| it.values().flatten().copied().collect()).collect()
    }

    #[test]
    fn more_members_than_partitions_share_them() {
        let targets = assign(&candidates(&vec![vec![0]; 5], &[]), &counts(&[2]));
        assert_eq!(shown(&targets), [vec![0, 1], vec![0], vec![0], vec![1], vec![1]]);
    }

    #[test]
    fn a_member_that_joins_takes_a_part_and_the_rest_stays() {
        let before = assign(&candidates(&[vec![0]], &[]), &counts(&[4]));
        assert_eq!(shown(&before), [vec![0, 1, 2, 3]]);
        let after = assign(&candidates(&vec![vec![0]; 2], &before), &counts(&[4]));
        assert_eq!(shown(&after), [vec![2, 3], vec![0, 1]]);
    }

    proptest! {
        /// Nobody is without a reader, nobody reads what it does not want, and the load is even.
        #[test]
        fn every_partition_is_read_and_the_load_is_even(
            partitions in prop::collection::vec(1_i32..8, 1..4),
            wants in prop::collection::vec(prop::collection::btree_set(0_u8..4, 1..4), 1..12),
            earlier in 0_usize..12,
        ) {
            let wants: Vec<Vec<u8>> = wants
                .into_iter()
                .map(|it| it.into_iter().filter(|it| usize::from(*it) < partitions.len()).collect())
                .collect();
            let all = counts(&partitions);
            let before = assign(&candidates(&wants[..earlier.min(wants.len())], &[]), &all);
            let members = candidates(&wants, &before);
            let targets = assign(&members, &all);
            for (member, target) in members.iter().zip(&targets) {
                prop_assert!(target.keys().all(|it| member.topics.contains(it)));
            }
            for (id, those) in &all {
                let interested = members.iter().filter(|it| it.topics.contains(id)).count();
                for partition in those {
                    let has = |it: &Partitions| {
                        it.get(id).is_some_and(|it| it.contains(partition))
                    };
                    let readers = targets.iter().filter(|it| has(it)).count();
                    prop_assert_eq!(readers > 0, interested > 0);
                }
            }
            if wants.iter().all(|it| *it == wants[0]) {
                let sizes = targets.iter().map(|it| it.values().map(BTreeSet::len).sum::<usize>());
                let sizes: Vec<_> = sizes.collect();
                prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            }
            // The same question once more moves nothing.
            let again: Vec<_> = wants.clone();
            prop_assert_eq!(assign(&candidates(&again, &targets), &all), targets);
        }
    }
}
