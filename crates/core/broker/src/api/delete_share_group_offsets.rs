//! DeleteShareGroupOffsets, v0: forgets how far a share group without members has come in topics
//! (KIP-932).

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_coordinator::group::Durable;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::delete_share_group_offsets_response as response;
use systole_wire::message::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DeleteShareGroupOffsets;

impl Handler for DeleteShareGroupOffsets {
    type Request = DeleteShareGroupOffsetsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] =
        &[(Operation::Delete, ResourceType::Group), (Operation::Read, ResourceType::Topic)];

    fn handle(
        call: Call,
        request: DeleteShareGroupOffsetsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let done = match begun {
                Ok((responses, durable)) => match durable.await {
                    Ok(()) => Ok(responses),
                    Err(code) => Err(Rejected::new(code, "The deletion is not durable.")),
                },
                Err(rejected) => Err(rejected),
            };
            Reply::Send(match done {
                Ok(responses) => {
                    DeleteShareGroupOffsetsResponse { responses, ..Default::default() }
                }
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    DeleteShareGroupOffsetsResponse {
                        error_code,
                        error_message,
                        ..Default::default()
                    }
                }
            })
        }
    }
}

fn begin(
    call: &Call,
    request: &DeleteShareGroupOffsetsRequest,
) -> Result<(Vec<response::DeleteShareGroupOffsetsResponseTopic>, Durable), Rejected> {
    call.authorize(Operation::Delete, Resource::group(&request.group_id))?;
    if request.group_id.is_empty() {
        return Err(Rejected::new(ErrorCode::InvalidGroupId, "The group id is empty."));
    }
    let (mut told, mut ids) = (Vec::new(), Vec::new());
    for it in &request.topics {
        let name = &it.topic_name;
        let may = call.authorize(Operation::Read, Resource::topic(name)).map_err(ErrorCode::from);
        let found = call.ctx.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition);
        let found = may.and(found).map(|it| it.id);
        let topic_id = found.unwrap_or_default();
        ids.extend(found);
        let (error_code, error_message) = match found {
            Ok(_) => (ErrorCode::None.number(), None),
            Err(code) => call.error(&Rejected::new(code, code.name())),
        };
        let topic_name = name.clone();
        told.push(response::DeleteShareGroupOffsetsResponseTopic {
            topic_name,
            topic_id,
            error_code,
            error_message,
            ..Default::default()
        });
    }
    let (known, durable) = call.ctx.groups.delete_shared_topics(&request.group_id, &ids)?;
    for (id, _) in ids.iter().zip(known).filter(|(_, known)| !known) {
        let code = ErrorCode::UnknownTopicOrPartition;
        let text = "There is no offset information to delete.";
        let (error_code, error_message) = call.error(&Rejected::new(code, text));
        for it in told.iter_mut().filter(|it| it.topic_id == *id) {
            (it.error_code, it.error_message) = (error_code, error_message.clone());
        }
    }
    Ok((told, durable))
}
