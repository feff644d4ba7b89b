//! `[broker.sasl]`: how callers prove who they are.
//!
//! Owns: names, defaults and rules of the settings. Does not own: the proofs (`identity`).

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use systole_fetch::Url;
use systole_identity::token::Algorithm;
use systole_kit::Problems;
use systole_world::SecretRef;

/// A way to prove who one is. Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl Mechanism {
    const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// `[broker.sasl]`: how callers of listeners with SASL prove who they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaslConfig {
    /// What is offered: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER`. Kafka:
    /// `sasl.enabled.mechanisms`.
    pub mechanisms: BTreeSet<Mechanism>,
    /// Users known from the start, each with a reference to the password, `file:PATH` or
    /// `env:NAME`: `{ admin = "file:/run/secrets/admin" }`. They log in by PLAIN and by SCRAM;
    /// `kafka-configs` adds others, for SCRAM alone.
    pub users: BTreeMap<String, SecretRef>,
    /// How long a proof is good for; then the caller proves anew on the same connection (KIP-368)
    /// or is closed. At least `1s`. Absent: as long as the connection, or the token. Kafka:
    /// `connections.max.reauth.ms`.
    #[serde(with = "humantime_serde")]
    pub reauthenticate_after: Option<Duration>,
    /// How long the answer to a failed proof is held back. At most `1m`. Kafka:
    /// `connection.failed.authentication.delay.ms`.
    #[serde(with = "humantime_serde")]
    pub failure_delay: Duration,
    /// `[broker.sasl.oauth]`: whose tokens are good. Needed with OAUTHBEARER.
    pub oauth: Option<OauthConfig>,
}

/// `[broker.sasl.oauth]`: whose tokens are good.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthConfig {
    /// Where the provider publishes its keys (JWKS): an `https` URL, or an `http` one on loopback.
    /// This or `keys_file`. Kafka: `sasl.oauthbearer.jwks.endpoint.url`.
    #[serde(default)]
    pub keys_url: Option<String>,
    /// The authorities that vouch for `keys_url`, in PEM. Absent: those that the system trusts.
    #[serde(default)]
    pub keys_ca_file: Option<PathBuf>,
    /// How often `keys_url` is asked again; a token with an unknown key asks at once, at most every
    /// 10 seconds. At least `1s`. Kafka: `sasl.oauthbearer.jwks.endpoint.refresh.ms`.
    #[serde(default = "default_refresh", with = "humantime_serde")]
    pub keys_refresh_interval: Duration,
    /// How long keys count when newer ones cannot be read; then every token is refused. At least
    /// `keys_refresh_interval`.
    #[serde(default = "default_age", with = "humantime_serde")]
    pub keys_age_max: Duration,
    /// The provider's keys (JWKS) in a file. Read again every `reload_interval`, and when a token
    /// names a key that is not in it.
    #[serde(default)]
    pub keys_file: Option<PathBuf>,
    /// How tokens may be signed: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`,
    /// `ES384`, `EdDSA`. Others are refused, whatever the provider publishes.
    #[serde(default = "default_algorithms")]
    pub algorithms: BTreeSet<Algorithm>,
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The `aud` that a token must have, among others.
    pub audience: String,
    /// The claim that names the user.
    #[serde(default = "default_claim")]
    pub user_claim: String,
    /// How far the provider's clock may differ from ours. At most `5m`.
    #[serde(default = "default_skew", with = "humantime_serde")]
    pub clock_skew: Duration,
}

impl OauthConfig {
    /// Tokens of `issuer` for `audience`; where its keys are is yet to be said.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            keys_url: None,
            keys_ca_file: None,
            keys_refresh_interval: default_refresh(),
            keys_age_max: default_age(),
            keys_file: None,
            algorithms: default_algorithms(),
            issuer: issuer.into(),
            audience: audience.into(),
            user_claim: default_claim(),
            clock_skew: default_skew(),
        }
    }

    fn check(&self, rule: &mut impl FnMut(bool, &str, &str, &str)) {
        let one = self.keys_url.is_some() != self.keys_file.is_some();
        let wrong = "must have either keys_url or keys_file";
        rule(one, "oauth", wrong, "say where the provider's keys are");
        if let Some(Err(error)) = self.keys_url.as_deref().map(Url::read) {
            let cure = "write https://HOST/PATH, or http:// on loopback";
            rule(false, "oauth.keys_url", &format!("cannot be used: {error}"), cure);
        }
        let lone = self.keys_ca_file.is_none() || self.keys_url.is_some();
        rule(lone, "oauth.keys_ca_file", "is not used without keys_url", "leave it out");
        let refresh = self.keys_refresh_interval;
        let often = refresh >= Duration::from_secs(1);
        rule(often, "oauth.keys_refresh_interval", "is below a second", "use at least 1s");
        let cure = "use at least keys_refresh_interval";
        rule(self.keys_age_max >= refresh, "oauth.keys_age_max", "is below the interval", cure);
        let some = !self.algorithms.is_empty();
        rule(some, "oauth.algorithms", "is empty", "name those that the provider signs by");
        let skew = self.clock_skew <= Duration::from_mins(5);
        rule(skew, "oauth.clock_skew", "is above five minutes", "use at most 5m");
        for (place, value) in [
            ("oauth.issuer", &self.issuer),
            ("oauth.audience", &self.audience),
            ("oauth.user_claim", &self.user_claim),
        ] {
            rule(!value.is_empty(), place, "is empty", "say what tokens must have");
        }
    }
}

const fn default_refresh() -> Duration {
    Duration::from_hours(1)
}
const fn default_age() -> Duration {
    Duration::from_hours(24)
}
fn default_algorithms() -> BTreeSet<Algorithm> {
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA].into()
}
fn default_claim() -> String {
    "sub".to_owned()
}
const fn default_skew() -> Duration {
    Duration::from_secs(30)
}

impl Default for SaslConfig {
    fn default() -> Self {
        Self {
            mechanisms: [Mechanism::ScramSha256, Mechanism::ScramSha512].into(),
            users: BTreeMap::new(),
            reauthenticate_after: None,
            failure_delay: Duration::from_millis(100),
            oauth: None,
        }
    }
}

impl SaslConfig {
    pub(crate) fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, wrong: &str, cure: &str| {
            if !holds {
                problems.add(place, wrong, cure);
            }
        };
        rule(!self.mechanisms.is_empty(), "mechanisms", "is empty", "name at least one");
        let has_oauth = self.mechanisms.contains(&Mechanism::OauthBearer);
        let cure = "name keys_url or keys_file, issuer and audience";
        rule(!has_oauth || self.oauth.is_some(), "oauth", "is missing", cure);
        let second = Duration::from_secs(1);
        let lasts = self.reauthenticate_after.is_none_or(|it| it >= second);
        rule(lasts, "reauthenticate_after", "is below a second", "use at least 1s");
        let delay = self.failure_delay <= Duration::from_mins(1);
        rule(delay, "failure_delay", "is above a minute", "use at most 1m");
        rule(!self.users.contains_key(""), "users", "has a user without a name", "name it");
        if let Some(it) = &self.oauth {
            it.check(&mut rule);
        }
    }
}
