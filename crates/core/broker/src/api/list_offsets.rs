//! ListOffsets, v1-11: where a partition begins, ends, or has its records of a time.
//!
//! With isolation level 1, a partition ends at the last stable offset.
//! Ours: there is no remote storage, so the local log is the log. The search by time reads
//! from disk and is not bounded by `timeout_ms`. Of a partition named twice the first is answered;
//! Kafka refuses both.

use super::fetch::isolation;
use super::{Call, Handler, Need, Reply, place};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use systole_guard::{Operation, ResourceType};
use systole_kit::Timestamp;
use systole_log::{Isolation, LEADER_EPOCH, Offset, Partition, ReadError};
use systole_wire::ErrorCode;
use systole_wire::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use systole_wire::message::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use systole_wire::message::{ListOffsetsRequest, ListOffsetsResponse};
use systole_wire::record::{Batches, RecordSet};

pub(crate) struct ListOffsets;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// From v7.
const MAX_TIMESTAMP: i64 = -3;
/// From v8.
const EARLIEST_LOCAL: i64 = -4;
/// From v9.
const LATEST_TIERED: i64 = -5;
/// From v11.
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// Records of one batch are decompressed up to this size to find one by its time; what was let in
/// was smaller.
const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Batches behind the one that the index gave are read in pieces of this size.
const READ_BYTES: usize = 1024 * 1024;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=11;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Topic)];

    async fn handle(call: Call, request: ListOffsetsRequest) -> Reply<Self> {
        let isolation = isolation(request.isolation_level);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            topics.push(answer_topic(&call, topic, isolation).await);
        }
        Reply::Send(ListOffsetsResponse { topics, ..Default::default() })
    }
}

async fn answer_topic(
    call: &Call,
    asked: &ListOffsetsTopic,
    isolation: Isolation,
) -> ListOffsetsTopicResponse {
    let mut partitions = Vec::with_capacity(asked.partitions.len());
    let mut seen = HashSet::new();
    for partition in &asked.partitions {
        let found = if seen.insert(partition.partition_index) {
            find(call, (&asked.name, isolation), partition).await
        } else {
            Err(ErrorCode::InvalidRequest)
        };
        partitions.push(match found {
            Ok(Place { timestamp, offset }) => ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                timestamp,
                offset,
                leader_epoch: if offset < 0 || call.version < 4 { -1 } else { LEADER_EPOCH },
                ..Default::default()
            },
            Err(code) => ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: call.code(code),
                ..Default::default()
            },
        });
    }
    ListOffsetsTopicResponse { name: asked.name.clone(), partitions, ..Default::default() }
}

/// What a client asked for; -1 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    timestamp: i64,
    offset: i64,
}

impl Place {
    const NONE: Self = Self { timestamp: -1, offset: -1 };
    const fn bare(offset: Offset) -> Self {
        Self { timestamp: -1, offset: offset.raw() }
    }
}

async fn find(
    call: &Call,
    (name, isolation): (&str, Isolation),
    asked: &ListOffsetsPartition,
) -> Result<Place, ErrorCode> {
    let topic = place::topic_named(call, Operation::Describe, name)?;
    let partition = place::partition(&call.ctx, &topic, asked.partition_index)?;
    place::check_leader_epoch(asked.current_leader_epoch)?;
    let version_min = match asked.timestamp {
        LATEST | EARLIEST | 0.. => 1,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => i16::MAX,
    };
    if call.version < version_min {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let bounds = partition.bounds();
    let end = bounds.end(isolation);
    match asked.timestamp {
        LATEST => Ok(Place::bare(end)),
        EARLIEST | EARLIEST_LOCAL => Ok(Place::bare(bounds.log_start)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(Place::NONE),
        MAX_TIMESTAMP => search(partition, None).await,
        at => search(partition, Some(at)).await,
    }
    .map(|it| if it.offset <= end.raw() { it } else { Place::NONE })
}

/// The offset of the first record at `at` (milliseconds, UTC) or later; `None`: all are older.
pub(super) async fn offset_at(partition: Partition, at: i64) -> Result<Option<i64>, ErrorCode> {
    let found = search(partition, Some(at)).await?;
    Ok((found.offset >= 0).then_some(found.offset))
}

/// The search reads files, which must not hold up other connections.
async fn search(partition: Partition, at: Option<i64>) -> Result<Place, ErrorCode> {
    let searched = tokio::task::spawn_blocking(move || match at {
        Some(at) => first_from(&partition, at),
        None => newest(&partition),
    });
    match searched.await {
        Ok(found) => found.map_err(|it| code_of(&it)),
        Err(_) => Err(ErrorCode::UnknownServerError), // it panicked, or the node stops
    }
}

pub(super) fn code_of(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        // The client is told where it cannot read on; it may go around.
        ReadError::Damaged { .. } => ErrorCode::CorruptMessage,
        ReadError::Deleted => ErrorCode::UnknownTopicOrPartition,
        ReadError::Io { .. } => ErrorCode::KafkaStorageError,
    }
}

/// The first record at `at` or later, in offset order.
fn first_from(partition: &Partition, at: i64) -> Result<Place, ReadError> {
    let Some(mut bytes) = partition.seek_time(Timestamp::from_millis(at))? else {
        return Ok(Place::NONE);
    };
    let log_start = partition.bounds().log_start.raw();
    loop {
        let mut end = None;
        for batch in Batches::new(bytes).map_while(Result::ok) {
            end = Some(batch.header.next_offset());
            if batch.header.max_timestamp < at {
                continue;
            }
            if let Some(found) =
                in_batch(&batch.bytes, |offset, timestamp| timestamp >= at && offset >= log_start)
            {
                return Ok(found);
            }
        }
        // The batch's only record of that time was deleted; the next one is further on.
        let Some(end) = end.and_then(Offset::from_wire) else { return Ok(Place::NONE) };
        if end >= partition.bounds().high_watermark {
            return Ok(Place::NONE);
        }
        bytes = partition.read(end, READ_BYTES, Isolation::Uncommitted)?.into_bytes();
    }
}

/// The first record with the largest timestamp.
fn newest(partition: &Partition) -> Result<Place, ReadError> {
    let found = partition.seek_max_time()?.and_then(|it| {
        let batch = Batches::new(it).next()?.ok()?;
        in_batch(&batch.bytes, |_, timestamp| timestamp == batch.header.max_timestamp)
    });
    Ok(found.unwrap_or(Place::NONE))
}

fn in_batch(batch: &[u8], wanted: impl Fn(i64, i64) -> bool) -> Option<Place> {
    let set = RecordSet::open(batch, DECOMPRESSED_BYTES_MAX).ok()?;
    let mut records = set.iter().map_while(Result::ok);
    let found = records.find(|it| wanted(it.offset, it.timestamp))?;
    Some(Place { timestamp: found.timestamp, offset: found.offset })
}
