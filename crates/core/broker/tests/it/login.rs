//! The client's side of SASL, for tests.

use crate::harness::{Client, Harness};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use std::num::NonZeroU32;
use systole_broker::{BrokerConfig, ListenerConfig, Mechanism, Protocol};
use systole_wire::message::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};
use systole_world::{SecretRef, World};

pub(crate) const PASSWORD: &str = "correct horse";

/// One listener that asks by SASL, and the users `admin` and `alice` with [`PASSWORD`].
pub(crate) fn with_sasl(config: &mut BrokerConfig, dir: &std::path::Path) {
    let password = dir.join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let user = |name: &str| (name.to_owned(), SecretRef::File(password.clone()));
    config.sasl.users = ["admin", "alice"].map(user).into();
    config.sasl.mechanisms =
        [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512].into();
    config.sasl.failure_delay = std::time::Duration::ZERO;
    config.access.super_users = ["User:admin".to_owned()].into();
    config.listeners = vec![listener(Protocol::SaslPlaintext)];
}

pub(crate) fn listener(protocol: Protocol) -> ListenerConfig {
    ListenerConfig {
        name: "clients".into(),
        address: "127.0.0.1:0".parse().unwrap(),
        protocol,
        advertised: None,
        tls: None,
    }
}

pub(crate) async fn sasl_node(adjust: impl FnOnce(&mut BrokerConfig)) -> Harness {
    sasl_node_in(World::os(), adjust).await
}
pub(crate) async fn sasl_node_in(world: World, adjust: impl FnOnce(&mut BrokerConfig)) -> Harness {
    let secrets = tempfile::tempdir().unwrap();
    let with_all = |config: &mut BrokerConfig| {
        with_sasl(config, secrets.path());
        adjust(config);
    };
    let mut harness = Harness::start_in(world, with_all).await;
    harness.kept.push(secrets);
    harness
}

impl Client {
    pub(crate) async fn handshake(&mut self, mechanism: &str) -> i16 {
        let request = SaslHandshakeRequest { mechanism: mechanism.into() };
        self.call(1, request).await.error_code
    }

    pub(crate) async fn prove(&mut self, message: impl Into<Bytes>) -> SaslAuthenticateResponse {
        let auth_bytes = message.into();
        self.call(2, SaslAuthenticateRequest { auth_bytes, ..Default::default() }).await
    }

    pub(crate) async fn login(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse {
        assert_eq!(self.handshake("PLAIN").await, 0);
        self.prove(format!("\0{user}\0{password}")).await
    }

    /// The answer to the proof. The server's own proof is checked.
    pub(crate) async fn login_by_scram(
        &mut self,
        mechanism: &str,
        user: &str,
        password: &str,
    ) -> SaslAuthenticateResponse {
        assert_eq!(self.handshake(mechanism).await, 0);
        let bare = format!("n={user},r=clientnonce");
        let first = self.prove(format!("n,,{bare}")).await;
        assert_eq!(first.error_code, 0, "everyone is challenged");
        let challenge = String::from_utf8(first.auth_bytes.to_vec()).unwrap();
        let field = |name: &str| challenge.split(',').find_map(|it| it.strip_prefix(name)).unwrap();
        let (nonce, salt) = (field("r="), BASE64.decode(field("s=")).unwrap());
        let salted = salted(mechanism, password, &salt, field("i=").parse().unwrap());
        let end = format!("c=biws,r={nonce}");
        let signed = format!("{bare},{challenge},{end}");
        let client_key = mac(mechanism, &salted, b"Client Key");
        let signature = mac(mechanism, &hash(mechanism, &client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let answer = self.prove(format!("{end},p={}", BASE64.encode(proof))).await;
        if answer.error_code == 0 {
            let server_key = mac(mechanism, &salted, b"Server Key");
            let expected = BASE64.encode(mac(mechanism, &server_key, signed.as_bytes()));
            assert_eq!(answer.auth_bytes, format!("v={expected}"));
        }
        answer
    }
}

pub(crate) fn salted(mechanism: &str, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let (algorithm, length) = match mechanism {
        "SCRAM-SHA-256" => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        _ => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let mut salted = vec![0; length];
    let iterations = NonZeroU32::new(iterations).unwrap();
    pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
    salted
}

fn mac(mechanism: &str, key: &[u8], text: &[u8]) -> Vec<u8> {
    let algorithm = match mechanism {
        "SCRAM-SHA-256" => hmac::HMAC_SHA256,
        _ => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
}

fn hash(mechanism: &str, text: &[u8]) -> Vec<u8> {
    let algorithm = match mechanism {
        "SCRAM-SHA-256" => &digest::SHA256,
        _ => &digest::SHA512,
    };
    digest::digest(algorithm, text).as_ref().to_vec()
}
