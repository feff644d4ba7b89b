//! Fetch, v4-18: reads records, waiting for them if the client wants to.
//!
//! Reading order: [`Fetch`] -> [`Plan`] -> [`Told`]. Sessions: `fetch_session`.
//! Ours: whole batches only; Kafka may cut the last one at the limit. Nobody follows
//! this node: a replica's request is served as a consumer's. Damaged records are CORRUPT_MESSAGE.
//! A batch is served in the codec in which it lies, to old clients too. A batch larger than a quota
//! ever allows is served when nothing is owed; in Kafka its reader waits for ever.

use super::list_offsets::code_of;
use super::{Call, Handler, Need, Reply, place};
use crate::fetch_budget::Grant;
use crate::fetch_session::{Answer, Ask, TopicRef, Turn, Wanted};
use bytes::Bytes;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_guard::quota::Key;
use systole_guard::{Operation, Resource, ResourceType};
use systole_log::{
    Aborted, Bounds, Isolation, LEADER_EPOCH, Offset, Partition, ReadError, Records,
};
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use systole_wire::message::{FetchRequest, FetchResponse};
use systole_world::Instant;
use tokio::sync::Notify;

pub(crate) struct Fetch;

/// Most record bytes in one answer; a single larger batch is served all the same. Kafka:
/// `fetch.max.bytes`.
const ANSWER_BYTES_MAX: usize = 55 * 1024 * 1024;
/// From this version on, topics are named by id.
const BY_ID_FROM_VERSION: i16 = 13;

impl Handler for Fetch {
    type Request = FetchRequest;
    const VERSIONS: RangeInclusive<i16> = 4..=18;
    const NEEDS: &'static [Need] = &[
        (Operation::Read, ResourceType::Topic),
        (Operation::ClusterAction, ResourceType::Cluster),
    ];

    fn handle(
        call: Call,
        request: FetchRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let now = call.ctx.world.clock.instant();
        let limits = Limits::of(&request, now, call.at_once_max(Key::ConsumerByteRate));
        let turn = call.ctx.fetch_sessions.begin(ask(&call, request, now));
        async move {
            let served = match turn {
                Ok(turn) => serve(&call, turn, limits).await,
                Err(code) => Err(code),
            };
            Reply::Send(served.unwrap_or_else(|code| FetchResponse {
                error_code: call.code(code),
                ..Default::default()
            }))
        }
    }
}

/// What the client allows.
#[derive(Debug, Clone, Copy)]
struct Limits {
    due_at: Instant,
    bytes_min: usize,
    bytes_max: usize,
    isolation: Isolation,
    /// It names itself as a replica, which takes a right of its own.
    is_follower: bool,
}

impl Limits {
    fn of(request: &FetchRequest, now: Instant, quota: Option<f64>) -> Self {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit")]
        let quota = quota.map_or(usize::MAX, |it| it as usize);
        let bytes_max = size(request.max_bytes).min(ANSWER_BYTES_MAX).min(quota);
        Self {
            due_at: now.plus(wait),
            bytes_min: size(request.min_bytes).min(bytes_max),
            bytes_max,
            isolation: isolation(request.isolation_level),
            is_follower: request.replica_id.max(request.replica_state.replica_id) >= 0,
        }
    }
}

pub(super) fn isolation(level: i8) -> Isolation {
    if level == 0 { Isolation::Uncommitted } else { Isolation::Committed }
}

/// Negative sizes allow nothing.
fn size(raw: i32) -> usize {
    usize::try_from(raw).unwrap_or(0)
}

fn ask(call: &Call, request: FetchRequest, at: Instant) -> Ask {
    let by_id = call.version >= BY_ID_FROM_VERSION;
    let named =
        |name: &Str, id| if by_id { TopicRef::Id(id) } else { TopicRef::Name((**name).into()) };
    let mut wanted = Vec::new();
    for topic in request.topics {
        let named = named(&topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.iter().map(|it| Wanted {
            topic: named.clone(),
            partition: it.partition,
            current_leader_epoch: it.current_leader_epoch,
            last_fetched_epoch: it.last_fetched_epoch,
            fetch_offset: it.fetch_offset,
            bytes_max: it.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let named = named(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|it| (named.clone(), *it)));
    }
    let (session_id, epoch) = (request.session_id, request.session_epoch);
    Ask { session_id, epoch, by_id, wanted, forgotten, at }
}

async fn serve(call: &Call, turn: Turn, limits: Limits) -> Result<FetchResponse, ErrorCode> {
    let ctx = &call.ctx;
    let plan = Arc::new(Plan::new(call, Arc::clone(&turn.wanted), limits));
    let (pass, grant) = read_enough(call, &plan, limits).await;
    if is_over_quota(call, pass.bytes) {
        let session_id = ctx.fetch_sessions.skip(&turn)?;
        return Ok(FetchResponse { session_id, ..Default::default() });
    }
    let grant = grant.shrink(pass.bytes);
    let told = Told { call, isolation: limits.isolation, grant };
    let found = plan.wanted.iter().zip(pass.found);
    let mut answers: Vec<_> = found.map(|(wanted, found)| told.answer(wanted, found)).collect();
    let (now, random) = (ctx.world.clock.instant(), &ctx.world.random);
    let draw = || {
        let [a, b, c, d, ..] = random.next_u64().to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    };
    let session_id = ctx.fetch_sessions.end(&turn, &mut answers, now, draw)?;
    Ok(FetchResponse { session_id, responses: by_topic(answers), ..Default::default() })
}

/// Who took too much gets nothing this time, and nothing is counted. What is larger than any rest
/// makes room for passes when nothing is owed, and is paid for afterwards.
fn is_over_quota(call: &Call, bytes: usize) -> bool {
    const KEY: Key = Key::ConsumerByteRate;
    let Some(at_once_max) = call.at_once_max(KEY).filter(|_| bytes > 0) else { return false };
    #[expect(clippy::cast_precision_loss, reason = "an answer has less than 2^31 bytes")]
    let amount = bytes as f64;
    if amount > at_once_max {
        let owes = !call.charge(KEY, 0.0).is_zero();
        if !owes {
            call.charge(KEY, amount);
        }
        return owes;
    }
    let is_over = !call.charge(KEY, amount).is_zero();
    if is_over {
        call.refund(KEY, amount);
    }
    is_over
}

/// Reads until there is enough, something is wrong, or the time is up.
async fn read_enough(call: &Call, plan: &Arc<Plan>, limits: Limits) -> (Pass, Grant) {
    let clock = &call.ctx.world.clock;
    let wake = Arc::new(Notify::new());
    let mut watches = Vec::new();
    loop {
        let grant = tokio::select! {
            biased;
            grant = call.ctx.fetch_budget.take(plan.bytes_at_hand(limits.bytes_max)) => grant,
            // Others hold all memory: this reader still gets one batch, so that it gets on.
            () = clock.sleep_until(limits.due_at) => Grant::NONE,
            () = call.ctx.stopping.cancelled() => Grant::NONE,
        };
        let pass = Arc::clone(plan).read(grant.bytes().min(limits.bytes_max)).await;
        let is_enough = pass.bytes >= limits.bytes_min || pass.is_final;
        if is_enough || clock.instant() >= limits.due_at || call.ctx.stopping.is_cancelled() {
            return (pass, grant);
        }
        if watches.is_empty() {
            // What came between the look above and now would go unnoticed: look once more.
            let partitions = plan.partitions.iter().flatten();
            watches.extend(partitions.map(|it| it.watch(&wake)));
            continue;
        }
        drop((pass, grant)); // nobody holds memory while waiting
        tokio::select! {
            () = wake.notified() => {}
            () = clock.sleep_until(limits.due_at) => {}
            () = call.ctx.stopping.cancelled() => {}
        }
    }
}

/// What to read, looked up once.
#[derive(Debug)]
struct Plan {
    wanted: Arc<[Wanted]>,
    partitions: Vec<Result<Partition, ErrorCode>>,
    isolation: Isolation,
}

/// One look at every partition.
#[derive(Debug)]
struct Pass {
    found: Vec<Found>,
    bytes: usize,
    /// Waiting would not make it better.
    is_final: bool,
}

#[derive(Debug)]
enum Found {
    Records(Records),
    /// Nothing was read: nothing is there, or the limit is reached.
    Nothing(Bounds),
    /// The client's records are of a log that went elsewhere; ours ends here.
    Diverging(Bounds),
    Failed(ErrorCode),
}

impl Plan {
    fn new(call: &Call, wanted: Arc<[Wanted]>, limits: Limits) -> Self {
        let follows = limits.is_follower;
        let denied =
            follows && call.authorize(Operation::ClusterAction, Resource::CLUSTER).is_err();
        let partitions = wanted.iter().map(|it| {
            if denied {
                return Err(ErrorCode::TopicAuthorizationFailed);
            }
            let topic = if follows {
                place::topic_of_follower(call, &it.topic)?
            } else {
                place::topic(call, Operation::Read, &it.topic)?
            };
            place::check_leader_epoch(it.current_leader_epoch)?;
            place::partition(&call.ctx, &topic, it.partition)
        });
        Self { partitions: partitions.collect(), wanted, isolation: limits.isolation }
    }

    fn each(&self) -> impl Iterator<Item = (&Wanted, &Result<Partition, ErrorCode>)> {
        self.wanted.iter().zip(&self.partitions)
    }

    /// An upper bound of what a read gives, as far as limits tell.
    fn bytes_at_hand(&self, bytes_max: usize) -> usize {
        let readable = self.each().filter(|(wanted, partition)| {
            let end = partition.as_ref().map(|it| it.bounds().end(self.isolation).raw());
            end.is_ok_and(|end| wanted.fetch_offset < end)
        });
        readable.fold(0, |sum, (it, _)| bytes_max.min(sum + size(it.bytes_max).max(1)))
    }

    /// On the spot where memory has it all; else on a thread that may wait for the disk.
    async fn read(self: Arc<Self>, bytes_max: usize) -> Pass {
        let needs_disk = self.each().any(|(wanted, partition)| {
            let from = Offset::from_wire(wanted.fetch_offset);
            partition.as_ref().is_ok_and(|it| from.is_some_and(|from| !it.is_in_memory(from)))
        });
        if !needs_disk {
            return self.read_now(bytes_max);
        }
        let plan = Arc::clone(&self);
        let read = tokio::task::spawn_blocking(move || plan.read_now(bytes_max)).await;
        read.unwrap_or_else(|_| Pass {
            found: self
                .wanted
                .iter()
                .map(|_| Found::Failed(ErrorCode::UnknownServerError))
                .collect(),
            bytes: 0,
            is_final: true,
        })
    }

    fn read_now(&self, bytes_max: usize) -> Pass {
        let is_final = self.partitions.iter().all(Result::is_err);
        let mut pass = Pass { found: Vec::with_capacity(self.wanted.len()), bytes: 0, is_final };
        for (wanted, partition) in self.each() {
            let found = match partition {
                Err(code) => Found::Failed(*code),
                Ok(partition) => {
                    // KIP-74: the first batch is served whatever its size, or nobody could go on.
                    let whatever_size = pass.bytes == 0;
                    let limit = size(wanted.bytes_max).min(bytes_max - pass.bytes.min(bytes_max));
                    let limits = (limit, whatever_size);
                    let found = read_one(partition, wanted, self.isolation, limits);
                    pass.is_final |= matches!(found, Found::Failed(_) | Found::Diverging(_));
                    found
                }
            };
            if let Found::Records(records) = &found {
                pass.bytes += records.size();
            }
            pass.found.push(found);
        }
        pass
    }
}

fn read_one(
    partition: &Partition,
    wanted: &Wanted,
    isolation: Isolation,
    (limit, whatever_size): (usize, bool),
) -> Found {
    let bounds = partition.bounds();
    let Some(from) = Offset::from_wire(wanted.fetch_offset) else {
        return Found::Failed(ErrorCode::OffsetOutOfRange);
    };
    if wanted.last_fetched_epoch > LEADER_EPOCH {
        return Found::Failed(ErrorCode::OffsetOutOfRange);
    }
    if wanted.last_fetched_epoch == LEADER_EPOCH && from > bounds.high_watermark {
        return Found::Diverging(bounds);
    }
    let has_records = bounds.log_start <= from && from < bounds.end(isolation);
    if has_records && limit == 0 && !whatever_size {
        return Found::Nothing(bounds);
    }
    // At the end too: a partition may have been deleted, which ends the wait.
    match read_on(partition, from, isolation, limit) {
        Ok(records) if records.size() == 0 => Found::Nothing(records.bounds),
        Ok(records) if records.size() <= limit || whatever_size => Found::Records(records),
        Ok(_) => Found::Nothing(bounds),
        Err(error) => Found::Failed(code_of(&error)),
    }
}

/// The log stops where a segment ends; a reader that waits for a number of bytes must get what lies
/// behind, or it would wait for records that are there. Half of the limit is good enough.
fn read_on(
    partition: &Partition,
    from: Offset,
    isolation: Isolation,
    limit: usize,
) -> Result<Records, ReadError> {
    let mut records = partition.read(from, limit, isolation)?;
    while records.end < records.bounds.end(isolation) {
        let room = limit.saturating_sub(records.size());
        if room <= limit / 2 {
            break;
        }
        match partition.read(records.end, room, isolation) {
            Ok(more) if more.size() <= room && !more.chunks.is_empty() => records.extend(more),
            // Too large for the room, or damaged: the next request is told.
            _ => break,
        }
    }
    Ok(records)
}

/// What all partitions of one answer share.
struct Told<'a> {
    call: &'a Call,
    isolation: Isolation,
    /// Held by the records until they are sent.
    grant: Arc<Grant>,
}

impl Told<'_> {
    fn answer(&self, wanted: &Wanted, found: Found) -> Answer {
        let data = match found {
            Found::Records(mut it) => {
                let (bounds, aborted) = (it.bounds, std::mem::take(&mut it.aborted));
                let data = self.read(bounds, self.grant.tie(it.into_bytes()));
                PartitionData { aborted_transactions: self.listed(&aborted), ..data }
            }
            Found::Nothing(bounds) => self.read(bounds, Bytes::new()),
            Found::Diverging(bounds) => PartitionData {
                diverging_epoch: EpochEndOffset {
                    epoch: LEADER_EPOCH,
                    end_offset: bounds.high_watermark.raw(),
                    ..Default::default()
                },
                ..self.read(bounds, Bytes::new())
            },
            Found::Failed(code) => PartitionData {
                error_code: self.call.code(code),
                high_watermark: -1,
                records: Some(Bytes::new()),
                ..Default::default()
            },
        };
        let data = PartitionData { partition_index: wanted.partition, ..data };
        Answer { topic: wanted.topic.clone(), data }
    }

    /// Only who reads committed records is told which ones to leave out.
    fn listed(&self, aborted: &[Aborted]) -> Option<Vec<AbortedTransaction>> {
        let one = |it: &Aborted| AbortedTransaction {
            producer_id: it.producer_id,
            first_offset: it.first.raw(),
            ..Default::default()
        };
        (self.isolation == Isolation::Committed).then(|| aborted.iter().map(one).collect())
    }

    fn read(&self, bounds: Bounds, records: Bytes) -> PartitionData {
        PartitionData {
            high_watermark: bounds.high_watermark.raw(),
            last_stable_offset: bounds.last_stable.raw(),
            log_start_offset: bounds.log_start.raw(),
            aborted_transactions: self.listed(&[]),
            records: Some(records),
            ..Default::default()
        }
    }
}

/// Neighbours of one topic go together; the order stays.
fn by_topic(answers: Vec<Answer>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<(TopicRef, FetchableTopicResponse)> = Vec::new();
    for Answer { topic, data } in answers {
        if let Some((_, it)) = topics.last_mut().filter(|(last, _)| *last == topic) {
            it.partitions.push(data);
            continue;
        }
        let mut it = FetchableTopicResponse { partitions: vec![data], ..Default::default() };
        match &topic {
            TopicRef::Name(name) => it.topic = Str::from(&**name),
            TopicRef::Id(id) => it.topic_id = *id,
        }
        topics.push((topic, it));
    }
    topics.into_iter().map(|(_, it)| it).collect()
}
