//! Quotas of clients in the catalogue, and how they lie in its journal.
//!
//! Owns: the form of key and value, changing them. Does not own: which one counts (`guard`).

use crate::catalogue::{Catalogue, Durable};
use crate::fact::Fact;
use crate::state::State;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::RwLockReadGuard;
use systole_guard::quota::{Bound, Entity, Key, Name, Quotas, Values};
use systole_wire::{ErrorCode, Rejected};

/// Entities with quotas that there may be.
const ENTITIES_MAX: usize = 100_000;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// An entity as text: names by kind; one that is null is the default.
pub(super) fn write_key(entity: &Entity) -> String {
    let name = |it: &Name| match it {
        Name::Default => None,
        Name::Of(it) => Some(it.to_string()),
    };
    let names = match entity {
        Entity::User(user) => BTreeMap::from([(USER, name(user))]),
        Entity::ClientId(client_id) => BTreeMap::from([(CLIENT_ID, name(client_id))]),
        Entity::Both { user, client_id } => {
            BTreeMap::from([(USER, name(user)), (CLIENT_ID, name(client_id))])
        }
        Entity::Address(it) => BTreeMap::from([(IP, it.map(|it| it.to_string()))]),
    };
    // A map with text keys always has a JSON form.
    serde_json::to_string(&names).unwrap_or_default()
}

/// `None`: a later version wrote it.
pub(super) fn read_key(text: &str) -> Option<Entity> {
    let mut names: BTreeMap<String, Option<Box<str>>> = serde_json::from_str(text).ok()?;
    let name = |it: Option<Box<str>>| it.map_or(Name::Default, Name::Of);
    let [user, client_id, ip] = [USER, CLIENT_ID, IP].map(|it| names.remove(it));
    let entity = match (user, client_id, ip) {
        (Some(user), None, None) => Entity::User(name(user)),
        (None, Some(client_id), None) => Entity::ClientId(name(client_id)),
        (Some(user), Some(client_id), None) => {
            Entity::Both { user: name(user), client_id: name(client_id) }
        }
        (None, None, Some(None)) => Entity::Address(None),
        (None, None, Some(Some(ip))) => Entity::Address(Some(ip.parse().ok()?)),
        _ => return None,
    };
    names.is_empty().then_some(entity)
}

pub(super) fn write_value(values: &Values) -> serde_json::Result<Vec<u8>> {
    let values: BTreeMap<_, _> = values.iter().map(|(key, it)| (key.text(), it.value())).collect();
    serde_json::to_vec(&values)
}

pub(super) fn read_value(value: &[u8]) -> Option<Values> {
    let values: BTreeMap<String, f64> = serde_json::from_slice(value).ok()?;
    let one = |(key, value): (String, f64)| {
        let key = Key::from_text(&key)?;
        Some((key, Bound::new(key, value).ok()?))
    };
    values.into_iter().map(one).collect()
}

/// The quotas inside the catalogue, while they are read.
#[derive(Debug)]
pub struct MappedQuotas<'a>(RwLockReadGuard<'a, State>);

impl Deref for MappedQuotas<'_> {
    type Target = Quotas;

    fn deref(&self) -> &Quotas {
        &self.0.quotas
    }
}

impl Catalogue {
    /// The quotas in force. Held for one decision: a change waits for it.
    pub fn quotas(&self) -> MappedQuotas<'_> {
        MappedQuotas(self.read())
    }

    /// Sets (`Some`) and removes (`None`) quotas of one entity, all or none.
    pub fn change_quotas(
        &self,
        entity: &Entity,
        changes: &[(Key, Option<Bound>)],
    ) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let before = self.quotas().of(entity);
        let mut values = before.clone();
        for (key, bound) in changes {
            match bound {
                Some(bound) => drop(values.insert(*key, *bound)),
                None => drop(values.remove(key)),
            }
        }
        if values == before {
            return self.state_all(&[]);
        }
        if before.is_empty() && self.quotas().len() >= ENTITIES_MAX {
            let text = format!("There are {ENTITIES_MAX} entities with quotas already.");
            return Err(Rejected::new(ErrorCode::InvalidRequest, text));
        }
        self.state_all(&[Fact::Quotas(entity.clone(), values)])
    }
}
