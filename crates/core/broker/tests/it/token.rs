//! Callers with signed tokens: the session ends with the token, is renewed by the next, and keys
//! change under way.

use crate::harness::{Client, Harness};
use crate::login::sasl_node_in;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::PublicKeyData as _;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use systole_broker::{Mechanism, OauthConfig};
use systole_kit::Timestamp;
use systole_wire::message::{ListGroupsRequest, SaslAuthenticateResponse};
use systole_world::World;
use systole_world::sim::HandClock;

pub(crate) const NOW: i64 = 1_700_000_000;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

pub(crate) struct Provider {
    pair: rcgen::KeyPair,
    id: &'static str,
}

impl Provider {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { pair: rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(), id }
    }
    pub(crate) fn keys(&self) -> String {
        let x = BASE64URL.encode(self.pair.der_bytes());
        let (kty, crv, alg) = ("OKP", "Ed25519", "EdDSA");
        let key = json!({"kty": kty, "crv": crv, "alg": alg, "kid": self.id, "x": x});
        json!({ "keys": [key] }).to_string()
    }
    fn publish(&self, path: &Path) {
        std::fs::write(path, self.keys()).unwrap();
    }
    /// A token of `user` for so many seconds from [`NOW`].
    pub(crate) fn token(&self, user: &str, seconds: i64) -> String {
        let part = |it: serde_json::Value| BASE64URL.encode(it.to_string());
        let head = part(json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id}));
        let (iss, aud, exp) = ("https://id.example", "systole", NOW + seconds);
        let claims = part(json!({"iss": iss, "aud": aud, "exp": exp, "sub": user}));
        let text = format!("{head}.{claims}");
        let key = EncodingKey::from_ed_der(&self.pair.serialize_der());
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::EdDSA);
        format!("{text}.{}", signature.unwrap())
    }
}

async fn node(provider: &Provider, keys: &Path) -> (Harness, Arc<HandClock>) {
    let clock = Arc::new(HandClock::starting_at(Timestamp::from_millis(NOW * 1000)));
    let world = World { clock: clock.clone(), ..World::os() };
    provider.publish(keys);
    let harness = sasl_node_in(world, |it| {
        it.sasl.mechanisms.insert(Mechanism::OauthBearer);
        it.sasl.oauth = Some(OauthConfig {
            keys_file: Some(keys.to_owned()),
            ..OauthConfig::new("https://id.example", "systole")
        });
    })
    .await;
    (harness, clock)
}

pub(crate) async fn show(client: &mut Client, token: &str) -> SaslAuthenticateResponse {
    assert_eq!(client.handshake("OAUTHBEARER").await, 0);
    client.prove(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}")).await
}

pub(crate) async fn works(client: &mut Client) -> bool {
    client.call(5, ListGroupsRequest::default()).await.error_code == 0
}

/// The refusal is told in the mechanism's own words first, then by Kafka's code.
pub(crate) async fn is_refused(client: &mut Client, token: &str) {
    let answer = show(client, token).await;
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.auth_bytes, &br#"{"status":"invalid_token"}"#[..]);
    assert_eq!(client.prove("\u{1}").await.error_code, SASL_AUTHENTICATION_FAILED);
    assert_eq!(client.receive_frame().await, None);
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_goes_on_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::new("k1");
    let (harness, clock) = node(&provider, &dir.path().join("jwks.json")).await;
    let mut client = harness.client().await;
    let answer = show(&mut client, &provider.token("alice", 60)).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 60_000));
    assert!(works(&mut client).await);
    clock.turn(Duration::from_secs(50));
    let answer = show(&mut client, &provider.token("alice", 110)).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 60_000));
    clock.turn(Duration::from_secs(59));
    assert!(works(&mut client).await);
    clock.turn(Duration::from_secs(1));
    assert_eq!(client.receive_frame().await, None, "the token is over");
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::new("k1");
    let (harness, _clock) = node(&provider, &dir.path().join("jwks.json")).await;
    for token in [
        provider.token("alice", -31),
        Provider::new("k1").token("alice", 60),
        provider.token("", 60),
        "no token".to_owned(),
    ] {
        is_refused(&mut harness.client().await, &token).await;
    }
    let mut client = harness.client().await;
    assert_eq!(show(&mut client, &provider.token("alice", 60)).await.error_code, 0);
    is_refused(&mut client, &provider.token("alice", -31)).await;
    let mut client = harness.client().await;
    assert_eq!(show(&mut client, &provider.token("alice", 60)).await.error_code, 0);
    let other = show(&mut client, &provider.token("admin", 60)).await;
    assert_eq!(other.error_code, SASL_AUTHENTICATION_FAILED, "a connection stays with its user");
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_a_while_and_known_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("jwks.json");
    let (first, second) = (Provider::new("k1"), Provider::new("k2"));
    let (harness, clock) = node(&first, &keys).await;
    second.publish(&keys);
    is_refused(&mut harness.client().await, &second.token("alice", 600)).await;
    // Both the watch and the next unknown key may read now.
    clock.turn(Duration::from_secs(10));
    let mut client = harness.client().await;
    assert_eq!(show(&mut client, &second.token("alice", 600)).await.auth_bytes, "");
    assert!(works(&mut client).await);
    std::fs::write(&keys, "{}").unwrap();
    clock.turn(Duration::from_secs(10));
    is_refused(&mut harness.client().await, &first.token("alice", 600)).await;
    let mut client = harness.client().await;
    assert_eq!(show(&mut client, &second.token("alice", 600)).await.auth_bytes, "");
    assert!(works(&mut client).await, "a broken file takes no key away");
}
