//! Reading for a member of a share group, and waiting until there is something.
//!
//! Owns: what is read, in which order, how much, and what of it goes to the member. Does not own:
//! which records are free (`Shares`), the log.
//! Reading order: [`read`] -> `Round` -> `Hand`.

use super::list_offsets::{code_of, offset_at};
use super::share_fetch::{empty, told};
use super::{Call, place};
use crate::fetch_budget::Grant;
use crate::share_session::Place;
use bytes::Bytes;
use std::sync::Arc;
use systole_coordinator::share::{Reading, Reset, Settings};
use systole_group::share_partition::record::Key;
use systole_group::share_partition::{Acquired, Ask, Batch, Fetched, Mode};
use systole_guard::Operation;
use systole_kit::Timestamp;
use systole_log::{Offset, Partition, ReadError, Records};
use systole_wire::ErrorCode;
use systole_wire::message::share_fetch_response::PartitionData;
use systole_wire::record::Batches;
use systole_world::Instant;
use tokio::sync::Notify;

/// What the member allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) due_at: Instant,
    pub(super) bytes_min: usize,
    pub(super) bytes_max: usize,
    pub(super) mode: Mode,
    pub(super) records_max: i64,
    pub(super) piece_records: i64,
}

type Answers = Vec<(Place, PartitionData)>;

/// Reads until there is enough, something is wrong, or the time is up.
pub(super) async fn read(
    call: &Call,
    (group, member): (&str, &str),
    places: &[Place],
    limits: Limits,
) -> Answers {
    let settings = call.ctx.shares.settings(group);
    let round = Round { call, settings, limits, member: member.into(), wake: Arc::default() };
    let mut sources = Vec::with_capacity(places.len());
    let mut failed = Answers::new();
    for (topic, partition) in places {
        let key = Key { group: group.into(), topic: *topic, partition: *partition };
        match round.open(&key).await {
            Ok(partition) => sources.push((key, partition)),
            Err(code) => failed.push((
                (*topic, *partition),
                PartitionData { error_code: call.code(code), ..empty(*partition) },
            )),
        }
    }
    let watches: Vec<_> = sources.iter().map(|(_, it)| it.watch(&round.wake)).collect();
    let clock = &call.ctx.world.clock;
    loop {
        let is_last = !failed.is_empty()
            || clock.instant() >= limits.due_at
            || call.ctx.stopping.is_cancelled();
        let answers = round.pass(&sources, is_last).await;
        if !answers.is_empty() || is_last {
            drop(watches);
            failed.extend(answers);
            return failed;
        }
        tokio::select! {
            () = round.wake.notified() => {}
            () = clock.sleep_until(limits.due_at) => {}
            () = call.ctx.stopping.cancelled() => {}
        }
    }
}

/// What all partitions of one request share.
struct Round<'a> {
    call: &'a Call,
    settings: Settings,
    limits: Limits,
    member: Arc<str>,
    wake: Arc<Notify>,
}

/// What was read for a share partition that is the member's to read.
struct Hand {
    key: Key,
    reading: Reading,
    found: Result<Records, ReadError>,
}

impl Round<'_> {
    /// The partition behind a share partition, which begins now if nobody has read it.
    async fn open(&self, key: &Key) -> Result<Partition, ErrorCode> {
        let ctx = &self.call.ctx;
        let topic = place::topic_with_id(self.call, Operation::Read, key.topic)?;
        let partition = place::partition(ctx, &topic, key.partition)?;
        if let Some(settings) = ctx.shares.unbegun(key)? {
            let start = first_offset(&partition, settings.reset, ctx.world.clock.now()).await?;
            ctx.shares.begin_reading(key, start)?.await?;
        }
        Ok(partition)
    }

    /// One look at every share partition that is free to be read. Fewer bytes than wanted are given
    /// back, unless it is the last look.
    async fn pass(&self, sources: &[(Key, Partition)], is_last: bool) -> Answers {
        let isolation = self.settings.isolation;
        let mut readings = Vec::new();
        for (key, partition) in sources {
            let bounds = partition.bounds();
            let log_start = bounds.log_start.raw();
            let Some(reading) = self.call.ctx.shares.read(key, log_start, &self.wake) else {
                continue;
            };
            if reading.from < bounds.end(isolation).raw() {
                readings.push((key.clone(), partition.clone(), reading));
            }
        }
        if readings.is_empty() {
            return Answers::new();
        }
        let grant = tokio::select! {
            biased;
            grant = self.call.ctx.fetch_budget.take(self.limits.bytes_max) => grant,
            // Others hold all memory: this member still gets one batch, so that it gets on.
            () = self.call.ctx.world.clock.sleep_until(self.limits.due_at) => Grant::NONE,
            () = self.call.ctx.stopping.cancelled() => Grant::NONE,
        };
        let limit = grant.bytes().min(self.limits.bytes_max);
        let read = move || hands(readings, limit, isolation);
        let Ok(hands) = tokio::task::spawn_blocking(read).await else { return Answers::new() };
        let bytes: usize = hands.iter().flat_map(|it| &it.found).map(Records::size).sum();
        let is_wrong = hands.iter().any(|it| it.found.is_err());
        if bytes < self.limits.bytes_min && !is_last && !is_wrong {
            return Answers::new();
        }
        let grant = grant.shrink(bytes);
        let mut left = self.limits.records_max;
        let answers = hands.into_iter().filter_map(|it| self.answer(it, &mut left, &grant));
        answers.collect()
    }

    /// `None`: others were first.
    fn answer(
        &self,
        hand: Hand,
        left: &mut i64,
        grant: &Arc<Grant>,
    ) -> Option<(Place, PartitionData)> {
        let place = (hand.key.topic, hand.key.partition);
        let records = match hand.found {
            Ok(it) => it,
            Err(error) => {
                let error_code = self.call.code(code_of(&error));
                return Some((place, PartitionData { error_code, ..empty(place.1) }));
            }
        };
        if *left <= 0 {
            return None;
        }
        let batches = batches(&records);
        let ask = Ask {
            member: Arc::clone(&self.member),
            mode: self.limits.mode,
            records_max: *left,
            piece_records: self.limits.piece_records,
        };
        let fetched = Fetched { from: hand.reading.from, batches: &batches };
        let acquired = hand.reading.acquire(&ask, fetched, self.settings.rules);
        let (first, last) = (acquired.first()?.first, acquired.last()?.last);
        *left -= acquired.iter().map(|it: &Acquired| it.last + 1 - it.first).sum::<i64>();
        let data = PartitionData {
            records: grant.tie(slice(&records.into_bytes(), first, last)),
            acquired_records: acquired.iter().map(told).collect(),
            ..empty(place.1)
        };
        Some((place, data))
    }
}

/// Reads for every share partition, on a thread that may wait for the disk.
fn hands(
    readings: Vec<(Key, Partition, Reading)>,
    limit: usize,
    isolation: systole_log::Isolation,
) -> Vec<Hand> {
    let mut bytes = 0;
    let mut hands = Vec::with_capacity(readings.len());
    for (key, partition, reading) in readings {
        // The first batch is served whatever its size, or nobody could go on.
        if bytes > 0 && bytes >= limit {
            break;
        }
        let from = Offset::from_wire(reading.from).unwrap_or_default();
        let found = partition.read(from, limit - bytes.min(limit), isolation);
        bytes += found.as_ref().map_or(0, Records::size);
        hands.push(Hand { key, reading, found });
    }
    hands
}

/// The batches of what was read, those of aborted transactions marked.
fn batches(records: &Records) -> Vec<Batch> {
    let mut batches = Vec::new();
    for chunk in &records.chunks {
        for it in Batches::new(chunk.clone()).flatten() {
            let header = it.header;
            let attributes = header.attributes;
            let is_data = attributes.is_transactional() && !attributes.is_control();
            let (first, last) = (header.base_offset, header.last_offset());
            let is_aborted = is_data
                && records.aborted.iter().any(|it| {
                    let covers = it.first.raw() <= first && last <= it.last.raw();
                    it.producer_id == header.producer_id && covers
                });
            batches.push(Batch { first, last, is_aborted });
        }
    }
    batches
}

/// The batches that hold records from `first` to `last`.
fn slice(bytes: &Bytes, first: i64, last: i64) -> Bytes {
    let (mut from, mut to, mut at) = (None, 0, 0);
    for it in Batches::new(bytes.clone()).flatten() {
        let end = at + it.bytes.len();
        if it.header.last_offset() >= first && it.header.base_offset <= last {
            from.get_or_insert(at);
            to = end;
        }
        at = end;
    }
    from.map_or_else(Bytes::new, |from| bytes.slice(from..to))
}

/// Where a share partition begins that nobody has read.
async fn first_offset(
    partition: &Partition,
    reset: Reset,
    now: Timestamp,
) -> Result<i64, ErrorCode> {
    let bounds = partition.bounds();
    let age = match reset {
        Reset::Latest => return Ok(bounds.high_watermark.raw()),
        Reset::Earliest => return Ok(bounds.log_start.raw()),
        Reset::ByDuration(age) => i64::try_from(age.as_millis()).unwrap_or(i64::MAX),
    };
    let found = offset_at(partition.clone(), now.as_millis().saturating_sub(age)).await?;
    Ok(found.unwrap_or(bounds.high_watermark.raw()))
}
