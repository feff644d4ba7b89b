//! InitProducerId, v0-5: gives an idempotent producer its id.
//!
//! As Kafka does, a producer without a transactional id gets a new id each time, epoch 0, whatever
//! id it had (KIP-360 asks for more with transactions only).
//! Ours: there are no transactions, so a transactional id is answered with
//! TRANSACTIONAL_ID_AUTHORIZATION_FAILED. Clients take it as final; any code that says "not yet"
//! would keep them trying.

use super::{Call, Handler, Reply};
use crate::code::ErrorCode;
use std::ops::RangeInclusive;
use systole_wire::message::{InitProducerIdRequest, InitProducerIdResponse};

pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    async fn handle(call: Call, request: InitProducerIdRequest) -> Reply<Self> {
        let given = match request.transactional_id.as_deref() {
            None => {
                let id = call.ctx.producer_ids.next(&call.ctx.topics).await;
                id.map_err(|rejected| rejected.code)
            }
            Some("") => Err(ErrorCode::InvalidRequest),
            Some(_) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
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
