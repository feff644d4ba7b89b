//! ShareFetch, v1-2: records for a member of a share group, and what became of earlier ones
//! (KIP-932). v2: records by their number, and more time for earlier ones (KIP-1206, KIP-1222).
//!
//! Reading order: [`ShareFetch`] -> `share_reader` -> `share_ack`.
//!
//! Ours: an answer has at most 8 MiB of records, a single larger batch is served all the same.
//! Where a share partition begins is written when it is first read, so that a crash cannot move it;
//! Kafka writes it with the first acknowledgement. A member that gets no records of a partition is
//! told nothing of it. Neighbours that were delivered equally often are one piece, up to the batch
//! size that was asked for.

use super::share_ack::{self, Said};
use super::share_acknowledge::{group, lock_ms};
use super::share_reader::{self, Limits};
use super::{Call, Handler, Need, Reply};
use crate::share_session::{Ask, Place};
use std::future::Future;
use std::ops::RangeInclusive;
use std::time::Duration;
use systole_group::share_partition::{Acquired, Mode};
use systole_guard::quota::Key;
use systole_guard::{Operation, ResourceType};
use systole_wire::message::share_fetch_response::{
    AcquiredRecords, PartitionData, ShareFetchableTopicResponse,
};
use systole_wire::message::{ShareFetchRequest, ShareFetchResponse};
use systole_wire::{ErrorCode, Rejected, Str};
use systole_world::Instant;

pub(crate) struct ShareFetch;

/// The session epoch that ends a session.
const FINAL: i32 = -1;
/// Kafka's number of the mode in which records are given by their number.
const RECORD_LIMIT: i8 = 1;
/// Most record bytes in one answer.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

impl Handler for ShareFetch {
    type Request = ShareFetchRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;
    const NEEDS: &'static [Need] =
        &[(Operation::Read, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: ShareFetchRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let now = call.ctx.world.clock.instant();
        let due_at = now.plus(wait(&request));
        let begun = begin(&call, request, due_at);
        async move {
            let response = match begun {
                Ok(begun) => serve(&call, begun).await,
                Err(rejected) => {
                    if rejected.code == ErrorCode::ShareSessionLimitReached {
                        idle(&call, due_at).await;
                    }
                    let (error_code, error_message) = call.error(&rejected);
                    let error_message = error_message.filter(|it| !it.is_empty());
                    ShareFetchResponse { error_code, error_message, ..Default::default() }
                }
            };
            Reply::Send(response)
        }
    }
}

fn wait(request: &ShareFetchRequest) -> Duration {
    Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))
}

/// Whoever finds no place is to ask again, but not at once.
async fn idle(call: &Call, due_at: Instant) {
    tokio::select! {
        () = call.ctx.world.clock.sleep_until(due_at) => {}
        () = call.ctx.stopping.cancelled() => {}
    }
}

/// A request of which everything is done that must be in the order of arrival.
struct Begun {
    group: Str,
    member: Str,
    acks: share_ack::Begun,
    /// What to read; empty: nothing.
    places: Vec<Place>,
    limits: Limits,
    is_final: bool,
}

fn begin(call: &Call, it: ShareFetchRequest, due_at: Instant) -> Result<Begun, Rejected> {
    let group = group(call, it.group_id.as_ref(), it.member_id.as_ref())?;
    let member = it.member_id.clone().unwrap_or_default();
    check_renewal(&it)?;
    let limits = limits(call, &it, due_at);
    let (epoch, renews) = (it.share_session_epoch, it.is_renew_ack);
    let (mut wanted, mut said) = (Vec::new(), Vec::new());
    for topic in it.topics {
        for partition in topic.partitions {
            let place = (topic.topic_id, partition.partition_index);
            wanted.push(place);
            let batches = partition.acknowledgement_batches.into_iter();
            let batches = batches.map(|it| (it.first_offset, it.last_offset, it.acknowledge_types));
            let batches: Vec<_> = batches.collect();
            if !batches.is_empty() {
                said.push(Said { place, batches });
            }
        }
    }
    let forgotten = it.forgotten_topics_data.iter();
    let forgotten = forgotten.flat_map(|it| it.partitions.iter().map(|p| (it.topic_id, *p)));
    let ask = Ask {
        group: (&*group).into(),
        member: (&*member).into(),
        epoch,
        wanted,
        forgotten: forgotten.collect(),
        acknowledges: !said.is_empty(),
        connection: (call.peer.address, call.peer.local),
    };
    let places = call.ctx.share_sessions.begin(ask);
    let mut places = places.map_err(|code| Rejected::new(code, ""))?;
    if let Ok(turns) = usize::try_from(epoch)
        && !places.is_empty()
    {
        // So that a small answer does not starve anyone.
        let by = turns % places.len();
        places.rotate_left(by);
    }
    if renews {
        places.clear(); // what takes time might cost the time that was asked for
    }
    let acks = share_ack::begin(call, (&group, &member), renews, said);
    Ok(Begun { group, member, acks, places, limits, is_final: epoch == FINAL })
}

/// A request that asks for more time asks for nothing else.
fn check_renewal(it: &ShareFetchRequest) -> Result<(), Rejected> {
    let asks = it.max_bytes != 0 || it.min_bytes != 0 || it.max_records != 0 || it.max_wait_ms != 0;
    if it.is_renew_ack && asks {
        let text = "maxBytes, minBytes, maxRecords and maxWaitMs must be set to 0 if isRenewAck is \
                    true.";
        return Err(Rejected::new(ErrorCode::InvalidRequest, text));
    }
    Ok(())
}

fn limits(call: &Call, it: &ShareFetchRequest, due_at: Instant) -> Limits {
    let size = |raw: i32| usize::try_from(raw).unwrap_or(0);
    // As in Kafka a quota bounds one answer, and nobody rests for it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit")]
    let quota = call.at_once_max(Key::ConsumerByteRate).map_or(usize::MAX, |it| it as usize);
    let bytes_max = size(it.max_bytes).min(ANSWER_BYTES_MAX).min(quota);
    Limits {
        due_at,
        bytes_min: size(it.min_bytes).min(bytes_max),
        bytes_max,
        mode: if it.share_acquire_mode == RECORD_LIMIT { Mode::Records } else { Mode::Batches },
        records_max: it.max_records.into(),
        piece_records: it.batch_size.max(1).into(),
    }
}

async fn serve(call: &Call, begun: Begun) -> ShareFetchResponse {
    let Begun { group, member, acks, places, limits, is_final } = begun;
    if is_final {
        let ended = call.ctx.share_sessions.end(&group, &member);
        share_ack::take_back(&call.ctx, ended.as_slice());
    }
    let acks = share_ack::finish(call, acks).await;
    let mut answers = Vec::new();
    if !places.is_empty() && limits.records_max > 0 && limits.bytes_max > 0 {
        answers = share_reader::read(call, (&group, &member), &places, limits).await;
    }
    for (place, code, message) in acks {
        let told = (code, message);
        let known = answers.iter_mut().find(|(it, _)| *it == place);
        if let Some((_, data)) = known {
            (data.acknowledge_error_code, data.acknowledge_error_message) = told;
        } else {
            let mut data = empty(place.1);
            (data.acknowledge_error_code, data.acknowledge_error_message) = told;
            answers.push((place, data));
        }
    }
    ShareFetchResponse {
        acquisition_lock_timeout_ms: lock_ms(call, &group),
        responses: by_topic(answers),
        ..Default::default()
    }
}

pub(super) fn empty(partition_index: i32) -> PartitionData {
    PartitionData { partition_index, ..Default::default() }
}

fn by_topic(answers: Vec<(Place, PartitionData)>) -> Vec<ShareFetchableTopicResponse> {
    let mut topics: Vec<ShareFetchableTopicResponse> = Vec::new();
    for ((topic_id, _), data) in answers {
        match topics.iter_mut().find(|it| it.topic_id == topic_id) {
            Some(it) => it.partitions.push(data),
            None => topics.push(ShareFetchableTopicResponse {
                topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }
    topics
}

/// As the answer tells it.
pub(super) fn told(it: &Acquired) -> AcquiredRecords {
    AcquiredRecords {
        first_offset: it.first,
        last_offset: it.last,
        delivery_count: it.deliveries,
        ..Default::default()
    }
}
