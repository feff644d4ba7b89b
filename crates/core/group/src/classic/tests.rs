//! The group as a script: each test says who asks and when, and reads the answers as text.
//!
//! Where a test repeats a case of real Apache Kafka 4.3.1, the answers are that broker's.

use super::*;
use bytes::Bytes;
use expect_test::{Expect, expect};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;
use systole_kit::Instant;
use systole_kit::Timestamp;
use systole_wire::ErrorCode;

/// A group with its clock, and what it answered since the last look.
pub(super) struct Script {
    pub(super) group: Group,
    pub(super) at: Duration,
    token: u64,
    fresh: u64,
    said: String,
    /// `false`: records are written but their durability is not reported yet.
    disk_answers: bool,
    unsaved: Vec<Saved>,
}

fn name(code: ErrorCode) -> &'static str {
    code.name()
}

pub(super) fn consumer_metadata(topics: &[&str]) -> Bytes {
    let mut it = vec![0, 0];
    it.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        it.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        it.extend(topic.as_bytes());
    }
    it.into()
}

impl Script {
    fn new() -> Self {
        Self::with(Limits { initial_delay: Duration::ZERO, members_max: 10 })
    }
    fn with(limits: Limits) -> Self {
        Self {
            group: Group::new(limits),
            at: Duration::ZERO,
            token: 0,
            fresh: 0,
            said: String::new(),
            disk_answers: true,
            unsaved: Vec::new(),
        }
    }
    fn now(&self) -> Now {
        let millis = i64::try_from(self.at.as_millis()).unwrap();
        Now {
            instant: Instant::from_start(self.at),
            calendar: Timestamp::from_millis(1_000_000 + millis),
        }
    }
    /// A JoinGroup of a modern dynamic consumer; `change` makes it something else.
    fn join(&mut self, id: &str, change: impl FnOnce(&mut Join)) -> &mut Self {
        self.token += 1;
        self.fresh += 1;
        let mut join = Join {
            member_id: id.into(),
            fresh_id: format!("fresh{}", self.fresh).into(),
            instance_id: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            protocol_type: "consumer".into(),
            protocols: vec![Protocol { name: "range".into(), metadata: consumer_metadata(&["t"]) }],
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_mins(1),
            returns_with_id: false,
            may_skip_assignment: true,
        };
        change(&mut join);
        let _ = writeln!(self.said, "#{} join {id:?}", self.token);
        self.group.join(Token(self.token), join, self.now());
        self.listen()
    }
    fn sync(&mut self, id: &str, generation: i32, assigned: &[(&str, &'static str)]) -> &mut Self {
        self.sync_as(Caller { member_id: id, instance_id: None, generation }, assigned)
    }
    fn sync_as(&mut self, caller: Caller<'_>, assigned: &[(&str, &'static str)]) -> &mut Self {
        self.token += 1;
        let assignments =
            assigned.iter().map(|(id, it)| ((*id).into(), Bytes::from_static(it.as_bytes())));
        let sync = Sync {
            caller,
            protocol_type: Some("consumer"),
            protocol: None,
            assignments: assignments.collect::<HashMap<_, _>>(),
        };
        let _ = writeln!(self.said, "#{} sync {:?}", self.token, caller.member_id);
        self.group.sync(Token(self.token), &sync, self.now());
        self.listen()
    }
    fn heartbeat(&mut self, id: &str, generation: i32) -> &mut Self {
        let caller = Caller { member_id: id, instance_id: None, generation };
        let answer = self.group.heartbeat(caller, self.now());
        let answer = answer.err().map_or("ok", name);
        let _ = writeln!(self.said, "heartbeat {id:?}: {answer}");
        self.listen()
    }
    fn commit(&mut self, id: &str, generation: i32) -> &mut Self {
        let caller = Caller { member_id: id, instance_id: None, generation };
        let answer = self.group.may_commit(caller, self.now());
        let answer = answer.err().map_or("ok", name);
        let _ = writeln!(self.said, "commit {id:?} {generation}: {answer}");
        self
    }
    fn leave(&mut self, leavers: &[(&str, Option<&str>)]) -> &mut Self {
        let leavers: Vec<_> = leavers
            .iter()
            .map(|(member_id, instance_id)| Leaver { member_id, instance_id: *instance_id })
            .collect();
        let results = self.group.leave(&leavers, self.now());
        let results: Vec<_> = results.into_iter().map(|it| it.err().map_or("ok", name)).collect();
        let _ = writeln!(self.said, "leave: {}", results.join(" "));
        self.listen()
    }
    /// Turns the clock, stopping at each deadline on the way.
    fn pass(&mut self, seconds: u64) -> &mut Self {
        let end = self.at + Duration::from_secs(seconds);
        let _ = writeln!(self.said, "{seconds} s pass");
        while let Some(due) = self.group.next_deadline().filter(|it| it.since_start() <= end) {
            self.at = due.since_start().max(self.at);
            self.group.advance(self.now());
            self.listen();
        }
        self.at = end;
        self
    }
    fn disk_answers(&mut self, stored: Result<(), ErrorCode>) -> &mut Self {
        for saved in std::mem::take(&mut self.unsaved) {
            self.group.saved(saved, stored, self.now());
        }
        self.listen()
    }
    fn listen(&mut self) -> &mut Self {
        let effects = self.group.take_effects();
        for effect in effects {
            match effect {
                Effect::Join(Token(token), Ok(it)) => {
                    let ids: Vec<_> = it.members.iter().map(|it| &*it.id).collect();
                    let skip = if it.skip_assignment { " skips" } else { "" };
                    let _ = writeln!(
                        self.said,
                        "  #{token} joined as {} generation {} leader {}{skip} {ids:?}",
                        it.member_id, it.generation, it.leader
                    );
                }
                Effect::Join(Token(token), Err(it)) => {
                    let _ = writeln!(self.said, "  #{token} {} {:?}", name(it.code), it.member_id);
                }
                Effect::Sync(Token(token), Ok(it)) => {
                    let it = String::from_utf8_lossy(&it.assignment).into_owned();
                    let _ = writeln!(self.said, "  #{token} assigned {it:?}");
                }
                Effect::Sync(Token(token), Err(code)) => {
                    let _ = writeln!(self.said, "  #{token} {}", name(code));
                }
                Effect::Save(snapshot, saved) => {
                    let (generation, members) = (snapshot.generation, snapshot.members.len());
                    let _ = writeln!(self.said, "  saved: {generation}, {members} members");
                    self.unsaved.push(saved);
                    if self.disk_answers {
                        self.disk_answers(Ok(()));
                    }
                }
            }
        }
        self
    }
    fn said(&mut self, expected: &Expect) -> &mut Self {
        let _ = writeln!(self.said, "{}", self.group.state_name());
        expected.assert_eq(&std::mem::take(&mut self.said));
        self
    }
    /// One leader (`fresh1`) and one follower (`fresh2`) in generation 2, stable.
    fn two_members() -> Self {
        let mut it = Self::new();
        it.join("", |_| ()).join("", |_| ()).join("fresh1", |_| ());
        it.sync("fresh2", 2, &[]).sync("fresh1", 2, &[("fresh1", "A"), ("fresh2", "B")]);
        assert_eq!(it.group.state_name(), "Stable", "{}", it.said);
        it.said.clear();
        it
    }
}

fn instance(id: &'static str) -> impl Fn(&mut Join) {
    move |it| it.instance_id = Some(id.into())
}

#[test]
fn a_new_member_comes_back_with_its_id_and_then_leads() {
    let with_id = |it: &mut Join| it.returns_with_id = true;
    Script::new()
        .join("", with_id)
        .join("fresh1", with_id)
        .sync("fresh1", 1, &[("fresh1", "A"), ("ghost", "G")])
        .sync("fresh1", 1, &[])
        .heartbeat("fresh1", 1)
        .said(&expect![[r#"
            #1 join ""
              #1 MEMBER_ID_REQUIRED "fresh1"
            #2 join "fresh1"
              #2 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
            #3 sync "fresh1"
              saved: 1, 1 members
              #3 assigned "A"
            #4 sync "fresh1"
              #4 assigned "A"
            heartbeat "fresh1": ok
            Stable
        "#]]);
}

#[test]
fn a_second_member_makes_the_first_join_again_and_everyone_gets_a_part() {
    let mut it = Script::new();
    it.join("", |_| ())
        .sync("fresh1", 1, &[("fresh1", "all")])
        .join("", |_| ())
        .heartbeat("fresh1", 1)
        .join("fresh1", |_| ())
        .sync("fresh2", 2, &[])
        .sync("fresh1", 2, &[("fresh1", "A"), ("fresh2", "B")])
        .said(&expect![[r#"
            #1 join ""
              #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
            #2 sync "fresh1"
              saved: 1, 1 members
              #2 assigned "all"
            #3 join ""
            heartbeat "fresh1": REBALANCE_IN_PROGRESS
            #4 join "fresh1"
              #4 joined as fresh1 generation 2 leader fresh1 ["fresh1", "fresh2"]
              #3 joined as fresh2 generation 2 leader fresh1 []
            #5 sync "fresh2"
            #6 sync "fresh1"
              saved: 2, 2 members
              #6 assigned "A"
              #5 assigned "B"
            Stable
        "#]]);
}

#[test]
fn the_initial_delay_gathers_members_into_one_generation() {
    let limits = Limits { initial_delay: Duration::from_secs(3), members_max: 10 };
    Script::with(limits)
        .join("", |_| ())
        .pass(2)
        .join("", |_| ())
        .pass(2)
        .join("", |_| ())
        .pass(5)
        .said(&expect![[r##"
            #1 join ""
            2 s pass
            #2 join ""
            2 s pass
            #3 join ""
            5 s pass
              #1 joined as fresh1 generation 1 leader fresh1 ["fresh1", "fresh2", "fresh3"]
              #2 joined as fresh2 generation 1 leader fresh1 []
              #3 joined as fresh3 generation 1 leader fresh1 []
            CompletingRebalance
        "##]]);
}

#[test]
fn the_initial_delay_ends_with_the_rebalance_time_however_many_come() {
    let limits = Limits { initial_delay: Duration::from_secs(3), members_max: 100 };
    let mut it = Script::with(limits);
    let impatient = |it: &mut Join| it.rebalance_timeout = Duration::from_secs(8);
    for _ in 0..8 {
        it.join("", impatient).pass(1);
    }
    assert_eq!(it.group.state_name(), "CompletingRebalance");
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_out() {
    Script::two_members()
        .join("", |_| ())
        .pass(8)
        .heartbeat("fresh1", 2)
        .heartbeat("fresh2", 2)
        .join("fresh1", |_| ())
        .pass(9)
        .heartbeat("fresh2", 2)
        .pass(9)
        .heartbeat("fresh2", 2)
        .pass(9)
        .heartbeat("fresh2", 2)
        .pass(9)
        .heartbeat("fresh2", 2)
        .pass(9)
        .heartbeat("fresh2", 2)
        .pass(9)
        .heartbeat("fresh2", 3)
        .said(&expect![[r##"
            #6 join ""
            8 s pass
            heartbeat "fresh1": REBALANCE_IN_PROGRESS
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            #7 join "fresh1"
            9 s pass
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            9 s pass
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            9 s pass
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            9 s pass
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            9 s pass
            heartbeat "fresh2": REBALANCE_IN_PROGRESS
            9 s pass
              #7 joined as fresh1 generation 3 leader fresh1 ["fresh1", "fresh4"]
              #6 joined as fresh4 generation 3 leader fresh1 []
            heartbeat "fresh2": UNKNOWN_MEMBER_ID
            CompletingRebalance
        "##]]);
}

#[test]
fn a_silent_member_loses_its_session_and_the_others_share_again() {
    Script::two_members()
        .pass(6)
        .heartbeat("fresh1", 2)
        .pass(6)
        .heartbeat("fresh1", 2)
        .join("fresh1", |_| ())
        .said(&expect![[r#"
            6 s pass
            heartbeat "fresh1": ok
            6 s pass
            heartbeat "fresh1": REBALANCE_IN_PROGRESS
            #6 join "fresh1"
              #6 joined as fresh1 generation 3 leader fresh1 ["fresh1"]
            CompletingRebalance
        "#]]);
}

#[test]
fn a_group_whose_members_are_all_gone_becomes_empty_and_says_so_on_disk() {
    Script::two_members().pass(11).heartbeat("fresh1", 2).commit("", -1).said(&expect![[r#"
        11 s pass
          saved: 3, 0 members
        heartbeat "fresh1": UNKNOWN_MEMBER_ID
        commit "" -1: ok
        Empty
    "#]]);
}

#[test]
fn a_leader_that_never_assigns_is_out_after_the_rebalance_time() {
    let mut it = Script::new();
    it.join("", |_| ()).join("", |_| ()).join("fresh1", |_| ()).sync("fresh2", 2, &[]);
    for _ in 0..7 {
        it.pass(8).heartbeat("fresh1", 2);
    }
    it.said.clear();
    it.pass(8).said(&expect![[r#"
        8 s pass
          #4 REBALANCE_IN_PROGRESS
        PreparingRebalance
    "#]]);
    it.heartbeat("fresh1", 2).join("fresh2", |_| ()).said(&expect![[r#"
        heartbeat "fresh1": UNKNOWN_MEMBER_ID
        #5 join "fresh2"
          #5 joined as fresh2 generation 3 leader fresh2 ["fresh2"]
        CompletingRebalance
    "#]]);
}

#[test]
fn a_follower_that_never_asks_for_its_part_is_out_after_the_rebalance_time() {
    let mut it = Script::new();
    it.join("", |_| ()).join("", |_| ()).join("fresh1", |_| ());
    it.sync("fresh1", 2, &[("fresh1", "A"), ("fresh2", "B")]);
    for _ in 0..8 {
        it.pass(8).heartbeat("fresh1", 2).heartbeat("fresh2", 2);
    }
    assert!(it.said.ends_with(
        "heartbeat \"fresh1\": REBALANCE_IN_PROGRESS\nheartbeat \"fresh2\": UNKNOWN_MEMBER_ID\n"
    ));
}

#[test]
fn assignments_wait_for_the_disk_and_a_rebalance_may_overtake_it() {
    let mut it = Script::new();
    it.disk_answers = false;
    it.join("", |_| ()).sync("fresh1", 1, &[("fresh1", "A")]).join("", |_| ());
    it.disk_answers(Ok(())).said(&expect![[r#"
        #1 join ""
          #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
        #2 sync "fresh1"
          saved: 1, 1 members
        #3 join ""
          #2 REBALANCE_IN_PROGRESS
        PreparingRebalance
    "#]]);
}

#[test]
fn an_assignment_is_written_once_however_often_the_leader_sends_it() {
    let mut it = Script::new();
    it.disk_answers = false;
    it.join("", |_| ()).sync("fresh1", 1, &[("fresh1", "A")]).sync("fresh1", 1, &[]);
    it.disk_answers(Ok(())).said(&expect![[r#"
        #1 join ""
          #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
        #2 sync "fresh1"
          saved: 1, 1 members
        #3 sync "fresh1"
          #2 REBALANCE_IN_PROGRESS
          #3 assigned "A"
        Stable
    "#]]);
}

#[test]
fn a_new_member_that_waits_too_long_for_a_slow_rebalance_is_out() {
    let mut it = Script::new();
    it.join("", |it| {
        it.rebalance_timeout = Duration::from_secs(1_000);
        it.session_timeout = Duration::from_secs(1_000);
    });
    it.sync("fresh1", 1, &[]).join("", |_| ());
    it.said.clear();
    it.pass(300).said(&expect![[r#"
        300 s pass
          #3 UNKNOWN_MEMBER_ID "fresh2"
        PreparingRebalance
    "#]]);
}

#[test]
fn an_assignment_that_cannot_be_written_is_told_to_everyone_and_tried_again() {
    let mut it = Script::new();
    it.disk_answers = false;
    it.join("", |_| ()).sync("fresh1", 1, &[("fresh1", "A")]);
    it.disk_answers(Err(ErrorCode::CoordinatorNotAvailable)).said(&expect![[r#"
        #1 join ""
          #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
        #2 sync "fresh1"
          saved: 1, 1 members
          #2 COORDINATOR_NOT_AVAILABLE
        PreparingRebalance
    "#]]);
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance_and_a_follower_does_not() {
    Script::two_members().join("fresh2", |_| ()).join("fresh1", |_| ()).said(&expect![[r#"
        #6 join "fresh2"
          #6 joined as fresh2 generation 2 leader fresh1 []
        #7 join "fresh1"
        PreparingRebalance
    "#]]);
}

#[test]
fn a_join_asked_twice_is_answered_twice() {
    Script::two_members().join("", |_| ()).join("fresh2", |_| ()).join("fresh2", |_| ()).said(
        &expect![[r#"
            #6 join ""
            #7 join "fresh2"
            #8 join "fresh2"
              #7 REBALANCE_IN_PROGRESS "fresh2"
            PreparingRebalance
        "#]],
    );
}

#[test]
fn the_protocol_is_the_one_that_most_like_among_those_that_all_speak() {
    let speaks = |names: &'static [&'static str]| {
        move |it: &mut Join| {
            it.protocols = names
                .iter()
                .map(|it| Protocol { name: (*it).into(), metadata: Bytes::new() })
                .collect();
        }
    };
    let mut it = Script::new();
    it.join("", speaks(&["range", "sticky", "robin"]));
    it.join("", speaks(&["sticky", "robin"])).join("", speaks(&["robin", "sticky", "other"]));
    it.join("", speaks(&["robin", "sticky"]));
    it.join("fresh1", speaks(&["range", "robin", "sticky"]));
    assert_eq!(it.group.protocol.as_deref(), Some("robin"));
    it.said.clear();
    it.join("", speaks(&["range"])).said(&expect![[r#"
        #6 join ""
          #6 INCONSISTENT_GROUP_PROTOCOL ""
        CompletingRebalance
    "#]]);
}

#[test]
fn a_restarted_static_member_takes_its_place_without_a_rebalance() {
    let mut it = Script::new();
    it.join("", instance("i1")).sync("fresh1", 1, &[("fresh1", "A")]);
    let old = Caller { member_id: "fresh1", instance_id: Some("i1"), generation: 1 };
    it.said.clear();
    it.join("", |it| {
        instance("i1")(it);
        it.may_skip_assignment = false;
    })
    .sync_as(old, &[])
    .heartbeat("fresh1", 1)
    .sync("fresh2", 1, &[])
    .join("", instance("i1"))
    .said(&expect![[r#"
        #3 join ""
          saved: 1, 1 members
          #3 joined as fresh2 generation 1 leader fresh1 []
        #4 sync "fresh1"
          #4 FENCED_INSTANCE_ID
        heartbeat "fresh1": UNKNOWN_MEMBER_ID
        #5 sync "fresh2"
          #5 assigned "A"
        #6 join ""
          saved: 1, 1 members
          #6 joined as fresh3 generation 1 leader fresh3 skips ["fresh3"]
        Stable
    "#]]);
    it.join("fresh3", instance("i9")).join("zz", instance("i1")).said(&expect![[r#"
        #7 join "fresh3"
          #7 UNKNOWN_MEMBER_ID "fresh3"
        #8 join "zz"
          #8 FENCED_INSTANCE_ID "zz"
        Stable
    "#]]);
}

#[test]
fn the_old_incarnation_learns_that_it_is_fenced_even_while_it_waits() {
    let mut it = Script::new();
    it.join("", |_| ()).sync("fresh1", 1, &[]).join("", instance("i1"));
    it.said.clear();
    it.join("", instance("i1")).join("fresh1", |_| ()).said(&expect![[r#"
        #4 join ""
          #3 FENCED_INSTANCE_ID "fresh2"
        #5 join "fresh1"
          #5 joined as fresh1 generation 2 leader fresh1 ["fresh1", "fresh3"]
          #4 joined as fresh3 generation 2 leader fresh1 []
        CompletingRebalance
    "#]]);
}

#[test]
fn a_static_member_survives_a_rebalance_that_it_misses() {
    let mut it = Script::new();
    it.join("", |it| {
        instance("i1")(it);
        it.session_timeout = Duration::from_mins(5);
    });
    it.sync("fresh1", 1, &[("fresh1", "A")]).join("", |_| ());
    it.said.clear();
    it.pass(60).said(&expect![[r#"
        60 s pass
          #3 joined as fresh2 generation 2 leader fresh2 ["fresh1", "fresh2"]
        CompletingRebalance
    "#]]);
}

#[test]
fn members_leave_by_id_or_by_instance_and_one_rebalance_follows() {
    let mut it = Script::two_members();
    it.leave(&[("zz", None), ("", Some("nn")), ("fresh1", Some("nn"))]);
    it.leave(&[("fresh1", None), ("fresh2", None)]);
    it.join("", instance("i1")).leave(&[("", Some("i1"))]).said(&expect![[r#"
        leave: UNKNOWN_MEMBER_ID UNKNOWN_MEMBER_ID UNKNOWN_MEMBER_ID
        leave: ok ok
          saved: 3, 0 members
        #6 join ""
          #6 joined as fresh4 generation 4 leader fresh4 ["fresh4"]
        leave: ok
          saved: 5, 0 members
        Empty
    "#]]);
}

#[test]
fn a_promised_id_that_never_comes_back_does_not_hold_the_others_up() {
    let mut it = Script::two_members();
    it.join("", |it| it.returns_with_id = true).join("fresh1", |_| ()).join("fresh2", |_| ());
    it.pass(10).said(&expect![[r##"
        #6 join ""
          #6 MEMBER_ID_REQUIRED "fresh4"
        #7 join "fresh1"
        #8 join "fresh2"
        10 s pass
          #7 joined as fresh1 generation 3 leader fresh1 ["fresh1", "fresh2"]
          #8 joined as fresh2 generation 3 leader fresh1 []
        CompletingRebalance
    "##]]);
}

#[test]
fn a_full_group_takes_nobody_in_and_keeps_whom_it_has() {
    let mut it = Script::with(Limits { initial_delay: Duration::ZERO, members_max: 2 });
    it.join("", |_| ()).join("", |it| it.returns_with_id = true).join("", |_| ());
    it.join("fresh2", |_| ()).join("fresh1", |_| ()).said(&expect![[r#"
        #1 join ""
          #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
        #2 join ""
          #2 MEMBER_ID_REQUIRED "fresh2"
        #3 join ""
          #3 GROUP_MAX_SIZE_REACHED ""
        #4 join "fresh2"
        #5 join "fresh1"
          #5 joined as fresh1 generation 2 leader fresh1 ["fresh1", "fresh2"]
          #4 joined as fresh2 generation 2 leader fresh1 []
        CompletingRebalance
    "#]]);
}

#[test]
fn commits_are_for_members_of_the_generation_and_for_nobodys_groups() {
    let mut it = Script::new();
    it.commit("", -1).commit("x", 1).join("", |_| ()).commit("fresh1", 1).commit("", -1);
    it.sync("fresh1", 1, &[]).commit("fresh1", 1).commit("fresh1", 0).commit("zz", 1);
    it.commit("fresh1", -1).commit("", -1).said(&expect![[r#"
        commit "" -1: ok
        commit "x" 1: UNKNOWN_MEMBER_ID
        #1 join ""
          #1 joined as fresh1 generation 1 leader fresh1 ["fresh1"]
        commit "fresh1" 1: REBALANCE_IN_PROGRESS
        commit "" -1: UNKNOWN_MEMBER_ID
        #2 sync "fresh1"
          saved: 1, 1 members
          #2 assigned ""
        commit "fresh1" 1: ok
        commit "fresh1" 0: ILLEGAL_GENERATION
        commit "zz" 1: UNKNOWN_MEMBER_ID
        commit "fresh1" -1: ILLEGAL_GENERATION
        commit "" -1: UNKNOWN_MEMBER_ID
        Stable
    "#]]);
}

#[test]
fn a_restored_group_keeps_its_generation_and_starts_sessions_anew() {
    let it = Script::two_members();
    let by_member = HashMap::new();
    let snapshot = it.group.snapshot(&by_member);
    let mut restored = Script::new();
    restored.at = Duration::from_secs(500);
    restored.group = Group::restored(it.group.limits, snapshot, restored.now());
    restored.heartbeat("fresh2", 2).sync("fresh2", 2, &[]).join("fresh1", |_| ()).pass(10);
    restored.said(&expect![[r#"
        heartbeat "fresh2": ok
        #1 sync "fresh2"
          #1 assigned "B"
        #2 join "fresh1"
        10 s pass
          #2 joined as fresh1 generation 3 leader fresh1 ["fresh1"]
        CompletingRebalance
    "#]]);
}

#[test]
fn only_an_empty_group_can_be_deleted_and_only_unread_topics_forgotten() {
    let mut it = Script::two_members();
    assert_eq!(it.group.may_delete(), Err(ErrorCode::NonEmptyGroup));
    it.group.delete();
    assert_eq!(it.group.may_delete_offsets(), Ok(()));
    assert!(it.group.is_subscribed("t") && !it.group.is_subscribed("u"));
    it.pass(11);
    assert_eq!(it.group.may_delete(), Ok(()));
    it.group.delete();
    assert_eq!(it.group.may_delete(), Err(ErrorCode::GroupIdNotFound));
    it.said.clear();
    it.join("", |_| ()).heartbeat("x", 1).said(&expect![[r#"
        #6 join ""
          #6 COORDINATOR_NOT_AVAILABLE ""
        heartbeat "x": COORDINATOR_NOT_AVAILABLE
        Dead
    "#]]);
}
