//! Transactions over a disk that loses its power at any write, again and again.
//!
//! Owns: the promise of `docs/formats/transactions.md` as a check: after every stop, a reader of
//! committed records sees all of a committed transaction, nothing of an aborted one, and all or
//! nothing of one whose end was not answered. Does not own: the wire.

use super::{Coordinator, Halt, Parts, TransactionConfig};
use crate::group::{self, GroupConfig, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use systole_catalogue::plan::Site;
use systole_catalogue::{Catalogue, NewTopic};
use systole_guard::Policy;
use systole_kit::Timestamp;
use systole_log::{Isolation, Log, Offset, Options, Origin, Partition};
use systole_transaction::{End, Initialize, Outcome, Place, Producer, Stop, Version};
use systole_wire::record::{self, BatchBuilder, BatchOptions, Batches, NewRecord, RecordSet};
use systole_world::sim::{HandClock, SeededRandom, SimDisk};
use systole_world::{Random as _, World};

const SEEDS: u64 = 200;
const ROUNDS: usize = 4;
const ACTIONS: u64 = 40;
const PARTITIONS: i32 = 3;
const IDS: [&str; 3] = ["a", "b", "c"];

/// The node without its sockets.
struct Node {
    log: Log,
    transactions: Coordinator,
    partitions: Vec<Partition>,
}

/// A producer as it sees itself.
#[derive(Debug, Clone, Default)]
struct Client {
    producer: Option<Producer>,
    /// Next sequence number in each partition.
    sequences: BTreeMap<i32, i32>,
    /// Values of the open transaction.
    open: Vec<u64>,
}

struct Life {
    seed: u64,
    dice: SeededRandom,
    disk: SimDisk,
    world: World,
    next_value: u64,
    next_id: i64,
    clients: Vec<Client>,
    committed: BTreeSet<u64>,
    aborted: BTreeSet<u64>,
    /// Each of them is to be seen whole or not at all.
    unanswered: Vec<Vec<u64>>,
    was_clean: bool,
}

/// The power went off.
#[derive(Debug)]
struct Off;

impl Life {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::default();
        let world = World {
            clock: Arc::new(HandClock::starting_at(Timestamp::from_millis(1_000_000_000))),
            random: Arc::new(SeededRandom::new(seed ^ 0x5eed)),
            disk: Arc::new(disk.clone()),
        };
        Self {
            seed,
            dice: SeededRandom::new(seed),
            disk,
            world,
            next_value: 1,
            next_id: 1000,
            clients: vec![Client::default(); IDS.len()],
            committed: BTreeSet::new(),
            aborted: BTreeSet::new(),
            unanswered: Vec::new(),
            was_clean: true,
        }
    }

    fn below(&self, count: u64) -> u64 {
        self.dice.next_u64() % count
    }

    async fn open(&self) -> Result<Node, Off> {
        let config = GroupConfig::default();
        let site = Site { node_id: 1, partitions_default: 1 };
        let opened = Log::open(&self.world, Path::new("/data"), Options::default());
        let (log, report) = opened.map_err(|_| Off)?;
        let stop = if report.clean { Stop::Clean } else { Stop::Unclean };
        let catalogue = Catalogue::open(&log, &self.world, site, Policy::default());
        let topics = catalogue.map_err(|_| Off)?.settle().await.map_err(|_| Off)?;
        let topics = Arc::new(topics);
        if topics.by_name("t").is_none() {
            let wanted = NewTopic { partitions: PARTITIONS, ..NewTopic::named("t") };
            topics.create(&wanted).map_err(|_| Off)?.1.await.map_err(|_| Off)?;
        }
        let store = Store::new(&log, &topics, &config);
        let shares = crate::share::tests::empty(&self.world);
        let groups = group::Coordinator::open(&self.world, &config, store, shares);
        let topic = topics.by_name("t").unwrap();
        let partitions = topic.partitions().map(|id| log.partition(id).unwrap()).collect();
        let parts = Parts { log: log.clone(), topics, groups, stop };
        let settings = TransactionConfig { state_topic_partitions: 2, ..Default::default() };
        let opened = Coordinator::open(&self.world, &settings, parts);
        let (transactions, ticket) = opened.map_err(|_| Off)?;
        log.done(ticket).await.map_err(|_| Off)?;
        Ok(Node { log, transactions, partitions })
    }

    /// Whether a producer speaks version 2, for its whole life.
    fn version(client: usize) -> Version {
        if client == 0 { Version::One } else { Version::Two }
    }

    async fn act(&mut self, node: &Node) -> Result<(), Off> {
        let client = usize::try_from(self.below(IDS.len() as u64)).unwrap();
        match self.below(8) {
            _ if self.clients[client].producer.is_none() => self.initialize(node, client).await,
            0 if self.below(4) == 0 => self.initialize(node, client).await,
            1..=4 => self.write(node, client).await,
            5 => self.end(node, client, Outcome::Abort).await,
            _ => self.end(node, client, Outcome::Commit).await,
        }
    }

    /// A new incarnation: what the old one left open will never be committed.
    async fn initialize(&mut self, node: &Node, client: usize) -> Result<(), Off> {
        let open = std::mem::take(&mut self.clients[client].open);
        self.aborted.extend(open);
        let ask = Initialize { timeout_ms: 60_000, expected: None };
        loop {
            self.next_id += 1;
            let begun = node.transactions.initialize(IDS[client], ask, Some(self.next_id));
            let begun = begun.map_err(|halt| {
                assert!(halt != Halt::FreshIdNeeded);
                Off
            })?;
            node.log.done(begun.ticket).await.map_err(|_| Off)?;
            if let Ok(producer) = begun.answer {
                let it = &mut self.clients[client];
                *it = Client { producer: Some(producer), ..Client::default() };
                return Ok(());
            }
        }
    }

    async fn write(&mut self, node: &Node, client: usize) -> Result<(), Off> {
        let index = i32::try_from(self.below(u64::from(PARTITIONS.unsigned_abs()))).unwrap();
        let value = self.next_value;
        self.next_value += 1;
        let it = &mut self.clients[client];
        let producer = it.producer.unwrap();
        let sequence = it.sequences.entry(index).or_default();
        let batch = batch(producer, *sequence, value);
        let place = Place { topic: "t".into(), partition: index };
        let partition = &node.partitions[usize::try_from(index).unwrap()];
        let written = node.transactions.write(IDS[client], |writer| {
            writer.add(producer, &[place], Self::version(client))?;
            let appended = partition.append(&batch, Origin::Client);
            let appended = appended.map_err(|_| systole_wire::ErrorCode::KafkaStorageError)?;
            writer.wrote(appended.ticket);
            Ok::<_, systole_wire::ErrorCode>(())
        });
        if matches!(written, Ok(Ok(()))) {
            *sequence += 1;
            it.open.push(value);
            return Ok(());
        }
        // Fenced by a start, or the disk is off: the producer begins anew.
        self.aborted.insert(value);
        if self.disk.is_off() {
            return Err(Off);
        }
        self.initialize(node, client).await
    }

    async fn end(&mut self, node: &Node, client: usize, outcome: Outcome) -> Result<(), Off> {
        let it = &mut self.clients[client];
        let (from, version) = (it.producer.unwrap(), Self::version(client));
        let values = std::mem::take(&mut it.open);
        if outcome == Outcome::Abort {
            self.aborted.extend(values.iter().copied());
        } else {
            self.unanswered.push(values.clone());
        }
        let begun = node.transactions.end(IDS[client], End { from, outcome, version }, None);
        let answer = match begun {
            Ok(begun) => match node.log.done(begun.ticket).await {
                Ok(()) => begun.answer.map_err(Halt::Refused),
                Err(_) => return Err(Off),
            },
            Err(halt) => Err(halt),
        };
        if self.disk.is_off() && answer.is_err() {
            return Err(Off);
        }
        if outcome == Outcome::Commit {
            self.unanswered.pop();
        }
        let Ok(producer) = answer else {
            self.aborted.extend(values);
            return self.initialize(node, client).await;
        };
        if outcome == Outcome::Commit {
            self.committed.extend(values);
        }
        let it = &mut self.clients[client];
        if version == Version::Two {
            it.sequences.clear();
        }
        it.producer = Some(producer);
        Ok(())
    }

    /// Whole transactions only, and each record once. Behind an open transaction nothing shows.
    fn check(&mut self, node: &Node) {
        let open = node.log.open_transactions();
        let owners: Vec<_> = self.clients.iter().filter(|it| !it.open.is_empty()).collect();
        assert!(open.is_empty() || !owners.is_empty(), "seed {}: nobody's {open:?}", self.seed);
        let mut seen = BTreeSet::new();
        for partition in &node.partitions {
            for value in committed(partition) {
                assert!(seen.insert(value), "seed {}: {value} twice", self.seed);
            }
        }
        for values in std::mem::take(&mut self.unanswered) {
            let there = values.iter().filter(|it| seen.contains(it)).count();
            assert!(there == 0 || there == values.len(), "seed {}: torn {values:?}", self.seed);
            let to = if there == 0 { &mut self.aborted } else { &mut self.committed };
            to.extend(values);
        }
        let lost: Vec<_> = self.committed.difference(&seen).collect();
        assert!(lost.is_empty() || !open.is_empty(), "seed {}: lost {lost:?}", self.seed);
        let wrong: Vec<_> = seen.difference(&self.committed).collect();
        assert!(wrong.is_empty(), "seed {}: never committed {wrong:?}", self.seed);
    }

    async fn round(&mut self) {
        let stops_in_order = self.below(4) == 0;
        // Perhaps while it starts; but whether a start that failed noted a clean stop is uncertain.
        let is_early = !self.was_clean && self.below(2) == 0;
        self.was_clean = stops_in_order;
        if !stops_in_order && is_early {
            self.disk.power_off_after(self.below(80));
        }
        if let Ok(node) = self.open().await {
            // The log goes on writing beside; while someone looks, the power stays or is off.
            self.disk.power_off_after(u64::MAX);
            if !self.disk.is_off() {
                self.check(&node);
            }
            if !stops_in_order {
                self.disk.power_off_after(self.below(60));
            }
            for _ in 0..self.below(ACTIONS) {
                if self.act(&node).await.is_err() {
                    break;
                }
            }
            if stops_in_order {
                node.log.close();
                return;
            }
        }
        // What was open is lost, and its producers find out.
        for client in &mut self.clients {
            self.aborted.extend(std::mem::take(&mut client.open));
        }
        self.disk.crash(self.seed ^ self.next_value);
    }
}

fn batch(producer: Producer, base_sequence: i32, value: u64) -> Vec<u8> {
    let producer = record::Producer { id: producer.id, epoch: producer.epoch, base_sequence };
    let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
    let mut batch = BatchBuilder::new(options);
    let value = value.to_string();
    batch.push(&NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() });
    batch.build().unwrap().to_vec()
}

/// What a client with `read_committed` keeps of a partition.
fn committed(partition: &Partition) -> Vec<u64> {
    let bounds = partition.bounds();
    let (mut next, mut values) = (bounds.log_start, Vec::new());
    while next < bounds.last_stable {
        let records = partition.read(next, 1 << 20, Isolation::Committed).unwrap();
        let (end, mut aborted) = (records.end, records.aborted.clone());
        let mut aborting = BTreeSet::new();
        for batch in Batches::new(records.into_bytes()).map(Result::unwrap) {
            let header = &batch.header;
            let base = Offset::new(header.base_offset);
            let (begun, later): (Vec<_>, Vec<_>) =
                aborted.into_iter().partition(|it| it.first <= base);
            aborting.extend(begun.iter().map(|it| it.producer_id));
            aborted = later;
            if header.attributes.is_control() {
                aborting.remove(&header.producer_id);
            } else if !aborting.contains(&header.producer_id) {
                let set = RecordSet::open(&batch.bytes, 1 << 20).unwrap();
                let text = |it: record::Record<'_>| {
                    String::from_utf8(it.value.unwrap().to_vec()).unwrap().parse::<u64>().unwrap()
                };
                values.extend(set.iter().map(Result::unwrap).map(text));
            }
        }
        next = end;
    }
    values
}

#[tokio::test]
async fn no_stop_at_any_point_tears_shows_or_loses_a_transaction() {
    let mut seen = (0, 0);
    for seed in 0..SEEDS {
        let mut life = Life::new(seed);
        for _ in 0..ROUNDS {
            life.round().await;
        }
        let node = life.open().await.unwrap();
        life.check(&node);
        seen = (seen.0 + life.committed.len(), seen.1 + life.aborted.len());
    }
    assert!(seen.0 > 1000 && seen.1 > 1000, "too little happened: {seen:?}");
}
