//! The shell around all groups: feeds them requests and time, does what they want done.
//!
//! Owns: the map of groups, the requests that wait, the one timer, the order of records. Does not
//! own: decisions about members (`Group`), the topic (`store`).
//! Reading order: [`Coordinator::join`] -> `Coordinator::enter` -> `Shared::settle` -> `commits`.
//!
//! Each group has a lock of its own, held for a transition and the append of its records, never
//! while the disk works: many commits of many groups share one fsync, and the records of a group
//! lie in the order of its transitions. The lock of the map is taken inside a group's lock or
//! alone; no group's lock is taken inside it.

use super::alarm::Alarm;
use super::config::{GROUP_RECORD_BYTES_MAX, GroupConfig};
use super::journal::{self, Appended, Journal};
use super::kind::Kind;
use super::replay;
use super::slot::{Inner, Slot, Waiter};
use super::store::Store;
use super::transactional::OpenTransactions;
use crate::share::Shares;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use systole_group::classic::{
    Caller, Described, Effect, Group, Join, JoinAnswer, JoinRefused, Leaver, Limits, Saved,
    Snapshot, Sync, SyncAnswer, Token,
};
use systole_group::record::{self, Pair};
use systole_group::{Now, Offsets};
use systole_wire::ErrorCode;
use systole_world::{Instant, World};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// To a classic consumer that finds a group which its protocol has no place in.
const OTHER_KIND: ErrorCode = ErrorCode::InconsistentGroupProtocol;

/// All groups of the node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Coordinator(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    world: World,
    pub(super) config: GroupConfig,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) shares: Shares,
    slots: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    alarm: Alarm<Weak<Slot>>,
    tokens: AtomicU64,
    /// What all groups and offsets take in memory.
    bytes: AtomicUsize,
    pub(super) open_transactions: Mutex<OpenTransactions>,
}

/// One line of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: Arc<str>,
    pub protocol_type: Arc<str>,
    /// `classic`, `consumer`, `share` or `streams`.
    pub kind: &'static str,
    pub state: &'static str,
}

impl Coordinator {
    pub(super) fn new(
        world: &World,
        config: &GroupConfig,
        journal: Arc<dyn Journal>,
        shares: Shares,
    ) -> Self {
        Self(Arc::new(Shared {
            world: world.clone(),
            config: config.clone(),
            journal,
            shares,
            slots: Mutex::default(),
            alarm: Alarm::new(),
            tokens: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            open_transactions: Mutex::default(),
        }))
    }

    /// Reads groups and offsets back and brings them to life. Blocks on file IO; cost: one pass
    /// over `__consumer_offsets`.
    pub fn open(world: &World, config: &GroupConfig, store: Store, shares: Shares) -> Self {
        let started_at = world.clock.instant();
        let replay = store.replay(config);
        let (records, unreadable) = (replay.records, replay.unreadable);
        let it = Self::new(world, config, Arc::new(store), shares);
        let groups = replay.finish(&it);
        let took = world.clock.instant().since(started_at);
        tracing::info!(groups, records, unreadable, ?took, "groups restored");
        it
    }

    /// Takes in what was read back from the log, before anyone asks.
    pub(super) fn restore(&self, id: Arc<str>, saved: replay::Saved) {
        let (limits, now) = (self.0.limits(), self.0.now());
        let consumer = saved.consumer.filter(|it| it.exists()).map(Kind::Consumer);
        let share = saved.share.filter(|it| it.exists()).map(Kind::Share);
        let streams = saved.streams.filter(|it| it.exists()).map(Kind::Streams);
        let mut kind = match (consumer.or(share).or(streams), saved.classic) {
            (Some(it), _) => it,
            (None, Some(it)) => Kind::Classic(Box::new(Group::restored(limits, it, now))),
            (None, None) => Kind::Classic(Box::new(Group::new(limits))),
        };
        kind.resume(now);
        let slot = Arc::new(self.0.new_slot(&id, kind, saved.offsets));
        let mut inner = slot.lock();
        self.0.downgrade_if_due(&slot, &mut inner);
        self.0.settle(&slot, &mut inner);
        drop(inner);
        self.0.note_pending(&slot);
        self.0.slots().insert(id, slot);
    }

    /// Wakes groups when their time comes and drops offsets that are too old, until `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        let clock = Arc::clone(&self.0.world.clock);
        let interval = self.0.config.offsets_retention_check_interval;
        let mut expire_at = clock.instant().plus(interval);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                (at, slot) = self.0.alarm.next(&*clock) => self.ring(at, &slot),
                () = clock.sleep_until(expire_at) => {
                    self.expire();
                    expire_at = clock.instant().plus(interval);
                }
            }
        }
    }

    /// Where the offsets of a group are kept, for who must name the place.
    pub fn place_of(&self, group_id: &str) -> systole_transaction::Place {
        let partition = journal::partition_of(group_id, self.0.journal.partition_count());
        systole_transaction::Place { topic: super::store::TOPIC.into(), partition }
    }

    /// An id for a member that has none: `name`, which people recognise, and something random.
    pub fn fresh_member_id(&self, name: &str) -> Arc<str> {
        let hex = format!("{:032x}", u128::from_be_bytes(*self.0.world.random.uuid().as_bytes()));
        let part = |at: std::ops::Range<usize>| hex.get(at).unwrap_or_default();
        let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
        format!("{name}-{}", parts.join("-")).into()
    }

    /// JoinGroup. The answer may take as long as a rebalance; dropping the receiver does no harm.
    pub fn join(&self, group_id: &str, join: Join) -> oneshot::Receiver<JoinAnswer> {
        let (is_full, named) = (self.0.is_full(), Arc::clone(&join.member_id));
        // A group that does not exist cannot know a member.
        let may_create = named.is_empty() && !is_full;
        let answer = self.enter(group_id, may_create, |slot, inner| {
            let is_vacant = inner.kind.is_vacant();
            match inner.kind {
                Kind::Consumer(_) if !is_vacant => {
                    return self.0.join_consumer(slot, inner, &join);
                }
                // A share group stays one when it is empty: it knows how far it has read.
                Kind::Share(_) => return refuse_join(OTHER_KIND, Arc::default()),
                Kind::Streams(_) if !is_vacant => {
                    return refuse_join(OTHER_KIND, Arc::default());
                }
                _ => {}
            }
            if let Err(code) = self.0.become_classic(slot, inner) {
                return refuse_join(code, Arc::clone(&named));
            }
            let (sender, receiver) = oneshot::channel();
            let token = self.0.token();
            if let Some(group) = inner.classic() {
                if is_full && group.grows_by(&join) {
                    return refuse_join(ErrorCode::GroupMaxSizeReached, Arc::default());
                }
                group.join(token, join, self.0.now());
            }
            inner.wait(token, Waiter::Join(sender));
            self.0.settle(slot, inner);
            self.0.forget_if_unused(slot, inner);
            receiver
        });
        answer.unwrap_or_else(|| {
            let is_new = named.is_empty();
            let code =
                if is_new { ErrorCode::GroupMaxSizeReached } else { ErrorCode::UnknownMemberId };
            refuse_join(code, named)
        })
    }

    /// SyncGroup. Waits for the leader and for the disk.
    pub fn sync(&self, group_id: &str, sync: &Sync<'_>) -> oneshot::Receiver<SyncAnswer> {
        let answer = self.enter(group_id, false, |slot, inner| {
            let (sender, receiver) = oneshot::channel();
            let token = self.0.token();
            let Some(group) = inner.classic() else {
                return self.0.sync_consumer(slot, inner, sync);
            };
            group.sync(token, sync, self.0.now());
            inner.wait(token, Waiter::Sync(sender));
            self.0.settle(slot, inner);
            receiver
        });
        answer.unwrap_or_else(|| answered(Err(ErrorCode::UnknownMemberId)))
    }

    pub fn heartbeat(&self, group_id: &str, caller: Caller<'_>) -> Result<(), ErrorCode> {
        let beat = |slot: &_, inner: &mut Inner| match inner.classic() {
            Some(group) => group.heartbeat(caller, self.0.now()),
            None => self.0.heartbeat_consumer(slot, inner, caller),
        };
        self.enter(group_id, false, beat).unwrap_or(Err(ErrorCode::UnknownMemberId))
    }

    /// LeaveGroup; one result for each member.
    pub fn leave(&self, group_id: &str, leavers: &[Leaver<'_>]) -> Vec<Result<(), ErrorCode>> {
        let results = self.enter(group_id, false, |slot, inner| {
            let results = match inner.classic() {
                Some(group) => group.leave(leavers, self.0.now()),
                None => self.0.remove_members(slot, inner, leavers),
            };
            self.0.downgrade_if_due(slot, inner);
            self.0.settle(slot, inner);
            self.0.forget_if_unused(slot, inner);
            results
        });
        results.unwrap_or_else(|| vec![Err(ErrorCode::UnknownMemberId); leavers.len()])
    }

    /// Every group, in the order of ids.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |slot: &Arc<Slot>| {
            let inner = slot.lock();
            let (protocol_type, state) = (inner.kind.protocol_type(), inner.kind.state_name());
            Listed { id: Arc::clone(&slot.id), protocol_type, kind: inner.kind.name(), state }
        };
        let mut all: Vec<_> = self.0.all().iter().map(listed).collect();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// DescribeGroups: classic groups only.
    pub fn describe(&self, group_id: &str) -> Option<Described> {
        self.enter(group_id, false, |_, inner| inner.classic().map(|it| it.described())).flatten()
    }

    fn ring(&self, at: Instant, slot: &Weak<Slot>) {
        let Some(slot) = slot.upgrade() else { return };
        let mut inner = slot.lock();
        if inner.alarm_at != Some(at) || inner.is_dead {
            return; // an earlier entry of the same group did its work
        }
        inner.alarm_at = None;
        match &mut inner.kind {
            Kind::Classic(group) => group.advance(self.0.now()),
            Kind::Share(_) => self.0.advance_share(&slot, &mut inner),
            Kind::Consumer(_) | Kind::Streams(_) => self.0.advance_by_facts(&slot, &mut inner),
        }
        self.0.downgrade_if_due(&slot, &mut inner);
        self.0.settle(&slot, &mut inner);
        self.0.forget_if_unused(&slot, &mut inner);
    }

    /// Runs `turn` on a group under its lock; `None` if there is none and none may be made.
    pub(super) fn enter<R>(
        &self,
        group_id: &str,
        may_create: bool,
        turn: impl FnOnce(&Arc<Slot>, &mut Inner) -> R,
    ) -> Option<R> {
        loop {
            let slot = self.0.slot(group_id, may_create)?;
            let mut inner = slot.lock();
            // One that died between the look-up and the lock is looked up anew.
            if !inner.is_dead {
                return Some(turn(&slot, &mut inner));
            }
        }
    }
}

impl Shared {
    pub(super) fn now(&self) -> Now {
        Now { instant: self.world.clock.instant(), calendar: self.world.clock.now() }
    }

    pub(super) fn limits(&self) -> Limits {
        let GroupConfig { initial_rebalance_delay: initial_delay, members_max, .. } = self.config;
        Limits { initial_delay, members_max }
    }

    fn token(&self) -> Token {
        Token(self.tokens.fetch_add(1, Relaxed))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// All memory is taken: nothing new gets in.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) as u64 >= self.config.memory_bytes_max
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.slots().values().cloned().collect()
    }

    pub(super) fn slot(&self, group_id: &str, may_create: bool) -> Option<Arc<Slot>> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(group_id) {
            return Some(Arc::clone(slot));
        }
        if !may_create {
            return None;
        }
        let id: Arc<str> = group_id.into();
        let kind = Kind::Classic(Box::new(Group::new(self.limits())));
        let slot = Arc::new(self.new_slot(&id, kind, Offsets::default()));
        slots.insert(id, Arc::clone(&slot));
        Some(slot)
    }

    fn new_slot(&self, id: &Arc<str>, kind: Kind, offsets: Offsets) -> Slot {
        let partition = journal::partition_of(id, self.journal.partition_count());
        Slot::new(Arc::clone(id), partition, kind, offsets)
    }

    /// The end of a group without members.
    pub(super) fn remove(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        inner.is_dead = true;
        if let Some(group) = inner.classic() {
            group.delete();
        }
        let mut slots = self.slots();
        if slots.get(&slot.id).is_some_and(|it| Arc::ptr_eq(it, slot)) {
            slots.remove(&slot.id);
        }
        drop(slots);
        self.bytes.fetch_sub(inner.counted_bytes, Relaxed);
        inner.counted_bytes = 0;
    }

    /// A group that left no record needs no tombstone: a refused join must not stay in memory.
    pub(super) fn forget_if_unused(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if inner.is_unused() {
            self.remove(slot, inner);
        }
    }

    /// Does what the group wants done, sees to its next waking, and counts its memory.
    pub(super) fn settle(self: &Arc<Self>, slot: &Arc<Slot>, inner: &mut Inner) {
        loop {
            let effects = inner.classic().map(Group::take_effects).unwrap_or_default();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Join(token, answer) => inner.answer_join(token, answer),
                    Effect::Sync(token, answer) => inner.answer_sync(token, answer),
                    Effect::Save(snapshot, saved) => self.save(slot, inner, &snapshot, saved),
                }
            }
        }
        self.arm(slot, inner);
        inner.group_bytes = slot.id.len() + inner.kind.bytes();
        self.weigh(inner);
    }

    /// Sees to it that the group is woken in time.
    pub(super) fn arm(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if let Some(due) = inner.kind.next_deadline()
            && inner.alarm_at.is_none_or(|at| due < at)
        {
            inner.alarm_at = Some(due);
            self.alarm.set(due, Arc::downgrade(slot));
        }
    }

    fn save(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        inner: &mut Inner,
        snapshot: &Snapshot,
        saved: Saved,
    ) {
        let pair = encoded(record::of_group(&slot.id, Some(snapshot))).and_then(|pair| {
            let bytes = pair.value.as_ref().map_or(0, bytes::Bytes::len);
            let fits = bytes <= GROUP_RECORD_BYTES_MAX;
            if fits { Ok(pair) } else { Err(ErrorCode::UnknownServerError) }
        });
        let durable = match pair.and_then(|it| self.append(slot.partition, &[it])) {
            Ok(appended) => appended.durable,
            Err(code) => {
                if let Some(group) = inner.classic() {
                    group.saved(saved, Err(code), self.now());
                }
                return;
            }
        };
        let (shared, slot) = (Arc::clone(self), Arc::clone(slot));
        // Not in the request's own future: that one ends with its connection, and the others wait
        // for the same record.
        tokio::spawn(async move {
            let stored = durable.await;
            let mut inner = slot.lock();
            if let Some(group) = inner.classic() {
                group.saved(saved, stored, shared.now());
            }
            shared.settle(&slot, &mut inner);
        });
    }

    pub(super) fn append(&self, partition: i32, pairs: &[Pair]) -> Result<Appended, ErrorCode> {
        let batch = record::batch(pairs, self.world.clock.now());
        let batch = batch.map_err(|_| ErrorCode::UnknownServerError)?;
        self.journal.append(partition, batch)
    }

    /// Brings the count of bytes up to date.
    pub(super) fn weigh(&self, inner: &mut Inner) {
        if inner.is_dead {
            return;
        }
        let bytes = inner.group_bytes + inner.offsets.bytes();
        self.bytes.fetch_add(bytes, Relaxed);
        self.bytes.fetch_sub(inner.counted_bytes, Relaxed);
        inner.counted_bytes = bytes;
    }
}

/// A name that no record can hold did not come in over the wire.
pub(super) fn encoded(pair: Result<Pair, systole_wire::EncodeError>) -> Result<Pair, ErrorCode> {
    pair.map_err(|_| ErrorCode::UnknownServerError)
}

pub(super) fn answered<T>(answer: T) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    let _ = sender.send(answer);
    receiver
}

pub(super) fn refuse_join(code: ErrorCode, member_id: Arc<str>) -> oneshot::Receiver<JoinAnswer> {
    answered(Err(JoinRefused { code, member_id }))
}
