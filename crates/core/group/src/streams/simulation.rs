//! A streams group under random members, a random clock, topics that grow and go, a log that
//! refuses, and crashes of the coordinator, all from one seed.
//!
//! What must hold whatever happens: no task is active at two living members at the same time, no
//! process holds a task twice, epochs only grow, facts alone make the same group again; and once
//! the faults stop every task is active somewhere, every task with state has its standbys, and the
//! shares are even.

use super::tests::{TOPICS, beat, config, joining, word_count};
use super::*;
use crate::Now;
use crate::consumer::tests::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Instant, Timestamp};
use systole_wire::ErrorCode;
use systole_world::Random as _;
use systole_world::sim::SeededRandom;

const SEEDS: u64 = 200;
const STEPS: u64 = 200;
const MEMBERS: usize = 6;
/// Letters that begin the ids of members: two members each.
const PROCESSES: [&str; 3] = ["a", "b", "c"];
/// As in `joining`.
const REBALANCE: Duration = Duration::from_mins(1);
/// Of virtual time: a session, a revocation, and some.
const CALM: Duration = Duration::from_mins(3);

#[derive(Debug)]
struct Client {
    id: Arc<str>,
    /// `None`: not in the group.
    epoch: Option<i32>,
    /// What it runs.
    owned: Tasks,
    /// Its last sign of life, as it knows of it: a client whose session is over stops its tasks.
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
    config: Config,
    log: Vec<Fact>,
    topics: Map,
    clients: Vec<Client>,
    ids: u64,
    faults: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let standby_replicas = usize::try_from(random.next_u64() % 3).unwrap();
        let config = Config { standby_replicas, ..config() };
        let mut topics = Map::default();
        for it in TOPICS {
            topics.put(it, 3);
        }
        let client = |n: usize| Client {
            id: format!("{}{n}", PROCESSES[n % 3]).into(),
            epoch: None,
            owned: Tasks::default(),
            heard_at: Duration::ZERO,
            missed: false,
            told_at: None,
        };
        Self {
            random,
            at: Duration::ZERO,
            group: Group::new(config.clone()),
            config,
            log: Vec::new(),
            topics,
            clients: (0..MEMBERS).map(client).collect(),
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
            0..=18 => self.report(n),
            19 => self.stop(n),
            20 => self.leave(n),
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
        if !self.may_run(&self.clients[n]) {
            self.stop(n);
        }
        let client = &self.clients[n];
        let heartbeat = match client.epoch {
            None => joining(&client.id, &word_count()),
            Some(epoch) if client.missed => Heartbeat {
                rebalance_timeout: Some(REBALANCE),
                owned: Some(client.owned.clone()),
                ..beat(&client.id, epoch)
            },
            Some(epoch) => {
                let tells = client.told_at.is_some() || self.below(4) > 0;
                let owned = tells.then(|| client.owned.clone());
                Heartbeat { owned, ..beat(&client.id, epoch) }
            }
        };
        self.send(n, &heartbeat);
    }

    fn send(&mut self, n: usize, heartbeat: &Heartbeat) {
        let (now, before) = (self.now(), self.group.epoch());
        let answer = self.group.heartbeat(heartbeat, &self.topics, now);
        let is_lost = !self.append() || (self.faults && self.below(10) == 0);
        assert!(is_lost || self.group.epoch() >= before, "the epoch of the group only grows");
        let client = &mut self.clients[n];
        client.missed = is_lost;
        if is_lost {
            return;
        }
        match answer {
            Ok(it) => {
                assert!(client.epoch.is_none_or(|old| it.epoch >= old), "epochs only grow");
                client.epoch = Some(it.epoch);
                client.heard_at = self.at;
                if heartbeat.owned.is_some() {
                    client.told_at = None;
                }
                if let Some(tasks) = it.tasks {
                    let keeps = client.owned.active.is_subset(&tasks.active)
                        && client.owned.standby.is_subset(&tasks.standby);
                    if !keeps {
                        client.told_at = Some(self.at);
                    }
                    client.owned = tasks;
                }
            }
            Err(it) => match it.code {
                // Tasks of before the topics shrank: the client begins anew.
                ErrorCode::UnknownMemberId
                | ErrorCode::FencedMemberEpoch
                | ErrorCode::InvalidRequest => self.stop(n),
                ErrorCode::GroupMaxSizeReached => {}
                other => panic!("no member gets {} here", other.name()),
            },
        }
    }

    /// Forgets everything, as a new process would; it takes a new id.
    fn stop(&mut self, n: usize) {
        self.ids += 1;
        let client = &mut self.clients[n];
        client.id = format!("{}{n}-{}", PROCESSES[n % 3], self.ids).into();
        client.owned = Tasks::default();
        client.epoch = None;
        client.heard_at = self.at;
        client.told_at = None;
    }

    fn leave(&mut self, n: usize) {
        let id = Arc::clone(&self.clients[n].id);
        if self.clients[n].epoch.is_none() {
            return;
        }
        self.stop(n); // whatever the answer, it runs nothing any more
        let now = self.now();
        let _ = self.group.heartbeat(&beat(&id, -1), &self.topics, now);
        self.append();
    }

    fn change_topics(&mut self) {
        match self.below(4) {
            0 => self.topics.delete(TOPICS[usize::try_from(self.below(3)).unwrap()]),
            1 => {
                let count = i32::try_from(self.below(5)).unwrap() + 1;
                for it in TOPICS {
                    self.topics.put(it, count);
                }
            }
            _ => {
                for it in TOPICS {
                    self.topics.put(it, 4);
                }
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
        let seen = |it: &Group| {
            let it = it.described();
            format!("{} {} {} {:?}", it.state, it.epoch, it.target_epoch, it.members)
        };
        let before = seen(&self.group);
        self.group = Group::new(self.config.clone());
        for fact in self.log.iter().cloned() {
            self.group.replay(fact);
        }
        self.group.resume(self.now());
        assert_eq!(seen(&self.group), before);
    }

    fn pass(&mut self, by: Duration) {
        let end = self.at + by;
        while let Some(due) = self.group.next_deadline().filter(|it| it.since_start() <= end) {
            self.at = self.at.max(due.since_start());
            let now = self.now();
            self.group.advance(now);
            if !self.append() {
                self.group.resume(now);
            }
        }
        self.at = end;
    }

    /// A client stops when it was not answered for a session, or could not confirm in time what it
    /// gave up: its rebalance time began at most a session before it was told.
    fn may_run(&self, it: &Client) -> bool {
        let session = self.config.session_timeout;
        let confirming = it.told_at.is_none_or(|told| self.at + session < told + REBALANCE);
        self.at < it.heard_at + session && confirming
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Client)> {
        self.clients.iter().enumerate().filter(|(_, it)| self.may_run(it))
    }

    /// Nobody runs what another runs, and no process has a task twice.
    fn check_owners(&self) {
        let mut active: BTreeMap<&Task, &Client> = BTreeMap::new();
        let mut held: BTreeSet<(usize, &Task)> = BTreeSet::new();
        for (n, client) in self.running() {
            for task in &client.owned.active {
                let other = active.insert(task, client);
                assert!(other.is_none(), "{client:?} and {other:?} run {task:?}");
            }
            for task in client.owned.active.iter().chain(&client.owned.standby) {
                assert!(held.insert((n % 3, task)), "{task:?} twice in the process of {client:?}");
            }
        }
    }

    fn settle(&mut self) {
        self.faults = false;
        for it in TOPICS {
            self.topics.delete(it);
        }
        for it in TOPICS {
            self.topics.put(it, 5);
        }
        let end = self.at + CALM;
        while self.at < end {
            for n in 0..MEMBERS {
                if self.clients[n].epoch.is_some() {
                    self.report(n);
                    self.check_owners();
                }
            }
            self.pass(Duration::from_millis(500));
        }
    }

    fn check_settled(&self) {
        let living: Vec<_> =
            self.clients.iter().enumerate().filter(|(_, it)| it.epoch.is_some()).collect();
        assert_eq!(self.group.members.len(), living.len(), "the dead are out");
        if living.is_empty() {
            return;
        }
        assert_eq!(self.group.state_name(), "Stable");
        let active: usize = living.iter().map(|(_, it)| it.owned.active.len()).sum();
        assert_eq!(active, 10, "every task is active");
        let shares = living.iter().map(|(_, it)| it.owned.active.len());
        let (least, most) = (shares.clone().min().unwrap(), shares.max().unwrap());
        assert!(most - least <= 1, "{least} to {most} active tasks");
        let processes: BTreeSet<_> = living.iter().map(|(n, _)| n % 3).collect();
        let copies = self.config.standby_replicas.min(processes.len() - 1);
        let standby: usize = living.iter().map(|(_, it)| it.owned.standby.len()).sum();
        assert_eq!(standby, 5 * copies, "every task with state has its standbys");
    }
}

#[test]
fn whatever_happens_no_task_is_active_twice_and_all_settles() {
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
