//! Facts of share groups as records.
//!
//! Owns: their keys and values. Does not own: what they mean (`share`).

use super::{Pair, Unreadable, decode, encode, shared, versioned};
use crate::consumer::{Epoch, Partitions, TargetEpoch};
use crate::share::{Current, Fact, Known, Named, Subscription};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use systole_kit::{Timestamp, Uuid};
use systole_wire::message::share_group_current_member_assignment_value as current_value;
use systole_wire::message::share_group_state_partition_metadata_value as known_value;
use systole_wire::message::share_group_target_assignment_member_value as target_value;
use systole_wire::message::{
    Message, ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue,
    ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue, ShareGroupMetadataKey,
    ShareGroupMetadataValue, ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue, ShareGroupTargetAssignmentMemberKey,
    ShareGroupTargetAssignmentMemberValue, ShareGroupTargetAssignmentMetadataKey,
    ShareGroupTargetAssignmentMetadataValue,
};
use systole_wire::{EncodeError, Reader};

/// Key types.
const MEMBER: i16 = 10;
const EPOCH: i16 = 11;
const TARGET_EPOCH: i16 = 12;
const TARGET: i16 = 13;
const CURRENT: i16 = 14;
const KNOWN: i16 = 15;

/// Kafka's number of the one state that a member of a share group is in.
const STABLE: i8 = 0;

/// One fact of the share group `group_id`.
///
/// # Errors  A text or list too long for the format.
pub fn of_share_fact(group_id: &str, fact: &Fact) -> Result<Pair, EncodeError> {
    match fact {
        Fact::Epoch(it) => {
            let key = ShareGroupMetadataKey { group_id: group_id.into() };
            let value = it.map(|it| ShareGroupMetadataValue {
                epoch: it.number,
                metadata_hash: it.metadata_hash,
                ..Default::default()
            });
            pair(EPOCH, &key, value)
        }
        Fact::Member(id, it) => {
            let key = ShareGroupMemberMetadataKey {
                group_id: group_id.into(),
                member_id: (&**id).into(),
            };
            pair(MEMBER, &key, it.as_deref().map(member_value))
        }
        Fact::TargetEpoch(it) => {
            let key = ShareGroupTargetAssignmentMetadataKey { group_id: group_id.into() };
            let value = it.map(|it| ShareGroupTargetAssignmentMetadataValue {
                assignment_epoch: it.number,
                assignment_timestamp: it.at.as_millis(),
                ..Default::default()
            });
            pair(TARGET_EPOCH, &key, value)
        }
        Fact::Target(id, it) => {
            let key = ShareGroupTargetAssignmentMemberKey {
                group_id: group_id.into(),
                member_id: (&**id).into(),
            };
            pair(TARGET, &key, it.as_ref().map(target_value))
        }
        Fact::Current(id, it) => {
            let key = ShareGroupCurrentMemberAssignmentKey {
                group_id: group_id.into(),
                member_id: (&**id).into(),
            };
            pair(CURRENT, &key, it.as_ref().map(current_value))
        }
        Fact::Known(it) => {
            let key = ShareGroupStatePartitionMetadataKey { group_id: group_id.into() };
            pair(KNOWN, &key, it.as_deref().map(known_value))
        }
    }
}

/// The fact in a record of this kind; `None` if the kind is none of ours.
pub(super) fn read(
    kind: i16,
    key: &mut Reader,
    value: Option<Bytes>,
) -> Result<Option<(Arc<str>, Fact)>, Unreadable> {
    Ok(Some(match kind {
        EPOCH => {
            let key = ShareGroupMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupMetadataValue>).transpose()?;
            let epoch = value.map(|it| Epoch { number: it.epoch, metadata_hash: it.metadata_hash });
            (shared(&key.group_id), Fact::Epoch(epoch))
        }
        MEMBER => {
            let key = ShareGroupMemberMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupMemberMetadataValue>).transpose()?;
            let member = value.map(|it| Box::new(subscription(&it)));
            (shared(&key.group_id), Fact::Member(shared(&key.member_id), member))
        }
        TARGET_EPOCH => {
            let key = ShareGroupTargetAssignmentMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupTargetAssignmentMetadataValue>).transpose()?;
            let epoch = value.map(|it| TargetEpoch {
                number: it.assignment_epoch,
                at: Timestamp::from_millis(it.assignment_timestamp),
            });
            (shared(&key.group_id), Fact::TargetEpoch(epoch))
        }
        TARGET => {
            let key = ShareGroupTargetAssignmentMemberKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupTargetAssignmentMemberValue>).transpose()?;
            let target = value.map(|it| {
                let those = it.topic_partitions.into_iter();
                those.map(|it| (it.topic_id, it.partitions.into_iter().collect())).collect()
            });
            (shared(&key.group_id), Fact::Target(shared(&key.member_id), target))
        }
        CURRENT => {
            let key = ShareGroupCurrentMemberAssignmentKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupCurrentMemberAssignmentValue>).transpose()?;
            (shared(&key.group_id), Fact::Current(shared(&key.member_id), value.map(current)))
        }
        KNOWN => {
            let key = ShareGroupStatePartitionMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ShareGroupStatePartitionMetadataValue>).transpose()?;
            (shared(&key.group_id), Fact::Known(value.map(|it| Box::new(known(it)))))
        }
        _ => return Ok(None),
    }))
}

fn pair<V: Message>(kind: i16, key: &impl Message, value: Option<V>) -> Result<Pair, EncodeError> {
    let value = value.map(|it| versioned(0, &it)).transpose()?;
    Ok(Pair { key: encode(kind, 0, key)?, value })
}

fn member_value(it: &Subscription) -> ShareGroupMemberMetadataValue {
    ShareGroupMemberMetadataValue {
        rack_id: it.rack_id.as_deref().map(Into::into),
        client_id: (&*it.client_id).into(),
        client_host: (&*it.client_host).into(),
        subscribed_topic_names: it.topics.iter().map(|it| (&**it).into()).collect(),
        ..Default::default()
    }
}

fn subscription(it: &ShareGroupMemberMetadataValue) -> Subscription {
    Subscription {
        rack_id: it.rack_id.as_ref().map(shared),
        client_id: shared(&it.client_id),
        client_host: shared(&it.client_host),
        topics: it.subscribed_topic_names.iter().map(shared).collect(),
    }
}

fn target_value(it: &Partitions) -> ShareGroupTargetAssignmentMemberValue {
    let topic = |(topic, those): (&Uuid, &BTreeSet<i32>)| target_value::TopicPartition {
        topic_id: *topic,
        partitions: those.iter().copied().collect(),
        ..Default::default()
    };
    ShareGroupTargetAssignmentMemberValue {
        topic_partitions: it.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn current_value(it: &Current) -> ShareGroupCurrentMemberAssignmentValue {
    let topic = |(topic, those): (&Uuid, &BTreeSet<i32>)| current_value::TopicPartitions {
        topic_id: *topic,
        partitions: those.iter().copied().collect(),
        ..Default::default()
    };
    ShareGroupCurrentMemberAssignmentValue {
        member_epoch: it.epoch,
        previous_member_epoch: it.previous_epoch,
        state: STABLE,
        assigned_partitions: it.assigned.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn current(it: ShareGroupCurrentMemberAssignmentValue) -> Current {
    let those = it.assigned_partitions.into_iter();
    Current {
        epoch: it.member_epoch,
        previous_epoch: it.previous_member_epoch,
        assigned: those.map(|it| (it.topic_id, it.partitions.into_iter().collect())).collect(),
    }
}

fn known_value(it: &Known) -> ShareGroupStatePartitionMetadataValue {
    let info = |(topic, it): (&Uuid, &Named)| known_value::TopicPartitionsInfo {
        topic_id: *topic,
        topic_name: (&*it.name).into(),
        partitions: it.partitions.iter().copied().collect(),
        ..Default::default()
    };
    let deleting = |(topic, name): (&Uuid, &Arc<str>)| known_value::TopicInfo {
        topic_id: *topic,
        topic_name: (&**name).into(),
        ..Default::default()
    };
    ShareGroupStatePartitionMetadataValue {
        initializing_topics: it.initializing.iter().map(info).collect(),
        initialized_topics: it.initialized.iter().map(info).collect(),
        deleting_topics: it.deleting.iter().map(deleting).collect(),
        ..Default::default()
    }
}

fn known(it: ShareGroupStatePartitionMetadataValue) -> Known {
    let named = |those: Vec<known_value::TopicPartitionsInfo>| -> BTreeMap<Uuid, Named> {
        let one = |it: known_value::TopicPartitionsInfo| {
            let partitions = it.partitions.into_iter().collect();
            (it.topic_id, Named { name: shared(&it.topic_name), partitions })
        };
        those.into_iter().map(one).collect()
    };
    Known {
        initializing: named(it.initializing_topics),
        initialized: named(it.initialized_topics),
        deleting: it
            .deleting_topics
            .into_iter()
            .map(|it| (it.topic_id, shared(&it.topic_name)))
            .collect(),
    }
}
