//! The state of share partitions as records of `__share_group_state`, in Kafka's own format.
//!
//! Owns: keys, values, versions. Does not own: the topic (the coordinator).
//! Bytes: `docs/formats/share-groups.md`.
//!
//! A snapshot says everything; an update says what changed since the one before it, and counts only
//! together with the snapshot whose epoch it names.
//!
//! # Source  Kafka 4.3 `ShareCoordinatorRecordHelpers`

use super::saved::{Saved, SavedBatch, Update};
use super::state::State;
use crate::record::{Pair, Unreadable, decode, encode, shared, versioned};
use bytes::{Buf as _, Bytes};
use std::sync::Arc;
use systole_kit::{Timestamp, Uuid};
use systole_wire::message::{
    Message, ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue,
};
use systole_wire::message::{share_snapshot_value, share_update_value};
use systole_wire::{EncodeError, Reader};

/// Key types: the first two bytes of a key.
const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;

/// `start_offset` of a share partition that nobody has read.
const NOT_BEGUN: i64 = -1;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub group: Arc<str>,
    pub topic: Uuid,
    pub partition: i32,
}

impl Key {
    /// The name by which Kafka chooses the partition of `__share_group_state`.
    pub fn name(&self) -> String {
        format!("{}:{}:{}", self.group, self.topic, self.partition)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Grows with each snapshot.
    pub epoch: i32,
    /// Grows when the state is begun anew: the group's epoch then.
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub created_at: Timestamp,
    pub written_at: Timestamp,
    pub saved: Saved,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// `None`: the state is gone.
    Snapshot(Key, Option<Box<Snapshot>>),
    /// With the epoch of its snapshot.
    Update(Key, i32, Update),
    /// From a later version.
    Other,
}

/// # Errors  A group id too long for the format.
pub fn of_snapshot(key: &Key, snapshot: Option<&Snapshot>) -> Result<Pair, EncodeError> {
    let wire_key = ShareSnapshotKey {
        group_id: (&*key.group).into(),
        topic_id: key.topic,
        partition: key.partition,
    };
    let value = |it: &Snapshot| ShareSnapshotValue {
        snapshot_epoch: it.epoch,
        state_epoch: it.state_epoch,
        leader_epoch: it.leader_epoch,
        start_offset: it.saved.start.unwrap_or(NOT_BEGUN),
        delivery_complete_count: count(it.saved.decided),
        create_timestamp: it.created_at.as_millis(),
        write_timestamp: it.written_at.as_millis(),
        state_batches: it.saved.batches.iter().map(snapshot_batch).collect(),
        ..Default::default()
    };
    let value = snapshot.map(|it| versioned(0, &value(it))).transpose()?;
    Ok(Pair { key: encode(SNAPSHOT, 0, &wire_key)?, value })
}

/// # Errors  A group id too long for the format.
pub fn of_update(
    key: &Key,
    (snapshot_epoch, leader_epoch): (i32, i32),
    update: &Update,
) -> Result<Pair, EncodeError> {
    let wire_key = ShareUpdateKey {
        group_id: (&*key.group).into(),
        topic_id: key.topic,
        partition: key.partition,
    };
    let batch = |it: &SavedBatch| share_update_value::StateBatch {
        first_offset: it.first,
        last_offset: it.last,
        delivery_state: number(it.state),
        delivery_count: it.deliveries,
        ..Default::default()
    };
    let value = ShareUpdateValue {
        snapshot_epoch,
        leader_epoch,
        start_offset: update.start,
        delivery_complete_count: count(update.decided),
        state_batches: update.batches.iter().map(batch).collect(),
        ..Default::default()
    };
    Ok(Pair { key: encode(UPDATE, 0, &wire_key)?, value: Some(versioned(0, &value)?) })
}

/// Understands one record.
///
/// # Errors  [`Unreadable`] for bytes that say nothing.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Entry, Unreadable> {
    let mut key = Bytes::copy_from_slice(key.unwrap_or_default());
    let kind = key.try_get_i16().map_err(|_| Unreadable::NoKey)?;
    let mut key = Reader::new(key);
    let value = value.map(Bytes::copy_from_slice);
    match kind {
        SNAPSHOT => {
            let key = ShareSnapshotKey::decode(&mut key, 0)?;
            let key = self::key(&key.group_id, key.topic_id, key.partition);
            let value = value.map(decode::<ShareSnapshotValue>).transpose()?;
            Ok(Entry::Snapshot(key, value.map(|it| snapshot(&it)).transpose()?.map(Box::new)))
        }
        UPDATE => {
            let key = ShareUpdateKey::decode(&mut key, 0)?;
            let key = self::key(&key.group_id, key.topic_id, key.partition);
            let Some(value) = value.map(decode::<ShareUpdateValue>).transpose()? else {
                return Ok(Entry::Other);
            };
            let batch = |it: &share_update_value::StateBatch| {
                let (state, deliveries) = (state(it.delivery_state)?, it.delivery_count);
                Ok(SavedBatch { first: it.first_offset, last: it.last_offset, state, deliveries })
            };
            let batches = value.state_batches.iter().map(batch);
            let update = Update {
                start: value.start_offset,
                decided: value.delivery_complete_count.max(0).into(),
                batches: batches.collect::<Result<_, Unreadable>>()?,
            };
            Ok(Entry::Update(key, value.snapshot_epoch, update))
        }
        _ => Ok(Entry::Other),
    }
}

fn key(group: &systole_wire::Str, topic: Uuid, partition: i32) -> Key {
    Key { group: shared(group), topic, partition }
}

fn snapshot(it: &ShareSnapshotValue) -> Result<Snapshot, Unreadable> {
    let batch = |it: &share_snapshot_value::StateBatch| {
        let (state, deliveries) = (state(it.delivery_state)?, it.delivery_count);
        Ok(SavedBatch { first: it.first_offset, last: it.last_offset, state, deliveries })
    };
    let batches = it.state_batches.iter().map(batch);
    Ok(Snapshot {
        epoch: it.snapshot_epoch,
        state_epoch: it.state_epoch,
        leader_epoch: it.leader_epoch,
        created_at: Timestamp::from_millis(it.create_timestamp),
        written_at: Timestamp::from_millis(it.write_timestamp),
        saved: Saved {
            start: (it.start_offset >= 0).then_some(it.start_offset),
            decided: it.delivery_complete_count.max(0).into(),
            batches: batches.collect::<Result<_, Unreadable>>()?,
        },
    })
}

fn snapshot_batch(it: &SavedBatch) -> share_snapshot_value::StateBatch {
    share_snapshot_value::StateBatch {
        first_offset: it.first,
        last_offset: it.last,
        delivery_state: number(it.state),
        delivery_count: it.deliveries,
        ..Default::default()
    }
}

/// Kafka's numbers; an acquired record is not written.
fn number(it: State) -> i8 {
    match it {
        State::Available => 0,
        State::Acquired => 1,
        State::Acknowledged => 2,
        State::Archived => 4,
    }
}

fn state(number: i8) -> Result<State, Unreadable> {
    Ok(match number {
        0 => State::Available,
        2 => State::Acknowledged,
        4 => State::Archived,
        other => return Err(Unreadable::State(other)),
    })
}

fn count(it: i64) -> i32 {
    i32::try_from(it).unwrap_or(i32::MAX)
}
