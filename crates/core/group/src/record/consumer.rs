//! Facts of KIP-848 groups as records.
//!
//! Owns: their keys and values. Does not own: what they mean (`consumer`).

use super::{Pair, Unreadable, decode, duration, encode, millis, shared, versioned};
use crate::classic::Protocol;
use crate::consumer::{
    Assigned, ClassicMember, Current, Epoch, Fact, MemberState, Partitions, Resolved, Subscription,
    TargetEpoch,
};
use bytes::Bytes;
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::message::consumer_group_current_member_assignment_value as current_value;
use systole_wire::message::consumer_group_member_metadata_value as member_value;
use systole_wire::message::consumer_group_target_assignment_member_value as target_value;
use systole_wire::message::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, Message,
};
use systole_wire::{EncodeError, Reader, Str};

pub(super) const EPOCH: i16 = 3;
pub(super) const MEMBER: i16 = 5;
pub(super) const TARGET_EPOCH: i16 = 6;
pub(super) const TARGET: i16 = 7;
pub(super) const CURRENT: i16 = 8;
pub(super) const PATTERN: i16 = 16;

/// Kafka's numbers of the states.
const STABLE: i8 = 1;
const UNREVOKED: i8 = 2;
const UNRELEASED: i8 = 3;

/// The record that keeps a fact of `group`.
///
/// # Errors  A text too long for the format.
pub fn of_fact(group: &str, fact: &Fact) -> Result<Pair, EncodeError> {
    let group_id: Str = group.into();
    match fact {
        Fact::Epoch(it) => {
            pair(EPOCH, &ConsumerGroupMetadataKey { group_id }, it.as_ref().map(epoch_value))
        }
        Fact::Member(id, it) => {
            let key = ConsumerGroupMemberMetadataKey { group_id, member_id: (&**id).into() };
            pair(MEMBER, &key, it.as_deref().map(member_value))
        }
        Fact::TargetEpoch(it) => {
            let value = it.as_ref().map(|it| ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: it.number,
                assignment_timestamp: it.at.as_millis(),
                ..Default::default()
            });
            pair(TARGET_EPOCH, &ConsumerGroupTargetAssignmentMetadataKey { group_id }, value)
        }
        Fact::Target(id, it) => {
            let member_id = (&**id).into();
            let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id };
            pair(TARGET, &key, it.as_ref().map(target_value))
        }
        Fact::Current(id, it) => {
            let member_id = (&**id).into();
            let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
            pair(CURRENT, &key, it.as_ref().map(current_value))
        }
        Fact::Pattern(pattern, it) => {
            let regular_expression = (&**pattern).into();
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
            pair(PATTERN, &key, it.as_ref().map(pattern_value))
        }
    }
}

/// The group and the fact that a record of this kind keeps; `None` if the kind is another.
pub(super) fn read(
    kind: i16,
    key: &mut Reader,
    value: Option<Bytes>,
) -> Result<Option<(Arc<str>, Fact)>, Unreadable> {
    Ok(Some(match kind {
        EPOCH => {
            let key = ConsumerGroupMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupMetadataValue>).transpose()?;
            let epoch = value.map(|it| Epoch { number: it.epoch, metadata_hash: it.metadata_hash });
            (shared(&key.group_id), Fact::Epoch(epoch))
        }
        MEMBER => {
            let key = ConsumerGroupMemberMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupMemberMetadataValue>).transpose()?;
            let subscription = value.as_ref().map(subscription).map(Box::new);
            (shared(&key.group_id), Fact::Member(shared(&key.member_id), subscription))
        }
        TARGET_EPOCH => {
            let key = ConsumerGroupTargetAssignmentMetadataKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupTargetAssignmentMetadataValue>);
            let at = Timestamp::from_millis;
            let epoch = value.transpose()?.map(|it| TargetEpoch {
                number: it.assignment_epoch,
                at: at(it.assignment_timestamp),
            });
            (shared(&key.group_id), Fact::TargetEpoch(epoch))
        }
        TARGET => {
            let key = ConsumerGroupTargetAssignmentMemberKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupTargetAssignmentMemberValue>);
            let target = value.transpose()?.map(|it| {
                let of = |it: target_value::TopicPartition| {
                    (it.topic_id, it.partitions.into_iter().collect())
                };
                it.topic_partitions.into_iter().map(of).collect()
            });
            (shared(&key.group_id), Fact::Target(shared(&key.member_id), target))
        }
        CURRENT => {
            let key = ConsumerGroupCurrentMemberAssignmentKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupCurrentMemberAssignmentValue>);
            let current = value.transpose()?.as_ref().map(current).transpose()?;
            (shared(&key.group_id), Fact::Current(shared(&key.member_id), current))
        }
        PATTERN => {
            let key = ConsumerGroupRegularExpressionKey::decode(key, 0)?;
            let value = value.map(decode::<ConsumerGroupRegularExpressionValue>).transpose()?;
            let resolved = value.as_ref().map(|it| Resolved {
                topics: it.topics.iter().map(shared).collect(),
                version: it.version,
                at: Timestamp::from_millis(it.timestamp),
            });
            (shared(&key.group_id), Fact::Pattern(shared(&key.regular_expression), resolved))
        }
        _ => return Ok(None),
    }))
}

pub(super) fn pair<V: Message>(
    kind: i16,
    key: &impl Message,
    value: Option<V>,
) -> Result<Pair, EncodeError> {
    let value = value.map(|it| versioned(0, &it)).transpose()?;
    Ok(Pair { key: encode(kind, 0, key)?, value })
}

fn epoch_value(it: &Epoch) -> ConsumerGroupMetadataValue {
    ConsumerGroupMetadataValue {
        epoch: it.number,
        metadata_hash: it.metadata_hash,
        ..Default::default()
    }
}

fn member_value(it: &Subscription) -> ConsumerGroupMemberMetadataValue {
    let text = |it: &Option<Arc<str>>| it.as_deref().map(Str::from);
    ConsumerGroupMemberMetadataValue {
        instance_id: text(&it.instance_id),
        rack_id: text(&it.rack_id),
        client_id: (&*it.client_id).into(),
        client_host: (&*it.client_host).into(),
        subscribed_topic_names: it.topics.iter().map(|it| (&**it).into()).collect(),
        subscribed_topic_regex: Some((&*it.pattern).into()),
        rebalance_timeout_ms: millis(it.rebalance_timeout),
        server_assignor: text(&it.assignor),
        classic_member_metadata: it.classic.as_ref().map(classic_value),
        ..Default::default()
    }
}

fn classic_value(it: &ClassicMember) -> member_value::ClassicMemberMetadata {
    let protocol = |it: &Protocol| member_value::ClassicProtocol {
        name: (&*it.name).into(),
        metadata: it.metadata.clone(),
        ..Default::default()
    };
    member_value::ClassicMemberMetadata {
        session_timeout_ms: millis(it.session_timeout),
        supported_protocols: it.protocols.iter().map(protocol).collect(),
        ..Default::default()
    }
}

fn subscription(it: &ConsumerGroupMemberMetadataValue) -> Subscription {
    let text = |it: &Option<Str>| it.as_ref().map(shared);
    let protocol = |it: &member_value::ClassicProtocol| Protocol {
        name: shared(&it.name),
        metadata: Bytes::copy_from_slice(&it.metadata),
    };
    Subscription {
        instance_id: text(&it.instance_id),
        rack_id: text(&it.rack_id),
        client_id: shared(&it.client_id),
        client_host: shared(&it.client_host),
        topics: it.subscribed_topic_names.iter().map(shared).collect(),
        pattern: text(&it.subscribed_topic_regex).unwrap_or_default(),
        rebalance_timeout: duration(it.rebalance_timeout_ms),
        assignor: text(&it.server_assignor),
        classic: it.classic_member_metadata.as_ref().map(|it| ClassicMember {
            session_timeout: duration(it.session_timeout_ms),
            protocols: it.supported_protocols.iter().map(protocol).collect(),
        }),
    }
}

fn target_value(it: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let topic =
        |(topic, those): (&_, &std::collections::BTreeSet<i32>)| target_value::TopicPartition {
            topic_id: *topic,
            partitions: those.iter().copied().collect(),
            ..Default::default()
        };
    ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: it.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn current_value(it: &Current) -> ConsumerGroupCurrentMemberAssignmentValue {
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: it.epoch,
        previous_member_epoch: it.previous_epoch,
        state: match it.state {
            MemberState::Stable => STABLE,
            MemberState::Unrevoked => UNREVOKED,
            MemberState::Unreleased => UNRELEASED,
        },
        assigned_partitions: assigned_value(&it.assigned),
        partitions_pending_revocation: assigned_value(&it.revoking),
        ..Default::default()
    }
}

fn assigned_value(it: &Assigned) -> Vec<current_value::TopicPartitions> {
    let topic = |(topic, those): (&_, &std::collections::BTreeMap<i32, i32>)| {
        current_value::TopicPartitions {
            topic_id: *topic,
            partitions: those.keys().copied().collect(),
            assignment_epochs: Some(those.values().copied().collect()),
            ..Default::default()
        }
    };
    it.iter().map(topic).collect()
}

fn current(it: &ConsumerGroupCurrentMemberAssignmentValue) -> Result<Current, Unreadable> {
    Ok(Current {
        epoch: it.member_epoch,
        previous_epoch: it.previous_member_epoch,
        state: match it.state {
            STABLE => MemberState::Stable,
            UNREVOKED => MemberState::Unrevoked,
            UNRELEASED => MemberState::Unreleased,
            other => return Err(Unreadable::State(other)),
        },
        assigned: assigned(&it.assigned_partitions, it.member_epoch),
        revoking: assigned(&it.partitions_pending_revocation, it.member_epoch),
    })
}

/// Before 4.2 Kafka kept no epochs: then a partition counts as held since the member's own.
fn assigned(those: &[current_value::TopicPartitions], member_epoch: i32) -> Assigned {
    let topic = |it: &current_value::TopicPartitions| {
        let epochs = it.assignment_epochs.as_deref().unwrap_or_default();
        let known = if epochs.len() == it.partitions.len() { epochs } else { &[] };
        let epochs = known.iter().copied().chain(std::iter::repeat(member_epoch.max(0)));
        (it.topic_id, it.partitions.iter().copied().zip(epochs).collect())
    };
    those.iter().map(topic).collect()
}

fn pattern_value(it: &Resolved) -> ConsumerGroupRegularExpressionValue {
    ConsumerGroupRegularExpressionValue {
        topics: it.topics.iter().map(|it| (&**it).into()).collect(),
        version: it.version,
        timestamp: it.at.as_millis(),
        ..Default::default()
    }
}
