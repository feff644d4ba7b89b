//! The shell over a log in memory that syncs when it is told to, with a clock turned by hand.

use super::coordinator::Listed;
use super::journal::{Appended, Journal};
use super::replay::Replay;
use super::*;
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use systole_group::classic::{Caller, Join, JoinAnswer, Protocol, Sync};
use systole_group::consumer::{Topic, Topics};
use systole_group::{Committed, Offsets, Place};
use systole_kit::{Timestamp, Uuid};
use systole_log::Ticket;
use systole_wire::ErrorCode;
use systole_wire::record::BatchHeader;
use systole_world::sim::{HandClock, SeededRandom};
use systole_world::{Clock as _, World};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

const PARTITIONS: i32 = 3;

#[derive(Debug)]
struct MemoryLog {
    /// Batches with the offset behind each, by partition.
    partitions: Mutex<Vec<Vec<(i64, Bytes)>>>,
    /// How many batches of all partitions, in the order of appends, are durable.
    durable: watch::Sender<usize>,
    appended: Mutex<usize>,
    /// Batches at which each partition's end was durable: `(number, partition, end)`.
    ends: Mutex<Vec<(usize, i32, i64)>>,
    syncs: Mutex<usize>,
}

impl MemoryLog {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            partitions: Mutex::new(vec![Vec::new(); usize::try_from(PARTITIONS).unwrap()]),
            durable: watch::Sender::new(0),
            appended: Mutex::new(0),
            ends: Mutex::default(),
            syncs: Mutex::new(0),
        })
    }
    /// One fsync for everything appended so far.
    fn sync(&self) {
        *self.syncs.lock().unwrap() += 1;
        self.durable.send_replace(*self.appended.lock().unwrap());
    }
    fn end(&self, partition: i32, durable: usize) -> i64 {
        let ends = self.ends.lock().unwrap();
        let of = ends.iter().filter(|(number, it, _)| *it == partition && *number <= durable);
        of.map(|it| it.2).max().unwrap_or(0)
    }
    /// What a restart finds: durable batches only.
    fn replay(&self) -> Replay {
        let mut replay = Replay::new(&GroupConfig::default());
        for (index, batches) in self.partitions.lock().unwrap().iter().enumerate() {
            let end = self.end(i32::try_from(index).unwrap(), *self.durable.borrow());
            for (_, batch) in batches.iter().filter(|(next, _)| *next <= end) {
                replay.batch(batch);
            }
        }
        replay
    }
}

impl Journal for MemoryLog {
    fn partition_count(&self) -> i32 {
        PARTITIONS
    }
    fn append(&self, partition: i32, batch: Bytes) -> Result<Appended, ErrorCode> {
        let mut partitions = self.partitions.lock().unwrap();
        let batches = &mut partitions[usize::try_from(partition).unwrap()];
        let base = batches.last().map_or(0, |it| it.0);
        let next = base + i64::from(BatchHeader::read(&batch).unwrap().records_count);
        batches.push((next, batch));
        let mut appended = self.appended.lock().unwrap();
        *appended += 1;
        let number = *appended;
        self.ends.lock().unwrap().push((number, partition, next));
        let mut durable = self.durable.subscribe();
        let durable = Box::pin(async move {
            durable.wait_for(|it| *it >= number).await.unwrap();
            Ok(())
        });
        Ok(Appended { last_offset: next - 1, ticket: Ticket::NONE, durable })
    }
    fn topics(&self) -> &dyn Topics {
        &NoTopics
    }
    fn durable_end(&self, partition: i32) -> i64 {
        self.end(partition, *self.durable.borrow())
    }
}

struct NoTopics;

impl Topics for NoTopics {
    fn version(&self) -> u64 {
        0
    }
    fn by_name(&self, _: &str) -> Option<Topic> {
        None
    }
    fn name_of(&self, _: Uuid) -> Option<Arc<str>> {
        None
    }
    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

struct Node {
    clock: HandClock,
    log: Arc<MemoryLog>,
    groups: Coordinator,
    stop: CancellationToken,
}

impl Node {
    fn start(log: Arc<MemoryLog>, config: &GroupConfig) -> Self {
        let clock = HandClock::starting_at(Timestamp::from_millis(1_700_000_000_000));
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom::new(7)),
            ..World::os()
        };
        let shares = crate::share::tests::empty(&world);
        let groups = Coordinator::new(&world, config, log.clone(), shares);
        log.replay().finish(&groups);
        let stop = CancellationToken::new();
        tokio::spawn(groups.clone().run(stop.clone()));
        Self { clock, log, groups, stop }
    }
    fn new() -> Self {
        Self::start(MemoryLog::new(), &GroupConfig::default())
    }
    fn join(&self, group: &str, member_id: &str) -> oneshot::Receiver<JoinAnswer> {
        self.groups.join(group, joining(member_id, self.groups.fresh_member_id("c")))
    }
    fn commit(&self, group: &str, partition: i32, offset: i64) -> Result<Durable, ErrorCode> {
        let place = Place { topic: "t".into(), partition };
        let committed = Committed {
            offset,
            leader_epoch: 1,
            metadata: "m".into(),
            at: self.clock.now(),
            expires_at: None,
            topic_id: Uuid::ZERO,
        };
        let offsets = vec![(place, committed)];
        let commit = Commit { caller: nobody(), knows_epochs: false, offsets };
        self.groups.commit(group, commit).map(|(_, durable)| durable)
    }
    fn offset(&self, group: &str, partition: i32) -> Option<i64> {
        let look = |it: &Offsets| it.get("t", partition).map(|it| it.offset);
        self.groups.read_offsets(group, look).flatten()
    }
    fn listed(&self) -> Vec<String> {
        let line = |it: Listed| format!("{} {} {}", it.id, it.protocol_type, it.state);
        self.groups.list().into_iter().map(line).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn joining(member_id: &str, fresh_id: Arc<str>) -> Join {
    Join {
        member_id: member_id.into(),
        fresh_id,
        instance_id: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"),
        }],
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_mins(1),
        returns_with_id: false,
        may_skip_assignment: true,
    }
}

fn nobody() -> Caller<'static> {
    Caller { member_id: "", instance_id: None, generation: -1 }
}

fn assigning<'a>(member_id: &'a str, generation: i32, parts: &[(&str, &'static str)]) -> Sync<'a> {
    let parts = parts.iter().map(|(id, it)| ((*id).into(), Bytes::from_static(it.as_bytes())));
    Sync {
        caller: Caller { member_id, instance_id: None, generation },
        protocol_type: None,
        protocol: None,
        assignments: parts.collect::<HashMap<_, _>>(),
    }
}

/// Lets every task run until none makes progress.
async fn idle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn is_ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    idle().await;
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

#[tokio::test]
async fn a_commit_counts_and_shows_once_it_is_durable_and_many_share_one_sync() {
    let node = Node::new();
    let mut durable = Vec::new();
    for n in 0..100 {
        durable.push(node.commit(&format!("g{}", n % 7), n, i64::from(n)).unwrap());
    }
    assert!(is_ready(&mut durable[0]).await.is_none());
    assert_eq!(node.offset("g0", 0), None);
    node.log.sync();
    for it in &mut durable {
        assert_eq!(is_ready(it).await, Some(Ok(())));
    }
    assert_eq!((node.offset("g0", 0), node.offset("g1", 99)), (Some(0), Some(99)));
    assert_eq!(*node.log.syncs.lock().unwrap(), 1);
}

#[tokio::test]
async fn an_assignment_reaches_the_members_after_the_disk() {
    let node = Node::new();
    let joined = node.join("g", "").await.unwrap().unwrap();
    let me = &*joined.member_id;
    let mut synced = node.groups.sync("g", &assigning(me, 1, &[(me, "A")]));
    assert!(is_ready(&mut synced).await.is_none());
    assert_eq!(node.listed(), ["g consumer CompletingRebalance"]);
    node.log.sync();
    assert_eq!(synced.await.unwrap().unwrap().assignment, "A");
    assert_eq!(node.listed(), ["g consumer Stable"]);
}

#[tokio::test]
async fn the_timer_ends_sessions_and_lets_rebalances_go_on() {
    let node = Node::new();
    let first = node.join("g", "").await.unwrap().unwrap();
    let mut second = node.join("g", "");
    node.clock.turn(Duration::from_secs(9));
    assert!(is_ready(&mut second).await.is_none());
    node.clock.turn(Duration::from_secs(1));
    let second = is_ready(&mut second).await.unwrap().unwrap().unwrap();
    assert_eq!((second.generation, &second.leader), (2, &second.member_id));
    let caller = Caller { member_id: &first.member_id, instance_id: None, generation: 1 };
    assert_eq!(node.groups.heartbeat("g", caller), Err(ErrorCode::UnknownMemberId));
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_leaves_nothing_behind() {
    let node = Node::new();
    let first = node.join("g", "").await.unwrap().unwrap();
    for _ in 0..100 {
        drop(node.join("g", &first.member_id));
        drop(node.join("g", ""));
    }
    idle().await;
    node.clock.turn(Duration::from_mins(1));
    idle().await;
    node.clock.turn(Duration::from_mins(1));
    idle().await;
    node.log.sync();
    idle().await;
    assert_eq!(node.listed(), ["g consumer Empty"]);
    node.clock.turn(Duration::from_mins(10));
    idle().await;
    assert_eq!(node.listed(), [""; 0], "a group without members and offsets is dropped");
    assert_eq!(node.groups.0.bytes(), 0);
}

#[tokio::test]
async fn after_a_crash_the_durable_part_is_there_and_sessions_start_anew() {
    let node = Node::new();
    let joined = node.join("g", "").await.unwrap().unwrap();
    let me = &*joined.member_id;
    let synced = node.groups.sync("g", &assigning(me, 1, &[(me, "A")]));
    drop(node.commit("g2", 1, 10).unwrap());
    drop(node.commit("g3", 1, 10).unwrap());
    node.log.sync();
    synced.await.unwrap().unwrap();
    drop(node.groups.delete("g3").unwrap());
    drop(node.commit("g2", 2, 20).unwrap());
    node.log.sync();
    drop(node.commit("g2", 1, 99).unwrap()); // not durable

    let again = Node::start(Arc::clone(&node.log), &GroupConfig::default());
    assert_eq!(again.listed(), ["g consumer Stable", "g2  Empty"]);
    assert_eq!((again.offset("g2", 1), again.offset("g2", 2)), (Some(10), Some(20)));
    let caller = Caller { member_id: me, instance_id: None, generation: 1 };
    assert_eq!(again.groups.heartbeat("g", caller), Ok(()));
    let synced = again.groups.sync("g", &assigning(me, 1, &[])).await.unwrap();
    assert_eq!(synced.unwrap().assignment, "A");
    again.clock.turn(Duration::from_secs(10));
    idle().await;
    assert_eq!(again.listed(), ["g consumer Empty", "g2  Empty"]);
}

#[tokio::test]
async fn offsets_end_with_their_retention_their_topic_or_their_group() {
    let node = Node::new();
    for group in ["old", "young", "deleted", "topicless"] {
        drop(node.commit(group, 0, 5).unwrap());
    }
    node.log.sync();
    drop(node.groups.delete("deleted").unwrap());
    let almost_a_week = Duration::from_secs(7 * 24 * 3600 - 1);
    node.clock.turn(almost_a_week);
    idle().await;
    drop(node.commit("young", 0, 6).unwrap());
    node.log.sync();
    node.groups.forget_topic("other");
    assert_eq!(node.listed().len(), 3);
    node.clock.turn(Duration::from_mins(10));
    idle().await;
    node.log.sync();
    node.clock.turn(Duration::from_mins(10));
    idle().await;
    node.log.sync();
    assert_eq!(node.listed(), ["young  Empty"]);
    node.groups.forget_topic("t");
    node.log.sync();
    assert_eq!(node.offset("young", 0), None);
    let again = Node::start(Arc::clone(&node.log), &GroupConfig::default());
    assert_eq!(again.listed(), [""; 0]);
}

#[tokio::test]
async fn refused_requests_leave_no_group_behind() {
    let node = Node::new();
    let bad = Join { protocols: Vec::new(), ..joining("", "m".into()) };
    let refused = node.groups.join("g", bad).await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::InconsistentGroupProtocol);
    let refused = node.join("g", "unknown").await.unwrap().unwrap_err();
    assert_eq!((refused.code, &*refused.member_id), (ErrorCode::UnknownMemberId, "unknown"));
    let member = Caller { member_id: "m", instance_id: None, generation: 1 };
    let commit = Commit { caller: member, knows_epochs: false, offsets: Vec::new() };
    assert!(matches!(node.groups.commit("g", commit), Err(ErrorCode::GroupIdNotFound)));
    assert_eq!(node.listed(), [""; 0]);
    assert_eq!(node.groups.0.bytes(), 0);
}

#[tokio::test]
async fn at_the_limit_of_memory_nothing_new_gets_in_and_what_is_there_goes_on() {
    let config = GroupConfig { memory_bytes_max: 20_000, ..GroupConfig::default() };
    let node = Node::start(MemoryLog::new(), &config);
    let member = node.join("g", "").await.unwrap().unwrap();
    let mut committed = 0;
    while let Ok(durable) = node.commit("offsets", committed, 1) {
        drop(durable);
        node.log.sync();
        committed += 1;
    }
    assert!((50..200).contains(&committed), "{committed} offsets in 20 kB");
    assert!(node.commit("offsets", 0, 2).is_ok());
    let refused = node.join("g", "").await.unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::GroupMaxSizeReached);
    assert!(node.join("new", "").await.unwrap().is_err());
    assert!(node.join("g", &member.member_id).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_groups_at_once_each_settle() {
    let node = Arc::new(Node::new());
    let log = Arc::clone(&node.log);
    let syncing = tokio::spawn(async move {
        loop {
            log.sync();
            tokio::task::yield_now().await;
        }
    });
    let member = |node: Arc<Node>, group: String| async move {
        let mut id = String::new();
        for _ in 0..1_000 {
            let Ok(joined) = node.join(&group, &id).await.unwrap() else { continue };
            id = joined.member_id.to_string();
            let ids =
                joined.members.iter().map(|it| (Arc::clone(&it.id), Bytes::from_static(b"p")));
            let caller =
                Caller { member_id: &id, instance_id: None, generation: joined.generation };
            let sync =
                Sync { caller, protocol_type: None, protocol: None, assignments: ids.collect() };
            if node.groups.sync(&group, &sync).await.unwrap().is_err() {
                continue;
            }
            loop {
                if node.groups.heartbeat(&group, caller).is_err() {
                    break;
                }
                let all = node.groups.describe(&group).unwrap();
                if all.state == "Stable" && all.members.len() == 4 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        panic!("the group did not settle");
    };
    let mut tasks = Vec::new();
    for n in 0..80 {
        tasks.push(tokio::spawn(member(Arc::clone(&node), format!("g{}", n % 20))));
    }
    for task in tasks {
        task.await.unwrap();
    }
    syncing.abort();
    assert!(node.listed().iter().all(|it| it.ends_with("Stable")));
}
