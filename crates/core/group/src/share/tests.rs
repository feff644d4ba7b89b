//! The group as a script: each test says who reports when, and reads the answers as text.

use super::*;
use crate::Now;
use crate::consumer::Partitions;
use crate::consumer::Topics as _;
use crate::consumer::tests::Map;
use crate::record::{self, Entry};
use expect_test::{Expect, expect};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Timestamp};

fn config() -> Config {
    Config {
        members_max: 3,
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_secs(5),
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
        let group = Group::new(config());
        Self { group, topics: map, at: Duration::ZERO, said: String::new(), facts: Vec::new() }
    }
    fn now(&self) -> Now {
        let calendar = Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap());
        Now { instant: Instant::from_start(self.at), calendar }
    }
    fn shown(&self, it: &Partitions) -> String {
        let name = |it| self.topics.name_of(it).unwrap_or_else(|| "?".into());
        let one = |(topic, those): (&_, &_)| format!("{}{those:?}", name(*topic));
        it.iter().map(one).collect::<Vec<_>>().join(" ")
    }
    fn keep(&mut self) {
        self.facts.extend(self.group.take_facts());
        self.group.appended();
    }
    fn say(&mut self, id: &str, epoch: i32, topics: Option<&[&str]>) -> &mut Self {
        let beat = Heartbeat {
            member_id: id.into(),
            epoch,
            rack_id: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            topics: topics.map(|it| it.iter().map(|it| Arc::from(*it)).collect()),
        };
        let answer = match self.group.heartbeat(&beat, &self.topics, self.now()) {
            Ok(it) => {
                let assigned = it.assignment.map_or("as before".into(), |it| self.shown(&it));
                let begun = self.shown(&it.begun);
                let begun = if begun.is_empty() { begun } else { format!("; begins {begun}") };
                format!("{} {assigned}{begun}", it.epoch)
            }
            Err(refused) => format!("{:?}", refused.code),
        };
        writeln!(self.said, "{id} {epoch} -> {answer}").unwrap();
        self.keep();
        self
    }
    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.at += Duration::from_secs(seconds);
        let late = self.group.advance(&self.topics, self.now());
        writeln!(self.said, "after {seconds} s: {late:?} out, {}", self.group.state_name())
            .unwrap();
        self.keep();
        self
    }
    fn check(&self, expect: &Expect) {
        expect.assert_eq(&self.said);
        self.check_replay();
    }
    /// The records of all facts make the same group again.
    fn check_replay(&self) {
        let mut again = Group::new(config());
        for fact in &self.facts {
            let pair = record::of_share_fact("g", fact).unwrap();
            match record::read(Some(&pair.key), pair.value.as_deref()).unwrap() {
                Entry::ShareFact { group, fact: read } => {
                    assert_eq!((&*group, &read), ("g", fact));
                    again.replay(read);
                }
                other => panic!("{other:?}"),
            }
        }
        let shown = |it: &Group| format!("{:?} {:?} {}", it.described(), it.known, it.bytes());
        assert_eq!(shown(&again), shown(&self.group));
    }
}

#[test]
fn members_share_partitions_and_come_to_their_target_at_once() {
    let mut script = Script::new(&[("t", 2)]);
    script.say("a", 0, Some(&["t"])).say("b", 0, Some(&["t"])).say("c", 0, Some(&["t"]));
    script.say("a", 2, None).say("b", 3, None).say("a", 4, None);
    script.check(&expect![[r#"
        a 0 -> 2 t{0, 1}; begins t{0, 1}
        b 0 -> 3 t{0}
        c 0 -> 4 t{1}
        a 2 -> 4 as before
        b 3 -> 4 as before
        a 4 -> 4 as before
    "#]]);
}

#[test]
fn new_topics_and_partitions_get_a_state_and_readers() {
    let mut script = Script::new(&[("t", 1)]);
    script.say("a", 0, Some(&["t", "later"])).say("a", 2, None);
    script.topics.put("later", 1);
    script.say("a", 2, None);
    script.topics.put("t", 2);
    script.say("a", 3, None);
    script.topics.delete("t");
    script.say("a", 4, None).say("a", 5, Some(&["later"]));
    script.check(&expect![[r#"
        a 0 -> 2 t{0}; begins t{0}
        a 2 -> 2 as before
        a 2 -> 3 t{0} later{0}; begins later{0}
        a 3 -> 4 t{0, 1} later{0}; begins t{1}
        a 4 -> 5 later{0}
        a 5 -> 6 later{0}
    "#]]);
}

#[test]
fn whoever_leaves_or_is_late_is_out() {
    let mut script = Script::new(&[("t", 2)]);
    script.say("a", 0, Some(&["t"])).say("b", 0, Some(&["t"])).say("b", -1, None);
    script.say("b", 3, None).say("b", -1, None).say("a", 2, None).wait(30);
    script.say("a", 4, None).wait(44).wait(1).say("a", 4, None);
    script.check(&expect![[r#"
        a 0 -> 2 t{0, 1}; begins t{0, 1}
        b 0 -> 3 t{0}
        b -1 -> -1 as before
        b 3 -> UnknownMemberId
        b -1 -> UnknownMemberId
        a 2 -> 4 as before
        after 30 s: [] out, Stable
        a 4 -> 4 as before
        after 44 s: [] out, Stable
        after 1 s: ["a"] out, Empty
        a 4 -> UnknownMemberId
    "#]]);
}

#[test]
fn a_wrong_epoch_is_fenced_and_the_one_before_is_not() {
    let mut script = Script::new(&[("t", 2)]);
    script.say("a", 0, Some(&["t"])).say("b", 0, Some(&["t"])).say("a", 2, None);
    script.say("a", 2, None).say("a", 1, None).say("a", 4, None).say("nobody", 1, None);
    script.say("c", 0, Some(&["t"])).say("d", 0, Some(&["t"])).say("a", 0, Some(&["t"]));
    script.check(&expect![[r#"
        a 0 -> 2 t{0, 1}; begins t{0, 1}
        b 0 -> 3 t{0}
        a 2 -> 3 t{1}
        a 2 -> 3 as before
        a 1 -> FencedMemberEpoch
        a 4 -> FencedMemberEpoch
        nobody 1 -> UnknownMemberId
        c 0 -> 4 t{1}
        d 0 -> GroupMaxSizeReached
        a 0 -> 4 t{0, 1}
    "#]]);
}

#[test]
fn what_could_not_be_stored_is_taken_back() {
    let mut script = Script::new(&[("t", 1)]);
    script.say("a", 0, Some(&["t"]));
    let before = format!("{:?}", script.group.described());
    let beat = Heartbeat {
        member_id: "b".into(),
        epoch: 0,
        rack_id: None,
        client_id: Arc::default(),
        client_host: Arc::default(),
        topics: Some(std::iter::once("t".into()).collect()),
    };
    script.group.heartbeat(&beat, &script.topics, script.now()).unwrap();
    script.group.undo();
    assert_eq!(format!("{:?}", script.group.described()), before);
    script.say("a", 2, None).check_replay();
}

#[test]
fn the_end_of_a_group_takes_everything_back() {
    let mut script = Script::new(&[("t", 1)]);
    script.say("a", 0, Some(&["t"])).say("a", -1, None);
    assert!(script.group.exists() && script.group.is_empty());
    for fact in script.group.end() {
        script.group.replay(fact);
    }
    assert!(!script.group.exists());
    assert_eq!(script.group.bytes(), Group::new(config()).bytes());
}
