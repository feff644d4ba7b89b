//! A group under random members, a random clock, topics that grow and go, a log that refuses, and
//! crashes of the coordinator, all from one seed.
//!
//! What must hold whatever happens: two living members never read one partition at the same time,
//! facts alone make the same group again, and once the faults stop every partition has one reader
//! and the shares are even.

use super::tests::{Map, beat, config, joining};
use super::*;
use crate::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Timestamp, Uuid};
use systole_wire::ErrorCode;
use systole_world::Random as _;
use systole_world::sim::SeededRandom;

const SEEDS: u64 = 300;
const STEPS: u64 = 300;
const MEMBERS: usize = 6;
/// As in `joining`.
const REBALANCE: Duration = Duration::from_mins(1);
/// Of virtual time: a session, a revocation, and some.
const CALM: Duration = Duration::from_mins(3);

#[derive(Debug)]
struct Member {
    id: Arc<str>,
    instance_id: Option<Arc<str>>,
    /// `None`: not in the group.
    epoch: Option<i32>,
    /// What it reads.
    owned: Partitions,
    /// Its last sign of life, as it knows of it: a client whose session is over stops to read.
    heard_at: Duration,
    /// An answer did not come: the next heartbeat says everything, to hear everything.
    missed: bool,
    /// When it was told to give something up and has not confirmed it yet.
    told_at: Option<Duration>,
}

struct World {
    random: SeededRandom,
    at: Duration,
    group: Group,
    log: Vec<Fact>,
    topics: Map,
    members: Vec<Member>,
    ids: u64,
    faults: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut topics = Map::default();
        topics.put("a", 3);
        topics.put("b", 2);
        let member = |n: usize| Member {
            id: format!("m{n}").into(),
            instance_id: n.is_multiple_of(3).then(|| format!("instance{n}").into()),
            epoch: None,
            owned: Partitions::new(),
            heard_at: Duration::ZERO,
            missed: false,
            told_at: None,
        };
        Self {
            random: SeededRandom::new(seed),
            at: Duration::ZERO,
            group: Group::new(config()),
            log: Vec::new(),
            topics,
            members: (0..MEMBERS).map(member).collect(),
            ids: 0,
            faults: true,
        }
    }
    fn now(&self) -> Now {
        let calendar = Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap());
        Now { instant: Instant::from_start(self.at), calendar }
    }
    fn below(&self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    fn step(&mut self) {
        let n = usize::try_from(self.below(MEMBERS as u64)).unwrap();
        match self.below(30) {
            0..=17 => self.report(n),
            18 => self.stop(n),
            19 => self.leave(n, -1),
            20 if self.members[n].instance_id.is_some() => self.leave(n, -2),
            21 => self.change_topics(),
            22 if self.below(4) == 0 => self.crash(),
            _ => {
                let millis = self.below(20_000);
                self.pass(Duration::from_millis(millis));
            }
        }
        self.check_owners();
    }

    /// What a client does next: join, or tell what it has and do as it is told.
    fn report(&mut self, n: usize) {
        if !self.may_read(&self.members[n]) {
            self.stop(n);
        }
        let member = &self.members[n];
        let instance_id = member.instance_id.clone();
        let heartbeat = match member.epoch {
            None if !self.faults && self.below(2) == 0 => return,
            None => Heartbeat { instance_id, ..full(member, n) },
            Some(epoch) if member.missed => {
                let owned = Some(member.owned.clone());
                Heartbeat { epoch, instance_id, owned, ..full(member, n) }
            }
            Some(epoch) => {
                let owned =
                    (member.told_at.is_some() || self.below(4) > 0).then(|| member.owned.clone());
                Heartbeat { instance_id, owned, ..beat(&member.id, epoch) }
            }
        };
        self.send(n, &heartbeat);
    }

    fn send(&mut self, n: usize, heartbeat: &Heartbeat) {
        let now = self.now();
        let answer = self.group.heartbeat(heartbeat, &self.topics, now);
        let is_lost = !self.append() || (self.faults && self.below(10) == 0);
        let member = &mut self.members[n];
        member.missed = is_lost;
        if is_lost {
            return;
        }
        match answer {
            Ok(it) => {
                member.epoch = Some(it.epoch);
                member.heard_at = self.at;
                if heartbeat.owned.is_some() {
                    member.told_at = None;
                }
                if let Some(assignment) = it.assignment {
                    let keeps = |(topic, those): (&Uuid, &BTreeSet<i32>)| {
                        assignment.get(topic).is_some_and(|it| it.is_superset(those))
                    };
                    if !member.owned.iter().all(keeps) {
                        member.told_at = Some(self.at);
                    }
                    member.owned = assignment;
                }
            }
            Err(it) => match it.code {
                ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch => self.stop(n),
                ErrorCode::UnreleasedInstanceId | ErrorCode::GroupMaxSizeReached => {}
                other => panic!("no member gets {} here", other.name()),
            },
        }
    }

    /// Forgets everything, as a new process would. A dynamic member takes a new id.
    fn stop(&mut self, n: usize) {
        self.ids += 1;
        let fresh = format!("m{n}-{}", self.ids).into();
        let member = &mut self.members[n];
        member.owned.clear();
        member.epoch = None;
        member.heard_at = self.at;
        member.told_at = None;
        if member.instance_id.is_none() {
            member.id = fresh;
        }
    }

    fn leave(&mut self, n: usize, epoch: i32) {
        let member = &self.members[n];
        if member.epoch.is_none() {
            return;
        }
        let instance_id = member.instance_id.clone();
        let heartbeat = Heartbeat { instance_id, ..beat(&member.id, epoch) };
        self.stop(n); // whatever the answer, it reads no more
        let now = self.now();
        let _ = self.group.heartbeat(&heartbeat, &self.topics, now);
        self.append();
    }

    fn change_topics(&mut self) {
        match self.below(4) {
            0 => self.topics.delete("b"),
            1 => self.topics.put("b", 2),
            _ => {
                let more = self.topics.topics["a"].partition_count + 1;
                self.topics.put("a", more.min(9));
            }
        }
    }

    /// False if the log refused.
    fn append(&mut self) -> bool {
        let facts = self.group.take_facts();
        let refuses = self.faults && !facts.is_empty() && self.below(20) == 0;
        if refuses {
            self.group.undo();
        } else {
            self.group.appended();
            self.log.extend(facts);
        }
        !refuses
    }

    fn crash(&mut self) {
        let before = format!("{:?}", self.group.described());
        self.group = Group::new(config());
        self.log.iter().cloned().for_each(|it| self.group.replay(it));
        self.group.resume(self.now());
        assert_eq!(format!("{:?}", self.group.described()), before);
    }

    fn pass(&mut self, by: Duration) {
        let end = self.at + by;
        while let Some(due) = self.group.next_deadline().filter(|it| it.since_start() <= end) {
            self.at = self.at.max(due.since_start());
            let now = self.now();
            self.group.advance(&self.topics, now);
            if !self.append() {
                self.group.resume(now);
            }
        }
        self.at = end;
    }

    /// A client stops to read when it was not answered for a session, or could not confirm in time
    /// what it gave up: its rebalance time began at most a session before it was told.
    fn may_read(&self, it: &Member) -> bool {
        let session = config().session_timeout;
        let confirming = it.told_at.is_none_or(|told| self.at + session < told + REBALANCE);
        self.at < it.heard_at + session && confirming
    }

    /// Nobody reads what another reads.
    fn check_owners(&self) {
        let mut owners: BTreeMap<(Uuid, i32), &Member> = BTreeMap::new();
        for member in self.members.iter().filter(|it| self.may_read(it)) {
            for (topic, those) in &member.owned {
                for partition in those {
                    let other = owners.insert((*topic, *partition), member);
                    assert!(other.is_none(), "{member:?} and {other:?} read {topic} {partition}");
                }
            }
        }
    }

    fn settle(&mut self) {
        self.faults = false;
        let end = self.at + CALM;
        while self.at < end {
            for n in 0..MEMBERS {
                if self.members[n].epoch.is_some() {
                    self.report(n);
                    self.check_owners();
                }
            }
            self.pass(Duration::from_millis(500));
        }
    }

    fn check_settled(&self) {
        let living: Vec<_> = self.members.iter().filter(|it| it.epoch.is_some()).collect();
        assert_eq!(self.group.subscriptions.len(), living.len(), "the dead are out");
        if living.is_empty() {
            return;
        }
        assert_eq!(self.group.state_name(), "Stable");
        let read: BTreeSet<_> = living
            .iter()
            .flat_map(|it| &it.owned)
            .flat_map(|(topic, those)| those.iter().map(move |it| (*topic, *it)))
            .collect();
        let wanted = self.group.subscribed_names();
        let wanted = wanted.into_iter().filter_map(|it| self.topics.topics.get(it));
        let count: i32 = wanted.map(|it| it.partition_count).sum();
        assert_eq!(read.len(), usize::try_from(count).unwrap(), "every partition has a reader");
    }
}

/// Everything that a member can say.
fn full(member: &Member, n: usize) -> Heartbeat {
    let topics: &[&str] = [&["a", "b"][..], &["a"], &["a", "b"]][n % 3];
    let assignor = (n == 1).then(|| "range".into());
    Heartbeat { assignor, ..joining(&member.id, topics) }
}

#[test]
fn whatever_happens_nobody_reads_what_another_reads_and_all_settles() {
    for seed in 0..SEEDS {
        let run = std::panic::catch_unwind(|| {
            let mut it = World::new(seed);
            for _ in 0..STEPS {
                it.step();
            }
            it.settle();
            it.check_settled();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
