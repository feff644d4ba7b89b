//! AddOffsetsToTxn, v0-4: the offsets of a group enter a transaction, that is the partition of
//! `__consumer_offsets` that keeps them. Producers of KIP-890 do without it.
//!
//! Ours: the answer does not wait for the disk. If the record is lost, so is the transaction.

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::{Producer, Version};
use systole_wire::ErrorCode;
use systole_wire::message::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

pub(crate) struct AddOffsetsToTxn;

/// From this version on, clients know PRODUCER_FENCED.
const FENCED_FROM_VERSION: i16 = 2;

impl Handler for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const NEEDS: &'static [Need] = &[
        (Operation::Write, ResourceType::TransactionalId),
        (Operation::Read, ResourceType::Group),
    ];

    fn handle(
        call: Call,
        request: AddOffsetsToTxnRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let code = match add(&call, &request) {
            Ok(()) => ErrorCode::None,
            Err(ErrorCode::ProducerFenced) if call.version < FENCED_FROM_VERSION => {
                ErrorCode::InvalidProducerEpoch
            }
            Err(code) => code,
        };
        let error_code = call.code(code);
        ready(Reply::Send(AddOffsetsToTxnResponse { error_code, ..Default::default() }))
    }
}

fn add(call: &Call, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let id = &request.transactional_id;
    call.authorize(Operation::Write, Resource::transactional_id(id))?;
    call.authorize(Operation::Read, Resource::group(&request.group_id))?;
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let place = call.ctx.groups.place_of(&request.group_id);
    let from = Producer { id: request.producer_id, epoch: request.producer_epoch };
    call.ctx.transactions.write(id, |it| it.add(from, &[place], Version::One))?
}
