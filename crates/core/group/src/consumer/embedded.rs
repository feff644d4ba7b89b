//! The protocol that classic consumers speak inside JoinGroup and SyncGroup.
//!
//! Owns: reading a subscription and an assignment, writing an assignment. Does not own: what
//! follows from them (`classic_member`).

use super::{Partitions, Topics};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_wire::message::consumer_protocol_assignment::TopicPartition;
use systole_wire::message::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, Message};
use systole_wire::{Reader, Writer};

/// The last version known here; later ones only add fields behind.
const VERSION_MAX: i16 = 3;

/// What a classic member wants and has.
pub(super) struct Subscription {
    pub(super) topics: BTreeSet<Arc<str>>,
    pub(super) owned: Partitions,
    pub(super) rack_id: Option<Arc<str>>,
}

/// `None` if `metadata` does not read as a subscription.
pub(super) fn subscription(metadata: &Bytes, topics: &dyn Topics) -> Option<Subscription> {
    let read: ConsumerProtocolSubscription = read(metadata)?;
    let mut owned = Partitions::new();
    for it in &read.owned_partitions {
        if let Some(topic) = topics.by_name(&it.topic) {
            owned.entry(topic.id).or_default().extend(&it.partitions);
        }
    }
    Some(Subscription {
        topics: read.topics.iter().map(|it| Arc::from(&**it)).collect(),
        owned,
        rack_id: read.rack_id.as_deref().map(Arc::from),
    })
}

/// What a leader assigned; `None` if it does not read as an assignment, or if it carries data that
/// only the leader's own assignor understands.
pub(super) fn read_assignment(assignment: &Bytes, topics: &dyn Topics) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Partitions::new());
    }
    let read: ConsumerProtocolAssignment = read(assignment)?;
    if read.user_data.is_some_and(|it| !it.is_empty()) {
        return None;
    }
    let mut assigned = Partitions::new();
    for it in &read.assigned_partitions {
        if let Some(topic) = topics.by_name(&it.topic) {
            assigned.entry(topic.id).or_default().extend(&it.partitions);
        }
    }
    Some(assigned)
}

/// An assignment in the version in which the member wrote its subscription.
pub(super) fn assignment(it: &Partitions, subscription: &Bytes, topics: &dyn Topics) -> Bytes {
    let version = subscription.clone().try_get_i16().unwrap_or(0).clamp(0, VERSION_MAX);
    let topic = |(id, those): (&systole_kit::Uuid, &BTreeSet<i32>)| {
        let partitions = those.iter().copied().collect();
        let topic = (&*topics.name_of(*id)?).into();
        Some(TopicPartition { topic, partitions })
    };
    let assigned_partitions = it.iter().filter_map(topic).collect();
    let body = ConsumerProtocolAssignment { assigned_partitions, ..Default::default() };
    let mut writer = Writer::default();
    if body.encode(&mut writer, version).is_err() {
        return Bytes::new(); // a topic's name is never too long
    }
    let mut whole = BytesMut::new();
    whole.put_i16(version);
    whole.put_slice(&writer.into_bytes());
    whole.freeze()
}

fn read<M: Message>(bytes: &Bytes) -> Option<M> {
    let mut bytes = bytes.clone();
    let version = bytes.try_get_i16().ok().filter(|it| *it >= 0)?;
    M::decode(&mut Reader::new(bytes), version.min(VERSION_MAX)).ok()
}
