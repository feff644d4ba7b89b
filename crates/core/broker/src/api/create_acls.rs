//! CreateAcls, v1-3: adds rules to the access lists, each for itself.
//!
//! The answer leaves when they are on disk; from then on they are in force for every request. Ours:
//! names, principals and hosts of at most 1 KiB; at most 100,000 rules.

use super::rule::{self, Words};
use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::Durable;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::Rejected;
use systole_wire::message::create_acls_request::AclCreation;
use systole_wire::message::create_acls_response::AclCreationResult;
use systole_wire::message::{CreateAclsRequest, CreateAclsResponse};

pub(crate) struct CreateAcls;

impl Handler for CreateAcls {
    type Request = CreateAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: CreateAclsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request.creations);
        async move {
            let mut results = Vec::with_capacity(begun.len());
            for begun in begun {
                let (error_code, error_message) = call.finish(begun.map(Some)).await;
                results.push(AclCreationResult { error_code, error_message, ..Default::default() });
            }
            Reply::Send(CreateAclsResponse { results, ..Default::default() })
        }
    }
}

fn begin(call: &Call, asked: &[AclCreation]) -> Vec<Result<Durable, Rejected>> {
    let allowed = call.authorize(Operation::Alter, Resource::CLUSTER);
    let one = |it: &AclCreation| {
        allowed?;
        if !call.ctx.enforces_access {
            return Err(rule::disabled());
        }
        let words = Words {
            resource: it.resource_type,
            name: Some(&it.resource_name),
            pattern: it.resource_pattern_type,
            principal: Some(&it.principal),
            host: Some(&it.host),
            operation: it.operation,
            permission: it.permission_type,
        };
        call.ctx.topics.add_rule(words.rule()?)
    };
    asked.iter().map(one).collect()
}
