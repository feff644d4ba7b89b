//! `[[broker.listeners]]`: the doors of the node.
//!
//! Owns: names, defaults and rules of a door's settings. Does not own: opening it (`server`), the
//! mechanisms behind SASL (`sasl`).

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use systole_guard::door::Authentication;
use systole_identity::mapping::Rules;
use systole_kit::Problems;

/// How bytes travel, and whether callers prove who they are by SASL. Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
    #[serde(rename = "SSL")]
    Ssl,
    #[serde(rename = "SASL_PLAINTEXT")]
    SaslPlaintext,
    #[serde(rename = "SASL_SSL")]
    SaslSsl,
}

impl Protocol {
    pub(crate) const fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
    pub(crate) const fn asks_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

/// `[[broker.listeners]]`: one door for Kafka clients; write the section once for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// A word of your own for messages and metrics.
    pub name: String,
    /// Where it listens. Port 0 takes a free one. Only loopback is accepted unless callers prove
    /// who they are: by SASL, or by a certificate that is required.
    pub address: SocketAddr,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: Protocol,
    /// Address that clients are told to connect to, as HOST:PORT. Absent: the one they came to.
    #[serde(default)]
    pub advertised: Option<String>,
    /// `[broker.listeners.tls]`: certificates. Needed with `SSL` and `SASL_SSL`.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
}

/// `[broker.listeners.tls]`: certificates of the listener above, all in PEM. A changed file is
/// taken up within `reload_interval`, for new connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The node's certificate, and those between it and its authority.
    pub certificate_file: PathBuf,
    /// The private key of the certificate.
    pub key_file: PathBuf,
    /// The authorities that may vouch for callers. Needed unless `client_auth` is `none`.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// Certificates of callers that were revoked: CRLs, one for each authority between a caller and
    /// `client_ca_file`. Whom no list in force speaks of is refused, so renew them in time. Absent:
    /// no certificate is taken for revoked.
    #[serde(default)]
    pub client_crl_file: Option<PathBuf>,
    /// Whether callers show certificates: `none`, `requested` or `required`. Kafka:
    /// `ssl.client.auth`.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// From the name in a caller's certificate to its user: the first rule that matches. Kafka:
    /// `ssl.principal.mapping.rules`, and its syntax.
    #[serde(default = "default_rules")]
    pub principal_rules: Vec<String>,
}

fn default_rules() -> Vec<String> {
    vec!["DEFAULT".to_owned()]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    #[default]
    None,
    Requested,
    Required,
}

impl ListenerConfig {
    /// The one door of a node whose configuration names none.
    pub(crate) fn plain(address: SocketAddr, advertised: Option<String>) -> Self {
        let (name, protocol) = ("kafka".to_owned(), Protocol::Plaintext);
        Self { name, address, protocol, advertised, tls: None }
    }
    /// The door for the node's own services, beside those that are configured.
    pub(crate) fn own() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (name, protocol) = ("own".to_owned(), Protocol::SaslPlaintext);
        Self { name, address, protocol, advertised: None, tls: None }
    }

    /// How it learns who is calling.
    pub(crate) fn authentication(&self) -> Authentication {
        let certificate = self.tls.as_ref().map(|it| it.client_auth);
        if self.protocol.asks_sasl() {
            Authentication::Sasl
        } else if self.protocol.is_encrypted() && certificate == Some(ClientAuth::Required) {
            Authentication::Certificate
        } else {
            Authentication::None
        }
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        let mut rule = |holds: bool, place: &str, wrong: &str, cure: &str| {
            if !holds {
                problems.add(place, wrong, cure);
            }
        };
        let is_word = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic());
        rule(is_word(&self.name), "name", "is no word", "write letters and digits");
        let (protocol, has_tls) = (self.protocol, self.tls.is_some());
        let encrypted = protocol.is_encrypted();
        rule(has_tls || !encrypted, "tls", "is missing", "name certificate_file and key_file");
        let cure = "use the protocol SSL or SASL_SSL, or leave it out";
        rule(encrypted || !has_tls, "tls", "is not used by this protocol", cure);
        if let Some(it) = &self.advertised {
            let good = crate::config::split_address(it).is_some();
            rule(good, "advertised", "is not an address", "write it as HOST:PORT");
        }
        if let Some(tls) = &self.tls {
            let named = tls.client_ca_file.is_some() || tls.client_auth == ClientAuth::None;
            let cure = "name the authorities that may vouch for callers";
            rule(named, "tls.client_ca_file", "is missing", cure);
            let is_used = tls.client_crl_file.is_none() || tls.client_auth != ClientAuth::None;
            let cure = "ask for certificates by client_auth, or leave it out";
            rule(is_used, "tls.client_crl_file", "is not used", cure);
            if let Err(wrong) = tls.rules() {
                let cure = "write DEFAULT or RULE:PATTERN/REPLACEMENT/";
                problems.add("tls.principal_rules", wrong.to_string(), cure);
            }
        }
    }
}

impl TlsConfig {
    pub(crate) fn rules(&self) -> Result<Rules, systole_identity::mapping::NotARule> {
        Rules::read(self.principal_rules.iter().map(String::as_str))
    }
}
