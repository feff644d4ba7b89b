//! The index against a list that is read from top to bottom, and the cases that matter by name.

use super::*;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

fn rule(text: &str) -> Rule {
    // ALLOW User:alice READ TOPIC:LITERAL:name [from host]
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap();
    let (permission, principal, operation) = (next(), next(), next());
    let mut place = next().splitn(3, ':');
    let mut part = || place.next().unwrap();
    let (resource, pattern, name) = (part(), part(), part());
    Rule {
        resource: *ResourceType::ALL_WORDS.iter().find(|it| it.text() == resource).unwrap(),
        pattern: *PatternType::ALL_WORDS.iter().find(|it| it.text() == pattern).unwrap(),
        name: name.to_owned(),
        principal: principal.to_owned(),
        host: text.split_once(" from ").map_or(WILDCARD, |it| it.1).to_owned(),
        operation: *Operation::ALL_WORDS.iter().find(|it| it.text() == operation).unwrap(),
        permission: *Permission::ALL_WORDS.iter().find(|it| it.text() == permission).unwrap(),
    }
}

fn list(rules: &[&str]) -> AccessList {
    let mut list = AccessList::default();
    for it in rules {
        assert!(list.insert(rule(it)));
    }
    list
}

#[track_caller]
fn check(rules: &[&str], operation: Operation, topic: &str, expected: &str) {
    let list = list(rules);
    let principal = Principal::user("alice");
    let caller = Caller { principal: &principal, host: HOST };
    let Decision { is_allowed, reason } = list.decide(caller, operation, Resource::topic(topic));
    let answer = if is_allowed { "yes" } else { "no" };
    assert_eq!(format!("{answer}: {reason}"), expected);
}

#[test]
fn a_rule_that_denies_wins_over_any_that_allows() {
    let rules =
        ["ALLOW User:alice ALL TOPIC:LITERAL:*", "DENY User:* READ TOPIC:PREFIXED:clinical."];
    let denied = "no: rule: DENY User:* READ TOPIC:PREFIXED:clinical. from *";
    check(&rules, Operation::Read, "clinical.observation", denied);
    let allowed = "yes: rule: ALLOW User:alice ALL TOPIC:LITERAL:* from *";
    check(&rules, Operation::Write, "clinical.observation", allowed);
    check(&rules, Operation::Describe, "clinical.observation", allowed);
}

#[test]
fn what_allows_reading_allows_describing_and_what_denies_it_does_not_deny_describing() {
    let allow = ["ALLOW User:alice READ TOPIC:LITERAL:t"];
    let allowed = "yes: rule: ALLOW User:alice READ TOPIC:LITERAL:t from *";
    check(&allow, Operation::Describe, "t", allowed);
    check(&allow, Operation::DescribeConfigs, "t", "no: no rule matches");
    let both = ["DENY User:alice READ TOPIC:LITERAL:t", "ALLOW User:alice WRITE TOPIC:LITERAL:t"];
    let allowed = "yes: rule: ALLOW User:alice WRITE TOPIC:LITERAL:t from *";
    check(&both, Operation::Describe, "t", allowed);
}

#[test]
fn a_rule_is_for_its_host_and_its_principal() {
    let here = ["ALLOW User:alice READ TOPIC:LITERAL:t from 10.0.0.1"];
    let allowed = "yes: rule: ALLOW User:alice READ TOPIC:LITERAL:t from 10.0.0.1";
    check(&here, Operation::Read, "t", allowed);
    for elsewhere in [
        "ALLOW User:alice READ TOPIC:LITERAL:t from 10.0.0.2",
        "ALLOW User:alice READ TOPIC:LITERAL:t from hospital.example",
        "ALLOW User:bob READ TOPIC:LITERAL:t",
        "ALLOW Group:alice READ TOPIC:LITERAL:t",
    ] {
        check(&[elsewhere], Operation::Read, "t", "no: no rule matches");
    }
}

#[test]
fn without_a_rule_for_the_resource_the_setting_decides() {
    check(
        &["ALLOW User:alice READ TOPIC:LITERAL:other"],
        Operation::Read,
        "t",
        "no: no rule for the resource",
    );
    let policy = Policy { allow_if_no_rule: true, ..Policy::default() };
    let mut open = AccessList::new(policy);
    let principal = Principal::anonymous();
    let caller = Caller { principal: &principal, host: HOST };
    let read =
        |list: &AccessList| list.decide(caller, Operation::Read, Resource::topic("t")).is_allowed;
    assert!(read(&open));
    open.insert(rule("ALLOW User:bob WRITE TOPIC:LITERAL:t"));
    assert!(!read(&open), "a rule for someone else closes the resource");
}

#[test]
fn super_users_may_do_what_is_denied_to_all() {
    let super_users = [Principal::user("admin")].into();
    let mut list = AccessList::new(Policy { super_users, ..Policy::default() });
    list.insert(rule("DENY User:* ALL TOPIC:LITERAL:*"));
    let principal = Principal::user("admin");
    let caller = Caller { principal: &principal, host: HOST };
    let decision = list.decide(caller, Operation::Delete, Resource::topic("t"));
    assert_eq!(decision, Decision { is_allowed: true, reason: Reason::SuperUser });
}

#[test]
fn a_removed_rule_is_gone_and_leaves_the_others() {
    let mut list = list(&[
        "ALLOW User:alice READ TOPIC:PREFIXED:a",
        "ALLOW User:alice READ TOPIC:PREFIXED:b",
        "ALLOW User:bob READ TOPIC:PREFIXED:a",
    ]);
    let gone = rule("ALLOW User:alice READ TOPIC:PREFIXED:a");
    assert!(list.remove(&gone) && !list.remove(&gone));
    let left: BTreeSet<_> = list.rules().map(ToString::to_string).collect();
    assert_eq!(left.len(), 2);
    assert!(list.insert(gone.clone()) && !list.insert(gone));
}

fn name(longest: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['a', 'b']), 1..=longest)
        .prop_map(|it| it.into_iter().collect())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let place = prop_oneof![
        6 => (prop::sample::select(PatternType::ALL_WORDS), name(3)),
        1 => Just((PatternType::Literal, WILDCARD.to_owned())),
    ];
    let who = prop::sample::select(vec!["User:alice", "User:bob", EVERYONE]);
    let host = prop::sample::select(vec!["*", "10.0.0.1", "10.0.0.2"]);
    let operation = prop::sample::select(vec![
        Operation::All,
        Operation::Read,
        Operation::Write,
        Operation::Describe,
    ]);
    let permission = prop::sample::select(Permission::ALL_WORDS);
    (place, who, host, operation, permission).prop_map(
        |((pattern, name), principal, host, operation, permission)| Rule {
            resource: ResourceType::Topic,
            pattern,
            name,
            principal: principal.to_owned(),
            host: host.to_owned(),
            operation,
            permission,
        },
    )
}

/// The decision as it is written in the header, over a plain list.
fn naive(rules: &[Rule], open: bool, operation: Operation, topic: &str) -> bool {
    let of_resource: Vec<_> = rules
        .iter()
        .filter(|it| match it.pattern {
            PatternType::Literal => it.name == topic || it.name == WILDCARD,
            PatternType::Prefixed => topic.starts_with(&it.name),
        })
        .collect();
    if of_resource.is_empty() {
        return open;
    }
    let mine: Vec<_> = of_resource
        .into_iter()
        .filter(|it| ["User:alice", EVERYONE].contains(&&*it.principal))
        .filter(|it| ["*", "10.0.0.1"].contains(&&*it.host))
        .collect();
    let exactly = |it: &Rule| [Operation::All, operation].contains(&it.operation);
    if mine.iter().any(|it| it.permission == Permission::Deny && exactly(it)) {
        return false;
    }
    let implied = |it: &Rule| {
        operation == Operation::Describe
            && [Operation::Read, Operation::Write].contains(&it.operation)
    };
    mine.iter().any(|it| it.permission == Permission::Allow && (exactly(it) || implied(it)))
}

/// Every name that rules over `a` and `b` of up to three letters can tell apart.
fn universe() -> Vec<String> {
    let mut names = vec![String::new()];
    for _ in 0..4 {
        let longer = names.iter().flat_map(|it| ["a", "b", "c"].map(|more| format!("{it}{more}")));
        names = longer.chain(names.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    names.retain(|it| !it.is_empty());
    names
}

proptest! {
    #[test]
    fn the_index_decides_as_a_plain_list_does(
        rules in prop::collection::vec(any_rule(), 0..12),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        topic in name(4),
        open in any::<bool>(),
    ) {
        let mut list = AccessList::new(Policy { allow_if_no_rule: open, ..Policy::default() });
        let mut plain = Vec::new();
        for it in &rules {
            prop_assert_eq!(list.insert(it.clone()), !plain.contains(it));
            plain.push(it.clone());
            plain.sort();
            plain.dedup();
        }
        for at in gone {
            if !plain.is_empty() {
                let it = plain.remove(at.index(plain.len()));
                prop_assert!(list.remove(&it));
            }
        }
        let principal = Principal::user("alice");
        let caller = Caller { principal: &principal, host: HOST };
        for operation in [Operation::Read, Operation::Write, Operation::Describe] {
            let decision = list.decide(caller, operation, Resource::topic(&topic));
            prop_assert_eq!(decision.is_allowed, naive(&plain, open, operation, &topic));
        }
    }

    /// Allowed for some topic exactly if there can be a topic for which it is allowed.
    #[test]
    fn some_resource_is_allowed_when_one_could_be(
        rules in prop::collection::vec(any_rule(), 0..8),
        open in any::<bool>(),
    ) {
        let mut list = AccessList::new(Policy { allow_if_no_rule: open, ..Policy::default() });
        for it in &rules {
            list.insert(it.clone());
        }
        let principal = Principal::user("alice");
        let caller = Caller { principal: &principal, host: HOST };
        let some = list.decide_for_some(caller, Operation::Write, ResourceType::Topic).is_allowed;
        let any = universe().iter().any(|it| naive(&rules, open, Operation::Write, it));
        prop_assert_eq!(some, any);
    }
}
