//! A group under random clients, a random clock, a disk that answers late or fails, and crashes of
//! the coordinator, all from one seed.
//!
//! What must hold whatever happens: a request is answered exactly once, generations only grow, a
//! generation has one leader, what a member is assigned is of its generation, and once the faults
//! stop everyone who is alive ends up in one stable generation with a part of its own.

use super::tests::consumer_metadata;
use super::*;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::ErrorCode;
use systole_world::sim::SeededRandom;
use systole_world::{Instant, Random as _};

const SEEDS: u64 = 1_000;
const STEPS: u64 = 250;
const CLIENTS: usize = 7;
const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);
/// Of virtual time: two rounds of the longest wait (a new member's patience), and some.
const CALM_MAX: Duration = Duration::from_mins(15);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Doing {
    Away,
    /// Ready to send the next JoinGroup.
    Outside,
    Waiting(Token),
    /// Has joined; the SyncGroup comes next, with everyone's parts if it leads.
    Joined {
        parts: Vec<Arc<str>>,
    },
    Reading {
        part: String,
    },
}

#[derive(Debug)]
struct Client {
    doing: Doing,
    member_id: Arc<str>,
    instance_id: Option<Arc<str>>,
    generation: i32,
}

struct World {
    random: SeededRandom,
    at: Duration,
    group: Group,
    limits: Limits,
    clients: Vec<Client>,
    open: BTreeMap<Token, usize>,
    tokens: u64,
    ids: u64,
    unsaved: Vec<(Snapshot, Saved)>,
    durable: Option<Snapshot>,
    /// Of the present life of the coordinator.
    leaders: HashMap<i32, Arc<str>>,
    generation_seen: i32,
    faults: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let initial_delay = Duration::from_secs(random.next_u64() % 2 * 3);
        let limits = Limits { initial_delay, members_max: CLIENTS + 4 };
        let client = |n: usize| Client {
            doing: Doing::Away,
            member_id: Arc::default(),
            instance_id: (n.is_multiple_of(3)).then(|| format!("instance{n}").into()),
            generation: -1,
        };
        Self {
            random,
            at: Duration::ZERO,
            group: Group::new(limits),
            limits,
            clients: (0..CLIENTS).map(client).collect(),
            open: BTreeMap::new(),
            tokens: 0,
            ids: 0,
            unsaved: Vec::new(),
            durable: None,
            leaders: HashMap::new(),
            generation_seen: 0,
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
    fn token_for(&mut self, client: usize) -> Token {
        self.tokens += 1;
        self.open.insert(Token(self.tokens), client);
        Token(self.tokens)
    }

    fn step(&mut self) {
        let client = usize::try_from(self.below(CLIENTS as u64)).unwrap();
        match self.below(24) {
            0..=13 => self.act(client),
            14 => self.clients[client].doing = Doing::Away, // dies without a word
            15 => self.leave(client),
            16 => self.restart(client),
            17 => self.join(client), // asks again, whatever it was doing
            18..=19 => self.disk(),
            20 if self.below(8) == 0 => self.crash(),
            _ => {
                let millis = self.below(6_000);
                self.pass(Duration::from_millis(millis));
            }
        }
        self.listen();
    }

    /// What a well-behaved client does next.
    fn act(&mut self, n: usize) {
        match self.clients[n].doing.clone() {
            Doing::Away if self.faults => self.clients[n].doing = Doing::Outside,
            Doing::Away | Doing::Waiting(_) => {}
            Doing::Outside => self.join(n),
            Doing::Joined { parts } => self.sync(n, &parts),
            Doing::Reading { .. } => self.heartbeat(n),
        }
    }

    fn join(&mut self, n: usize) {
        let token = self.token_for(n);
        self.ids += 1;
        let protocol =
            |name: &str| Protocol { name: name.into(), metadata: consumer_metadata(&["t"]) };
        let join = Join {
            member_id: Arc::clone(&self.clients[n].member_id),
            fresh_id: format!("m{}", self.ids).into(),
            instance_id: self.clients[n].instance_id.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            protocol_type: "consumer".into(),
            protocols: if n.is_multiple_of(2) {
                vec![protocol("range"), protocol("sticky")]
            } else {
                vec![protocol("sticky"), protocol("range")]
            },
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            returns_with_id: n % 5 != 1,
            may_skip_assignment: true,
        };
        self.clients[n].doing = Doing::Waiting(token);
        self.group.join(token, join, self.now());
    }

    fn sync(&mut self, n: usize, parts: &[Arc<str>]) {
        let token = self.token_for(n);
        let client = &self.clients[n];
        let generation = client.generation;
        let part = |(i, id): (usize, &Arc<str>)| {
            (Arc::clone(id), Bytes::from(format!("{generation}/{i}")))
        };
        let sync = Sync {
            caller: Caller {
                member_id: &client.member_id,
                instance_id: client.instance_id.as_deref(),
                generation,
            },
            protocol_type: Some("consumer"),
            protocol: None,
            assignments: parts.iter().enumerate().map(part).collect(),
        };
        let now = self.now();
        self.group.sync(token, &sync, now);
        self.clients[n].doing = Doing::Waiting(token);
    }

    fn heartbeat(&mut self, n: usize) {
        let now = self.now();
        let client = &self.clients[n];
        let caller = Caller {
            member_id: &client.member_id,
            instance_id: client.instance_id.as_deref(),
            generation: client.generation,
        };
        let commit = self.group.may_commit(caller, now);
        match self.group.heartbeat(caller, now) {
            Ok(()) => assert!(matches!(commit, Ok(()) | Err(ErrorCode::RebalanceInProgress))),
            Err(code) => self.refused(n, code),
        }
    }

    fn leave(&mut self, n: usize) {
        let client = &self.clients[n];
        let leaver =
            Leaver { member_id: &client.member_id, instance_id: client.instance_id.as_deref() };
        let now = self.now();
        self.group.leave(&[leaver], now);
        self.clients[n].doing = Doing::Away;
        self.clients[n].member_id = Arc::default();
    }

    /// A new process in the place of the old: it has forgotten its member id.
    fn restart(&mut self, n: usize) {
        self.clients[n].doing = Doing::Outside;
        self.clients[n].member_id = Arc::default();
    }

    fn disk(&mut self) {
        if self.unsaved.is_empty() {
            return;
        }
        let (snapshot, saved) = self.unsaved.remove(0); // the log reports in order
        let fails = self.faults && self.below(10) == 0;
        if !fails {
            self.durable = Some(snapshot);
        }
        let stored = if fails { Err(ErrorCode::KafkaStorageError) } else { Ok(()) };
        let now = self.now();
        self.group.saved(saved, stored, now);
    }

    /// `kill -9` of the coordinator: what was not durable is gone, and so are all connections.
    fn crash(&mut self) {
        self.unsaved.clear();
        self.group.take_effects();
        self.at += Duration::from_secs(self.below(100));
        let now = self.now();
        self.group = match &self.durable {
            Some(it) => Group::restored(self.limits, it.clone(), now),
            None => Group::new(self.limits),
        };
        self.generation_seen = self.durable.as_ref().map_or(0, |it| it.generation);
        self.leaders.clear();
        for n in std::mem::take(&mut self.open).into_values() {
            if matches!(self.clients[n].doing, Doing::Waiting(_)) {
                self.clients[n].doing = Doing::Outside;
            }
        }
    }

    fn pass(&mut self, by: Duration) {
        let end = self.at + by;
        while let Some(due) = self.group.next_deadline().filter(|it| it.since_start() <= end) {
            self.at = self.at.max(due.since_start());
            let now = self.now();
            self.group.advance(now);
            assert!(
                self.group.next_deadline().is_none_or(|it| it > now.instant),
                "a deadline that does not move would spin the timer"
            );
            self.listen();
        }
        self.at = end;
    }

    fn listen(&mut self) {
        for effect in self.group.take_effects() {
            match effect {
                Effect::Save(snapshot, saved) => self.unsaved.push((snapshot, saved)),
                Effect::Join(token, answer) => self.joined(token, answer),
                Effect::Sync(token, answer) => self.synced(token, answer),
            }
        }
    }

    /// The client that waits for exactly this answer. One that asked again or died does not.
    fn client_of(&mut self, token: Token) -> Option<usize> {
        let n = self.open.remove(&token).expect("answered twice, or never asked");
        (self.clients[n].doing == Doing::Waiting(token)).then_some(n)
    }

    fn joined(&mut self, token: Token, answer: JoinAnswer) {
        let listener = self.client_of(token);
        match answer {
            Ok(it) => {
                assert!(it.generation >= self.generation_seen, "a generation came back");
                self.generation_seen = it.generation;
                assert!(it.protocol.is_some());
                let leads = it.leader == it.member_id;
                assert_eq!(leads, !it.members.is_empty(), "the leader and only it sees everyone");
                if !it.skip_assignment {
                    self.leaders.entry(it.generation).or_insert_with(|| Arc::clone(&it.leader));
                }
                let Some(n) = listener else { return };
                let client = &mut self.clients[n];
                client.generation = it.generation;
                client.member_id = it.member_id;
                let parts = it.members.into_iter().map(|it| it.id).collect();
                let parts = if it.skip_assignment { Vec::new() } else { parts };
                client.doing = Doing::Joined { parts };
            }
            Err(it) => {
                let Some(n) = listener else { return };
                if it.code == ErrorCode::MemberIdRequired {
                    self.clients[n].member_id = it.member_id;
                    self.clients[n].doing = Doing::Outside;
                } else {
                    self.refused(n, it.code);
                }
            }
        }
    }

    fn synced(&mut self, token: Token, answer: SyncAnswer) {
        let Some(n) = self.client_of(token) else { return };
        match answer {
            Ok(it) => {
                let part = String::from_utf8(it.assignment.to_vec()).unwrap();
                let generation = part.split('/').next().unwrap_or_default();
                assert!(
                    part.is_empty() || generation == self.clients[n].generation.to_string(),
                    "a part of another generation"
                );
                self.clients[n].doing = Doing::Reading { part };
            }
            Err(code) => self.refused(n, code),
        }
    }

    fn refused(&mut self, n: usize, code: ErrorCode) {
        let client = &mut self.clients[n];
        client.doing = Doing::Outside;
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::GroupMaxSizeReached => {
                client.member_id = Arc::default();
            }
            // Another incarnation has the place: this one is over.
            ErrorCode::FencedInstanceId => {
                client.member_id = Arc::default();
                client.doing = Doing::Away;
            }
            ErrorCode::IllegalGeneration
            | ErrorCode::RebalanceInProgress
            | ErrorCode::KafkaStorageError => {}
            other => panic!("no client gets {} here", other.name()),
        }
    }

    /// No more faults: time passes, the disk answers, the living act. Until nothing moves.
    fn settle(&mut self) {
        self.faults = false;
        let deadline = self.at + CALM_MAX;
        while self.at < deadline {
            for n in 0..CLIENTS {
                self.act(n);
                self.listen();
                while !self.unsaved.is_empty() {
                    self.disk();
                    self.listen();
                }
            }
            self.pass(Duration::from_secs(3));
        }
    }

    fn check_settled(&self) {
        assert!(self.open.is_empty(), "requests wait for ever: {:?}", self.open);
        let mut parts = BTreeSet::new();
        let mut alive = 0;
        for client in self.clients.iter().filter(|it| it.doing != Doing::Away) {
            let Doing::Reading { part } = &client.doing else { panic!("{client:?} got stuck") };
            assert_eq!(client.generation, self.generation_seen);
            assert!(parts.insert(part), "two members read {part}");
            alive += 1;
        }
        let described = self.group.described();
        assert_eq!(described.state, if alive == 0 { "Empty" } else { "Stable" });
        assert_eq!(described.members.len(), alive, "the dead are out");
        assert!(self.group.pending.is_empty());
        if let Some(durable) = self.durable.as_ref().filter(|_| alive > 0) {
            assert_eq!(durable.generation, self.generation_seen, "the disk knows what is read");
        }
    }
}

#[test]
fn whatever_happens_a_group_settles_and_answers_everyone() {
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
