//! Who callers are, by SASL.
//!
//! Owns: the users known from the start, the provider's keys (in [`provider`]), and (in
//! [`session`]) what a connection has proved. Does not own: the proofs themselves (`identity`),
//! credentials made by Kafka's APIs (`topic`), connections (`server`).
//! Reading order: [`config`] -> [`Sasl`] -> [`session`] -> [`provider`].

pub(crate) mod config;
pub(crate) mod provider;
pub(crate) mod session;

use crate::ctx::Ctx;
use crate::server::{REFUSAL_LOG_INTERVAL, Seldom};
pub use config::{Mechanism, OauthConfig, SaslConfig};
pub use provider::KeysError;
use provider::Provider;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use systole_identity::scram::{self, Credential};
use systole_identity::token::{Proven, Refused};
use systole_identity::{NotProven, Secret};
use systole_kit::Code;
use systole_world::{Disk, Open, World};

/// The principal of the node's own services. No SASL user has this kind.
pub(crate) const OWN_PRINCIPAL: &str = "Service:systole";
/// The name under which they log in, on their own listener alone.
pub(crate) const OWN_USER: &str = "systole";
/// What all connections of the node share.
#[derive(Debug)]
pub(crate) struct Sasl {
    users: BTreeMap<String, User>,
    own: User,
    own_password: Secret,
    /// Makes the salts of users who are not there.
    nobody: [u8; 32],
    provider: Option<Provider>,
    /// Failed proofs in the log.
    pub(crate) failed: Seldom,
}

#[derive(Debug)]
struct User {
    password: Secret,
    scram: [Credential; 2],
}

/// What keeps SASL from starting.
#[derive(Debug, thiserror::Error)]
pub enum SaslError {
    #[error("the password of the user `{user}` cannot be read: {source}")]
    Password { user: String, source: systole_world::secret::Unreadable },
    #[error("the keys in {path} cannot be used: {source}")]
    Keys { path: String, source: KeysError },
}

impl SaslError {
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Password { .. } => Code::new(2015),
            Self::Keys { .. } => Code::new(2016),
        }
    }
}

impl Sasl {
    /// Reads passwords and keys. Blocks on file IO, and hashes each password 8,192 times.
    pub(crate) fn open(settings: &SaslConfig, world: &World) -> Result<Self, SaslError> {
        let mut users = BTreeMap::new();
        for (name, at) in &settings.users {
            let password = at.read(&*world.disk);
            let failed = |source| SaslError::Password { user: name.clone(), source };
            users.insert(name.clone(), User::new(Secret::new(password.map_err(failed)?), world));
        }
        let mut random = [0; 32];
        world.random.fill(&mut random);
        let own_password = Secret::new(hex(&random));
        world.random.fill(&mut random);
        let provider = settings.oauth.as_ref().map(|it| Provider::open(it, world)).transpose()?;
        Ok(Self {
            users,
            own: User::new(own_password.clone(), world),
            own_password,
            nobody: random,
            provider,
            failed: Seldom::new(REFUSAL_LOG_INTERVAL),
        })
    }

    /// With which the node's own services log in.
    pub(crate) const fn own_password(&self) -> &Secret {
        &self.own_password
    }

    /// Whether the user has this password. Unknown users cost the same.
    fn has_password(&self, claim: systole_identity::plain::Claim<'_>) -> bool {
        let known = self.users.get(claim.user);
        let is_it = known.unwrap_or(&self.own).password.is(claim.password);
        known.is_some() && is_it
    }

    /// The credential with which `user` must agree; that of nobody if there is none.
    fn credential(
        &self,
        ctx: &Ctx,
        mechanism: scram::Mechanism,
        (user, is_own): (&str, bool),
    ) -> Credential {
        let at = usize::from(mechanism == scram::Mechanism::Sha512);
        let of = |it: &User| it.scram.get(at).cloned();
        let found = if is_own {
            of(&self.own).filter(|_| user == OWN_USER)
        } else {
            let configured = self.users.get(user).and_then(of);
            configured.or_else(|| ctx.topics.credential(mechanism, user))
        };
        found.unwrap_or_else(|| Credential::of_nobody(mechanism, user, &self.nobody))
    }

    /// Checks a token; a key that is not known makes us look for newer keys.
    pub(crate) async fn check_token(&self, ctx: &Ctx, token: &str) -> Result<Proven, Refused> {
        let provider = self.provider.as_ref().ok_or(Refused::Malformed)?;
        provider.check(ctx, token).await
    }

    /// Follows the provider's keys until the node stops.
    pub(crate) async fn watch_keys(ctx: Arc<Ctx>) {
        if let Some(provider) = &ctx.sasl.provider {
            provider.watch(&ctx).await;
        }
    }
}

impl User {
    fn new(password: Secret, world: &World) -> Self {
        let credential = |mechanism| {
            let mut salt = vec![0; scram::SALT_BYTES];
            world.random.fill(&mut salt);
            let iterations = NonZeroU32::new(scram::ITERATIONS_DEFAULT).unwrap_or(NonZeroU32::MAX);
            Credential::from_password(mechanism, password.disclose().as_bytes(), salt, iterations)
        };
        let scram = scram::Mechanism::ALL.map(credential);
        Self { password, scram }
    }
}

/// All of a file that is no larger than `max` bytes.
pub(crate) fn read_file(
    disk: &dyn Disk,
    path: &std::path::Path,
    max: usize,
) -> std::io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if length > max {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            format!("larger than {max} bytes"),
        ));
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// A failed proof, whatever it was.
impl From<NotProven> for session::Step {
    fn from(_: NotProven) -> Self {
        Self::Failed
    }
}
