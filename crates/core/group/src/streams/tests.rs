//! The group as a script: each test says who reports when, and reads the answers as text.

use super::*;
use crate::Now;
use crate::classic::Caller;
use crate::consumer::tests::Map;
use expect_test::{Expect, expect};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Timestamp};
use systole_wire::ErrorCode;

pub(super) fn config() -> Config {
    Config {
        members_max: 10,
        session_timeout: Duration::from_secs(45),
        heartbeat_interval: Duration::from_millis(500),
        heartbeat_interval_unsettled: Duration::from_millis(100),
        standby_replicas: 0,
        initial_rebalance_delay: Duration::ZERO,
    }
}

pub(super) fn internal(name: &str) -> InternalTopic {
    InternalTopic { name: name.into(), ..Default::default() }
}

/// Of the word count.
pub(super) const TOPICS: [&str; 3] = ["in", "split", "counts"];

/// Words of `in` by way of `split` to counts in `counts`.
pub(super) fn word_count() -> Arc<Topology> {
    let first = Subtopology {
        sources: vec!["in".into()],
        repartition_sinks: vec!["split".into()],
        ..Default::default()
    };
    let second = Subtopology {
        repartition_sources: vec![internal("split")],
        changelogs: vec![internal("counts")],
        ..Default::default()
    };
    let subtopologies = [("0".into(), first), ("1".into(), second)].into();
    Arc::new(Topology { epoch: 0, subtopologies })
}

/// A heartbeat that says nothing new.
pub(super) fn beat(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat {
        member_id: id.into(),
        epoch,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        ..Default::default()
    }
}

/// The first heartbeat of a member; members of one process begin with the same letter.
pub(super) fn joining(id: &str, topology: &Arc<Topology>) -> Heartbeat {
    Heartbeat {
        rebalance_timeout: Some(Duration::from_mins(1)),
        topology: Some(Arc::clone(topology)),
        process_id: id.get(..1).map(Arc::from),
        owned: Some(Tasks::default()),
        ..beat(id, 0)
    }
}

fn task(text: &str) -> Task {
    let (subtopology, partition) = text.split_once('_').unwrap();
    Task { subtopology: subtopology.into(), partition: partition.parse().unwrap() }
}

fn tasks(active: &[&str], standby: &[&str]) -> Tasks {
    let set = |those: &[&str]| those.iter().map(|it| task(it)).collect();
    Tasks { active: set(active), standby: set(standby) }
}

fn owning(id: &str, epoch: i32, active: &[&str]) -> Heartbeat {
    Heartbeat { owned: Some(tasks(active, &[])), ..beat(id, epoch) }
}

fn told(it: &BTreeSet<Task>) -> String {
    let names = it.iter().map(|it| format!("{}_{}", it.subtopology, it.partition));
    names.collect::<Vec<_>>().join(" ")
}

struct Script {
    group: Group,
    topics: Map,
    at: Duration,
    said: String,
}

impl Script {
    /// Every topic of the word count is there, with two partitions.
    fn new(config: Config) -> Self {
        let mut topics = Map::default();
        for it in TOPICS {
            topics.put(it, 2);
        }
        Self { group: Group::new(config), topics, at: Duration::ZERO, said: String::new() }
    }
    fn now(&self) -> Now {
        let calendar = Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap());
        Now { instant: Instant::from_start(self.at), calendar }
    }
    fn say(&mut self, heartbeat: &Heartbeat) -> &mut Self {
        let now = self.now();
        let (id, epoch) = (&heartbeat.member_id, heartbeat.epoch);
        write!(self.said, "{id}@{epoch}: ").unwrap();
        match self.group.heartbeat(heartbeat, &self.topics, now) {
            Ok(it) => {
                write!(self.said, "{}", it.epoch).unwrap();
                if let Some(it) = &it.tasks {
                    write!(self.said, " [{}", told(&it.active)).unwrap();
                    if !it.standby.is_empty() {
                        write!(self.said, " + {}", told(&it.standby)).unwrap();
                    }
                    self.said.push(']');
                }
                for it in it.notices {
                    write!(self.said, " {:?}: {}", it.status, it.detail).unwrap();
                }
            }
            Err(it) => write!(self.said, "{} {}", it.code.name(), it.message).unwrap(),
        }
        writeln!(self.said, " ({})", self.group.state_name()).unwrap();
        self.group.take_facts();
        self.group.appended();
        self
    }
    fn pass(&mut self, by: Duration) -> &mut Self {
        self.at += by;
        let now = self.now();
        self.group.advance(now);
        self.group.take_facts();
        self.group.appended();
        self
    }
    #[track_caller]
    fn check(&mut self, expected: &Expect) {
        expected.assert_eq(&std::mem::take(&mut self.said));
    }
}

#[test]
fn tasks_move_only_after_they_were_given_up() {
    let topology = word_count();
    let mut it = Script::new(config());
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.say(&beat("a1", 2)).say(&beat("b1", 3));
    it.say(&owning("a1", 2, &["0_0", "1_0"])).say(&beat("b1", 3)).say(&beat("a1", 3));
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        b1@0: 3 [] (Reconciling)
        a1@2: 2 [0_0 1_0] (Reconciling)
        b1@3: 3 (Reconciling)
        a1@2: 3 (Reconciling)
        b1@3: 3 [0_1 1_1] (Stable)
        a1@3: 3 (Stable)
    "#]]);
}

#[test]
fn missing_topics_are_told_and_the_internal_ones_asked_for() {
    let topology = word_count();
    let mut it = Script::new(config());
    for name in TOPICS {
        it.topics.delete(name);
    }
    it.say(&joining("a1", &topology));
    it.topics.put("in", 3);
    it.say(&beat("a1", 2));
    let now = it.now();
    let asked = it.group.heartbeat(&beat("a1", 3), &it.topics, now).unwrap().missing;
    let asked: Vec<_> = asked.iter().map(|it| (&*it.topic.name, it.partitions)).collect();
    assert_eq!(asked, [("counts", 3), ("split", 3)]);
    it.topics.put("split", 3);
    it.topics.put("counts", 4);
    it.say(&beat("a1", 3));
    it.topics.delete("counts");
    it.topics.put("counts", 3);
    it.say(&beat("a1", 4));
    it.check(&expect![[r#"
        a1@0: 2 [] MissingSourceTopics: Source topics in are missing. (NotReady)
        a1@2: 3 MissingInternalTopics: Internal topics are missing: counts, split (NotReady)
        a1@3: 4 IncorrectlyPartitionedTopics: Existing topic counts has different number of partitions: expected 3, found 4 (NotReady)
        a1@4: 5 [0_0 0_1 0_2 1_0 1_1 1_2] (Stable)
    "#]]);
}

#[test]
fn standbys_are_kept_by_another_process_and_take_over() {
    let topology = word_count();
    let mut it = Script::new(Config { standby_replicas: 1, ..config() });
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.say(&owning("a1", 2, &["0_0", "1_0"])).say(&beat("b1", 3)).say(&beat("a1", 3));
    it.say(&beat("a1", -1)).say(&beat("b1", 3)).say(&owning("b1", 3, &["0_1", "1_1"]));
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        b1@0: 3 [ + 1_0] (Reconciling)
        a1@2: 3 [0_0 1_0 + 1_1] (Reconciling)
        b1@3: 3 [0_1 1_1 + 1_0] (Stable)
        a1@3: 3 (Stable)
        a1@-1: -1 (Assigning)
        b1@3: 3 [0_1 1_1] (Reconciling)
        b1@3: 4 [0_0 0_1 1_0 1_1] (Stable)
    "#]]);
}

#[test]
fn a_member_is_fenced_by_its_epoch_its_silence_and_its_slowness() {
    let topology = word_count();
    let mut it = Script::new(config());
    it.say(&joining("a1", &topology)).say(&beat("a1", 7)).say(&beat("x1", 2));
    it.say(&joining("b1", &topology)).say(&beat("a1", 2));
    it.pass(Duration::from_secs(30)).say(&beat("a1", 2)).say(&beat("b1", 3));
    it.pass(Duration::from_secs(31)).say(&beat("a1", 2)).say(&beat("b1", 3));
    it.pass(Duration::from_secs(46)).say(&beat("b1", 4));
    assert!(it.group.is_empty());
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        a1@7: FENCED_MEMBER_EPOCH Member epoch 7 is not 2: give up all tasks and join again. (Stable)
        x1@2: UNKNOWN_MEMBER_ID The group has no such member. (Stable)
        b1@0: 3 [] (Reconciling)
        a1@2: 2 [0_0 1_0] (Reconciling)
        a1@2: 2 (Reconciling)
        b1@3: 3 (Reconciling)
        a1@2: UNKNOWN_MEMBER_ID The group has no such member. (Assigning)
        b1@3: 4 [0_0 0_1 1_0 1_1] (Stable)
        b1@4: UNKNOWN_MEMBER_ID The group has no such member. (Empty)
    "#]]);
}

#[test]
fn a_lost_answer_is_told_again_to_who_says_everything() {
    let topology = word_count();
    let mut it = Script::new(config());
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.say(&owning("a1", 2, &["0_0", "1_0"]));
    let all = Heartbeat { rebalance_timeout: Some(Duration::from_mins(1)), ..owning("a1", 2, &[]) };
    it.say(&owning("a1", 2, &["0_1"])).say(&all);
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        b1@0: 3 [] (Reconciling)
        a1@2: 3 [0_0 1_0] (Reconciling)
        a1@2: FENCED_MEMBER_EPOCH Member epoch 2 is not 3: give up all tasks and join again. (Reconciling)
        a1@2: 3 [0_0 1_0] (Reconciling)
    "#]]);
}

#[test]
fn another_topology_is_refused_and_an_older_one_told_to_be_stale() {
    let newer = Arc::new(Topology { epoch: 2, ..Topology::clone(&word_count()) });
    let mut it = Script::new(config());
    it.say(&joining("a1", &newer));
    it.say(&joining("b1", &Arc::new(Topology { epoch: 1, ..Default::default() })));
    it.say(&joining("c1", &Arc::new(Topology { epoch: 2, ..Default::default() })));
    it.say(&joining("d1", &Arc::new(Topology { epoch: 3, ..Topology::clone(&newer) })));
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        b1@0: 3 [] StaleTopology: The member's topology epoch 1 is behind the group's topology epoch 2. (Reconciling)
        c1@0: INVALID_REQUEST Topology updates are not supported yet. (Reconciling)
        d1@0: INVALID_REQUEST Topology updates are not supported yet. (Reconciling)
    "#]]);
    assert_eq!(it.group.members.len(), 2, "who was refused is not in");
}

#[test]
fn a_shutdown_is_told_to_all_until_the_group_is_empty() {
    let topology = word_count();
    let mut it = Script::new(config());
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.say(&Heartbeat { shuts_down: true, ..beat("a1", -1) });
    it.say(&beat("b1", 3)).say(&beat("b1", -1)).say(&joining("c1", &topology));
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        b1@0: 3 [] (Reconciling)
        a1@-1: -1 (Assigning)
        b1@3: 4 [0_0 0_1 1_0 1_1] ShutdownApplication: Streams group member a1 encountered a fatal error and requested a shutdown for the entire application. (Stable)
        b1@-1: -1 (Empty)
        c1@0: 6 [0_0 0_1 1_0 1_1] (Stable)
    "#]]);
}

#[test]
fn the_first_members_wait_for_each_other_if_so_configured() {
    let topology = word_count();
    let delay = Duration::from_secs(3);
    let mut it = Script::new(Config { initial_rebalance_delay: delay, ..config() });
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.pass(delay).say(&beat("a1", 0)).say(&beat("b1", 0));
    it.check(&expect![[r#"
        a1@0: 0 [] AssignmentDelayed: Assignment delayed due to the configured initial rebalance delay. (Assigning)
        b1@0: 0 [] AssignmentDelayed: Assignment delayed due to the configured initial rebalance delay. (Assigning)
        a1@0: 3 [0_0 1_0] (Reconciling)
        b1@0: 3 [0_1 1_1] (Stable)
    "#]]);
}

#[test]
fn tasks_that_the_topology_does_not_make_are_refused() {
    let mut it = Script::new(config());
    it.say(&joining("a1", &word_count()));
    it.say(&owning("a1", 2, &["7_0"])).say(&owning("a1", 2, &["1_2"]));
    it.check(&expect![[r#"
        a1@0: 2 [0_0 0_1 1_0 1_1] (Stable)
        a1@2: INVALID_REQUEST Subtopology 7 does not exist in the topology. (Stable)
        a1@2: INVALID_REQUEST Task 2 for subtopology 1 is invalid. Number of tasks for this subtopology: 2 (Stable)
    "#]]);
}

#[test]
fn endpoints_tell_which_partitions_a_process_holds() {
    let mut it = Script::new(config());
    let joins = Heartbeat { endpoint: Some(("h".into(), 80)), ..joining("a1", &word_count()) };
    it.say(&joins);
    let now = it.now();
    let told = it.group.heartbeat(&beat("a1", 2), &it.topics, now).unwrap();
    let endpoint = &told.endpoints.unwrap()[0];
    assert_eq!((&*endpoint.host, endpoint.port), ("h", 80));
    assert_eq!(format!("{:?}", endpoint.active), r#"{"in": [0, 1], "split": [0, 1]}"#);
    let knows = Heartbeat { endpoint_epoch: told.endpoint_epoch, ..beat("a1", 2) };
    assert_eq!(it.group.heartbeat(&knows, &it.topics, now).unwrap().endpoints, None);
}

#[test]
fn commits_are_for_members_and_late_ones_for_what_they_held_then() {
    let topology = word_count();
    let mut it = Script::new(config());
    it.say(&joining("a1", &topology)).say(&joining("b1", &topology));
    it.say(&owning("a1", 2, &["0_0", "1_0"])).say(&beat("b1", 3));
    let caller = |member_id, generation| Caller { member_id, instance_id: None, generation };
    let may = |id, epoch| it.group.may_commit(caller(id, epoch), true);
    assert_eq!(may("a1", 3), Ok(Right::All));
    assert_eq!(may("a1", 4), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(may("x1", 3), Err(ErrorCode::UnknownMemberId));
    assert_eq!(may("", -1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(it.group.may_commit(caller("a1", 3), false), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(it.group.may_commit_in_transaction(caller("", -1)), Ok(Right::All));
    let late = may("a1", 2).unwrap();
    let place = |topic, partition| it.group.may_commit_place("a1", late, (topic, partition));
    assert_eq!(place("in", 0), Ok(()), "held since epoch 2");
    assert_eq!(place("in", 1), Err(ErrorCode::StaleMemberEpoch), "another's by now");
    assert_eq!(place("else", 0), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(it.group.may_fetch(Some("a1"), 2), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(it.group.may_fetch(Some("a1"), 3), Ok(()));
    assert_eq!(it.group.may_fetch(None, -1), Ok(()));
    assert!(it.group.is_subscribed("in") && it.group.is_subscribed("split"));
    assert!(!it.group.is_subscribed("counts"));
}

/// What `configure` makes of a topology over topics with these partition counts.
#[track_caller]
fn configured(topology: &Topology, topics: &[(&str, i32)], expected: &Expect) {
    let mut map = Map::default();
    for (name, count) in topics {
        map.put(name, *count);
    }
    let text = topology.check().and_then(|()| configure::configure(topology, &map));
    let text = match text {
        Ok(it) => {
            let missing =
                it.missing.iter().map(|it| format!("{}={}", it.topic.name, it.partitions));
            let missing: Vec<_> = missing.collect();
            let mut text = format!("tasks {:?} missing {missing:?}\n", it.tasks);
            if let Some((status, detail)) = it.problem {
                writeln!(text, "{status:?}: {detail}").unwrap();
            }
            text
        }
        Err(it) => format!("{}: {}\n", it.code.name(), it.message),
    };
    expected.assert_eq(&text);
}

fn joined(left: InternalTopic, right: &str) -> Topology {
    let feeds = Subtopology {
        sources: vec!["l".into()],
        repartition_sinks: vec![Arc::clone(&left.name)],
        ..Default::default()
    };
    let joins = Subtopology {
        sources: vec![right.into()],
        repartition_sources: vec![left],
        copartitions: vec![Copartition { sources: vec![0], repartition_sources: vec![0] }],
        ..Default::default()
    };
    Topology { epoch: 0, subtopologies: [("0".into(), feeds), ("1".into(), joins)].into() }
}

#[test]
fn copartitioned_topics_have_the_same_number_of_partitions() {
    let topics = [("l", 2), ("r", 5)];
    configured(
        &joined(internal("p"), "r"),
        &topics,
        &expect![[r#"
            tasks {"0": 2, "1": 5} missing ["p=5"]
            MissingInternalTopics: Internal topics are missing: p
        "#]],
    );
    let fixed = InternalTopic { partitions: 3, ..internal("p") };
    configured(
        &joined(fixed, "r"),
        &topics,
        &expect![[r#"
            tasks {} missing []
            IncorrectlyPartitionedTopics: Number of partitions [3] of repartition topic [p] doesn't match number of partitions [5] of the source topic.
        "#]],
    );
    let both = Subtopology {
        sources: vec!["l".into(), "r".into()],
        copartitions: vec![Copartition { sources: vec![0, 1], ..Default::default() }],
        ..Default::default()
    };
    configured(
        &Topology { epoch: 0, subtopologies: [("0".into(), both)].into() },
        &topics,
        &expect![[r#"
            tasks {} missing []
            IncorrectlyPartitionedTopics: Following topics do not have the same number of partitions: [{l=2, r=5}]
        "#]],
    );
}

#[test]
fn a_topology_that_no_topics_can_fit_is_refused() {
    let only = |it: Subtopology| Topology { epoch: 0, subtopologies: [("0".into(), it)].into() };
    let circle = Subtopology {
        repartition_sinks: vec!["p".into()],
        repartition_sources: vec![internal("p")],
        ..Default::default()
    };
    configured(
        &only(circle),
        &[],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY: Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved.
        "#]],
    );
    let unfed = Subtopology { repartition_sources: vec![internal("p")], ..Default::default() };
    configured(
        &only(unfed),
        &[],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY: Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic.
        "#]],
    );
    configured(
        &only(Subtopology::default()),
        &[],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY: No source topics found for subtopology 0
        "#]],
    );
    let nowhere = Subtopology {
        sources: vec!["l".into()],
        copartitions: vec![Copartition { sources: vec![1], ..Default::default() }],
        ..Default::default()
    };
    configured(
        &only(nowhere),
        &[("l", 1)],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY: A copartition group of subtopology 0 points nowhere.
        "#]],
    );
    let counted = InternalTopic { partitions: 3, ..internal("c") };
    let counted =
        Subtopology { sources: vec!["l".into()], changelogs: vec![counted], ..Default::default() };
    configured(
        &only(counted),
        &[("l", 1)],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY: Changelog topic c must have an undefined partition count, but it is set to 3.
        "#]],
    );
    let negative = Topology { epoch: -1, ..only(Subtopology::default()) };
    configured(
        &negative,
        &[],
        &expect![[r#"
            STREAMS_INVALID_TOPOLOGY_EPOCH: The epoch of a topology is at least 0.
        "#]],
    );
}

#[test]
fn facts_become_records_and_come_back() {
    let topology = Topology::clone(&joined(
        InternalTopic {
            partitions: 3,
            replication_factor: 1,
            configs: vec![("cleanup.policy".into(), "delete".into())],
            ..internal("p")
        },
        "r",
    ));
    let member = Member {
        rack_id: Some("rack".into()),
        client_id: "client".into(),
        client_host: "/h".into(),
        rebalance_timeout: Duration::from_secs(9),
        topology_epoch: 4,
        process_id: "process".into(),
        endpoint: Some(("host".into(), 65_535)),
        tags: [("zone".into(), "a".into())].into(),
    };
    let held = |epoch| Held {
        active: [(task("0_0"), epoch), (task("0_1"), epoch + 1), (task("1_0"), epoch)].into(),
        standby: [task("1_1")].into(),
    };
    let current = Current {
        epoch: 7,
        previous_epoch: 6,
        state: MemberState::Unrevoked,
        assigned: held(5),
        revoking: Held { active: [(task("2_0"), 3)].into(), standby: BTreeSet::new() },
    };
    let epoch = Epoch {
        number: 3,
        metadata_hash: -1,
        validated_topology_epoch: 0,
        standby_replicas: Some(1),
    };
    let target = TargetEpoch { number: 3, at: Timestamp::from_millis(5) };
    let facts = [
        Fact::Epoch(Some(epoch)),
        Fact::Epoch(None),
        Fact::Topology(Some(Arc::new(topology))),
        Fact::Topology(None),
        Fact::Member("m".into(), Some(Box::new(member))),
        Fact::Member("m".into(), None),
        Fact::TargetEpoch(Some(target)),
        Fact::TargetEpoch(None),
        Fact::Target("m".into(), Some(tasks(&["0_0", "1_1"], &["1_0"]))),
        Fact::Target("m".into(), None),
        Fact::Current("m".into(), Some(current)),
        Fact::Current("m".into(), None),
    ];
    for fact in facts {
        let pair = crate::record::of_streams_fact("g", &fact).unwrap();
        let entry = crate::record::read(Some(&pair.key), pair.value.as_deref()).unwrap();
        assert_eq!(entry, crate::record::Entry::StreamsFact { group: "g".into(), fact });
    }
}
