//! Which transactional batches may enter.
//!
//! Owns: what Produce asks of the transaction before it appends, and the codes that each of its
//! versions knows. Does not own: the transaction (`transaction`), sequences and epochs (the log).

use super::Call;
use std::sync::Arc;
use systole_catalogue::Topic;
use systole_coordinator::transaction::Writer;
use systole_guard::{Operation, Resource};
use systole_log::Ticket;
use systole_transaction::{Place, Producer, Version};
use systole_wire::ErrorCode;
use systole_wire::message::ProduceRequest;
use systole_wire::message::produce_request::TopicProduceData;
use systole_wire::record::BatchHeader;

/// From this version on, clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM_VERSION: i16 = 11;
/// From this version on, a batch brings its partition into the transaction (KIP-890).
const ADDS_FROM_VERSION: i16 = 12;
/// From this version on, topics are named by id.
const BY_ID_FROM_VERSION: i16 = 13;

/// The transaction of one Produce request. Its lock is held until all batches are appended.
pub(super) enum Gate<'a, 'b> {
    /// The request names no transactional id.
    None,
    /// Nothing transactional may enter.
    Closed(ErrorCode),
    Open {
        writer: &'a mut Writer<'b>,
        /// Whose batches may enter.
        producer: Producer,
        version: i16,
    },
}

/// The producer of the first transactional batch, if there is one.
pub(super) fn producer_of(request: &ProduceRequest) -> Option<Producer> {
    let batches = request.topic_data.iter().flat_map(|it| &it.partition_data);
    let headers = batches.filter_map(|it| BatchHeader::read(it.records.as_ref()?).ok());
    let mut transactional = headers.filter(|it| it.attributes.is_transactional());
    transactional.next().map(|it| Producer { id: it.producer_id, epoch: it.producer_epoch })
}

impl<'a, 'b> Gate<'a, 'b> {
    /// Opens the transaction of `request`; with version 2 of the protocol, all its partitions are
    /// in it from here on.
    pub(super) fn open(
        call: &Call,
        request: &ProduceRequest,
        writer: &'a mut Writer<'b>,
        producer: Producer,
    ) -> Self {
        let version = call.version;
        if version >= ADDS_FROM_VERSION {
            let places: Vec<_> =
                request.topic_data.iter().flat_map(|it| places(call, it)).collect();
            if let Err(code) = writer.add(producer, &places, Version::Two) {
                return Self::Closed(told(code, version));
            }
        }
        Self::Open { writer, producer, version }
    }

    /// May a transactional batch of `from` be appended to `place`?
    pub(super) fn pass(&self, from: Producer, place: &Place) -> Result<(), ErrorCode> {
        match self {
            Self::None => Err(ErrorCode::TransactionalIdAuthorizationFailed),
            Self::Closed(code) => Err(*code),
            Self::Open { producer, .. } if *producer != from => {
                Err(ErrorCode::InvalidProducerIdMapping)
            }
            Self::Open { version, .. } if *version >= ADDS_FROM_VERSION => Ok(()),
            Self::Open { writer, version, .. } => {
                writer.verify(from, place).map_err(|code| told(code, *version))
            }
        }
    }

    /// A batch was appended: without it, the transaction cannot be committed.
    pub(super) fn passed(&mut self, ticket: Ticket) {
        if let Self::Open { writer, .. } = self {
            writer.wrote(ticket);
        }
    }
}

/// The partitions with transactional batches that exist.
fn places(call: &Call, asked: &TopicProduceData) -> Vec<Place> {
    let topics = &call.ctx.topics;
    let topic = if call.version >= BY_ID_FROM_VERSION {
        topics.by_id(asked.topic_id)
    } else {
        topics.by_name(&asked.name)
    };
    let may_write = |it: &Arc<Topic>| call.may(Operation::Write, Resource::topic(&it.name));
    let Some(topic) = topic.filter(may_write) else { return Vec::new() };
    let is_transactional = |batch: &bytes::Bytes| {
        BatchHeader::read(batch).is_ok_and(|it| it.attributes.is_transactional())
    };
    let wanted = asked.partition_data.iter().filter(|it| {
        topic.partition(it.index).is_some() && it.records.as_ref().is_some_and(is_transactional)
    });
    wanted.map(|it| Place { topic: Arc::clone(&topic.name), partition: it.index }).collect()
}

/// # Source  Kafka `AddPartitionsToTxnManager`, `ReplicaManager.handleProduceAppend`
fn told(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_FROM_VERSION => {
            ErrorCode::InvalidTxnState
        }
        // What makes clients of the time try again without asking for metadata.
        ErrorCode::ConcurrentTransactions if version < ADDS_FROM_VERSION => {
            ErrorCode::NotEnoughReplicas
        }
        ErrorCode::CoordinatorNotAvailable => ErrorCode::NotEnoughReplicas,
        code => code,
    }
}
