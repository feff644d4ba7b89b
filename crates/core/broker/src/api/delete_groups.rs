//! DeleteGroups, v0-2: groups without members go, with all their offsets (KIP-229).

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::ErrorCode;
use systole_wire::message::delete_groups_response::DeletableGroupResult;
use systole_wire::message::{DeleteGroupsRequest, DeleteGroupsResponse};

pub(crate) struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[(Operation::Delete, ResourceType::Group)];

    fn handle(
        call: Call,
        request: DeleteGroupsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let ids = request.groups_names.into_iter();
        let begin = |id: &str| {
            call.authorize(Operation::Delete, Resource::group(id))?;
            call.ctx.groups.delete(id)
        };
        let begun: Vec<_> = ids.map(|id| (begin(&id), id)).collect();
        async move {
            let mut results = Vec::with_capacity(begun.len());
            for (begun, group_id) in begun {
                let done = match begun {
                    Ok(durable) => durable.await,
                    Err(code) => Err(code),
                };
                let error_code = call.code(done.err().unwrap_or(ErrorCode::None));
                results.push(DeletableGroupResult { group_id, error_code, ..Default::default() });
            }
            Reply::Send(DeleteGroupsResponse { results, ..Default::default() })
        }
    }
}
