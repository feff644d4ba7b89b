//! A group under one of the protocols.
//!
//! Owns: what can be asked of each. Does not own: what only one can do (`coordinator` for classic
//! groups, `consumer` for those of KIP-848, `share` for those of KIP-932, `streams` for those of
//! KIP-1071).

use super::coordinator::encoded;
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_group::record::{self, Pair};
use systole_group::{Now, Retention, classic, consumer, share, streams};
use systole_wire::ErrorCode;
use systole_world::Instant;

#[derive(Debug)]
pub(super) enum Kind {
    Classic(Box<classic::Group>),
    Consumer(Box<consumer::Group>),
    Share(Box<share::Group>),
    Streams(Box<streams::Group>),
}

impl Kind {
    /// As ListGroups names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Consumer(_) => "consumer",
            Self::Share(_) => "share",
            Self::Streams(_) => "streams",
        }
    }
    pub(super) fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(it) => it.state_name(),
            Self::Consumer(it) => it.state_name(),
            Self::Share(it) => it.state_name(),
            Self::Streams(it) => it.state_name(),
        }
    }
    pub(super) fn protocol_type(&self) -> Arc<str> {
        match self {
            Self::Classic(it) => it.protocol_type(),
            Self::Consumer(_) => "consumer".into(),
            Self::Share(_) => "share".into(),
            Self::Streams(_) => "streams".into(),
        }
    }
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Classic(it) => it.next_deadline(),
            Self::Consumer(it) => it.next_deadline(),
            Self::Share(it) => it.next_deadline(),
            Self::Streams(it) => it.next_deadline(),
        }
    }
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Classic(it) => it.bytes(),
            Self::Consumer(it) => it.bytes(),
            Self::Share(it) => it.bytes(),
            Self::Streams(it) => it.bytes(),
        }
    }
    /// Nobody is in it, nor about to be: with no offsets either it may be forgotten.
    pub(super) fn is_vacant(&self) -> bool {
        match self {
            Self::Classic(it) => it.is_vacant(),
            Self::Consumer(it) => it.is_empty(),
            Self::Share(it) => it.is_empty(),
            Self::Streams(it) => it.is_empty(),
        }
    }
    /// A record of it may be in the log.
    pub(super) fn was_saved(&self) -> bool {
        match self {
            Self::Classic(it) => it.was_saved(),
            Self::Consumer(it) => it.exists(),
            Self::Share(it) => it.exists(),
            Self::Streams(it) => it.exists(),
        }
    }
    /// May it be forgotten once it has neither members nor offsets? A share group stays until it is
    /// deleted: it knows how far it has read.
    pub(super) fn grows_old(&self) -> bool {
        !matches!(self, Self::Share(_))
    }
    pub(super) fn may_delete(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(it) => it.may_delete(),
            Self::Consumer(it) if it.is_empty() => Ok(()),
            Self::Share(it) if it.is_empty() => Ok(()),
            Self::Streams(it) if it.is_empty() => Ok(()),
            Self::Consumer(_) | Self::Share(_) | Self::Streams(_) => Err(ErrorCode::NonEmptyGroup),
        }
    }
    pub(super) fn may_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(it) => it.may_delete_offsets(),
            Self::Consumer(_) | Self::Streams(_) => Ok(()),
            Self::Share(_) => Err(ErrorCode::GroupIdNotFound),
        }
    }
    /// Does a member read `topic`? Yes if that cannot be known.
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(it) => it.is_subscribed(topic),
            Self::Consumer(it) => it.is_subscribed(topic),
            Self::Share(_) => false,
            Self::Streams(it) => it.is_subscribed(topic),
        }
    }
    /// The topics whose offsets do not grow old in a consumer group.
    pub(super) fn subscribed(&self) -> BTreeSet<Arc<str>> {
        match self {
            Self::Classic(_) | Self::Share(_) => BTreeSet::new(),
            Self::Consumer(it) => it.topics(),
            Self::Streams(it) => it.topics(),
        }
    }
    pub(super) fn retention<'a>(&'a self, subscribed: &'a BTreeSet<Arc<str>>) -> Retention<'a> {
        match self {
            Self::Classic(it) => it.retention(),
            Self::Share(_) => Retention::Forever,
            Self::Consumer(_) | Self::Streams(_) => Retention::UnlessSubscribed(subscribed),
        }
    }

    /// The records of what changed since the last call. A classic group saves itself whole.
    pub(super) fn take_pairs(&mut self, group_id: &str) -> Result<Vec<Pair>, ErrorCode> {
        match self {
            Self::Classic(_) => Ok(Vec::new()),
            Self::Consumer(it) => pairs_of(group_id, &it.take_facts()),
            Self::Share(it) => share_pairs_of(group_id, &it.take_facts()),
            Self::Streams(it) => streams_pairs_of(group_id, &it.take_facts()),
        }
    }
    /// The records taken last have their place in the log.
    pub(super) fn appended(&mut self) {
        match self {
            Self::Classic(_) => {}
            Self::Consumer(it) => it.appended(),
            Self::Share(it) => it.appended(),
            Self::Streams(it) => it.appended(),
        }
    }
    /// The records taken last have none: what they tell is taken back.
    pub(super) fn undo(&mut self) {
        match self {
            Self::Classic(_) => {}
            Self::Consumer(it) => it.undo(),
            Self::Share(it) => it.undo(),
            Self::Streams(it) => it.undo(),
        }
    }
    /// Sessions start anew. A classic group does so itself.
    pub(super) fn resume(&mut self, now: Now) {
        match self {
            Self::Classic(_) => {}
            Self::Consumer(it) => it.resume(now),
            Self::Share(it) => it.resume(now),
            Self::Streams(it) => it.resume(now),
        }
    }
    /// What takes the group's own records back.
    pub(super) fn tombstones(&self, group_id: &str) -> Result<Vec<Pair>, ErrorCode> {
        match self {
            Self::Classic(_) => Ok(vec![encoded(record::of_group(group_id, None))?]),
            Self::Consumer(it) => pairs_of(group_id, &it.end()),
            Self::Share(it) => share_pairs_of(group_id, &it.end()),
            Self::Streams(it) => streams_pairs_of(group_id, &it.end()),
        }
    }
}

fn pairs_of(group_id: &str, facts: &[consumer::Fact]) -> Result<Vec<Pair>, ErrorCode> {
    facts.iter().map(|it| encoded(record::of_fact(group_id, it))).collect()
}

fn share_pairs_of(group_id: &str, facts: &[share::Fact]) -> Result<Vec<Pair>, ErrorCode> {
    facts.iter().map(|it| encoded(record::of_share_fact(group_id, it))).collect()
}

fn streams_pairs_of(group_id: &str, facts: &[streams::Fact]) -> Result<Vec<Pair>, ErrorCode> {
    facts.iter().map(|it| encoded(record::of_streams_fact(group_id, it))).collect()
}
