//! May this caller do that? Asked by every API, decided by `guard` over the rules in the catalogue.
//!
//! Owns: the question, the code of a refusal, and what is said about refusals. Does not own: the
//! decision (`guard`), the rules (`topic`), which API asks what (its `NEEDS`).

use crate::api::Call;
use std::net::IpAddr;
use systole_guard::{Caller, Decision, Operation, Resource, ResourceType};
use systole_wire::{ErrorCode, Rejected};

/// A question that an API asks.
pub(crate) type Need = (Operation, ResourceType);

/// The client did not ask for the bit field of what it may do.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// The caller may not. The reason is in the log and never in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied(ResourceType);

impl Denied {
    const fn text(self) -> &'static str {
        match self.0 {
            ResourceType::Topic => "Topic authorization failed.",
            ResourceType::Group => "Group authorization failed.",
            ResourceType::Cluster => "Cluster authorization failed.",
            ResourceType::TransactionalId => "Transactional Id authorization failed.",
            ResourceType::DelegationToken | ResourceType::User => {
                "Delegation Token authorization failed."
            }
        }
    }
}

impl From<Denied> for ErrorCode {
    fn from(denied: Denied) -> Self {
        match denied.0 {
            ResourceType::Topic => Self::TopicAuthorizationFailed,
            ResourceType::Group => Self::GroupAuthorizationFailed,
            ResourceType::Cluster => Self::ClusterAuthorizationFailed,
            ResourceType::TransactionalId => Self::TransactionalIdAuthorizationFailed,
            ResourceType::DelegationToken | ResourceType::User => {
                Self::DelegationTokenAuthorizationFailed
            }
        }
    }
}

impl From<Denied> for Rejected {
    fn from(denied: Denied) -> Self {
        Self::new(denied.into(), denied.text())
    }
}

impl Call {
    /// Refuses what the caller may not do, counts it and tells it to the log.
    pub(crate) fn authorize(
        &self,
        operation: Operation,
        resource: Resource<'_>,
    ) -> Result<(), Denied> {
        self.decide(operation, resource, true)
    }

    /// The same for lists that show only what the caller may see: a refusal is nothing unusual.
    pub(crate) fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.decide(operation, resource, false).is_ok()
    }

    /// Refuses a caller who may do this to no resource of the type.
    pub(crate) fn authorize_some(
        &self,
        operation: Operation,
        kind: ResourceType,
    ) -> Result<(), Denied> {
        self.assert_declared((operation, kind));
        if !self.ctx.enforces_access {
            return Ok(());
        }
        let caller = Caller { principal: &self.principal, host: self.host() };
        let rules = self.ctx.topics.access();
        let decision = rules.decide_for_some(caller, operation, kind);
        if decision.is_allowed { Ok(()) } else { Err(Denied(kind)) }
    }

    /// What the caller may do to `resource`, one bit for each operation (KIP-430).
    pub(crate) fn granted(&self, resource: Resource<'_>) -> i32 {
        let granted = resource.kind.operations().iter().filter(|it| self.ask(**it, resource));
        granted.fold(0, |field, it| field | 1 << it.number())
    }

    /// The bit field for the cluster, empty for who may not even see it.
    pub(crate) fn granted_on_cluster(&self) -> i32 {
        let sees = self.may(Operation::Describe, Resource::CLUSTER);
        if sees { self.granted(Resource::CLUSTER) } else { 0 }
    }

    /// Who may create in the whole cluster may create every topic.
    pub(crate) fn authorize_creation(&self, topic: &str) -> Result<(), Denied> {
        if self.may(Operation::Create, Resource::CLUSTER) {
            return Ok(());
        }
        self.authorize(Operation::Create, Resource::topic(topic))
    }

    fn ask(&self, operation: Operation, resource: Resource<'_>) -> bool {
        if !self.ctx.enforces_access {
            return true;
        }
        let caller = Caller { principal: &self.principal, host: self.host() };
        self.ctx.topics.access().decide(caller, operation, resource).is_allowed
    }

    fn decide(
        &self,
        operation: Operation,
        resource: Resource<'_>,
        is_told: bool,
    ) -> Result<(), Denied> {
        self.assert_declared((operation, resource.kind));
        if !self.ctx.enforces_access {
            return Ok(());
        }
        let caller = Caller { principal: &self.principal, host: self.host() };
        let rules = self.ctx.topics.access();
        let Decision { is_allowed, reason } = rules.decide(caller, operation, resource);
        if is_allowed {
            return Ok(());
        }
        if is_told {
            self.ctx.metrics.denied.inc();
            self.ctx.denials.say(&self.ctx, |hidden| {
                let Caller { principal, host } = caller;
                let Resource { kind, name } = resource;
                tracing::info!(
                    %principal, %host, %operation, %kind, name, %reason, hidden,
                    "a request was not allowed"
                );
            });
        }
        Err(Denied(resource.kind))
    }

    /// The table of APIs tells the truth about what each asks.
    fn assert_declared(&self, need: Need) {
        debug_assert!(self.needs.contains(&need), "{need:?} is missing in the API's NEEDS");
    }

    fn host(&self) -> IpAddr {
        self.peer.address.ip().to_canonical()
    }
}
