//! Rules of access lists on the wire.
//!
//! Owns: reading rules and filters with their checks, in Kafka's words. Does not own: the three
//! APIs, what rules decide (`guard`).

use systole_guard::acl::{Filter, PatternFilter};
use systole_guard::{Operation, PatternType, Permission, Principal, Resource, ResourceType, Rule};
use systole_wire::Str;
use systole_wire::{ErrorCode, Rejected};

/// The number that selects everything.
const ANY: i8 = 1;
/// Names, principals and hosts may not be longer, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A rule or filter as the three messages carry it.
pub(super) struct Words<'a> {
    pub(super) resource: i8,
    pub(super) name: Option<&'a Str>,
    pub(super) pattern: i8,
    pub(super) principal: Option<&'a Str>,
    pub(super) host: Option<&'a Str>,
    pub(super) operation: i8,
    pub(super) permission: i8,
}

fn refused(text: impl Into<String>) -> Rejected {
    Rejected::new(ErrorCode::InvalidRequest, text)
}

impl Words<'_> {
    /// The rule that is to be added.
    pub(super) fn rule(&self) -> Result<Rule, Rejected> {
        let no_word = |what: &str| refused(format!("Invalid {what}"));
        let resource = ResourceType::from_number(self.resource);
        let resource = resource.ok_or_else(|| no_word("resourceType"))?;
        let pattern = PatternType::from_number(self.pattern);
        let pattern = pattern.ok_or_else(|| no_word("patternType"))?;
        let operation = Operation::from_number(self.operation);
        let operation = operation.ok_or_else(|| no_word("operation"))?;
        let permission = Permission::from_number(self.permission);
        let permission = permission.ok_or_else(|| no_word("permissionType"))?;
        let text = |it: Option<&Str>, what: &str| {
            let it = it.filter(|it| (1..=TEXT_BYTES_MAX).contains(&it.len()));
            it.map(ToString::to_string).ok_or_else(|| no_word(what))
        };
        let (name, host) = (text(self.name, "resource name")?, text(self.host, "host")?);
        let principal = text(self.principal, "principal")?;
        if Principal::parse(&principal).is_err() {
            return Err(refused("Could not parse principal: a principal is written as User:NAME"));
        }
        if resource == ResourceType::Cluster && name != Resource::CLUSTER.name {
            return Err(refused("The only valid name for the CLUSTER resource is kafka-cluster"));
        }
        Ok(Rule { resource, pattern, name, principal, host, operation, permission })
    }

    /// The rules that are meant.
    pub(super) fn filter(&self) -> Result<Filter, Rejected> {
        /// A word, or any; an unknown one is an error.
        fn word<T>(
            number: i8,
            read: fn(i8) -> Option<T>,
            what: &str,
        ) -> Result<Option<T>, Rejected> {
            match read(number) {
                None if number != ANY => Err(refused(format!("Unknown {what}."))),
                it => Ok(it),
            }
        }
        let text = |it: Option<&Str>| it.map(ToString::to_string);
        let pattern = PatternFilter::from_number(self.pattern);
        Ok(Filter {
            resource: word(self.resource, ResourceType::from_number, "resourceFilter")?,
            pattern: pattern.ok_or_else(|| refused("Unknown patternFilter."))?,
            name: text(self.name),
            principal: text(self.principal),
            host: text(self.host),
            operation: word(self.operation, Operation::from_number, "entryFilter")?,
            permission: word(self.permission, Permission::from_number, "entryFilter")?,
        })
    }
}

/// Kafka's answer where no access lists are asked.
pub(super) fn disabled() -> Rejected {
    Rejected::new(ErrorCode::SecurityDisabled, "No Authorizer is configured.")
}
