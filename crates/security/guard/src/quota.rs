//! How much a client may take: who has which quota.
//!
//! Owns: the words of quotas, the table of those that were set, and which of them is for a client.
//! Does not own: how much someone took ([`meter`]), where the table is kept, what is done to whom
//! takes too much.
//! Reading order: [`Key`] -> [`Entity`] -> [`Quotas::limit`] -> [`meter`] -> [`rate`], [`bucket`].
//!
//! The most specific quota counts, in Kafka's order: that of user and client id together, of the
//! user with any client id, of the user; the same three of any user; that of the client id, of any
//! client id. Clients for whom one quota counts share it as its entity says: a quota of a user is
//! one for all client ids of that user, a default is one for each.
//!
//! # Source  Kafka `ClientQuotaManager`, `ClientQuotaControlManager`, `ConnectionQuotas`

pub mod bucket;
pub mod meter;
pub mod rate;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    ConnectionCreationRate,
    ConsumerByteRate,
    ControllerMutationRate,
    ProducerByteRate,
    RequestPercentage,
}

impl Key {
    /// In the order of their names.
    pub const ALL: [Self; 5] = [
        Self::ConnectionCreationRate,
        Self::ConsumerByteRate,
        Self::ControllerMutationRate,
        Self::ProducerByteRate,
        Self::RequestPercentage,
    ];

    pub const fn text(self) -> &'static str {
        match self {
            Self::ConnectionCreationRate => "connection_creation_rate",
            Self::ConsumerByteRate => "consumer_byte_rate",
            Self::ControllerMutationRate => "controller_mutation_rate",
            Self::ProducerByteRate => "producer_byte_rate",
            Self::RequestPercentage => "request_percentage",
        }
    }
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.text() == text)
    }
    /// Whether it is a quota of addresses; the others are of users and client ids.
    const fn is_of_addresses(self) -> bool {
        matches!(self, Self::ConnectionCreationRate)
    }
    /// The largest value and the name of its type, if only whole numbers will do.
    const fn whole_max(self) -> Option<(f64, &'static str)> {
        match self {
            Self::ConnectionCreationRate => Some((2_147_483_647.0, "an INT")),
            Self::ConsumerByteRate | Self::ProducerByteRate => {
                Some((9_223_372_036_854_775_807.0, "a LONG"))
            }
            Self::ControllerMutationRate | Self::RequestPercentage => None,
        }
    }
}

/// A quota's value: more than nothing, in units of its key a second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Bound(f64);

/// It is a number by construction.
impl Eq for Bound {}

/// Why a value is none for its key. The texts are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("Invalid configuration key {}", .0.text())]
    Key(Key),
    #[error("Quota {} must be greater than 0", .0.text())]
    NotPositive(Key),
    #[error("Proposed value for {} is too large for {kind}.", key.text())]
    TooLarge { key: Key, kind: &'static str },
    #[error("{} cannot be a fractional value.", .0.text())]
    Fractional(Key),
}

impl Bound {
    pub fn new(key: Key, value: f64) -> Result<Self, Wrong> {
        if value.is_nan() || value <= 0.0 {
            return Err(Wrong::NotPositive(key));
        }
        match key.whole_max() {
            None if value.is_infinite() => Err(Wrong::TooLarge { key, kind: "a DOUBLE" }),
            Some((max, kind)) if value > max => Err(Wrong::TooLarge { key, kind }),
            Some(_) if value % 1.0 > 1e-6 => Err(Wrong::Fractional(key)),
            _ => Ok(Self(value)),
        }
    }
    pub const fn value(self) -> f64 {
        self.0
    }
}

/// One of many, or each of them that has no quota of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    Default,
    Of(Box<str>),
}

/// Whom a quota is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    User(Name),
    ClientId(Name),
    Both {
        user: Name,
        client_id: Name,
    },
    /// `None`: each address without a quota of its own.
    Address(Option<IpAddr>),
}

impl Entity {
    /// Whether quotas of `key` are for such as this.
    pub fn check(&self, key: Key) -> Result<(), Wrong> {
        let is_address = matches!(self, Self::Address(_));
        if key.is_of_addresses() == is_address { Ok(()) } else { Err(Wrong::Key(key)) }
    }
}

/// Kafka's text for messages.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |it: &Name| match it {
            Name::Default => "null".to_owned(),
            Name::Of(it) => it.to_string(),
        };
        match self {
            Self::User(user) => write!(f, "user={}", name(user)),
            Self::ClientId(client_id) => write!(f, "client-id={}", name(client_id)),
            Self::Both { user, client_id } => {
                write!(f, "client-id={}, user={}", name(client_id), name(user))
            }
            Self::Address(None) => f.write_str("ip=null"),
            Self::Address(Some(it)) => write!(f, "ip={it}"),
        }
    }
}

/// The quotas of one entity.
pub type Values = BTreeMap<Key, Bound>;

/// Every quota that was set.
#[derive(Debug, Default)]
pub struct Quotas {
    entities: BTreeMap<Entity, Values>,
    by_key: HashMap<Key, Limits>,
}

/// The quotas of one key, found by client.
#[derive(Debug, Default)]
struct Limits {
    count: usize,
    of_user: HashMap<Box<str>, Clients>,
    any_user: Clients,
    no_user: Clients,
    of_address: HashMap<IpAddr, Bound>,
    any_address: Option<Bound>,
}

/// The quotas of one user, or of all, or those without a user.
#[derive(Debug, Default)]
struct Clients {
    of_client: HashMap<Box<str>, Bound>,
    any_client: Option<Bound>,
    all: Option<Bound>,
}

/// The quota that counts for one client, and who shares it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit<'a> {
    pub key: Key,
    pub bound: Bound,
    pub sharers: Sharers<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharers<'a> {
    User(&'a str),
    ClientId(&'a str),
    Both(&'a str, &'a str),
    Address(IpAddr),
}

impl Quotas {
    /// Makes `values` all quotas that `entity` has; none removes it.
    pub fn put(&mut self, entity: &Entity, values: Values) {
        let before = self.entities.remove(entity).unwrap_or_default();
        for key in before.keys().filter(|it| !values.contains_key(it)) {
            self.by_key.entry(*key).or_default().set(entity, None);
        }
        for (key, bound) in &values {
            self.by_key.entry(*key).or_default().set(entity, Some(*bound));
        }
        if !values.is_empty() {
            self.entities.insert(entity.clone(), values);
        }
    }
    pub fn of(&self, entity: &Entity) -> Values {
        self.entities.get(entity).cloned().unwrap_or_default()
    }
    /// In the order of entities.
    pub fn all(&self) -> impl Iterator<Item = (&Entity, &Values)> {
        self.entities.iter()
    }
    pub fn len(&self) -> usize {
        self.entities.len()
    }
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The quota of a client. Cost: one look-up if nobody has such a quota, at most six else;
    /// nothing is allocated.
    pub fn limit<'a>(&self, key: Key, user: &'a str, client_id: &'a str) -> Option<Limit<'a>> {
        let limits = self.by_key.get(&key).filter(|it| it.count > 0)?;
        let of_user = limits.of_user.get(user).and_then(|it| it.find(client_id));
        let found = of_user.or_else(|| limits.any_user.find(client_id));
        let (bound, sharers) = match found {
            Some((bound, true)) => (bound, Sharers::Both(user, client_id)),
            Some((bound, false)) => (bound, Sharers::User(user)),
            None => (limits.no_user.find(client_id)?.0, Sharers::ClientId(client_id)),
        };
        Some(Limit { key, bound, sharers })
    }
    /// The quota of an address.
    pub fn address_limit(&self, key: Key, address: IpAddr) -> Option<Limit<'static>> {
        let limits = self.by_key.get(&key)?;
        let bound = limits.of_address.get(&address).copied().or(limits.any_address)?;
        Some(Limit { key, bound, sharers: Sharers::Address(address) })
    }
}

impl Limits {
    fn set(&mut self, entity: &Entity, bound: Option<Bound>) {
        let before = match entity {
            Entity::User(Name::Default) => replace(&mut self.any_user.all, bound),
            Entity::User(Name::Of(it)) => replace(&mut self.user(it).all, bound),
            Entity::ClientId(it) => self.no_user.set(it, bound),
            Entity::Both { user: Name::Default, client_id } => self.any_user.set(client_id, bound),
            Entity::Both { user: Name::Of(it), client_id } => self.user(it).set(client_id, bound),
            Entity::Address(None) => replace(&mut self.any_address, bound),
            Entity::Address(Some(it)) => match bound {
                Some(bound) => self.of_address.insert(*it, bound),
                None => self.of_address.remove(it),
            },
        };
        self.count = self.count + usize::from(bound.is_some()) - usize::from(before.is_some());
        if let Entity::User(Name::Of(it)) | Entity::Both { user: Name::Of(it), .. } = entity
            && self.of_user.get(it).is_some_and(Clients::is_empty)
        {
            self.of_user.remove(it);
        }
    }
    fn user(&mut self, name: &str) -> &mut Clients {
        self.of_user.entry(name.into()).or_default()
    }
}

fn replace(slot: &mut Option<Bound>, by: Option<Bound>) -> Option<Bound> {
    std::mem::replace(slot, by)
}

impl Clients {
    fn set(&mut self, client_id: &Name, bound: Option<Bound>) -> Option<Bound> {
        match (client_id, bound) {
            (Name::Default, bound) => replace(&mut self.any_client, bound),
            (Name::Of(it), Some(bound)) => self.of_client.insert(it.clone(), bound),
            (Name::Of(it), None) => self.of_client.remove(it),
        }
    }
    fn is_empty(&self) -> bool {
        self.of_client.is_empty() && self.any_client.is_none() && self.all.is_none()
    }
    /// With it, whether it is for the client id alone. A client without an id has none of those.
    fn find(&self, client_id: &str) -> Option<(Bound, bool)> {
        let own = self.of_client.get(client_id).copied().or(self.any_client);
        let own = own.filter(|_| !client_id.is_empty()).map(|it| (it, true));
        own.or_else(|| self.all.map(|it| (it, false)))
    }
}

#[cfg(test)]
mod tests;
