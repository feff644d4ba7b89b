//! The shell over a log in memory, with a clock turned by hand.

use super::store::{Replayed, StateLog};
use super::*;
use crate::group::{Appended, Durable};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use systole_group::share_partition::record::Key;
use systole_group::share_partition::{Ack, AckKind, Acquired, Ask, Batch, Fetched, Mode};
use systole_kit::{Timestamp, Uuid};
use systole_log::Ticket;
use systole_wire::ErrorCode;
use systole_world::World;
use systole_world::sim::{HandClock, SeededRandom};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct MemoryLog {
    /// Base offset and bytes; everything lies in one partition.
    batches: Mutex<Vec<(i64, Vec<u8>)>>,
    refuses: AtomicBool,
}

impl StateLog for Arc<MemoryLog> {
    fn partition_count(&self) -> i32 {
        1
    }
    fn append(&self, _: i32, batch: Bytes) -> Result<Appended, ErrorCode> {
        if self.refuses.load(Relaxed) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let mut batches = self.batches.lock().unwrap();
        let last_offset = batches.last().map_or(0, |it| it.0 + 1);
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&last_offset.to_be_bytes());
        batches.push((last_offset, bytes));
        let durable: Durable = Box::pin(ready(Ok(())));
        Ok(Appended { last_offset, ticket: Ticket::NONE, durable })
    }
    fn end(&self, _: i32) -> i64 {
        self.batches.lock().unwrap().last().map_or(0, |it| it.0 + 1)
    }
    fn delete_before(&self, _: i32, offset: i64) {
        self.batches.lock().unwrap().retain(|it| it.0 >= offset);
    }
}

/// No share partitions, for tests of others.
pub(crate) fn empty(world: &World) -> Shares {
    let log = Box::new(Arc::new(MemoryLog::default()));
    Shares::restore(world, &ShareConfig::default(), log, Replayed::default())
}

struct Node {
    log: Arc<MemoryLog>,
    clock: HandClock,
    world: World,
    shares: Shares,
    wake: Arc<Notify>,
}

fn key() -> Key {
    Key { group: "g".into(), topic: Uuid::from_bytes([1; 16]), partition: 0 }
}

impl Node {
    fn new() -> Self {
        let clock = HandClock::starting_at(Timestamp::from_millis(1_000_000));
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom::new(1)),
            ..World::os()
        };
        let log = Arc::new(MemoryLog::default());
        let shares = Self::open(&log, &world);
        let node = Self { log, clock, world, shares, wake: Arc::new(Notify::new()) };
        let those = [(key().topic, BTreeSet::from([0]))].into();
        node.shares.begin(&key().group, &those, 2).unwrap();
        drop(node.shares.begin_reading(&key(), 0).unwrap());
        node
    }
    fn open(log: &Arc<MemoryLog>, world: &World) -> Shares {
        let mut replayed = Replayed::default();
        for (_, batch) in &*log.batches.lock().unwrap() {
            replayed.batch(batch);
        }
        assert_eq!(replayed.unreadable, 0);
        Shares::restore(world, &ShareConfig::default(), Box::new(Arc::clone(log)), replayed)
    }
    fn restart(&mut self) {
        self.shares = Self::open(&self.log, &self.world);
    }
    /// Acquires up to `records_max` records of a log of batches of one record.
    fn get(&self, member: &str, records_max: i64) -> Vec<(i64, i64, i16)> {
        let Some(reading) = self.shares.read(&key(), 0, &self.wake) else { return Vec::new() };
        let from = reading.from;
        let batch = |it| Batch { first: it, last: it, is_aborted: false };
        let batches: Vec<_> = (from..from + records_max).map(batch).collect();
        let ask =
            Ask { member: member.into(), mode: Mode::Records, records_max, piece_records: 500 };
        let rules = self.shares.settings("g").rules;
        let got = reading.acquire(&ask, Fetched { from, batches: &batches }, rules);
        got.iter()
            .map(|Acquired { first, last, deliveries }| (*first, *last, *deliveries))
            .collect()
    }
    fn ack(&self, member: &str, first: i64, last: i64) -> Result<(), ErrorCode> {
        let acks = [Ack { first, last, kinds: vec![AckKind::Accept] }];
        self.shares.acknowledge(&key(), member, &acks).map(drop).map_err(|it| it.code)
    }
    fn start(&self) -> Option<i64> {
        self.shares.position(&key()).and_then(|(it, _)| it.start)
    }
}

#[tokio::test]
async fn after_a_restart_what_was_acknowledged_stays_so_and_what_was_acquired_is_available() {
    let mut node = Node::new();
    assert_eq!(node.get("a", 6), [(0, 5, 1)]);
    node.ack("a", 0, 1).unwrap();
    node.ack("a", 4, 4).unwrap();
    node.restart();
    assert_eq!(node.start(), Some(2));
    assert_eq!(node.ack("a", 2, 3), Err(ErrorCode::InvalidRecordState));
    assert_eq!(node.get("b", 6), [(2, 3, 1), (5, 7, 1)]);
}

#[tokio::test]
async fn what_is_held_too_long_goes_to_another() {
    let node = Node::new();
    let stopping = CancellationToken::new();
    let running = tokio::spawn(node.shares.clone().run(stopping.clone()));
    assert_eq!(node.get("a", 2), [(0, 1, 1)]);
    node.clock.turn(Duration::from_secs(30));
    while node.shares.read(&key(), 0, &node.wake).is_none_or(|it| it.from != 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.get("b", 1), [(0, 0, 2)]);
    assert_eq!(node.ack("a", 0, 1), Err(ErrorCode::InvalidRecordState));
    stopping.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_is_not_acknowledged() {
    let node = Node::new();
    assert_eq!(node.get("a", 3), [(0, 2, 1)]);
    node.log.refuses.store(true, Relaxed);
    assert_eq!(node.ack("a", 0, 2), Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(node.start(), Some(0));
    node.log.refuses.store(false, Relaxed);
    node.ack("a", 0, 2).unwrap();
    assert_eq!(node.start(), Some(3));
}

#[tokio::test]
async fn one_reads_at_a_time_and_the_next_is_woken() {
    let node = Node::new();
    let reading = node.shares.read(&key(), 0, &node.wake).unwrap();
    assert!(node.shares.read(&key(), 0, &node.wake).is_none());
    drop(reading);
    node.wake.notified().await;
    assert!(node.shares.read(&key(), 0, &node.wake).is_some());
}

#[tokio::test]
async fn a_member_that_is_gone_gives_its_records_back() {
    let node = Node::new();
    assert_eq!(node.get("a", 2), [(0, 1, 1)]);
    node.shares.release(&[key()], "a");
    assert_eq!(node.get("b", 2), [(0, 1, 2)]);
}

#[tokio::test]
async fn old_records_of_the_state_are_dropped_and_nothing_is_forgotten() {
    let mut node = Node::new();
    for it in 0..1_200 {
        assert_eq!(node.get("a", 1), [(it, it, 1)]);
        node.ack("a", it, it).unwrap();
    }
    let other = Key { partition: 1, ..key() };
    let before = node.log.batches.lock().unwrap().len();
    node.shares.begin_at(&other, Some(7), 2).unwrap();
    node.shares.prune();
    let after = node.log.batches.lock().unwrap().len();
    assert!(after < 500 && before > 1_200, "{before} records, then {after}");
    node.restart();
    assert_eq!(node.start(), Some(1_200));
    assert_eq!(node.shares.position(&other).unwrap().0.start, Some(7));
    node.shares.end("g", None).unwrap();
    node.restart();
    assert_eq!((node.start(), node.shares.position(&other).is_none()), (None, true));
}
