//! Produce, v3-13: appends record batches.
//!
//! Everything is appended when the request's turn comes; the answer waits for the disk. So requests
//! that arrive while the disk is busy share its next sync, those of one connection too.
//! Ours, besides what `admission` says: `acks=1` waits for the disk like `acks=-1`, because one
//! node has nothing else to offer. `timeout_ms` is not obeyed: an answer before the outcome is
//! known would only make clients repeat. A partition named twice in a request is appended to twice.
//! A failed sync fails every partition of the request. A repeated batch is answered without a
//! timestamp; Kafka gives the batch's. The log start is told with success and UNKNOWN_PRODUCER_ID
//! only. A producer of which nothing is known must begin at sequence 0, or is told
//! OUT_OF_ORDER_SEQUENCE_NUMBER, and UNKNOWN_PRODUCER_ID if it may have been forgotten. Versions 0
//! to 2 are advertised, as Kafka does for old librdkafka, and not served.
//! A transactional batch is answered without waiting for the disk: its transaction cannot be
//! committed without it. v12+: it brings its partition into the transaction (KIP-890).

use super::gate::{self, Gate};
use super::{Call, Handler, Need, Reply, place};
use crate::admission::{Refusal, admit};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_catalogue::Topic;
use systole_guard::quota::Key;
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Timestamp;
use systole_log::{AppendError, Appended, Origin, Ticket};
use systole_transaction::{Place, Producer};
use systole_wire::ErrorCode;
use systole_wire::compression::Codec;
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use systole_wire::message::{ProduceRequest, ProduceResponse};
use systole_wire::record::BatchHeader;

pub(crate) struct Produce;

/// The client id under which Kafka lets its own tools write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";
/// From this version on, a producer knows that its broker reads zstd.
const ZSTD_FROM_VERSION: i16 = 7;

impl Handler for Produce {
    type Request = ProduceRequest;
    const VERSIONS: RangeInclusive<i16> = 3..=13;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::Topic),
        (Operation::Write, ResourceType::TransactionalId),
    ];

    fn handle(
        call: Call,
        request: ProduceRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let now = call.ctx.world.clock.now();
        let acks = request.acks;
        #[expect(clippy::cast_precision_loss, reason = "a frame has less than 2^31 bytes")]
        call.charge(Key::ProducerByteRate, call.frame_bytes as f64);
        let mut work = Work { call, acks, now, ticket: Ticket::NONE, failed: false };
        let responses = work.all(&request);
        // What follows must not keep the frame: the log has its own copy of the records.
        drop(request);
        work.answer(responses)
    }
}

struct Work {
    call: Call,
    acks: i16,
    now: Timestamp,
    /// Done when all that was appended is on disk.
    ticket: Ticket,
    failed: bool,
}

impl Work {
    fn all(&mut self, request: &ProduceRequest) -> Vec<TopicProduceResponse> {
        let id = request.transactional_id.as_deref();
        let Some((id, producer)) = id.and_then(|id| Some((id, gate::producer_of(request)?))) else {
            return self.topics(request, &mut Gate::None);
        };
        if let Err(denied) = self.call.authorize(Operation::Write, Resource::transactional_id(id)) {
            return self.topics(request, &mut Gate::Closed(denied.into()));
        }
        let transactions = self.call.ctx.transactions.clone();
        let written = transactions.write(id, |writer| {
            let mut gate = Gate::open(&self.call, request, writer, producer);
            self.topics(request, &mut gate)
        });
        written.unwrap_or_else(|code| self.topics(request, &mut Gate::Closed(code)))
    }

    fn topics(
        &mut self,
        request: &ProduceRequest,
        gate: &mut Gate<'_, '_>,
    ) -> Vec<TopicProduceResponse> {
        request.topic_data.iter().map(|it| self.topic(it, gate)).collect()
    }

    fn topic(&mut self, asked: &TopicProduceData, gate: &mut Gate<'_, '_>) -> TopicProduceResponse {
        let topic = if self.call.version >= 13 {
            place::topic_with_id(&self.call, Operation::Write, asked.topic_id)
        } else {
            place::topic_named(&self.call, Operation::Write, &asked.name)
        };
        let topic = topic.and_then(|it| self.check_topic(&it).map(|()| it));
        let partitions = asked.partition_data.iter();
        TopicProduceResponse {
            name: asked.name.clone(),
            topic_id: asked.topic_id,
            partition_responses: partitions
                .map(|it| self.partition(topic.as_deref(), it, gate))
                .collect(),
            ..Default::default()
        }
    }

    fn check_topic(&self, topic: &Topic) -> Result<(), ErrorCode> {
        let client_id = self.call.client_id.as_deref();
        if topic.is_internal() && client_id != Some(ADMIN_CLIENT_ID) {
            return Err(ErrorCode::InvalidTopic);
        }
        match self.acks {
            -1 if topic.settings.insync_replicas_min > 1 => Err(ErrorCode::NotEnoughReplicas),
            -1..=1 => Ok(()),
            _ => Err(ErrorCode::InvalidRequiredAcks),
        }
    }

    fn partition(
        &mut self,
        topic: Result<&Topic, &ErrorCode>,
        asked: &PartitionProduceData,
        gate: &mut Gate<'_, '_>,
    ) -> PartitionProduceResponse {
        let appended = match topic {
            Ok(topic) => self.append(topic, asked, gate),
            Err(code) => Err(Refusal::plain(*code)),
        };
        match appended {
            Ok(appended) => written(asked.index, &appended),
            Err(refusal) => {
                self.failed = true;
                let forgotten = refusal.code == ErrorCode::UnknownProducerId;
                let mut answer = refused(asked.index, self.call.code(refusal.code), refusal);
                if forgotten && let Ok(topic) = topic {
                    // The Java client asks again until it is told.
                    let partition = place::partition(&self.call.ctx, topic, asked.index);
                    answer.log_start_offset =
                        partition.map_or(-1, |it| it.bounds().log_start.raw());
                }
                answer
            }
        }
    }

    fn append(
        &mut self,
        topic: &Topic,
        asked: &PartitionProduceData,
        gate: &mut Gate<'_, '_>,
    ) -> Result<Appended, Refusal> {
        let partition = place::partition(&self.call.ctx, topic, asked.index);
        let partition = partition.map_err(Refusal::plain)?;
        let header = asked.records.as_ref().and_then(|it| BatchHeader::read(it).ok());
        self.check_codec(header.as_ref())?;
        let transactional = header.filter(|it| it.attributes.is_transactional());
        if let Some(header) = &transactional {
            let from = Producer { id: header.producer_id, epoch: header.producer_epoch };
            let place = Place { topic: Arc::clone(&topic.name), partition: asked.index };
            gate.pass(from, &place).map_err(Refusal::plain)?;
        }
        let batch = admit(asked.records.as_ref(), &topic.settings, self.now)?;
        let appended = partition.append(&batch, Origin::Client).map_err(refuse)?;
        if transactional.is_some() {
            gate.passed(appended.ticket);
        } else {
            self.ticket = self.ticket.and(appended.ticket);
        }
        Ok(appended)
    }

    fn check_codec(&self, header: Option<&BatchHeader>) -> Result<(), Refusal> {
        let Some(header) = header else { return Ok(()) };
        let is_zstd = matches!(header.attributes.codec(), Ok(Codec::Zstd));
        if is_zstd && self.call.version < ZSTD_FROM_VERSION {
            let message = "zstd needs Produce version 7 or later";
            return Err(Refusal::because(ErrorCode::UnsupportedCompressionType, message));
        }
        Ok(())
    }

    async fn answer(self, mut responses: Vec<TopicProduceResponse>) -> Reply<Produce> {
        if self.acks == 0 {
            return if self.failed {
                Reply::Close("a batch was refused and the client asked for no answer")
            } else {
                Reply::Nothing
            };
        }
        if let Err(error) = self.call.ctx.log.done(self.ticket).await {
            let refusal = refuse(error);
            for it in responses.iter_mut().flat_map(|it| &mut it.partition_responses) {
                if it.error_code == ErrorCode::None.number() {
                    *it = refused(it.index, self.call.code(refusal.code), refusal.clone());
                }
            }
        }
        Reply::Send(ProduceResponse { responses, ..Default::default() })
    }
}

fn written(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset.raw(),
        log_append_time_ms: appended.append_time.map_or(-1, Timestamp::as_millis),
        log_start_offset: appended.log_start.raw(),
        ..Default::default()
    }
}

fn refused(index: i32, error_code: i16, refusal: Refusal) -> PartitionProduceResponse {
    let record = |(batch_index, why): (i32, String)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(why.into()),
        ..Default::default()
    };
    PartitionProduceResponse {
        index,
        error_code,
        base_offset: -1,
        record_errors: refusal.records.into_iter().map(record).collect(),
        error_message: refusal.message.map(Into::into),
        ..Default::default()
    }
}

/// The log's refusals. A full or failed disk is KAFKA_STORAGE_ERROR: clients try again, which is
/// right for the one and, after a restart, for the other.
fn refuse(error: AppendError) -> Refusal {
    let code = match error {
        AppendError::DiskFull | AppendError::DiskFailed => ErrorCode::KafkaStorageError,
        AppendError::Closed | AppendError::Deleted => ErrorCode::NotLeaderOrFollower,
        AppendError::Malformed { .. } => ErrorCode::CorruptMessage,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::Overloaded { .. } => ErrorCode::RequestTimedOut,
        AppendError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::UnknownProducer { .. } => ErrorCode::UnknownProducerId,
        AppendError::TransactionOpen => ErrorCode::InvalidTxnState,
        AppendError::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
    };
    Refusal::because(code, error.to_string())
}
