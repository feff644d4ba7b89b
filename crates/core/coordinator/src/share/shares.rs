//! All share partitions of the node.
//!
//! Owns: the map of share partitions, the one timer, the order of records. Does not own: decisions
//! about records (`Partition`), the topic (`store`).
//! Reading order: [`Shares::begin`] -> [`Shares::read`] -> [`Shares::acknowledge`] -> `slot`.
//!
//! Each share partition has a lock of its own, held for a transition and the append of its record,
//! never while the disk works. The lock of the map is taken alone or inside a group's; no lock of a
//! group is taken inside any lock of this module.

use super::ShareConfig;
use super::reading::Reading;
use super::settings::Settings;
use super::slot::{Inner, Slot};
use super::store::{Replayed, StateLog, Store};
use crate::group::{Alarm, Durable, partition_of};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use systole_group::consumer::Partitions;
use systole_group::share_partition::record::Key;
use systole_group::share_partition::{Ack, Partition};
use systole_kit::Uuid;
use systole_wire::{ErrorCode, Rejected};
use systole_world::{Instant, World};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shares(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) config: ShareConfig,
    pub(super) log: Box<dyn StateLog>,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    alarm: Alarm<Weak<Slot>>,
}

/// How far a share partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The first record that is not decided; `None`: nobody has read yet.
    pub start: Option<i64>,
    /// Records behind it that are.
    pub decided: i64,
}

impl Shares {
    /// Reads share partitions back. Blocks on file IO; cost: one pass over `__share_group_state`.
    pub fn open(world: &World, config: &ShareConfig, store: Store) -> Self {
        let started_at = world.clock.instant();
        let replayed = store.replay();
        let it = Self::restore(world, config, Box::new(store), replayed);
        let took = world.clock.instant().since(started_at);
        tracing::debug!(share_partitions = it.0.slots().len(), ?took, "share groups restored");
        it
    }

    pub(super) fn restore(
        world: &World,
        config: &ShareConfig,
        log: Box<dyn StateLog>,
        replayed: Replayed,
    ) -> Self {
        if replayed.unreadable > 0 {
            let (records, unreadable) = (replayed.records, replayed.unreadable);
            tracing::error!(records, unreadable, "states of share groups could not be read");
        }
        let mut slots = HashMap::new();
        for (key, (snapshot, at, updates)) in replayed.states {
            let saved = snapshot.saved;
            let inner = Inner {
                window: saved.start.map(|it| Partition::restored(it, &saved.batches)),
                epoch: snapshot.epoch,
                state_epoch: snapshot.state_epoch,
                snapshot_at: Some(at),
                updates,
                ..Inner::default()
            };
            let place = partition_of(&key.name(), log.partition_count());
            slots.insert(key.clone(), Arc::new(Slot::new(key, place, inner)));
        }
        let (world, config) = (world.clone(), config.clone());
        let alarm = Alarm::new();
        Self(Arc::new(Shared { world, config, log, slots: Mutex::new(slots), alarm }))
    }

    /// Takes back what is held too long and drops what is said no more, until `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        let clock = Arc::clone(&self.0.world.clock);
        let interval = self.0.config.state_prune_interval;
        let mut prune_at = clock.instant().plus(interval);
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                (at, slot) = self.0.alarm.next(&*clock) => self.ring(at, &slot),
                () = clock.sleep_until(prune_at) => {
                    self.prune();
                    prune_at = clock.instant().plus(interval);
                }
            }
        }
    }

    /// What is in force for a group.
    pub fn settings(&self, _group: &str) -> Settings {
        Settings::of(&self.0.config)
    }

    /// Gives share partitions a state, from the start that the group's settings say.
    ///
    /// # Errors  `COORDINATOR_NOT_AVAILABLE`: some have none yet.
    pub(crate) fn begin(
        &self,
        group: &Arc<str>,
        partitions: &Partitions,
        state_epoch: i32,
    ) -> Result<(), ErrorCode> {
        for (topic, those) in partitions {
            for partition in those {
                let (group, topic, partition) = (Arc::clone(group), *topic, *partition);
                self.begin_at(&Key { group, topic, partition }, None, state_epoch)?;
            }
        }
        Ok(())
    }

    /// Begins a state anew; what was acquired is forgotten.
    pub(crate) fn begin_at(
        &self,
        key: &Key,
        start: Option<i64>,
        state_epoch: i32,
    ) -> Result<(), ErrorCode> {
        loop {
            let slot = self.0.slot_or_new(key);
            let mut inner = slot.lock();
            if !inner.is_dead {
                return self.0.begin_at(&slot, &mut inner, (start, state_epoch));
            }
            drop(inner);
            self.0.remove(&slot);
        }
    }

    /// Forgets the states of a group: of one topic, or all.
    ///
    /// # Errors  `COORDINATOR_NOT_AVAILABLE`: some are still there.
    pub(crate) fn end(&self, group: &str, topic: Option<Uuid>) -> Result<(), ErrorCode> {
        let is_meant =
            |key: &Key| *key.group == *group && topic.is_none_or(|topic| key.topic == topic);
        self.0.end(is_meant)
    }

    /// Forgets what all groups know of a topic that is gone.
    pub fn forget_topic(&self, topic: Uuid) {
        if let Err(code) = self.0.end(|key| key.topic == topic) {
            tracing::warn!(code = code.name(), "states of a deleted topic could not be dropped");
        }
    }

    /// Where to begin if nobody has read yet: `Some` settings say so, `None` that it has begun.
    ///
    /// # Errors  `UNKNOWN_TOPIC_OR_PARTITION` without a state.
    pub fn unbegun(&self, key: &Key) -> Result<Option<Settings>, ErrorCode> {
        let slot = self.0.slot(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let is_begun = slot.lock().window.is_some();
        Ok((!is_begun).then(|| self.settings(&key.group)))
    }

    /// Lets a share partition begin at `start`, if it has not begun. Read from it once the future
    /// is ready: what comes after a crash must not begin elsewhere.
    ///
    /// # Errors  `UNKNOWN_TOPIC_OR_PARTITION` without a state, `COORDINATOR_NOT_AVAILABLE` if it
    /// cannot be written.
    pub fn begin_reading(&self, key: &Key, start: i64) -> Result<Durable, ErrorCode> {
        let slot = self.0.slot(key).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut inner = slot.lock();
        if inner.window.is_none() && !inner.is_dead {
            let state_epoch = inner.state_epoch;
            self.0.begin_at(&slot, &mut inner, (Some(start), state_epoch))?;
        }
        Ok(inner.durable())
    }

    /// The right to read for a share partition; `None`: another has it, or there is nothing to
    /// acquire. `wake` is notified when that may have changed.
    pub fn read(&self, key: &Key, log_start: i64, wake: &Arc<Notify>) -> Option<Reading> {
        let slot = self.0.slot(key)?;
        let settings = self.settings(&key.group);
        let mut inner = slot.lock();
        let window = inner.window.as_mut()?;
        window.trim_to(log_start);
        let (can, from) = (window.can_acquire(settings.rules), window.next_fetch());
        inner.watch(wake);
        if !can || inner.is_read {
            return None;
        }
        inner.is_read = true;
        drop(inner);
        Some(Reading { shares: self.clone(), slot, from })
    }

    /// Carries out what a member says of its records. The answer counts once the future is ready.
    ///
    /// # Errors  `UNKNOWN_TOPIC_OR_PARTITION` without such a share partition, what
    /// [`Partition::acknowledge`] refuses, `COORDINATOR_NOT_AVAILABLE` if it cannot be written.
    pub fn acknowledge(&self, key: &Key, member: &str, acks: &[Ack]) -> Result<Durable, Rejected> {
        let unknown = || {
            let text = "This server does not host this topic-partition.";
            Rejected::new(ErrorCode::UnknownTopicOrPartition, text)
        };
        let slot = self.0.slot(key).ok_or_else(unknown)?;
        let rules = self.settings(&key.group).rules;
        let mut inner = slot.lock();
        let now = self.0.now();
        let window = inner.window.as_mut().ok_or_else(unknown)?;
        let done = window.acknowledge(member, acks, rules, now);
        done.map_err(|it| Rejected::new(it.code, it.message))?;
        let written = self.0.write(&slot, &mut inner);
        self.0.arm(&slot, &mut inner);
        inner.wake();
        let text = "The acknowledgement cannot be written now.";
        written.map_err(|code| Rejected::new(code, text))?;
        Ok(inner.durable())
    }

    /// Takes back what a member has of these share partitions: it is gone.
    pub fn release(&self, keys: &[Key], member: &str) {
        for slot in keys.iter().filter_map(|it| self.0.slot(it)) {
            let rules = self.settings(&slot.key.group).rules;
            let mut inner = slot.lock();
            let Some(window) = inner.window.as_mut() else { continue };
            window.release(member, rules);
            self.0.write_or_wait(&slot, &mut inner);
        }
    }

    /// How far a share partition has come, once the future is ready; `None` without a state.
    pub fn position(&self, key: &Key) -> Option<(Position, Durable)> {
        let slot = self.0.slot(key)?;
        let inner = slot.lock();
        let window = inner.window.as_ref();
        let decided = window.map_or(0, Partition::decided);
        let position = Position { start: window.map(Partition::start), decided };
        Some((position, inner.durable()))
    }

    fn ring(&self, at: Instant, slot: &Weak<Slot>) {
        let Some(slot) = slot.upgrade() else { return };
        let rules = self.settings(&slot.key.group).rules;
        let mut inner = slot.lock();
        if inner.alarm_at != Some(at) || inner.is_dead {
            return; // an earlier entry did its work
        }
        inner.alarm_at = None;
        let now = self.0.now();
        if let Some(window) = inner.window.as_mut() {
            window.expire(now, rules);
        }
        self.0.write_or_wait(&slot, &mut inner);
    }
}

impl Shared {
    pub(super) fn now(&self) -> Instant {
        self.world.clock.instant()
    }
    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.slots().values().cloned().collect()
    }
    fn slot(&self, key: &Key) -> Option<Arc<Slot>> {
        self.slots().get(key).cloned()
    }
    fn slot_or_new(&self, key: &Key) -> Arc<Slot> {
        let place = partition_of(&key.name(), self.log.partition_count());
        let fresh = || Arc::new(Slot::new(key.clone(), place, Inner::default()));
        Arc::clone(self.slots().entry(key.clone()).or_insert_with(fresh))
    }

    fn remove(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        if slots.get(&slot.key).is_some_and(|it| Arc::ptr_eq(it, slot)) {
            slots.remove(&slot.key);
        }
    }

    fn begin_at(
        &self,
        slot: &Slot,
        inner: &mut Inner,
        (start, state_epoch): (Option<i64>, i32),
    ) -> Result<(), ErrorCode> {
        let before = (inner.window.take(), inner.state_epoch);
        (inner.window, inner.state_epoch) = (start.map(Partition::new), state_epoch);
        let written = self.write_snapshot(slot, inner);
        if written.is_err() {
            (inner.window, inner.state_epoch) = before;
        }
        inner.wake();
        written
    }

    /// Forgets states.
    fn end(&self, is_meant: impl Fn(&Key) -> bool) -> Result<(), ErrorCode> {
        let meant = self.all().into_iter().filter(|it| is_meant(&it.key));
        for slot in meant.collect::<Vec<_>>() {
            let mut inner = slot.lock();
            if inner.snapshot_at.is_some() {
                self.write_end(&slot, &mut inner)?;
            }
            (inner.is_dead, inner.window) = (true, None);
            inner.wake();
            drop(inner);
            self.remove(&slot);
        }
        Ok(())
    }

    /// Writes what nobody waits for. If it cannot be written, records stay acquired, and the next
    /// deadline tries again.
    fn write_or_wait(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if let Err(code) = self.write(slot, inner) {
            tracing::warn!(code = code.name(), "a share partition could not be written");
            let at = self.now().plus(RETRY_INTERVAL);
            inner.alarm_at = Some(at);
            self.alarm.set(at, Arc::downgrade(slot));
            return;
        }
        self.arm(slot, inner);
        inner.wake();
    }

    /// Sees to it that the share partition is woken in time.
    pub(super) fn arm(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        if let Some(due) = inner.window.as_ref().and_then(Partition::next_deadline)
            && inner.alarm_at.is_none_or(|at| due < at)
        {
            inner.alarm_at = Some(due);
            self.alarm.set(due, Arc::downgrade(slot));
        }
    }
}

/// After a write that failed.
const RETRY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
