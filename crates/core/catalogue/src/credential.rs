//! SCRAM credentials in the catalogue, and how they lie in its journal.
//!
//! Owns: their key, their bytes, changing them. Does not own: what they prove (`identity`).

use crate::catalogue::{Catalogue, Durable};
use crate::fact::Fact;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use systole_identity::scram::{Credential, Mechanism};
use systole_wire::{ErrorCode, Rejected};

/// Credentials that there may be.
const CREDENTIALS_MAX: usize = 100_000;

/// Whose credential, and for which mechanism.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialKey {
    pub user: Box<str>,
    pub mechanism: Mechanism,
}

/// The value of a credential's record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Value {
    salt: String,
    stored_key: String,
    server_key: String,
    iterations: u32,
}

impl Value {
    pub(crate) fn of(it: &Credential) -> Self {
        Self {
            salt: BASE64.encode(&it.salt),
            stored_key: BASE64.encode(&it.stored_key),
            server_key: BASE64.encode(&it.server_key),
            iterations: it.iterations,
        }
    }
    pub(crate) fn read(&self) -> Option<Credential> {
        Some(Credential {
            salt: BASE64.decode(&self.salt).ok()?,
            stored_key: BASE64.decode(&self.stored_key).ok()?,
            server_key: BASE64.decode(&self.server_key).ok()?,
            iterations: self.iterations,
        })
    }
}

pub(crate) fn write_key(it: &CredentialKey) -> String {
    // An array of texts always has a JSON form.
    serde_json::to_string(&[it.mechanism.name(), &it.user]).unwrap_or_default()
}

pub(crate) fn read_key(text: &str) -> Option<CredentialKey> {
    let [mechanism, user]: [String; 2] = serde_json::from_str(text).ok()?;
    Some(CredentialKey { user: user.into(), mechanism: Mechanism::from_name(&mechanism)? })
}

impl Catalogue {
    pub fn credential(&self, mechanism: Mechanism, user: &str) -> Option<Credential> {
        let key = CredentialKey { user: user.into(), mechanism };
        self.read().credentials.get(&key).cloned()
    }

    /// Every user with a credential: numbers of mechanisms and iterations.
    pub fn scram_users(&self) -> BTreeMap<Box<str>, Vec<(i8, i32)>> {
        let mut users = BTreeMap::<_, Vec<_>>::new();
        for (key, it) in &self.read().credentials {
            let iterations = i32::try_from(it.iterations).unwrap_or(i32::MAX);
            users.entry(key.user.clone()).or_default().push((key.mechanism.number(), iterations));
        }
        users
    }

    /// Sets (`Some`) and removes (`None`) credentials, all or none.
    pub fn change_credentials(
        &self,
        changes: Vec<(CredentialKey, Option<Credential>)>,
    ) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let mut facts = Vec::with_capacity(changes.len());
        for (key, credential) in changes {
            let is_there = self.read().credentials.contains_key(&key);
            facts.push(match credential {
                None if !is_there => {
                    let text = "Attempt to delete a user credential that does not exist";
                    return Err(Rejected::new(ErrorCode::ResourceNotFound, text));
                }
                None => Fact::CredentialRemoved(key),
                Some(it) => Fact::Credential(key, it),
            });
        }
        if self.read().credentials.len() + facts.len() > CREDENTIALS_MAX {
            let text = format!("There are {CREDENTIALS_MAX} credentials already.");
            return Err(Rejected::new(ErrorCode::UnacceptableCredential, text));
        }
        self.state_all(&facts)
    }
}
