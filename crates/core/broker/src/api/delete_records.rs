//! DeleteRecords, v0-2: moves the beginning of a partition forward.
//!
//! Ours: the answer waits until the new beginning is on disk; `timeout_ms` is not obeyed.

use super::{Call, Handler, Need, Reply, place};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_guard::{Operation, ResourceType};
use systole_log::{AppendError, DeleteError, Offset, Partition, Ticket};
use systole_wire::ErrorCode;
use systole_wire::message::delete_records_request::DeleteRecordsPartition;
use systole_wire::message::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use systole_wire::message::{DeleteRecordsRequest, DeleteRecordsResponse};

pub(crate) struct DeleteRecords;

/// The offset that means "everything there is now".
const HIGH_WATERMARK: i64 = -1;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[(Operation::Delete, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: DeleteRecordsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let begun = partitions.map(|it| (it.partition_index, begin(&call, &topic.name, it)));
            let begun: Vec<_> = begun.collect();
            (topic.name, begun)
        });
        let begun: Vec<_> = begun.collect();
        async move {
            let mut topics = Vec::with_capacity(begun.len());
            for (name, begun) in begun {
                let mut partitions = Vec::with_capacity(begun.len());
                for (index, begun) in begun {
                    partitions.push(end(&call, index, begun).await);
                }
                let ended = DeleteRecordsTopicResult { name, partitions, ..Default::default() };
                topics.push(ended);
            }
            Reply::Send(DeleteRecordsResponse { topics, ..Default::default() })
        }
    }
}

type Begun = Result<(Partition, Ticket), ErrorCode>;

fn begin(call: &Call, name: &str, asked: &DeleteRecordsPartition) -> Begun {
    let topic = place::topic_named(call, Operation::Delete, name)?;
    if topic.is_internal() {
        return Err(ErrorCode::InvalidTopic);
    }
    let partition = place::partition(&call.ctx, &topic, asked.partition_index)?;
    if !topic.settings.cleanup_delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match asked.offset {
        HIGH_WATERMARK => partition.bounds().high_watermark,
        raw => Offset::from_wire(raw).ok_or(ErrorCode::OffsetOutOfRange)?,
    };
    let ticket = partition.delete_before(offset).map_err(code_of)?;
    Ok((partition, ticket))
}

async fn end(call: &Call, partition_index: i32, begun: Begun) -> DeleteRecordsPartitionResult {
    let ended = match begun {
        Ok((partition, ticket)) => {
            let done = call.ctx.log.done(ticket).await;
            done.map(|()| partition.bounds().log_start.raw()).map_err(refused)
        }
        Err(code) => Err(code),
    };
    let (low_watermark, code) = match ended {
        Ok(low_watermark) => (low_watermark, ErrorCode::None),
        Err(code) => (-1, code),
    };
    let error_code = call.code(code);
    DeleteRecordsPartitionResult {
        partition_index,
        low_watermark,
        error_code,
        ..Default::default()
    }
}

fn code_of(error: DeleteError) -> ErrorCode {
    match error {
        DeleteError::BeyondEnd { .. } => ErrorCode::OffsetOutOfRange,
        DeleteError::Refused(error) => refused(error),
    }
}

fn refused(error: AppendError) -> ErrorCode {
    match error {
        AppendError::Deleted => ErrorCode::UnknownTopicOrPartition,
        _ => ErrorCode::KafkaStorageError,
    }
}
