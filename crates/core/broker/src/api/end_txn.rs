//! EndTxn, v0-5: commits or aborts a transaction. v5: a producer of KIP-890, which gets its next
//! epoch with the answer.
//!
//! Ours: the answer leaves when decision, markers and completion are on disk, in one sync; Kafka
//! answers after the decision, and the next transaction may be CONCURRENT_TRANSACTIONS for a while.
//! A commit is TRANSACTION_ABORTABLE if the disk did not take all of the transaction.

use super::init_producer_id::{done, fresh_id};
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_coordinator::transaction::{Begun, Halt};
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::{End, Outcome, Producer, Version};
use systole_wire::ErrorCode;
use systole_wire::message::{EndTxnRequest, EndTxnResponse};

pub(crate) struct EndTxn;

/// From this version on, clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;
/// From this version on, the client speaks version 2 of the transaction protocol.
const BUMPING_FROM_VERSION: i16 = 5;

impl Handler for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[(Operation::Write, ResourceType::TransactionalId)];

    fn handle(
        call: Call,
        request: EndTxnRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request, None);
        async move {
            let ended = match begun {
                Err(Halt::FreshIdNeeded) => match fresh_id(&call).await {
                    Ok(fresh) => done(&call, begin(&call, &request, Some(fresh))).await,
                    Err(code) => Err(code),
                },
                begun => done(&call, begun).await,
            };
            let code = match ended.err().unwrap_or(ErrorCode::None) {
                ErrorCode::ProducerFenced if call.version < FENCED_FROM_VERSION => {
                    ErrorCode::InvalidProducerEpoch
                }
                code => code,
            };
            let producer = ended.unwrap_or(Producer::NONE);
            Reply::Send(EndTxnResponse {
                error_code: call.code(code),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..Default::default()
            })
        }
    }
}

fn begin(call: &Call, request: &EndTxnRequest, fresh_id: Option<i64>) -> Result<Begun, Halt> {
    let id = Resource::transactional_id(&request.transactional_id);
    call.authorize(Operation::Write, id).map_err(|denied| Halt::Refused(denied.into()))?;
    if request.transactional_id.is_empty() {
        return Err(Halt::Refused(ErrorCode::InvalidRequest));
    }
    let from = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let outcome = if request.committed { Outcome::Commit } else { Outcome::Abort };
    let is_bumping = call.version >= BUMPING_FROM_VERSION;
    let version = if is_bumping { Version::Two } else { Version::One };
    call.ctx.transactions.end(&request.transactional_id, End { from, outcome, version }, fresh_id)
}
