//! DeleteAcls, v1-3: removes the rules of the access lists that filters select, and tells them.
//!
//! The answer leaves when that is on disk.

use super::rule::{self, Words};
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::Durable;
use systole_guard::{Operation, Resource, ResourceType, Rule};
use systole_wire::Rejected;
use systole_wire::message::delete_acls_request::DeleteAclsFilter;
use systole_wire::message::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use systole_wire::message::{DeleteAclsRequest, DeleteAclsResponse};

pub(crate) struct DeleteAcls;

impl Handler for DeleteAcls {
    type Request = DeleteAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DeleteAclsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let allowed = call.authorize(Operation::Alter, Resource::CLUSTER);
        let one = |it: &DeleteAclsFilter| {
            allowed?;
            begin(&call, it)
        };
        let begun: Vec<_> = request.filters.iter().map(one).collect();
        async move {
            let mut filter_results = Vec::with_capacity(begun.len());
            for begun in begun {
                filter_results.push(finish(&call, begun).await);
            }
            Reply::Send(DeleteAclsResponse { filter_results, ..Default::default() })
        }
    }
}

type Begun = Result<(Vec<Rule>, Durable), Rejected>;

fn begin(call: &Call, it: &DeleteAclsFilter) -> Begun {
    if !call.ctx.enforces_access {
        return Err(rule::disabled());
    }
    let words = Words {
        resource: it.resource_type_filter,
        name: it.resource_name_filter.as_ref(),
        pattern: it.pattern_type_filter,
        principal: it.principal_filter.as_ref(),
        host: it.host_filter.as_ref(),
        operation: it.operation,
        permission: it.permission_type,
    };
    call.ctx.topics.remove_rules(&words.filter()?)
}

async fn finish(call: &Call, begun: Begun) -> DeleteAclsFilterResult {
    let (rules, begun) = match begun {
        Ok((rules, durable)) => (rules, Ok(Some(durable))),
        Err(rejected) => (Vec::new(), Err(rejected)),
    };
    let (error_code, error_message) = call.finish(begun).await;
    let matching = |it: Rule| DeleteAclsMatchingAcl {
        error_message: None,
        resource_type: it.resource.number(),
        resource_name: it.name.into(),
        pattern_type: it.pattern.number(),
        principal: it.principal.into(),
        host: it.host.into(),
        operation: it.operation.number(),
        permission_type: it.permission.number(),
        ..Default::default()
    };
    DeleteAclsFilterResult {
        error_code,
        error_message,
        matching_acls: rules.into_iter().map(matching).collect(),
        ..Default::default()
    }
}
