//! Thousands of crashes at every kind of step, and what must be true after each.
//!
//! Owns: a model of what was promised, random work against it, and the check after a crash. Does
//! not own: damage to bytes at rest and failing disks (`faults`).
//!
//! One seed is one life of a directory: open, work, crash at a random change of the disk (often in
//! the middle of a recovery), open again, check, go on. A failure prints its seed; running that
//! seed alone repeats it.

use super::ledger::{Act, Ledger, Line, consume};
use super::{Batch, content, small};
use crate::{
    Appended, Isolation, Log, Marker, Offset, Options, Origin, Partition, PartitionConfig,
    PartitionId, ProducerState, ReadError, Ticket, lock,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::{Timestamp, Uuid};
use systole_wire::record::{EndMarker, Outcome};
use systole_world::sim::{HandClock, SeededRandom, SimDisk};
use systole_world::{Random, World};

/// Per test function; the four together make 10,000.
const CRASHES: usize = 2_500;
/// A number in this variable runs so many instead, from the same seeds on.
const MORE: &str = "SYSTOLE_LOG_CRASHES";
const PRODUCERS: u64 = 4;
const PRODUCERS_I: i64 = 4;
/// Those that write in transactions, and the version of these.
const VERSIONS: [(i64, i16); 2] = [(2, 2), (3, 1)];
const COORDINATOR_EPOCH: i32 = 5;

#[test]
fn crashes_between_any_two_changes_lose_nothing_that_was_acknowledged() {
    live_through(CRASHES, 0, Flavour { power_loss: true, relaxed: false });
}
#[test]
fn more_crashes_from_other_seeds_lose_nothing_either() {
    live_through(CRASHES, 1 << 32, Flavour { power_loss: true, relaxed: false });
}
#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    live_through(CRASHES, 2 << 32, Flavour { power_loss: false, relaxed: false });
}
#[test]
fn relaxed_partitions_lose_only_their_end() {
    live_through(CRASHES, 3 << 32, Flavour { power_loss: true, relaxed: true });
}

#[derive(Clone, Copy)]
struct Flavour {
    /// Crashes are of the machine; otherwise mostly of the process, with a later power loss.
    power_loss: bool,
    /// Some appends are answered without a sync: those may be lost.
    relaxed: bool,
}

fn live_through(crashes: usize, first_seed: u64, flavour: Flavour) {
    let crashes = std::env::var(MORE).ok().and_then(|it| it.parse().ok()).unwrap_or(crashes);
    let (mut seen, mut seed) = (0, first_seed);
    while seen < crashes {
        let mut life = Life::new(seed, flavour);
        for _ in 0..6 {
            seen += usize::from(life.round());
        }
        seed += 1;
    }
}

/// A batch as the model remembers it.
#[derive(Debug, Clone)]
struct Promise {
    base: Offset,
    end: Offset,
    content: Content,
    ticket: Ticket,
    acknowledged: bool,
    line: Line,
}

#[derive(Clone, PartialEq, Eq)]
struct Content(Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[derive(Debug, Default)]
struct Promised {
    batches: Vec<Promise>,
    /// What `batches` imply.
    ledger: Ledger,
    created: Option<Ticket>,
    deleted: Option<Ticket>,
    gone: bool,
    /// Where records may and must begin.
    start_asked: Offset,
    start_done: Offset,
    trims: Vec<(Ticket, Offset)>,
}

impl Promise {
    /// Answered after its sync. Batches of transactions are answered before; the marker is not.
    fn is_certain(&self) -> bool {
        let early = matches!(self.line.act, Act::Data { transactional: true, .. });
        self.acknowledged && !early
    }
}

impl Promised {
    fn end(&self) -> Offset {
        self.batches.last().map_or(self.start_asked, |it| it.end)
    }
    fn push(&mut self, appended: &Appended, content: &[u8], (id, epoch, act): (i64, i16, Act)) {
        let (first, last) = (appended.base_offset, appended.last_offset);
        let line = Line { first, last, producer: (id >= 0).then_some((id, epoch)), act };
        self.ledger.enter(line);
        self.batches.push(Promise {
            base: first,
            end: last.next(),
            content: Content(content.to_vec()),
            ticket: appended.ticket,
            acknowledged: false,
            line,
        });
    }
    /// Epoch and next sequence of a producer.
    fn next_of(&self, id: i64) -> (i16, i32) {
        let known = self.ledger.producers.get(&id);
        known.map_or((0, 0), |it| (it.epoch, it.last_sequence.map_or(0, |it| it + 1)))
    }
    /// Where a transaction begins that has no durable marker.
    fn first_undecided(&self) -> Option<Offset> {
        self.ledger.open_first(|marker| {
            let at = self.batches.binary_search_by_key(&marker, |it| it.base);
            at.is_ok_and(|at| self.batches[at].acknowledged)
        })
    }
}

struct Life {
    seed: u64,
    flavour: Flavour,
    dice: SeededRandom,
    disk: SimDisk,
    clock: HandClock,
    world: World,
    log: Option<Log>,
    /// Whether the last stop was orderly, if that is certain.
    clean: Option<bool>,
    model: BTreeMap<PartitionId, Promised>,
    counter: u64,
}

impl Life {
    fn new(seed: u64, flavour: Flavour) -> Self {
        let disk = SimDisk::default();
        let clock = HandClock::starting_at(Timestamp::from_millis(1_000_000_000));
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom::new(seed ^ 0x5eed)),
            disk: Arc::new(disk.clone()),
        };
        let dice = SeededRandom::new(seed);
        let model = BTreeMap::new();
        let (log, clean, counter) = (None, Some(true), 0);
        Self { seed, flavour, dice, disk, clock, world, log, clean, model, counter }
    }

    fn below(&self, count: u64) -> u64 {
        self.dice.next_u64() % count
    }

    /// Opens, checks, works until the power goes off (or not), crashes. Whether it crashed.
    fn round(&mut self) -> bool {
        if self.below(3) == 0 {
            self.disk.power_off_after(self.below(40)); // during recovery
        }
        if !self.open() {
            self.crash();
            return true;
        }
        self.check();
        let limit = if self.below(2) == 0 { 60 } else { 400 };
        self.disk.power_off_after(self.below(limit));
        for _ in 0..self.below(120) {
            self.work();
            self.settle();
            if self.disk.is_off() {
                break;
            }
        }
        if self.below(8) == 0 && !self.disk.is_off() {
            self.log.take().expect("open").close();
            if !self.disk.is_off() {
                self.settle_all_open();
                self.disk.kill();
                self.clean = Some(true);
                return false;
            }
        }
        self.crash();
        true
    }

    fn open(&mut self) -> bool {
        match Log::open_stepped(&self.world, Path::new("/data"), tiny()) {
            // The last step of a recovery, removing files, tolerates errors.
            Ok(_) if self.disk.is_off() => false,
            Ok((log, report)) => {
                self.disk.power_off_after(u64::MAX);
                let seed = self.seed;
                assert!(report.damage.is_empty(), "seed {seed}: {report:?}");
                assert_eq!(report.clean, self.clean.unwrap_or(report.clean), "seed {seed}");
                self.log = Some(log);
                true
            }
            Err(error) => {
                assert!(self.disk.is_off(), "seed {}: {error}", self.seed);
                false
            }
        }
    }

    fn crash(&mut self) {
        self.clean = self.log.take().map(|_| false); // in a recovery: nothing can be lost
        let power_loss = self.flavour.power_loss || self.below(4) == 0;
        if power_loss {
            self.disk.crash(self.dice.next_u64());
        } else {
            self.disk.kill();
        }
    }

    fn log(&self) -> Log {
        self.log.clone().expect("open")
    }

    fn some_partition(&self) -> Option<Partition> {
        let all = self.log().partitions();
        let count = u64::try_from(all.len()).unwrap();
        (count > 0).then(|| all[usize::try_from(self.below(count)).unwrap()].clone())
    }

    fn work(&mut self) {
        match self.below(100) {
            0..=2 => self.create(),
            3 => self.delete(),
            4..=6 => self.trim(),
            7 => self.retain(),
            8..=12 => self.log().engine().keep(),
            13 => self.log().engine().checkpoint_now(),
            14..=45 => {
                self.log().engine().commit_group();
            }
            46 => drop(self.log().engine().sync_relaxed()),
            47..=53 => self.end_transaction(),
            _ => self.append(),
        }
    }

    fn create(&mut self) {
        if self.model.values().filter(|it| !it.gone).count() >= 4 {
            return;
        }
        self.counter += 1;
        let mut topic = [0; 16];
        self.world.random.fill(&mut topic);
        let id = PartitionId { topic: Uuid::from_random(topic), index: 0 };
        let Ok((partition, ticket)) = self.log().create(id, PartitionConfig::default()) else {
            return;
        };
        self.configure(&partition);
        self.model.insert(id, Promised { created: Some(ticket), ..Promised::default() });
    }

    fn configure(&self, partition: &Partition) {
        let relaxed = self.flavour.relaxed && self.below(2) == 0;
        partition.configure(PartitionConfig {
            segment_bytes: 1500,
            retention_age: None,
            flush_messages: if relaxed { u64::MAX } else { 1 },
            ..PartitionConfig::default()
        });
    }

    fn append(&mut self) {
        let Some(partition) = self.some_partition() else { return self.create() };
        self.counter += 1;
        let count = i32::try_from(1 + self.below(3)).unwrap();
        let length = if self.below(20) == 0 { 4000 } else { self.below(300) };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.dice.fill(&mut payload);
        payload.extend_from_slice(&self.counter.to_le_bytes());
        let mut batch = Batch::of(count, &payload).at(self.clock_millis());
        let promised = self.model.get_mut(&partition.id()).expect("in the model");
        let id = i64::try_from(self.dice.next_u64() % (2 * PRODUCERS)).unwrap();
        let id = if id < PRODUCERS_I { id } else { -1 };
        let (epoch, sequence) = promised.next_of(id);
        let transactional = VERSIONS.iter().any(|it| it.0 == id);
        if id >= 0 {
            batch = batch.by(id, epoch, sequence);
        }
        if transactional {
            batch = batch.in_transaction();
        }
        let bytes = batch.bytes();
        let Ok(appended) = partition.append(&bytes, Origin::Client) else { return };
        assert!(!appended.duplicate);
        let act = Act::Data { sequence: (id >= 0).then_some(sequence), transactional };
        promised.push(&appended, content(&bytes), (id, epoch, act));
    }

    fn end_transaction(&mut self) {
        let Some(partition) = self.some_partition() else { return };
        let (id, version) = VERSIONS[usize::try_from(self.below(2)).unwrap()];
        let outcome = if self.below(2) == 0 { Outcome::Commit } else { Outcome::Abort };
        let promised = self.model.get_mut(&partition.id()).expect("in the model");
        let (epoch, _) = promised.next_of(id);
        let epoch = if version == 2 { epoch + 1 } else { epoch };
        let is_new = version == 2
            || !promised.ledger.ended.contains_key(&id)
            || promised.ledger.producers[&id].transaction_start.is_some();
        let now = self.world.clock.now().as_millis();
        let Ok(appended) = partition.append_marker(marker((id, epoch, version), outcome)) else {
            return;
        };
        assert_eq!(appended.duplicate, !is_new, "seed {}", self.seed);
        if is_new {
            let bytes = EndMarker { outcome, coordinator_epoch: COORDINATOR_EPOCH };
            let bytes = bytes.build((id, epoch), now).unwrap();
            let act = Act::Marker { outcome, coordinator_epoch: COORDINATOR_EPOCH };
            promised.push(&appended, content(&bytes), (id, epoch, act));
        }
    }

    fn clock_millis(&self) -> i64 {
        self.clock.turn(Duration::from_millis(self.below(5)));
        self.world.clock.now().as_millis()
    }

    fn delete(&mut self) {
        let Some(partition) = self.some_partition() else { return };
        if let Ok(ticket) = self.log().delete(partition.id()) {
            self.model.get_mut(&partition.id()).expect("in the model").deleted = Some(ticket);
        }
    }

    fn trim(&mut self) {
        let Some(partition) = self.some_partition() else { return };
        let end = partition.bounds().high_watermark.raw();
        let to = Offset::new(end - i64::try_from(self.below(6)).unwrap());
        let promised = self.model.get_mut(&partition.id()).expect("in the model");
        if let Ok(ticket) = partition.delete_before(to)
            && ticket != Ticket::NONE
        {
            promised.start_asked = promised.start_asked.max(to);
            promised.trims.push((ticket, to));
        }
    }

    /// Retention by size; the model learns the outcome from what the log says, within what is
    /// allowed.
    fn retain(&mut self) {
        let Some(partition) = self.some_partition() else { return };
        let config = partition.config();
        let limit = Some(1000 + self.below(4000));
        partition.configure(PartitionConfig { retention_bytes: limit, ..config });
        self.log().maintain(self.world.clock.now());
        partition.configure(config);
        let promised = self.model.get_mut(&partition.id()).expect("in the model");
        promised.start_asked = promised.start_asked.max(partition.bounds().high_watermark);
    }

    /// Notes which promises hold from now on.
    fn settle(&mut self) {
        let log = self.log();
        let done = |ticket: Ticket| log.outcome(ticket) == Some(Ok(()));
        for promised in self.model.values_mut() {
            for it in promised.batches.iter_mut().rev().take_while(|it| !it.acknowledged) {
                it.acknowledged = done(it.ticket);
            }
            for (ticket, to) in &promised.trims {
                if done(*ticket) {
                    promised.start_done = promised.start_done.max(*to);
                }
            }
            if promised.created.is_some_and(done) {
                promised.created = None;
            }
            if promised.deleted.is_some_and(done) {
                promised.gone = true;
            }
        }
        for partition in log.partitions() {
            check_last_stable(&partition, &self.model[&partition.id()], self.seed);
        }
    }

    /// After an orderly stop everything that was appended is there.
    fn settle_all_open(&mut self) {
        for promised in self.model.values_mut() {
            promised.created = None;
            promised.gone |= promised.deleted.is_some();
            promised.batches.iter_mut().for_each(|it| it.acknowledged = true);
            promised.start_done =
                promised.trims.iter().map(|it| it.1).fold(promised.start_done, Offset::max);
        }
    }

    fn check(&mut self) {
        let log = self.log();
        let seed = self.seed;
        for partition in log.partitions() {
            let promised = self.model.get(&partition.id());
            assert!(promised.is_some_and(|it| !it.gone), "seed {seed}: {} is back", partition.id());
        }
        let mut model = std::mem::take(&mut self.model);
        model.retain(|id, promised| {
            if let Some(partition) = log.partition(*id) {
                self.check_partition(&partition, promised);
                return true;
            }
            let may_be_gone = promised.gone
                || promised.deleted.is_some()
                || (promised.created.is_some()
                    && !promised.batches.iter().any(Promise::is_certain))
                || self.flavour.relaxed && promised.created.is_some();
            assert!(may_be_gone, "seed {seed}: {id} is lost: {promised:?}");
            false
        });
        self.model = model;
    }

    fn check_partition(&self, partition: &Partition, promised: &mut Promised) {
        let seed = self.seed;
        let bounds = partition.bounds();
        let (start, end) = (bounds.log_start, bounds.high_watermark);
        let at = format!("seed {seed}, {} {bounds:?}", partition.id());
        assert!(
            promised.start_done <= start && start <= promised.start_asked,
            "{at}: {promised:?}"
        );
        let acknowledged = promised.batches.iter().rfind(|it| it.is_certain()).map(|it| it.end);
        let certain =
            if self.flavour.relaxed { Offset::ZERO } else { acknowledged.unwrap_or_default() };
        assert!(certain <= end && end <= promised.end().max(start), "{at}: acknowledged {certain}");

        let read = read_all(partition, &at);
        let expected: BTreeMap<_, _> =
            promised.batches.iter().map(|it| (it.base, &it.content)).collect();
        let mut next = read.first().map_or(end, |it| it.0);
        assert!(next <= start, "{at}: begins at {next}");
        for (base, last_end, bytes) in &read {
            assert_eq!(*base, next, "{at}");
            assert!(
                expected.get(base).is_some_and(|it| *it == bytes),
                "{at}: {base} was not written"
            );
            next = *last_end;
        }
        assert_eq!(next, end, "{at}");

        // What is there now stays; what is not will never be.
        promised.batches.retain(|it| it.end <= end);
        promised.batches.iter_mut().for_each(|it| it.acknowledged = true);
        promised.ledger = Ledger::of(promised.batches.iter().map(|it| it.line));
        promised.start_done = start;
        promised.start_asked = start;
        promised.trims.clear();
        (promised.created, promised.deleted) = (None, None);
        self.configure(partition);
        check_producers(partition, promised, &at);
        check_transactions(partition, promised, (self.dice.next_u64(), &at));
    }
}

/// What is known of each producer is what its batches say, and repeating what is there is
/// recognised. (That the next sequence is accepted shows when the life goes on.)
fn check_producers(partition: &Partition, promised: &Promised, at: &str) {
    let known = partition.producers().into_iter();
    let known: Vec<_> =
        known.map(|it| ProducerState { last_append_at: Timestamp::default(), ..it }).collect();
    let expected: Vec<_> = promised.ledger.producers.values().copied().collect();
    assert_eq!(known, expected, "{at}");
    for id in 0..PRODUCERS_I {
        let mut mine =
            promised.batches.iter().filter(|it| it.line.producer.is_some_and(|it| it.0 == id));
        let newest = mine.rfind(|it| matches!(it.line.act, Act::Data { .. }));
        let epoch = promised.next_of(id).0;
        let again = match newest.map(|it| (it.line, it.line.act)) {
            Some((line, Act::Data { sequence, transactional }))
                if line.producer == Some((id, epoch)) =>
            {
                let count = i32::try_from(line.last.raw() - line.first.raw()).unwrap() + 1;
                let it = Batch::of(count, b"again").by(id, epoch, sequence.expect("has one"));
                let it = if transactional { it.in_transaction() } else { it };
                Some((partition.append(&it.bytes(), Origin::Client), line.first))
            }
            _ => None,
        };
        let version = VERSIONS.iter().find(|it| it.0 == id).map_or(0, |it| it.1);
        let marked = promised.ledger.ended.get(&id).filter(|_| version == 2);
        let marked = marked.map(|first| {
            let it = marker((id, epoch, version), Outcome::Commit);
            (partition.append_marker(it), *first)
        });
        for (appended, first) in again.into_iter().chain(marked) {
            let it = appended.unwrap_or_else(|error| panic!("{at}: producer {id}: {error}"));
            assert!(it.duplicate && it.base_offset == first, "{at}: {it:?}");
        }
    }
}

/// Open and aborted transactions are those of the batches that are there, and a reader of committed
/// records gets these and no others.
fn check_transactions(partition: &Partition, promised: &Promised, (dice, at): (u64, &str)) {
    let bounds = partition.bounds();
    let open = partition.open_transactions();
    let open: Vec<_> = open.iter().map(|it| (it.producer_id, it.first)).collect();
    let expected = promised.ledger.transactions.iter().filter(|it| it.2.is_none());
    let expected: Vec<_> = expected.map(|it| (it.0, it.1)).collect();
    assert_eq!(open, expected, "{at}");
    let aborted = lock(&partition.shared.state).transactions.aborted_below(bounds.high_watermark);
    let expected = promised.ledger.aborted.iter().filter(|it| it.last >= bounds.log_start);
    assert!(aborted.iter().eq(expected), "{at}: {aborted:?} {:?}", promised.ledger.aborted);

    let span = u64::try_from(bounds.last_stable.raw() - bounds.log_start.raw()).unwrap() + 1;
    let from = bounds.log_start.plus(i64::try_from(dice % span).unwrap());
    let (mut next, mut got) = (from, Vec::new());
    while next < bounds.last_stable {
        let records = partition.read(next, 700, Isolation::Committed).expect(at);
        assert!(records.end > next && records.end <= bounds.last_stable, "{at}: {records:?}");
        next = records.end;
        let aborted = records.aborted.clone();
        got.extend(consume(&split(&records.into_bytes()), &aborted));
    }
    assert_eq!(got, promised.ledger.visible((from, bounds.last_stable)), "{at}, from {from}");
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    while let Some(it) = crate::batch::read_intact(bytes) {
        let (batch, rest) = bytes.split_at(it.bytes);
        batches.push(batch.to_vec());
        bytes = rest;
    }
    batches
}

/// At every moment: up to the first transaction whose marker is not known to be durable.
fn check_last_stable(partition: &Partition, promised: &Promised, seed: u64) {
    if promised.deleted.is_some() {
        return;
    }
    let bounds = partition.bounds();
    let undecided = promised.first_undecided().unwrap_or(bounds.high_watermark);
    let expected = undecided.max(bounds.log_start).min(bounds.high_watermark);
    assert_eq!(bounds.last_stable, expected, "seed {seed}, {bounds:?}");
}

fn marker((producer_id, epoch, version): (i64, i16, i16), outcome: Outcome) -> Marker {
    Marker {
        producer_id,
        producer_epoch: epoch,
        outcome,
        coordinator_epoch: COORDINATOR_EPOCH,
        transaction_version: version,
    }
}

/// First offset, end and content of every batch that can be read.
fn read_all(partition: &Partition, at: &str) -> Vec<(Offset, Offset, Content)> {
    let bounds = partition.bounds();
    let (mut from, mut found) = (bounds.log_start, Vec::new());
    while from < bounds.high_watermark {
        let read = partition.read(from, 900, Isolation::Uncommitted);
        let bytes = read.unwrap_or_else(|error: ReadError| panic!("{at}: {error}")).into_bytes();
        let mut rest = bytes.as_ref();
        while let Some(it) = crate::batch::read_intact(rest) {
            from = it.last().next();
            found.push((it.base, from, Content(content(&rest[..it.bytes]).to_vec())));
            rest = &rest[it.bytes..];
        }
        assert!(rest.is_empty(), "{at}: half a batch was served");
    }
    found
}

/// Files so small that a life sees many rolls, recycled files and checkpoints.
fn tiny() -> Options {
    Options { producer_expiry: Duration::from_hours(1), sync_each_max: 2, ..small() }
}
