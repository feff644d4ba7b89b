//! What a set of rules decides.
//!
//! Owns: the index over the rules and the decision with its reason. Does not own: the words
//! ([`crate::acl`]), where rules are kept, or what is answered to whom.
//!
//! The decision is that of Kafka's `StandardAuthorizer`: super users may do everything; a rule that
//! denies wins over any that allows; without a rule for the resource the setting
//! `allow.everyone.if.no.acl.found` decides; otherwise the answer is no. Allowing READ, WRITE,
//! DELETE or ALTER implies DESCRIBE, allowing ALTER_CONFIGS implies DESCRIBE_CONFIGS; denying
//! implies nothing.
//!
//! Cost of a decision: one look-up by name, one for the wildcard, and one for each distinct length
//! of prefixes in use; nothing is allocated.

use crate::acl::{Filter, Operation, PatternType, Permission, ResourceType, Rule, WILDCARD};
use crate::principal::Principal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

/// The principal of rules that are for everyone.
const EVERYONE: &str = "User:*";

/// Something that is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    pub kind: ResourceType,
    pub name: &'a str,
}

impl<'a> Resource<'a> {
    /// The one resource of its type.
    pub const CLUSTER: Resource<'static> =
        Resource { kind: ResourceType::Cluster, name: "kafka-cluster" };

    pub const fn topic(name: &'a str) -> Self {
        Self { kind: ResourceType::Topic, name }
    }
    pub const fn group(name: &'a str) -> Self {
        Self { kind: ResourceType::Group, name }
    }
    pub const fn transactional_id(name: &'a str) -> Self {
        Self { kind: ResourceType::TransactionalId, name }
    }
}

/// Who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub principal: &'a Principal,
    pub host: IpAddr,
}

/// An answer with the reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    pub is_allowed: bool,
    pub reason: Reason<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'a> {
    SuperUser,
    Rule(&'a Rule),
    /// There is no rule for the resource, and the setting for that case decided.
    NoRuleForResource,
    /// There are rules for the resource, and none of them is for this caller and operation.
    NoRuleMatches,
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SuperUser => f.write_str("super user"),
            Self::Rule(rule) => write!(f, "rule: {rule}"),
            Self::NoRuleForResource => f.write_str("no rule for the resource"),
            Self::NoRuleMatches => f.write_str("no rule matches"),
        }
    }
}

/// What holds beside the rules.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub super_users: BTreeSet<Principal>,
    /// Kafka: `allow.everyone.if.no.acl.found`.
    pub allow_if_no_rule: bool,
}

/// All rules, found by the resource that they are for.
#[derive(Debug, Default)]
pub struct AccessList {
    policy: Policy,
    by_type: BTreeMap<ResourceType, Index>,
}

#[derive(Debug, Default)]
struct Index {
    literal: HashMap<Box<str>, Vec<Entry>>,
    prefixed: HashMap<Box<str>, Vec<Entry>>,
    /// Lengths of the prefixes in use, in bytes, with how many have it.
    prefix_lengths: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    host: Host,
}

#[derive(Debug, Clone, Copy)]
enum Host {
    Any,
    One(IpAddr),
    /// The rule's host is no address: it matches nobody.
    Nobody,
}

impl AccessList {
    pub fn new(policy: Policy) -> Self {
        Self { policy, by_type: BTreeMap::new() }
    }

    /// Adds a rule; `false` if it was there.
    pub fn insert(&mut self, rule: Rule) -> bool {
        let index = self.by_type.entry(rule.resource).or_default();
        let entries = match rule.pattern {
            PatternType::Literal => &mut index.literal,
            PatternType::Prefixed => &mut index.prefixed,
        };
        if !entries.contains_key(&*rule.name) {
            if rule.pattern == PatternType::Prefixed {
                *index.prefix_lengths.entry(rule.name.len()).or_default() += 1;
            }
            entries.insert(rule.name.as_str().into(), Vec::new());
        }
        let Some(of_name) = entries.get_mut(&*rule.name) else { return false };
        if of_name.iter().any(|it| it.rule == rule) {
            return false;
        }
        of_name.push(Entry { host: Host::of(&rule.host), rule });
        true
    }

    /// Removes a rule; `false` if it was not there.
    pub fn remove(&mut self, rule: &Rule) -> bool {
        let Some(index) = self.by_type.get_mut(&rule.resource) else { return false };
        let entries = match rule.pattern {
            PatternType::Literal => &mut index.literal,
            PatternType::Prefixed => &mut index.prefixed,
        };
        let Some(of_name) = entries.get_mut(&*rule.name) else { return false };
        let before = of_name.len();
        of_name.retain(|it| it.rule != *rule);
        let is_removed = of_name.len() < before;
        if of_name.is_empty() {
            entries.remove(&*rule.name);
            if rule.pattern == PatternType::Prefixed
                && let Some(count) = index.prefix_lengths.get_mut(&rule.name.len())
            {
                *count -= 1;
                if *count == 0 {
                    index.prefix_lengths.remove(&rule.name.len());
                }
            }
        }
        is_removed
    }

    pub fn contains(&self, rule: &Rule) -> bool {
        let index = self.by_type.get(&rule.resource);
        let of_name = index.and_then(|it| it.of(rule.pattern).get(&*rule.name));
        of_name.is_some_and(|it| it.iter().any(|it| it.rule == *rule))
    }

    /// Every rule, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.by_type.values().flat_map(Index::entries).map(|it| &it.rule)
    }

    /// The rules that `filter` selects, in their order.
    pub fn select(&self, filter: &Filter) -> Vec<Rule> {
        let mut selected: Vec<_> = self.rules().filter(|it| filter.selects(it)).cloned().collect();
        selected.sort_unstable();
        selected
    }

    /// May `caller` do this to that?
    pub fn decide<'a>(
        &'a self,
        caller: Caller<'_>,
        operation: Operation,
        resource: Resource<'a>,
    ) -> Decision<'a> {
        if self.policy.super_users.contains(caller.principal) {
            return Decision { is_allowed: true, reason: Reason::SuperUser };
        }
        let (mut allowing, mut any) = (None, false);
        for entry in self.for_resource(resource) {
            any = true;
            if !entry.is_for(caller) || !entry.covers(operation) {
                continue;
            }
            match entry.rule.permission {
                Permission::Deny => {
                    return Decision { is_allowed: false, reason: Reason::Rule(&entry.rule) };
                }
                Permission::Allow => allowing = Some(&entry.rule),
            }
        }
        match (allowing, any) {
            (Some(rule), _) => Decision { is_allowed: true, reason: Reason::Rule(rule) },
            (None, false) => Decision {
                is_allowed: self.policy.allow_if_no_rule,
                reason: Reason::NoRuleForResource,
            },
            (None, true) => Decision { is_allowed: false, reason: Reason::NoRuleMatches },
        }
    }

    /// May `caller` do this to any resource of the type at all? As in Kafka, implied operations do
    /// not count here.
    ///
    /// # Source  Kafka `Authorizer.authorizeByResourceType` (KIP-679)
    pub fn decide_for_some(
        &self,
        caller: Caller<'_>,
        operation: Operation,
        kind: ResourceType,
    ) -> Decision<'_> {
        let anything = self.decide(caller, operation, Resource { kind, name: "hardcode" });
        if anything.is_allowed {
            return anything;
        }
        let Some(index) = self.by_type.get(&kind) else { return anything };
        let is_meant = |it: &&Entry| {
            let same = [Operation::All, operation].contains(&it.rule.operation);
            same && it.is_for(caller)
        };
        let with = |entries: &[Entry], permission| {
            entries.iter().filter(is_meant).any(|it| it.rule.permission == permission)
        };
        let is_denied = |it: &HashMap<Box<str>, Vec<Entry>>, name: &str| {
            it.get(name).is_some_and(|it| with(it, Permission::Deny))
        };
        let refused = Decision { is_allowed: false, reason: Reason::NoRuleMatches };
        if is_denied(&index.literal, WILDCARD) {
            return refused;
        }
        let meant = index.entries().filter(is_meant);
        let mut allowing = meant.filter(|it| it.rule.permission == Permission::Allow);
        let stands = |it: &Entry| {
            let name = &*it.rule.name;
            let is_literal = it.rule.pattern == PatternType::Literal;
            if is_literal && name == WILDCARD {
                return true;
            }
            let by_name = is_literal && is_denied(&index.literal, name);
            let by_prefix = index.prefixes_of(name).any(|it| with(it, Permission::Deny));
            !by_name && !by_prefix
        };
        let found = allowing.find(|it| stands(it));
        found.map_or(refused, |it| Decision { is_allowed: true, reason: Reason::Rule(&it.rule) })
    }

    fn for_resource<'a>(&'a self, resource: Resource<'a>) -> impl Iterator<Item = &'a Entry> {
        let index = self.by_type.get(&resource.kind);
        index.into_iter().flat_map(move |index| {
            let literal = index.literal.get(resource.name);
            let wildcard = index.literal.get(WILDCARD).filter(|_| resource.name != WILDCARD);
            let named = literal.into_iter().chain(wildcard).flatten();
            named.chain(index.prefixes_of(resource.name).flatten())
        })
    }
}

impl Index {
    const fn of(&self, pattern: PatternType) -> &HashMap<Box<str>, Vec<Entry>> {
        match pattern {
            PatternType::Literal => &self.literal,
            PatternType::Prefixed => &self.prefixed,
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.literal.values().chain(self.prefixed.values()).flatten()
    }

    /// The entries of each prefix of `name` that is in use.
    fn prefixes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<Entry>> {
        let lengths = self.prefix_lengths.range(..=name.len());
        lengths.filter_map(|(length, _)| self.prefixed.get(name.get(..*length)?))
    }
}

impl Entry {
    fn is_for(&self, caller: Caller<'_>) -> bool {
        let principal = &*self.rule.principal;
        let is_host = match self.host {
            Host::Any => true,
            Host::One(address) => address == caller.host,
            Host::Nobody => false,
        };
        is_host && (principal == EVERYONE || principal == caller.principal.as_str())
    }

    fn covers(&self, wanted: Operation) -> bool {
        let said = self.rule.operation;
        let is_allowing = self.rule.permission == Permission::Allow;
        let implied: &[Operation] = match wanted {
            Operation::Describe if is_allowing => {
                &[Operation::Read, Operation::Write, Operation::Delete, Operation::Alter]
            }
            Operation::DescribeConfigs if is_allowing => &[Operation::AlterConfigs],
            _ => &[],
        };
        said == Operation::All || said == wanted || implied.contains(&said)
    }
}

impl Host {
    fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            _ if text == WILDCARD => Self::Any,
            Ok(address) => Self::One(address.to_canonical()),
            Err(_) => Self::Nobody,
        }
    }
}

#[cfg(test)]
mod tests;
