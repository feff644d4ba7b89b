//! How to reach a cluster and prove who one is.
//!
//! Owns: the settings and their check. Does not own: librdkafka's names for
//! them (`librdkafka::config`).

use crate::{Error, Kind};
use serde::Deserialize;
use std::path::PathBuf;
use systole_kit::Problems;
pub use systole_world::SecretRef;
use systole_world::secret::Unreadable;

/// How to reach a cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Some brokers of the cluster, `host:port,host:port`. The others are learned from them.
    pub bootstrap: String,
    /// How the brokers' logs and quotas name this process.
    pub client_id: String,
    /// TLS. Without this section connections are not encrypted.
    pub tls: Option<Tls>,
    /// Who we are. Without this section the broker sees an anonymous client, or the certificate.
    pub sasl: Option<Sasl>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bootstrap: String::new(), client_id: "systole".to_owned(), tls: None, sasl: None }
    }
}

/// Certificates, all in PEM.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The authorities that may vouch for a broker. Without it: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for brokers that ask for one. Needs `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// The private key of our certificate.
    pub key_file: Option<PathBuf>,
    /// The password of the private key, `file:PATH` or `env:NAME`.
    pub key_password: Option<SecretRef>,
}

/// Authentication by SASL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    pub mechanism: Mechanism,
    /// The user. Not with OAUTHBEARER, where the token says it.
    #[serde(default)]
    pub user: Option<String>,
    /// The password or, with OAUTHBEARER, the token (a JWT; read again whenever a new one is
    /// needed): `file:PATH` or `env:NAME`.
    pub secret: SecretRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
    /// The registered name, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

impl From<Unreadable> for Error {
    fn from(it: Unreadable) -> Self {
        Self::new(Kind::Settings).about(it.place).because(it.why)
    }
}

impl Settings {
    /// A cluster without TLS and authentication.
    pub fn to(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), ..Self::default() }
    }

    /// One line per rule; nothing is opened.
    pub fn check(&self, problems: &mut Problems) {
        const BOOTSTRAP: &str = "name brokers as `host:port,host:port`";
        if self.bootstrap.is_empty() {
            problems.add("bootstrap", "is empty", BOOTSTRAP);
        }
        for broker in self.bootstrap.split(',').filter(|_| !self.bootstrap.is_empty()) {
            let good = broker.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|it| it > 0)
            });
            if !good {
                problems.add("bootstrap", format!("`{broker}` is not a broker"), BOOTSTRAP);
            }
        }
        if self.client_id.is_empty() {
            problems.add("client_id", "is empty", "name this process");
        }
        if let Some(tls) = &self.tls
            && tls.certificate_file.is_some() != tls.key_file.is_some()
        {
            let wrong = "a certificate and its key belong together";
            problems.add("tls", wrong, "give both `certificate_file` and `key_file`, or none");
        }
        if let Some(sasl) = &self.sasl {
            let wants_user = sasl.mechanism != Mechanism::OauthBearer;
            if wants_user && sasl.user.as_deref().unwrap_or_default().is_empty() {
                problems.add("sasl.user", "is missing", "name the user");
            }
            if !wants_user && sasl.user.is_some() {
                problems.add("sasl.user", "is not used with OAUTHBEARER", "leave it out");
            }
            if sasl.mechanism == Mechanism::Plain && self.tls.is_none() {
                let cure = "add the section `tls`, or use SCRAM-SHA-512";
                problems.add("sasl.mechanism", "PLAIN sends the password readable", cure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_world::secret::BadSecretRef;

    fn check(settings: &Settings) -> String {
        let mut problems = Problems::default();
        settings.check(&mut problems);
        problems.to_string()
    }

    #[test]
    fn every_broker_has_a_host_and_a_port() {
        assert_eq!(check(&Settings::to("a:9092,[::1]:1")), "");
        assert_eq!(
            check(&Settings::to("a,b:0")),
            "bootstrap: `a` is not a broker; name brokers as `host:port,host:port`\n\
             bootstrap: `b:0` is not a broker; name brokers as `host:port,host:port`"
        );
    }

    #[test]
    fn a_password_never_travels_readable() {
        let sasl = Sasl {
            mechanism: Mechanism::Plain,
            user: Some("u".into()),
            secret: SecretRef::Env("P".into()),
        };
        let settings = Settings { sasl: Some(sasl), ..Settings::to("a:1") };
        assert!(check(&settings).starts_with("sasl.mechanism: PLAIN sends the password readable"));
    }

    #[test]
    fn a_secret_is_never_written_down() {
        let secret = SecretRef::try_from("hunter2".to_owned());
        assert_eq!(secret, Err(BadSecretRef));
        assert!(!format!("{secret:?} {BadSecretRef}").contains("hunter2"));
    }
}
