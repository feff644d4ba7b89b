//! The group as a script: each test says who reports when, and reads the answers as text.

use super::*;
use crate::Now;
use crate::classic::{Caller, Join, Leaver, Migrant, Protocol, SavedMember};
use bytes::Bytes;
use expect_test::{Expect, expect};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Timestamp, Uuid};
use systole_wire::ErrorCode;

/// Topics in memory: name → id and partition count.
#[derive(Debug, Default, Clone)]
pub(crate) struct Map {
    pub(crate) version: u64,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
}

impl Map {
    /// Makes a topic, or gives it more partitions.
    pub(crate) fn put(&mut self, name: &str, partition_count: i32) {
        self.version += 1;
        let fresh = u8::try_from(self.version).unwrap_or(u8::MAX);
        let id = self.topics.get(name).map_or(Uuid::from_bytes([fresh; 16]), |it| it.id);
        self.topics.insert(name.into(), Topic { id, partition_count });
    }
    pub(crate) fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }
}

impl Topics for Map {
    fn version(&self) -> u64 {
        self.version
    }
    fn by_name(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).copied()
    }
    fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.topics.iter().find(|(_, it)| it.id == id).map(|(name, _)| Arc::clone(name))
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }
}

pub(super) fn config() -> Config {
    Config {
        members_max: 10,
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_millis(500),
        heartbeat_interval_unsettled: Duration::from_millis(100),
        assignors: ASSIGNORS.map(Arc::from).to_vec(),
    }
}

/// A heartbeat that says nothing new.
pub(super) fn beat(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat {
        member_id: id.into(),
        epoch,
        instance_id: None,
        rack_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: None,
        topics: None,
        pattern: None,
        assignor: None,
        owned: None,
    }
}

/// The first heartbeat of a member.
pub(super) fn joining(id: &str, topics: &[&str]) -> Heartbeat {
    Heartbeat {
        rebalance_timeout: Some(Duration::from_mins(1)),
        topics: Some(topics.iter().map(|it| Arc::from(*it)).collect()),
        owned: Some(Partitions::new()),
        ..beat(id, 0)
    }
}

struct Script {
    group: Group,
    topics: Map,
    at: Duration,
    said: String,
    facts: Vec<Fact>,
}

impl Script {
    fn new(topics: &[(&str, i32)]) -> Self {
        let mut map = Map::default();
        for (name, count) in topics {
            map.put(name, *count);
        }
        let (group, at) = (Group::new(config()), Duration::ZERO);
        Self { group, topics: map, at, said: String::new(), facts: Vec::new() }
    }
    fn now(&self) -> Now {
        let calendar = Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap());
        Now { instant: Instant::from_start(self.at), calendar }
    }
    fn shown(&self, it: &Partitions) -> String {
        let one = |(topic, those): (&Uuid, &BTreeSet<i32>)| {
            let name = self.topics.name_of(*topic).unwrap_or_else(|| "?".into());
            format!("{name}{those:?}")
        };
        it.iter().map(one).collect::<Vec<_>>().join(" ")
    }
    fn keep(&mut self) {
        self.facts.extend(self.group.take_facts());
        self.group.appended();
    }
    fn say(&mut self, beat: &Heartbeat) -> &mut Self {
        let now = self.now();
        let answer = self.group.heartbeat(beat, &self.topics, now);
        let (id, epoch) = (&beat.member_id, beat.epoch);
        let answer = match answer {
            Ok(it) => {
                let assigned = it.assignment.as_ref().map(|it| self.shown(it));
                format!("{} {}", it.epoch, assigned.map_or("-".into(), |it| format!("[{it}]")))
            }
            Err(it) => it.code.name().to_owned(),
        };
        let _ = writeln!(self.said, "{id} {epoch}: {answer}");
        self.keep();
        self
    }
    fn join(&mut self, id: &str, topics: &[&str]) -> &mut Self {
        self.say(&joining(id, topics))
    }
    fn beat(&mut self, id: &str, epoch: i32) -> &mut Self {
        self.say(&beat(id, epoch))
    }
    /// A heartbeat that tells what the member has.
    fn owns(&mut self, id: &str, epoch: i32, owned: &[(&str, &[i32])]) -> &mut Self {
        let of = |(name, those): &(&str, &[i32])| {
            (self.topics.topics[*name].id, those.iter().copied().collect())
        };
        let owned = Some(owned.iter().map(of).collect());
        self.say(&Heartbeat { owned, ..beat(id, epoch) })
    }
    fn pass(&mut self, seconds: u64) -> &mut Self {
        self.at += Duration::from_secs(seconds);
        let now = self.now();
        self.group.advance(&self.topics, now);
        let _ = writeln!(self.said, "{seconds} s pass");
        self.keep();
        self
    }
    fn said(&mut self, expected: &Expect) -> &mut Self {
        let ids: Vec<_> = self.group.subscriptions.keys().map(|it| &**it).collect();
        let _ = writeln!(self.said, "{} {ids:?}", self.group.state_name());
        expected.assert_eq(&std::mem::take(&mut self.said));
        self
    }
    /// The group as a restart finds it.
    fn restart(&mut self) -> &mut Self {
        let mut group = Group::new(config());
        self.facts.iter().cloned().for_each(|it| group.replay(it));
        group.resume(self.now());
        self.group = group;
        self
    }
}

fn caller(member_id: &str, generation: i32) -> Caller<'_> {
    Caller { member_id, instance_id: None, generation }
}

#[test]
fn partitions_are_given_up_before_another_member_gets_them() {
    let mut it = Script::new(&[("t", 4)]);
    it.join("a", &["t"]).beat("a", 2).join("b", &["t"]).said(&expect![[r#"
        a 0: 2 [t{0, 1, 2, 3}]
        a 2: 2 -
        b 0: 3 []
        Reconciling ["a", "b"]
    "#]]);
    it.beat("a", 2).beat("a", 2).beat("b", 3);
    it.owns("a", 2, &[("t", &[0, 1])]).beat("b", 3).said(&expect![[r#"
        a 2: 2 [t{0, 1}]
        a 2: 2 -
        b 3: 3 -
        a 2: 3 -
        b 3: 3 [t{2, 3}]
        Stable ["a", "b"]
    "#]]);
}

#[test]
fn who_leaves_frees_its_partitions_at_once() {
    let mut it = Script::new(&[("t", 4)]);
    it.join("a", &["t"]).join("b", &["t"]).owns("a", 2, &[("t", &[0, 1])]);
    it.owns("a", 2, &[("t", &[0, 1])]).beat("b", 3);
    it.said.clear();
    it.beat("b", -1).beat("a", 3).beat("b", 3).said(&expect![[r#"
        b -1: -1 -
        a 3: 4 [t{0, 1, 2, 3}]
        b 3: UNKNOWN_MEMBER_ID
        Stable ["a"]
    "#]]);
    it.beat("a", -1).said(&expect![[r#"
        a -1: -1 -
        Empty []
    "#]]);
}

#[test]
fn silence_ends_a_session_and_a_slow_revocation_ends_a_membership() {
    let mut it = Script::new(&[("t", 2)]);
    it.join("a", &["t"]).join("b", &["t"]).beat("a", 2);
    it.pass(44).beat("a", 2).beat("b", 3).pass(16).said(&expect![[r#"
        a 0: 2 [t{0, 1}]
        b 0: 3 []
        a 2: 2 [t{0}]
        44 s pass
        a 2: 2 -
        b 3: 3 -
        16 s pass
        Assigning ["b"]
    "#]]);
    it.beat("a", 2).beat("b", 3).pass(45).said(&expect![[r#"
        a 2: UNKNOWN_MEMBER_ID
        b 3: 4 [t{0, 1}]
        45 s pass
        Empty []
    "#]]);
}

#[test]
fn a_member_is_fenced_unless_only_the_answer_got_lost() {
    let mut it = Script::new(&[("t", 2)]);
    it.join("a", &["t"]).join("b", &["t"]).owns("a", 2, &[("t", &[0])]);
    it.owns("a", 2, &[("t", &[0])]);
    it.said.clear();
    it.beat("a", 2).owns("a", 2, &[("t", &[0])]).owns("a", 2, &[("t", &[0, 1])]);
    it.beat("a", 10).beat("nobody", 1).said(&expect![[r#"
        a 2: FENCED_MEMBER_EPOCH
        a 2: 3 -
        a 2: FENCED_MEMBER_EPOCH
        a 10: FENCED_MEMBER_EPOCH
        nobody 1: UNKNOWN_MEMBER_ID
        Reconciling ["a", "b"]
    "#]]);
    it.join("a", &["t"]).said(&expect![[r#"
        a 0: 3 [t{0}]
        Reconciling ["a", "b"]
    "#]]);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut it = Script::new(&[("t", 2)]);
    let instance = |it: Heartbeat| Heartbeat { instance_id: Some("i".into()), ..it };
    it.say(&instance(joining("a", &["t"]))).join("b", &["t"]);
    it.owns("a", 2, &[("t", &[0])]).owns("a", 2, &[("t", &[0])]).beat("b", 3);
    it.said.clear();
    it.say(&instance(joining("c", &["t"]))).say(&instance(beat("a", -2)));
    it.say(&instance(joining("c", &["t"]))).say(&instance(beat("a", 3))).beat("b", 3);
    it.said(&expect![[r#"
        c 0: UNRELEASED_INSTANCE_ID
        a -2: -2 -
        c 0: 3 [t{0}]
        a 3: FENCED_INSTANCE_ID
        b 3: 3 -
        Stable ["b", "c"]
    "#]]);
    it.say(&instance(beat("c", -2))).pass(44).beat("b", 3).pass(1).beat("b", 3);
    it.said(&expect![[r#"
        c -2: -2 -
        44 s pass
        b 3: 3 -
        1 s pass
        b 3: 4 [t{0, 1}]
        Stable ["b"]
    "#]]);
}

#[test]
fn topics_that_grow_appear_and_go_change_who_reads_what() {
    let mut it = Script::new(&[("t", 1)]);
    it.join("a", &["t", "later"]);
    it.topics.put("t", 2);
    it.beat("a", 2);
    it.topics.put("later", 1);
    it.beat("a", 3);
    it.topics.put("unrelated", 1);
    it.beat("a", 4);
    it.topics.delete("t");
    it.beat("a", 4).owns("a", 4, &[("later", &[0])]).said(&expect![[r#"
        a 0: 2 [t{0}]
        a 2: 3 [t{0, 1}]
        a 3: 4 [t{0, 1} later{0}]
        a 4: 4 -
        a 4: 4 [later{0}]
        a 4: 5 -
        Stable ["a"]
    "#]]);
}

#[test]
fn a_pattern_follows_the_topics() {
    let mut it = Script::new(&[("clinical.order", 1), ("other", 1)]);
    let pattern = |it: Heartbeat, pattern: &str| Heartbeat {
        topics: None,
        pattern: Some(pattern.into()),
        ..it
    };
    it.say(&pattern(joining("a", &[]), "clinical\\..*"));
    it.topics.put("clinical.result", 1);
    it.beat("a", 2);
    it.say(&pattern(beat("a", 3), "(")).say(&pattern(beat("a", 3), ""));
    it.owns("a", 3, &[]).said(&expect![[r#"
        a 0: 2 [clinical.order{0}]
        a 2: 3 [clinical.order{0} clinical.result{0}]
        a 3: INVALID_REGULAR_EXPRESSION
        a 3: 3 []
        a 3: 4 -
        Stable ["a"]
    "#]]);
    assert!(it.group.patterns.is_empty() && it.group.compiled.is_empty());
}

#[test]
fn a_restart_finds_every_member_with_its_partitions() {
    let mut it = Script::new(&[("t", 3)]);
    it.join("a", &["t"]).join("b", &["t"]).beat("a", 2);
    let before = format!("{:?}", it.group.described());
    it.restart();
    assert_eq!(format!("{:?}", it.group.described()), before);
    it.said.clear();
    it.beat("b", 3).owns("a", 2, &[("t", &[0, 1])]).beat("b", 3).pass(45).said(&expect![[r#"
        b 3: 3 -
        a 2: 3 -
        b 3: 3 [t{2}]
        45 s pass
        Empty []
    "#]]);
}

#[test]
fn what_cannot_be_appended_is_taken_back() {
    let mut it = Script::new(&[("t", 3)]);
    it.join("a", &["t"]);
    let before = format!("{:?}", it.group.described());
    let bytes = it.group.bytes();
    let now = it.now();
    it.group.heartbeat(&joining("b", &["t"]), &it.topics, now).unwrap();
    assert!(!it.group.take_facts().is_empty());
    it.group.undo();
    assert_eq!(format!("{:?}", it.group.described()), before);
    assert_eq!(it.group.bytes(), bytes);
}

#[test]
fn a_group_has_a_limit() {
    let mut it = Script::new(&[("t", 3)]);
    for n in 0..10 {
        it.join(&format!("m{n}"), &["t"]);
    }
    it.said.clear();
    it.join("late", &["t"]).beat("m0", 2).said(&expect![[r#"
        late 0: GROUP_MAX_SIZE_REACHED
        m0 2: 2 [t{0}]
        Reconciling ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]
    "#]]);
}

#[test]
fn offsets_are_committed_under_the_epoch_or_for_what_was_held_since() {
    let mut it = Script::new(&[("t", 2)]);
    it.join("a", &["t"]).join("b", &["t"]);
    it.owns("a", 2, &[("t", &[0])]).owns("a", 2, &[("t", &[0])]).beat("b", 3);
    let topic = it.topics.topics["t"].id;
    let group = &it.group;
    assert_eq!(group.may_commit(caller("a", 3), true), Ok(Right::All));
    assert_eq!(group.may_commit(caller("a", 3), false), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(group.may_commit(caller("a", 4), true), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.may_commit(caller("x", 1), true), Err(ErrorCode::UnknownMemberId));
    assert_eq!(group.may_commit(caller("", -1), true), Err(ErrorCode::UnknownMemberId));
    let right = group.may_commit(caller("a", 2), true).unwrap();
    assert_eq!(group.may_commit_place("a", right, (topic, 0)), Ok(()), "held since epoch 2");
    let stale = Err(ErrorCode::StaleMemberEpoch);
    assert_eq!(group.may_commit_place("a", right, (topic, 1)), stale, "given up");
    assert_eq!(group.may_fetch(Some("a"), 3), Ok(()));
    assert_eq!(group.may_fetch(Some("a"), 2), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(group.may_fetch(None, -1), Ok(()));
}

#[test]
fn an_administrator_removes_members_by_instance_id() {
    let mut it = Script::new(&[("t", 2)]);
    let instance = |it: Heartbeat| Heartbeat { instance_id: Some("i".into()), ..it };
    it.say(&instance(joining("a", &["t"]))).join("b", &["t"]);
    let leaver = |member_id, instance_id| Leaver { member_id, instance_id };
    let leavers = [leaver("", Some("i")), leaver("b", None), leaver("x", None)];
    let results = it.group.remove_members(&leavers, &it.topics);
    assert_eq!(results, [Ok(()), Ok(()), Err(ErrorCode::UnknownMemberId)]);
    assert!(it.group.is_empty());
}

/// A classic consumer of `t` that has nothing.
fn classic_join(id: &str) -> Join {
    let metadata = Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
    Join {
        member_id: id.into(),
        fresh_id: "fresh".into(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata }],
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(30),
        returns_with_id: true,
        may_skip_assignment: true,
    }
}

#[test]
fn a_classic_member_is_asked_to_join_again_and_fenced_if_it_does_not() {
    let mut it = Script::new(&[("t", 2)]);
    it.join("a", &["t"]);
    let now = it.now();
    let refused = it.group.join_classic(&classic_join(""), &it.topics, now).unwrap().unwrap_err();
    assert_eq!((refused.code, &*refused.member_id), (ErrorCode::MemberIdRequired, "fresh"));
    let joined = it.group.join_classic(&classic_join("c"), &it.topics, now).unwrap().unwrap();
    assert_eq!((joined.generation, &*joined.leader), (3, ""));
    it.keep();
    let refused = Err(ErrorCode::UnknownMemberId);
    assert_eq!(it.group.heartbeat_classic(caller("a", 2), now), refused);
    assert_eq!(it.group.heartbeat_classic(caller("c", 3), now), Ok(()));
    it.beat("a", 2).owns("a", 2, &[("t", &[0])]);
    let rejoin = Err(ErrorCode::RebalanceInProgress);
    assert_eq!(it.group.heartbeat_classic(caller("c", 3), now), rejoin, "its partition is free");
    it.said.clear();
    it.pass(9);
    let now = it.now();
    assert_eq!(it.group.heartbeat_classic(caller("c", 3), now), rejoin);
    it.beat("a", 3).pass(9);
    let now = it.now();
    assert_eq!(it.group.heartbeat_classic(caller("c", 3), now), rejoin);
    it.pass(9);
    let now = it.now();
    assert_eq!(it.group.heartbeat_classic(caller("c", 3), now), rejoin);
    it.pass(3).beat("a", 3).said(&expect![[r#"
        9 s pass
        a 3: 3 -
        9 s pass
        9 s pass
        3 s pass
        a 3: 4 [t{0, 1}]
        Stable ["a"]
    "#]]);
}

#[test]
fn a_group_goes_to_the_new_protocol_and_back_with_its_members() {
    let mut it = Script::new(&[("t", 2)]);
    let member = SavedMember {
        id: "c".into(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: Duration::from_secs(30),
        session_timeout: Duration::from_secs(10),
        subscription: Bytes::new(),
        assignment: Bytes::from_static(
            b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff",
        ),
    };
    let migrant = Migrant { member, protocols: classic_join("c").protocols };
    let now = it.now();
    it.group.adopt((7, &[migrant]), &it.topics, now).unwrap();
    assert!(it.group.is_all_classic());
    it.join("a", &["t"]);
    assert!(!it.group.is_all_classic());
    it.beat("a", -1).said(&expect![[r#"
        a 0: 8 []
        a -1: -1 -
        Reconciling ["c"]
    "#]]);
    let (generation, migrants) = it.group.hand_over(&it.topics);
    assert!(it.group.is_all_classic());
    assert_eq!((generation, migrants.len()), (8, 1));
    assert_eq!(migrants[0].protocols, classic_join("c").protocols);
}
