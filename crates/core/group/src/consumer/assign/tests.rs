//! What assignors give, as text; and what must hold for any input.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;

fn topic(n: u8) -> Uuid {
    Uuid::from_bytes([n; 16])
}

fn candidate(id: &str, topics: &[u8]) -> Candidate {
    Candidate {
        id: id.into(),
        instance_id: None,
        topics: topics.iter().map(|it| topic(*it)).collect(),
        target: Partitions::new(),
    }
}

fn counts(of: &[(u8, i32)]) -> Counts {
    of.iter().map(|(n, count)| (topic(*n), *count)).collect()
}

/// Assigns, and leaves the outcome in the candidates.
fn check(name: &str, candidates: &mut [Candidate], counts: &Counts, expected: &Expect) {
    let targets = assign(name, candidates, counts);
    let mut said = String::new();
    for (candidate, target) in candidates.iter_mut().zip(targets) {
        let one =
            |(topic, those): (&Uuid, &BTreeSet<i32>)| format!(" {}{those:?}", topic.as_bytes()[0]);
        let shown: String = target.iter().map(one).collect();
        let _ = writeln!(said, "{}:{shown}", candidate.id);
        candidate.target = target;
    }
    expected.assert_eq(&said);
}

#[test]
fn range_gives_neighbours_and_the_same_numbers_of_each_topic() {
    let mut those = [candidate("b", &[1, 2]), candidate("a", &[1, 2]), candidate("c", &[2])];
    check(
        "range",
        &mut those,
        &counts(&[(1, 3), (2, 7)]),
        &expect![[r#"
        b: 1{2} 2{3, 4}
        a: 1{0, 1} 2{0, 1, 2}
        c: 2{5, 6}
    "#]],
    );
    those[2].instance_id = Some("static".into());
    check(
        "range",
        &mut those,
        &counts(&[(1, 1), (2, 2)]),
        &expect![[r#"
        b:
        a: 1{0} 2{1}
        c: 2{0}
    "#]],
    );
}

#[test]
fn uniform_moves_as_little_as_evenness_allows() {
    let mut two = vec![candidate("a", &[1, 2]), candidate("b", &[1, 2])];
    let topics = counts(&[(1, 3), (2, 2)]);
    check(
        "uniform",
        &mut two,
        &topics,
        &expect![[r#"
            a: 1{0, 1}
            b: 1{2} 2{0, 1}
        "#]],
    );
    let mut three = two.clone();
    three.push(candidate("c", &[1, 2]));
    check(
        "uniform",
        &mut three,
        &topics,
        &expect![[r#"
            a: 1{0, 1}
            b: 1{2} 2{0}
            c: 2{1}
        "#]],
    );
    three.remove(0);
    check(
        "uniform",
        &mut three,
        &topics,
        &expect![[r#"
            b: 1{2} 2{0}
            c: 1{0, 1} 2{1}
        "#]],
    );
}

#[test]
fn uniform_evens_out_members_with_different_subscriptions() {
    let mut those = [candidate("a", &[1]), candidate("b", &[1, 2]), candidate("c", &[1, 2])];
    check(
        "uniform",
        &mut those,
        &counts(&[(1, 6), (2, 3)]),
        &expect![[r#"
            a: 1{0, 3, 4}
            b: 1{1} 2{0, 2}
            c: 1{2, 5} 2{1}
        "#]],
    );
}

fn cases() -> impl Strategy<Value = (Vec<Candidate>, Counts)> {
    let counts = prop::collection::vec(1..9_i32, 1..5);
    let members = prop::collection::vec(prop::collection::btree_set(0..4_u8, 0..5), 1..8);
    (counts, members).prop_map(|(counts, members)| {
        let counts: Counts = (0_u8..).zip(counts).map(|(n, count)| (topic(n), count)).collect();
        let exists = |it: &&u8| counts.contains_key(&topic(**it));
        let candidate = |(n, topics): (usize, BTreeSet<u8>)| {
            let topics: Vec<u8> = topics.iter().filter(exists).copied().collect();
            candidate(&format!("m{n}"), &topics)
        };
        let candidates: Vec<_> = members.into_iter().enumerate().map(candidate).collect();
        let is_wanted =
            |it: &Uuid| candidates.iter().any(|one: &Candidate| one.topics.contains(it));
        let counts = counts.into_iter().filter(|(it, _)| is_wanted(it)).collect();
        (candidates, counts)
    })
}

proptest! {
    #[test]
    fn every_partition_that_somebody_wants_has_one_reader_who_wants_it(
        (mut candidates, counts) in cases(), name in prop::sample::select(&ASSIGNORS[..]),
    ) {
        for round in 0..3 {
            let targets = assign(name, &candidates, &counts);
            let mut seen = BTreeSet::new();
            for (candidate, target) in candidates.iter().zip(&targets) {
                for (topic, those) in target {
                    prop_assert!(candidate.topics.contains(topic));
                    for partition in those {
                        prop_assert!((0..counts[topic]).contains(partition));
                        prop_assert!(seen.insert((*topic, *partition)), "two readers");
                    }
                }
            }
            let total: i32 = counts.values().sum();
            prop_assert_eq!(seen.len(), usize::try_from(total).unwrap());
            let before: Vec<_> = candidates.iter().map(|it| it.target.clone()).collect();
            if round == 1 && name == "uniform" {
                prop_assert_eq!(&before, &targets, "the same again: nobody moves");
            }
            for (candidate, target) in candidates.iter_mut().zip(targets) {
                candidate.target = target;
            }
        }
    }

    #[test]
    fn uniform_shares_differ_by_one_where_all_want_the_same(
        members in 1..9_usize, gone in 0..9_usize, partitions in 1..30_i32,
    ) {
        let counts = counts(&[(0, partitions), (1, 3)]);
        let mut all: Vec<_> =
            (0..members + gone).map(|it| candidate(&format!("m{it}"), &[0, 1])).collect();
        for (candidate, target) in all.clone().iter().zip(assign("uniform", &all, &counts)) {
            let at = all.iter().position(|it| it.id == candidate.id).unwrap();
            all[at].target = target;
        }
        all.truncate(members);
        let sizes = assign("uniform", &all, &counts);
        let size = |it: &Partitions| it.values().map(BTreeSet::len).sum::<usize>();
        let sizes: Vec<_> = sizes.iter().map(size).collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{sizes:?}");
    }
}
