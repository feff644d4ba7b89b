//! Groups and offsets as records of `__consumer_offsets`, in Kafka's own format.
//!
//! Owns: keys, values, versions written and read. Does not own: the topic (the broker).
//! Reading order: this file -> `consumer` -> `share` -> `streams`.
//! Bytes: `docs/formats/consumer-offsets.md`.
//!
//! # Source  Kafka 4.3 `GroupCoordinatorRecordHelpers`: offsets as v4 (v1 if the client set an
//! expiry, which later versions cannot say), groups as v3.

mod consumer;
mod share;
mod streams;

pub use consumer::of_fact;
pub use share::of_share_fact;
pub use streams::of_streams_fact;

use crate::classic::{SavedMember, Snapshot};
use crate::consumer::Fact;
use crate::share as share_group;
use crate::{Change, Committed, Place};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Timestamp;
use systole_wire::message::group_metadata_value::MemberMetadata;
use systole_wire::message::{
    GroupMetadataKey, GroupMetadataValue, Message, OffsetCommitKey, OffsetCommitValue,
};
use systole_wire::record::{self, BatchBuilder, BatchOptions, NO_SEQUENCE, NewRecord, Producer};
use systole_wire::{DecodeError, EncodeError, Reader, Str, Writer};

/// Key types: the first two bytes of a key. 0 is an offset as Kafka wrote it before 0.9.
const OFFSET_LEGACY: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;

const OFFSET_VALUE_VERSION: i16 = 4;
const OFFSET_VALUE_VERSION_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE_VERSION: i16 = 3;

/// Key and value of one record. No value: a tombstone.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    Group {
        id: Arc<str>,
        snapshot: Option<Snapshot>,
    },
    Offset {
        group: Arc<str>,
        change: Change,
    },
    /// A fact of a KIP-848 group.
    Fact {
        group: Arc<str>,
        fact: Fact,
    },
    /// A fact of a share group.
    ShareFact {
        group: Arc<str>,
        fact: share_group::Fact,
    },
    /// A fact of a streams group.
    StreamsFact {
        group: Arc<str>,
        fact: crate::streams::Fact,
    },
    /// A kind of record that this node does not write: of another group protocol, or from a later
    /// version.
    Other,
}

#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("a record without a key, or with a shorter one than two bytes")]
    NoKey,
    #[error("a member in a state of a later version: {0}")]
    State(i8),
    #[error(transparent)]
    Message(#[from] DecodeError),
}

pub fn of_group(id: &str, snapshot: Option<&Snapshot>) -> Result<Pair, EncodeError> {
    let key = encode(GROUP, 0, &GroupMetadataKey { group: id.into() })?;
    let value = snapshot.map(|it| versioned(GROUP_VALUE_VERSION, &group_value(it))).transpose()?;
    Ok(Pair { key, value })
}

pub fn of_offset(group: &str, (place, committed): &Change) -> Result<Pair, EncodeError> {
    let key = OffsetCommitKey {
        group: group.into(),
        topic: (&*place.topic).into(),
        partition: place.partition,
    };
    let value = |it: &Committed| {
        let version = match it.expires_at {
            Some(_) => OFFSET_VALUE_VERSION_WITH_EXPIRY,
            None => OFFSET_VALUE_VERSION,
        };
        versioned(version, &offset_value(it))
    };
    let value = committed.as_ref().map(value).transpose()?;
    Ok(Pair { key: encode(OFFSET, 0, &key)?, value })
}

/// One batch of `pairs`, in order.
pub fn batch(pairs: &[Pair], at: Timestamp) -> Result<Bytes, record::Error> {
    build(pairs, at, BatchOptions::default())
}

/// The same as part of the transaction of a producer (id and epoch).
pub fn batch_in_transaction(
    pairs: &[Pair],
    at: Timestamp,
    (id, epoch): (i64, i16),
) -> Result<Bytes, record::Error> {
    let producer = Producer { id, epoch, base_sequence: NO_SEQUENCE };
    build(pairs, at, BatchOptions { producer, transactional: true, ..BatchOptions::default() })
}

fn build(pairs: &[Pair], at: Timestamp, options: BatchOptions) -> Result<Bytes, record::Error> {
    let mut batch = BatchBuilder::new(options);
    for pair in pairs {
        batch.push(&NewRecord {
            timestamp: at.as_millis(),
            key: Some(&pair.key),
            value: pair.value.as_deref(),
            headers: &[],
        });
    }
    batch.build()
}

/// Understands one record.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Entry, Unreadable> {
    let mut key = Bytes::copy_from_slice(key.unwrap_or_default());
    let kind = key.try_get_i16().map_err(|_| Unreadable::NoKey)?;
    let mut key = Reader::new(key);
    let value = value.map(Bytes::copy_from_slice);
    match kind {
        OFFSET_LEGACY | OFFSET => {
            let key = OffsetCommitKey::decode(&mut key, 0)?;
            let value = value.map(decode::<OffsetCommitValue>).transpose()?;
            let committed = value.as_ref().map(committed);
            let place = Place { topic: shared(&key.topic), partition: key.partition };
            Ok(Entry::Offset { group: shared(&key.group), change: (place, committed) })
        }
        GROUP => {
            let key = GroupMetadataKey::decode(&mut key, 0)?;
            let snapshot = value.map(decode::<GroupMetadataValue>).transpose()?.map(snapshot);
            Ok(Entry::Group { id: shared(&key.group), snapshot })
        }
        10..=15 => Ok(match share::read(kind, &mut key, value)? {
            Some((group, fact)) => Entry::ShareFact { group, fact },
            None => Entry::Other,
        }),
        17..=23 => Ok(match streams::read(kind, &mut key, value)? {
            Some((group, fact)) => Entry::StreamsFact { group, fact },
            None => Entry::Other,
        }),
        _ => Ok(match consumer::read(kind, &mut key, value)? {
            Some((group, fact)) => Entry::Fact { group, fact },
            None => Entry::Other,
        }),
    }
}

pub(crate) fn encode(
    head: i16,
    version: i16,
    message: &impl Message,
) -> Result<Bytes, EncodeError> {
    let mut body = Writer::default();
    message.encode(&mut body, version)?;
    let body = body.into_bytes();
    let mut whole = BytesMut::with_capacity(size_of::<i16>() + body.len());
    whole.put_i16(head);
    whole.put_slice(&body);
    Ok(whole.freeze())
}

/// A value begins with its version.
pub(crate) fn versioned(version: i16, message: &impl Message) -> Result<Bytes, EncodeError> {
    encode(version, version, message)
}

pub(crate) fn decode<M: Message>(mut value: Bytes) -> Result<M, Unreadable> {
    let version = value.try_get_i16().map_err(|_| Unreadable::NoKey)?;
    Ok(M::decode(&mut Reader::new(value), version)?)
}

fn group_value(it: &Snapshot) -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: it.protocol_type.as_deref().unwrap_or_default().into(),
        generation: it.generation,
        protocol: it.protocol.as_deref().map(Str::from),
        leader: it.leader.as_deref().map(Str::from),
        current_state_timestamp: it.state_since.map_or(-1, Timestamp::as_millis),
        members: it.members.iter().map(member_value).collect(),
        ..Default::default()
    }
}

fn member_value(it: &SavedMember) -> MemberMetadata {
    MemberMetadata {
        member_id: (&*it.id).into(),
        group_instance_id: it.instance_id.as_deref().map(Str::from),
        client_id: (&*it.client_id).into(),
        client_host: (&*it.client_host).into(),
        rebalance_timeout: millis(it.rebalance_timeout),
        session_timeout: millis(it.session_timeout),
        subscription: it.subscription.clone(),
        assignment: it.assignment.clone(),
        ..Default::default()
    }
}

fn snapshot(it: GroupMetadataValue) -> Snapshot {
    let known = |it: &Str| if it.is_empty() { None } else { Some(shared(it)) };
    Snapshot {
        protocol_type: known(&it.protocol_type),
        generation: it.generation,
        protocol: it.protocol.as_ref().map(shared),
        leader: it.leader.as_ref().map(shared),
        state_since: since_epoch(it.current_state_timestamp),
        members: it.members.into_iter().map(saved_member).collect(),
    }
}

fn saved_member(it: MemberMetadata) -> SavedMember {
    // Kafka before 0.10.1 knew no rebalance time and used the session's.
    let rebalance =
        if it.rebalance_timeout < 0 { it.session_timeout } else { it.rebalance_timeout };
    SavedMember {
        id: shared(&it.member_id),
        instance_id: it.group_instance_id.as_ref().map(shared),
        client_id: shared(&it.client_id),
        client_host: shared(&it.client_host),
        rebalance_timeout: duration(rebalance),
        session_timeout: duration(it.session_timeout),
        subscription: it.subscription,
        assignment: it.assignment,
    }
}

fn offset_value(it: &Committed) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: it.offset,
        leader_epoch: it.leader_epoch,
        metadata: (&*it.metadata).into(),
        commit_timestamp: it.at.as_millis(),
        expire_timestamp: it.expires_at.map_or(-1, Timestamp::as_millis),
        topic_id: it.topic_id,
        ..Default::default()
    }
}

fn committed(it: &OffsetCommitValue) -> Committed {
    Committed {
        offset: it.offset,
        leader_epoch: it.leader_epoch,
        metadata: shared(&it.metadata),
        at: Timestamp::from_millis(it.commit_timestamp),
        expires_at: since_epoch(it.expire_timestamp),
        topic_id: it.topic_id,
    }
}

/// -1 stands for "not known".
fn since_epoch(millis: i64) -> Option<Timestamp> {
    (millis >= 0).then(|| Timestamp::from_millis(millis))
}

fn millis(it: Duration) -> i32 {
    i32::try_from(it.as_millis()).unwrap_or(i32::MAX)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A copy of its own: a slice would keep the whole batch in memory.
pub(crate) fn shared(it: &Str) -> Arc<str> {
    Arc::from(&**it)
}
