//! InitProducerId, v0-5: gives an idempotent producer its id.
//!
//! As Kafka does, a producer without a transactional id gets a new id each time, epoch 0, whatever
//! id it had (KIP-360 asks for more with transactions only).
//! Ours: there are no transactions, so a transactional id is answered with
//! TRANSACTIONAL_ID_AUTHORIZATION_FAILED. Clients take it as final; any code that says "not yet"
//! would keep them trying.

use super::{Call, Handler, Need, Reply};
use crate::access::Denied;
use crate::code::ErrorCode;
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::{InitProducerIdRequest, InitProducerIdResponse};

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::TransactionalId),
        (Operation::IdempotentWrite, ResourceType::Cluster),
        (Operation::Write, ResourceType::Topic),
    ];

    async fn handle(call: Call, request: InitProducerIdRequest) -> Reply<Self> {
        let allowed = match request.transactional_id.as_deref() {
            None => may_be_idempotent(&call),
            Some(id) => call.authorize(Operation::Write, Resource::transactional_id(id)),
        };
        let given = match (allowed, request.transactional_id.as_deref()) {
            (Err(denied), _) => Err(denied.into()),
            (Ok(()), None) => {
                let id = call.ctx.producer_ids.next(&call.ctx.topics).await;
                id.map_err(|rejected| rejected.code)
            }
            (Ok(()), Some("")) => Err(ErrorCode::InvalidRequest),
            (Ok(()), Some(_)) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        };
        let (code, producer_id, producer_epoch) = match given {
            Ok(id) => (ErrorCode::None, id, 0),
            Err(code) => (code, -1, -1),
        };
        let error_code = call.code(code);
        Reply::Send(InitProducerIdResponse {
            error_code,
            producer_id,
            producer_epoch,
            ..Default::default()
        })
    }
}

/// KIP-679: who may write to some topic may do it with idempotence.
fn may_be_idempotent(call: &Call) -> Result<(), Denied> {
    let some = call.authorize_some(Operation::Write, ResourceType::Topic);
    some.or_else(|_| call.authorize(Operation::IdempotentWrite, Resource::CLUSTER))
}
