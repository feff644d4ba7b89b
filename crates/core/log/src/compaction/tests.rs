//! A compacted log gives the same newest value of every key, whatever happens on the way.

use crate::tests::{partition, small};
use crate::{
    Compaction, Isolation, Log, Marker, Offset, Options, Origin, Partition, PartitionConfig,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::record::{
    BatchBuilder, BatchHeader, BatchOptions, Batches, EndMarker, NewRecord, Outcome, Producer,
    RecordSet,
};
use systole_world::sim::{HandClock, SeededRandom, SimDisk};
use systole_world::{Random, World};

/// A record with its offset.
type Entry = (i64, u8, Option<u8>);

const RETENTION: Duration = Duration::from_secs(1);

struct Node {
    disk: SimDisk,
    clock: HandClock,
    log: Option<Log>,
    is_damaged: bool,
}

impl Node {
    fn new() -> Self {
        let clock = HandClock::starting_at(Timestamp::from_millis(1_000_000));
        Self { disk: SimDisk::default(), clock, log: None, is_damaged: false }
    }
    fn open(&mut self) -> Option<Partition> {
        let world = World {
            clock: Arc::new(self.clock.clone()),
            random: Arc::new(SeededRandom::new(1)),
            disk: Arc::new(self.disk.clone()),
        };
        let options = Options { compaction_table_bytes: 24 * 12, ..small() };
        let (log, report) = match Log::open_stepped(&world, Path::new("/data"), options) {
            Ok(opened) if !self.disk.is_off() => opened,
            opened => {
                assert!(self.disk.is_off(), "{:?}", opened.err());
                return None;
            }
        };
        assert!(self.is_damaged || report.damage.is_empty(), "{report:?}");
        let compaction =
            Compaction { delete_retention: RETENTION, dirty_ppm_min: 0, ..Compaction::default() };
        let config = PartitionConfig {
            segment_bytes: 600,
            retention_age: None,
            compaction: Some(compaction),
            ..PartitionConfig::default()
        };
        let made = log.create(partition(0), config).map(|it| it.0);
        self.log = Some(log);
        made.ok()
    }
    fn log(&self) -> &Log {
        self.log.as_ref().expect("open")
    }
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(self.clock_passed())
    }
    fn clock_passed(&self) -> Duration {
        Duration::from_millis(
            u64::try_from(systole_world::Clock::now(&self.clock).as_millis() - 1_000_000).unwrap(),
        )
    }
    /// Everything into closed segments, and all that is due compacted.
    fn compact(&self) {
        self.log().engine().commit_group();
        self.log().engine().checkpoint_now();
        while self.log().compact(self.now(), &|| true) {}
    }
}

fn batch(records: &[(u8, Option<u8>)], producer: Producer, transactional: bool) -> Vec<u8> {
    let options = BatchOptions { producer, transactional, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        let value = value.map(|it| vec![it; 30]);
        builder.push(&NewRecord {
            timestamp: 1000,
            key: Some(&[*key]),
            value: value.as_deref(),
            ..NewRecord::default()
        });
    }
    builder.build().unwrap().to_vec()
}

/// Every batch from `from` on; they must follow one another without a gap.
fn batches(it: &Partition, mut from: Offset, isolation: Isolation) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while from < it.bounds().end(isolation) {
        let records = it.read(from, 500, isolation).unwrap();
        let mut next = None;
        for batch in Batches::new(records.clone().into_bytes()) {
            let batch = batch.unwrap();
            let base = Offset::new(batch.header.base_offset);
            assert!(next.is_none_or(|it| it == base) && (next.is_some() || base <= from));
            next = Some(Offset::new(batch.header.next_offset()));
            all.push(batch.bytes.to_vec());
        }
        assert_eq!(next, Some(records.end));
        from = records.end;
    }
    all
}
fn entries(batches: &[Vec<u8>]) -> Vec<Entry> {
    let mut all = Vec::new();
    for batch in batches {
        if BatchHeader::read(batch).unwrap().attributes.is_control() {
            continue;
        }
        for record in &RecordSet::open(batch, 1 << 20).unwrap() {
            let record = record.unwrap();
            assert!(record.timestamp == 1000);
            all.push((record.offset, record.key.unwrap()[0], record.value.map(|it| it[0])));
        }
    }
    all
}

/// What is left is an ordered part of what was written, and for every record that is not, a newer
/// one of its key was written, or it was a tombstone.
fn check(written: &[Entry], left: &[Entry], at: &str) {
    let there: BTreeSet<_> = left.iter().map(|it| it.0).collect();
    let known: BTreeMap<_, _> = written.iter().map(|it| (it.0, *it)).collect();
    assert!(left.windows(2).all(|it| it[0].0 < it[1].0), "{at}");
    assert!(left.iter().all(|it| known.get(&it.0) == Some(it)), "{at}: {left:?}");
    let mut newest = BTreeMap::new();
    for (offset, key, value) in written {
        newest.insert(*key, (*offset, *value));
    }
    for (offset, key, value) in written {
        let (last, last_value) = newest[key];
        let may_go = *offset < last || value.is_none();
        assert!(there.contains(offset) || may_go, "{at}: {offset} of key {key} is lost");
        if last_value.is_none() && !there.contains(&last) {
            assert!(!there.contains(offset), "{at}: {offset} of key {key} came back");
        }
    }
}

fn append(node: &Node, it: &Partition, records: &[(u8, Option<u8>)], written: &mut Vec<Entry>) {
    let appended = it.append(&batch(records, Producer::NONE, false), Origin::Client).unwrap();
    node.log().engine().commit_group();
    node.log().engine().keep();
    for ((key, value), delta) in records.iter().zip(0..) {
        written.push((appended.base_offset.raw() + delta, *key, *value));
    }
}

fn records() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
    prop::collection::vec((0..14_u8, prop::option::weighted(0.8, any::<u8>())), 1..4)
}

proptest! {
    #[test]
    fn a_compacted_log_has_the_newest_record_of_every_key(
        rounds in prop::collection::vec(prop::collection::vec(records(), 1..25), 1..5),
        passed_millis in prop::collection::vec(0..2000_u64, 5),
        from in any::<prop::sample::Index>(),
    ) {
        let mut node = Node::new();
        let it = node.open().unwrap();
        let mut written = Vec::new();
        for (round, passed) in rounds.iter().zip(passed_millis) {
            for records in round {
                append(&node, &it, records, &mut written);
            }
            let before = node.log().engine().pass.lock().unwrap().is_some();
            prop_assert!(!before);
            node.compact();
            let left = entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted));
            check(&written, &left, "while open");
            let from = Offset::new(i64::try_from(from.index(written.len())).unwrap());
            let tail = entries(&batches(&it, from, Isolation::Uncommitted));
            let expected: Vec<_> = left.iter().filter(|it| it.0 >= from.raw()).collect();
            let found: Vec<_> = tail.iter().filter(|it| it.0 >= from.raw()).collect();
            prop_assert_eq!(found, expected);
            node.clock.turn(Duration::from_millis(passed));
        }
        let left = batches(&it, Offset::ZERO, Isolation::Uncommitted);
        node.log.take().unwrap().close();
        drop(it);
        let it = node.open().unwrap();
        prop_assert_eq!(batches(&it, Offset::ZERO, Isolation::Uncommitted), left);
    }
}

#[test]
fn what_was_replaced_goes_and_the_log_gets_small() {
    let mut node = Node::new();
    let it = node.open().unwrap();
    let mut written = Vec::new();
    for number in 0..200_u8 {
        append(&node, &it, &[(number % 5, Some(number))], &mut written);
    }
    let before = it.size_bytes();
    node.compact();
    assert!(it.size_bytes() * 5 < before, "{} of {before} bytes", it.size_bytes());
    let files = |node: &Node| {
        let files = node.disk.files();
        files.into_iter().filter(|it| it.0.extension() == Some("log".as_ref())).count()
    };
    let many = files(&node);
    node.log().engine().checkpoint_now();
    assert_eq!(files(&node), many, "the checkpoint before still names them");
    node.log().engine().checkpoint_now();
    assert!(files(&node) < many / 3, "{} of {many} files", files(&node));
    check(&written, &entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted)), "now");
}

#[test]
fn whichever_checkpoint_is_damaged_its_segments_are_there() {
    for (checkpoints, damaged_at) in (0..4).flat_map(|it| [(it, 0), (it, 1)]) {
        let mut node = Node::new();
        let it = node.open().unwrap();
        let mut written = Vec::new();
        for round in 0..3 {
            for number in 0..40_u8 {
                append(&node, &it, &[(number % 5, Some(number + round))], &mut written);
            }
            node.compact();
        }
        (0..checkpoints).for_each(|_| node.log().engine().checkpoint_now());
        let newest = node.log().engine().checkpoints.load(std::sync::atomic::Ordering::Relaxed);
        drop(it);
        node.log = None;
        for restart in 0..2 {
            node.disk.kill();
            if restart == damaged_at {
                let slot = format!("/data/checkpoint-{}", newest % 2);
                node.disk.flip(Path::new(&slot), 700);
            }
            let it = node.open().unwrap();
            let left = entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted));
            check(&written, &left, &format!("{checkpoints} checkpoints"));
            drop(it);
            node.log = None;
        }
    }
}

#[test]
fn a_tombstone_goes_when_its_horizon_has_passed_and_not_before() {
    let mut node = Node::new();
    let it = node.open().unwrap();
    let mut written = Vec::new();
    append(&node, &it, &[(1, Some(1))], &mut written);
    append(&node, &it, &[(1, None), (2, Some(2))], &mut written);
    let pass = |node: &Node, written: &mut Vec<_>| {
        for _ in 0..10 {
            append(node, &it, &[(9, Some(9))], written);
        }
        node.compact();
        let left = entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted));
        left.into_iter().filter(|it| it.1 != 9).collect::<Vec<_>>()
    };
    let [deleted, other] = [(1, 1, None), (2, 2, Some(2))];
    assert_eq!(pass(&node, &mut written), [deleted, other]);
    node.clock.turn(Duration::from_millis(999));
    assert_eq!(pass(&node, &mut written), [deleted, other]);
    node.clock.turn(Duration::from_millis(1));
    assert_eq!(pass(&node, &mut written), [other]);
}

#[test]
fn young_records_and_open_transactions_are_left_alone() {
    let mut node = Node::new();
    let it = node.open().unwrap();
    let compaction = it.config().compaction.unwrap();
    let lag_min = Duration::from_secs(1000);
    let patient = Compaction { lag_min, ..compaction };
    it.configure(PartitionConfig { compaction: Some(patient), ..it.config() });
    let mut written = Vec::new();
    for _ in 0..20 {
        append(&node, &it, &[(1, Some(1))], &mut written);
    }
    let count = |it: &Partition| entries(&batches(it, Offset::ZERO, Isolation::Uncommitted)).len();
    node.compact();
    assert_eq!(count(&it), 20, "a record of time 1000 is younger than 1,000,000 ms");
    it.configure(PartitionConfig { compaction: Some(compaction), ..it.config() });
    let open = Producer { id: 4, epoch: 0, base_sequence: 0 };
    it.append(&batch(&[(1, Some(2))], open, true), Origin::Client).unwrap();
    for _ in 0..20 {
        append(&node, &it, &[(1, Some(3))], &mut written);
    }
    node.compact();
    let left = entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted));
    let last_stable = it.bounds().last_stable.raw();
    assert!(left.iter().filter(|it| it.0 >= last_stable).count() == 21, "{left:?}");
    assert!(left.iter().filter(|it| it.0 < last_stable).count() < 20, "{left:?}");
}

#[test]
fn aborted_records_go_first_and_markers_when_their_records_are_gone_and_the_horizon_passed() {
    let mut node = Node::new();
    let it = node.open().unwrap();
    let mut written = Vec::new();
    let transact = |node: &Node, key: u8, epoch: i16, outcome| {
        let producer = Producer { id: 4, epoch, base_sequence: 0 };
        it.append(&batch(&[(key, Some(1))], producer, true), Origin::Client).unwrap();
        let marker = Marker {
            producer_id: 4,
            producer_epoch: epoch + 1,
            outcome,
            coordinator_epoch: 0,
            transaction_version: 2,
        };
        it.append_marker(marker).unwrap();
        node.log().engine().commit_group();
    };
    append(&node, &it, &[(1, Some(7))], &mut written);
    transact(&node, 1, 0, Outcome::Abort);
    transact(&node, 2, 1, Outcome::Commit);
    transact(&node, 3, 2, Outcome::Abort);
    let pass = |node: &Node, written: &mut Vec<_>| {
        for _ in 0..10 {
            append(node, &it, &[(9, Some(9))], written);
        }
        node.compact();
        let left = batches(&it, Offset::ZERO, Isolation::Uncommitted);
        let markers = left.iter().filter(|it| EndMarker::read(it).is_ok());
        let data: Vec<_> = entries(&left).iter().map(|it| it.1).filter(|it| *it != 9).collect();
        (data, markers.count())
    };
    assert_eq!(pass(&node, &mut written), (vec![1, 2], 3), "the aborted value of 1 never was");
    node.clock.turn(RETENTION);
    assert_eq!(pass(&node, &mut written), (vec![1, 2], 3), "now their records are not there");
    node.clock.turn(RETENTION);
    assert_eq!(pass(&node, &mut written), (vec![1, 2], 1), "the committed one keeps its marker");
    let aborted = it.read(Offset::ZERO, 1 << 20, Isolation::Committed).unwrap().aborted;
    assert_eq!(aborted, []);
    let before = it.producer(4).unwrap();
    // The newest marker of the producer stays as an empty batch: all is known without checkpoints.
    node.log().engine().checkpoint_now();
    drop(it);
    node.log = None;
    node.is_damaged = true;
    node.disk.kill();
    for slot in ["checkpoint-0", "checkpoint-1"] {
        node.disk.flip(&Path::new("/data").join(slot), 77);
    }
    let it = node.open().unwrap();
    let after = it.producer(4).unwrap();
    assert_eq!((after.epoch, after.transaction_start), (before.epoch, None));
    assert_eq!(it.bounds().last_stable, it.bounds().high_watermark);
}

#[test]
fn a_damaged_partition_is_left_alone_and_told() {
    let mut node = Node::new();
    let it = node.open().unwrap();
    let mut written = Vec::new();
    for number in 0..60_u8 {
        append(&node, &it, &[(number % 5, Some(number))], &mut written);
    }
    node.log().engine().checkpoint_now();
    let is_segment = |it: &&(PathBuf, u64)| it.0.extension() == Some("log".as_ref());
    let first = node.disk.files().iter().find(is_segment).unwrap().0.clone();
    node.disk.flip(&first, 8 * 300);
    let before = it.size_bytes();
    node.compact();
    assert_eq!((node.log().status().uncompactable, it.size_bytes()), (1, before));
    append(&node, &it, &[(1, Some(1))], &mut written);
    node.compact();
    assert_eq!(node.log().status().uncompactable, 1, "it is told once");
}

/// Crashes between any two changes of the disk, with compaction always under way.
#[test]
fn a_crash_during_compaction_loses_nothing_and_brings_nothing_back() {
    let mut crashes = 0;
    for seed in 0..400 {
        crashes += live(seed);
    }
    assert!(crashes >= 2_000, "{crashes} crashes");
}

fn live(seed: u64) -> usize {
    let dice = SeededRandom::new(seed);
    let below = |count: u64| dice.next_u64() % count;
    let mut node = Node::new();
    let mut written: Vec<Entry> = Vec::new();
    let (mut crashes, mut certain) = (0, Offset::ZERO);
    for _ in 0..6 {
        if below(3) == 0 {
            node.disk.power_off_after(below(40));
        }
        if let Some(it) = node.open() {
            let end = it.bounds().high_watermark;
            assert!(end >= certain, "seed {seed}");
            written.retain(|it| it.0 < end.raw());
            let left = entries(&batches(&it, Offset::ZERO, Isolation::Uncommitted));
            check(&written, &left, &format!("seed {seed}, end {end}"));
            node.disk.power_off_after(if below(2) == 0 { below(60) } else { below(600) });
            work(&node, &it, &below, &mut written);
            certain = it.bounds().high_watermark;
        }
        node.log = None;
        if below(4) == 0 {
            node.disk.kill();
        } else {
            node.disk.crash(dice.next_u64());
        }
        node.disk.power_off_after(u64::MAX);
        crashes += 1;
    }
    crashes
}

fn work(node: &Node, it: &Partition, below: &impl Fn(u64) -> u64, written: &mut Vec<Entry>) {
    for _ in 0..below(200) {
        let engine = node.log().engine();
        match below(20) {
            0..=10 => {
                let count = 1 + below(3);
                let one = |_| {
                    let key = u8::try_from(below(14)).unwrap();
                    (key, (below(5) > 0).then(|| u8::try_from(below(256)).unwrap()))
                };
                let records: Vec<_> = (0..count).map(one).collect();
                let bytes = batch(&records, Producer::NONE, false);
                let Ok(appended) = it.append(&bytes, Origin::Client) else { return };
                for ((key, value), delta) in records.into_iter().zip(0..) {
                    written.push((appended.base_offset.raw() + delta, key, value));
                }
            }
            11 | 12 => {
                engine.commit_group();
            }
            13 | 14 => engine.keep(),
            15 => engine.checkpoint_now(),
            16 => node.clock.turn(Duration::from_millis(below(700))),
            _ => {
                node.log().compact(node.now(), &|| true);
            }
        }
        if node.disk.is_off() {
            return;
        }
    }
}
