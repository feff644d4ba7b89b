//! Acknowledgements, as ShareFetch and ShareAcknowledge bring them along.
//!
//! Owns: their form, the rights they need, their results by partition. Does not own: what they do
//! (`Shares`), sessions (`share_session`).
//!
//! # Source  Kafka's `KafkaApis.handleAcknowledgements`, `validateAcknowledgementBatches`

use super::{Call, place};
use crate::ctx::Ctx;
use crate::share_session::{Ended, Place};
use std::sync::Arc;
use systole_coordinator::group::Durable;
use systole_group::share_partition::record::Key;
use systole_group::share_partition::{Ack, AckKind};
use systole_guard::Operation;
use systole_wire::{ErrorCode, Rejected};

/// What is said of one partition's records.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) place: Place,
    /// First and last offset, and Kafka's numbers of what is to become of them.
    pub(super) batches: Vec<(i64, i64, Vec<i8>)>,
}

/// What was begun for each partition; each counts once its future is ready.
pub(super) type Begun = Vec<(Place, Result<Option<Durable>, Rejected>)>;

/// Number of the kind that asks for more time.
const RENEW: i8 = 4;
/// The version since which members may ask for it.
const RENEW_FROM_VERSION: i16 = 2;

/// Carries out what a member of a group says. `renews`: the request says that it asks for more
/// time.
pub(super) fn begin(call: &Call, who: (&str, &str), renews: bool, said: Vec<Said>) -> Begun {
    let one = |it: Said| (it.place, begin_one(call, who, renews, &it));
    said.into_iter().map(one).collect()
}

fn begin_one(
    call: &Call,
    (group, member): (&str, &str),
    renews: bool,
    said: &Said,
) -> Result<Option<Durable>, Rejected> {
    let (id, partition) = said.place;
    let plain = |code: ErrorCode| Rejected::new(code, "");
    let topic = call.ctx.topics.by_id(id).ok_or_else(|| plain(ErrorCode::UnknownTopicId))?;
    let kinds_max = if call.version >= RENEW_FROM_VERSION { RENEW } else { RENEW - 1 };
    let acks = acks(said, kinds_max, renews).ok_or_else(|| plain(ErrorCode::InvalidRequest))?;
    place::topic_with_id(call, Operation::Read, id).map_err(plain)?;
    place::partition(&call.ctx, &topic, partition).map_err(plain)?;
    if acks.is_empty() {
        return Ok(None);
    }
    let key = Key { group: group.into(), topic: id, partition };
    call.ctx.shares.acknowledge(&key, member, &acks).map(Some)
}

/// `None`: the form is wrong.
fn acks(said: &Said, kinds_max: i8, renews: bool) -> Option<Vec<Ack>> {
    let mut end_before = -1;
    let mut acks = Vec::with_capacity(said.batches.len());
    for (first, last, kinds) in &said.batches {
        let is_right = first <= last && *first >= end_before && !kinds.is_empty();
        let fits = kinds.len() == 1 || i64::try_from(kinds.len()).ok()? - 1 == last - first;
        let are_known = kinds.iter().all(|it| (0..=kinds_max).contains(it));
        let may_renew = renews || !kinds.contains(&RENEW);
        if !(is_right && fits && are_known && may_renew) {
            return None;
        }
        let kinds = kinds.iter().map(|it| AckKind::from_wire(*it)).collect::<Option<_>>()?;
        acks.push(Ack { first: *first, last: *last, kinds });
        end_before = *last;
    }
    Some(acks)
}

/// Code and message for each partition, once it is durable.
pub(super) async fn finish(
    call: &Call,
    begun: Begun,
) -> Vec<(Place, i16, Option<systole_wire::Str>)> {
    let mut results = Vec::with_capacity(begun.len());
    for (place, begun) in begun {
        let done = match begun {
            Ok(Some(durable)) => durable.await.map_err(|code| Rejected::new(code, "")),
            Ok(None) => Ok(()),
            Err(rejected) => Err(rejected),
        };
        let (code, message) = match done {
            Ok(()) => (ErrorCode::None.number(), None),
            Err(rejected) => call.error(&rejected),
        };
        results.push((place, code, message.filter(|it| !it.is_empty())));
    }
    results
}

/// Takes back what members of ended sessions may still have.
pub(crate) fn take_back(ctx: &Ctx, ended: &[Ended]) {
    for it in ended {
        let key = |(topic, partition): &Place| Key {
            group: Arc::clone(&it.group),
            topic: *topic,
            partition: *partition,
        };
        let keys: Vec<_> = it.places.iter().map(key).collect();
        ctx.shares.release(&keys, &it.member);
    }
}
