//! May this listener open?
//!
//! Owns: the rule "without authentication only loopback". Does not own: authentication.

use std::net::SocketAddr;
use systole_kit::{Code, Remedy};

/// How a listener learns who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Nobody is asked; every caller is `User:ANONYMOUS`, Kafka's name for it.
    None,
    /// A certificate that is required.
    Certificate,
    /// SASL.
    Sasl,
}

/// A listener that would let anyone on the network read patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {service} listener {address} is open to the network and asks nobody who they are")]
pub struct Refusal {
    pub service: &'static str,
    pub address: SocketAddr,
}

impl Refusal {
    pub const fn code(&self) -> Code {
        Code::new(1101)
    }
    pub const fn remedy(&self) -> Remedy {
        Remedy::FixConfig
    }
}

/// Secure by default: a listener without authentication opens on loopback only.
///
/// # Errors  [`Refusal`], to be shown before anything starts.
pub fn may_listen(
    service: &'static str,
    address: SocketAddr,
    authentication: Authentication,
) -> Result<(), Refusal> {
    match authentication {
        Authentication::None if address.ip().to_canonical().is_loopback() => Ok(()),
        Authentication::None => Err(Refusal { service, address }),
        Authentication::Certificate | Authentication::Sasl => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn without_authentication_only_loopback_listens() {
        for asked in [Authentication::Certificate, Authentication::Sasl] {
            assert_eq!(may_listen("kafka", "0.0.0.0:9092".parse().unwrap(), asked), Ok(()));
        }
        let row = |it: &str| match may_listen("kafka", it.parse().unwrap(), Authentication::None) {
            Ok(()) => format!("{it}: may listen\n"),
            Err(_) => format!("{it}: refused\n"),
        };
        let doors = ["127.0.0.1:0", "127.9.9.9:1", "[::1]:9092", "[::ffff:127.0.0.1]:1"];
        let walls = ["0.0.0.0:9092", "[::]:9092", "10.0.0.1:9092", "192.168.1.5:0"];
        expect![[r"
            127.0.0.1:0: may listen
            127.9.9.9:1: may listen
            [::1]:9092: may listen
            [::ffff:127.0.0.1]:1: may listen
            0.0.0.0:9092: refused
            [::]:9092: refused
            10.0.0.1:9092: refused
            192.168.1.5:0: refused
        "]]
        .assert_eq(&doors.iter().chain(&walls).map(|it| row(it)).collect::<String>());
    }
}
