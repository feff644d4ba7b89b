//! InitProducerId, v0-5: gives a producer its id and epoch.
//!
//! As Kafka does, a producer without a transactional id gets a new id each time, epoch 0, whatever
//! id it had. With one it gets the next epoch of its id, which fences older incarnations. If one of
//! them has a transaction open, that is aborted first and the answer is CONCURRENT_TRANSACTIONS:
//! come again.
//! Ours: when the memory for transactional ids is used up, a new one is POLICY_VIOLATION, which
//! clients take as final.

use super::{Call, Handler, Need, Reply};
use crate::access::Denied;
use std::ops::RangeInclusive;
use systole_coordinator::transaction::{Begun, Halt};
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::{Initialize, Producer};
use systole_wire::ErrorCode;
use systole_wire::message::{InitProducerIdRequest, InitProducerIdResponse};

pub(crate) struct InitProducerId;

/// From this version on, clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 4;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::TransactionalId),
        (Operation::IdempotentWrite, ResourceType::Cluster),
        (Operation::Write, ResourceType::Topic),
    ];

    async fn handle(call: Call, request: InitProducerIdRequest) -> Reply<Self> {
        let given = match (check(&call, &request), request.transactional_id.as_deref()) {
            (Err(code), _) => Err(code),
            (Ok(_), None) => fresh_id(&call).await.map(|id| Producer { id, epoch: 0 }),
            (Ok(_), Some("")) => Err(ErrorCode::InvalidRequest),
            (Ok(expected), Some(id)) => {
                let timeout_ms = request.transaction_timeout_ms;
                initialize(&call, id, Initialize { timeout_ms, expected }).await
            }
        };
        let (code, producer) = match given {
            Ok(producer) => (ErrorCode::None, producer),
            Err(ErrorCode::ProducerFenced) if call.version < FENCED_FROM_VERSION => {
                (ErrorCode::InvalidProducerEpoch, Producer::NONE)
            }
            Err(code) => (code, Producer::NONE),
        };
        Reply::Send(InitProducerIdResponse {
            error_code: call.code(code),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            ..Default::default()
        })
    }
}

/// KIP-679: who may write to some topic may do it with idempotence.
fn may_be_idempotent(call: &Call) -> Result<(), Denied> {
    let some = call.authorize_some(Operation::Write, ResourceType::Topic);
    some.or_else(|_| call.authorize(Operation::IdempotentWrite, Resource::CLUSTER))
}

/// Who the client says it was, if it may ask at all: both halves or none.
fn check(call: &Call, request: &InitProducerIdRequest) -> Result<Option<Producer>, ErrorCode> {
    match request.transactional_id.as_deref() {
        None => may_be_idempotent(call)?,
        Some(id) => call.authorize(Operation::Write, Resource::transactional_id(id))?,
    }
    let it = Producer { id: request.producer_id, epoch: request.producer_epoch };
    match (it.id == Producer::NONE.id, it.epoch == Producer::NONE.epoch) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(it)),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

async fn initialize(call: &Call, id: &str, ask: Initialize) -> Result<Producer, ErrorCode> {
    let begun = call.ctx.transactions.initialize(id, ask, None);
    let begun = match begun {
        Err(Halt::FreshIdNeeded) => {
            let fresh = fresh_id(call).await?;
            call.ctx.transactions.initialize(id, ask, Some(fresh))
        }
        begun => begun,
    };
    done(call, begun).await
}

/// The answer, once what it says is on disk.
pub(super) async fn done(call: &Call, begun: Result<Begun, Halt>) -> Result<Producer, ErrorCode> {
    let Begun { answer, ticket } = begun.map_err(|halt| match halt {
        Halt::Refused(code) => code,
        Halt::FreshIdNeeded => ErrorCode::CoordinatorNotAvailable,
    })?;
    let stored = call.ctx.log.done(ticket).await;
    stored.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    answer
}

pub(super) async fn fresh_id(call: &Call) -> Result<i64, ErrorCode> {
    call.ctx.producer_ids.next(&call.ctx.topics).await.map_err(|rejected| rejected.code)
}
