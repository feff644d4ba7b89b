//! DescribeAcls, v1-3: the rules of the access lists that a filter selects.
//!
//! As Kafka does without an authorizer, a node that does not ask its access lists answers
//! SECURITY_DISABLED. A filter with an unknown word is an INVALID_REQUEST.

use super::rule::{self, Words};
use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType, Rule};
use systole_wire::message::describe_acls_response::{AclDescription, DescribeAclsResource};
use systole_wire::message::{DescribeAclsRequest, DescribeAclsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DescribeAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DescribeAclsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let (error_code, error_message, resources) = match select(&call, &request) {
            Ok(rules) => (ErrorCode::None.number(), None, by_resource(rules)),
            Err(rejected) => {
                let (code, message) = call.error(&rejected);
                (code, message, Vec::new())
            }
        };
        ready(Reply::Send(DescribeAclsResponse {
            error_code,
            error_message,
            resources,
            ..Default::default()
        }))
    }
}

fn select(call: &Call, request: &DescribeAclsRequest) -> Result<Vec<Rule>, Rejected> {
    call.authorize(Operation::Describe, Resource::CLUSTER)?;
    if !call.ctx.enforces_access {
        return Err(rule::disabled());
    }
    let words = Words {
        resource: request.resource_type_filter,
        name: request.resource_name_filter.as_ref(),
        pattern: request.pattern_type_filter,
        principal: request.principal_filter.as_ref(),
        host: request.host_filter.as_ref(),
        operation: request.operation,
        permission: request.permission_type,
    };
    Ok(call.ctx.topics.access().select(&words.filter()?))
}

/// Rules come sorted, so those of one resource are neighbours.
fn by_resource(rules: Vec<Rule>) -> Vec<DescribeAclsResource> {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    for it in rules {
        let acl = AclDescription {
            principal: it.principal.into(),
            host: it.host.into(),
            operation: it.operation.number(),
            permission_type: it.permission.number(),
            ..Default::default()
        };
        let (kind, pattern) = (it.resource.number(), it.pattern.number());
        match resources.last_mut() {
            Some(last)
                if last.resource_type == kind
                    && last.pattern_type == pattern
                    && *last.resource_name == *it.name =>
            {
                last.acls.push(acl);
            }
            _ => resources.push(DescribeAclsResource {
                resource_type: kind,
                resource_name: it.name.into(),
                pattern_type: pattern,
                acls: vec![acl],
                ..Default::default()
            }),
        }
    }
    resources
}
