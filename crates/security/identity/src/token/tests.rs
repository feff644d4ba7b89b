//! The table of attacks on tokens, one line each.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, Header};
use rcgen::PublicKeyData as _;
use serde_json::json;

const NOW: i64 = 1_700_000_000;

struct Provider {
    pair: rcgen::KeyPair,
}

impl Provider {
    fn new() -> Self {
        Self { pair: rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap() }
    }
    fn jwk(&self, id: &str) -> Value {
        let x = BASE64URL.encode(self.pair.der_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x})
    }
    fn keys(&self) -> Keys {
        read(&json!([self.jwk("k1")]), &ALL).unwrap()
    }
    fn sign(&self, head: &Value, claims: &Value) -> String {
        let part = |it: &Value| BASE64URL.encode(it.to_string());
        let text = format!("{}.{}", part(head), part(claims));
        let key = EncodingKey::from_ed_der(&self.pair.serialize_der());
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Jwa::EdDSA);
        format!("{text}.{}", signature.unwrap())
    }
}

const ALL: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

fn read(keys: &Value, allowed: &[Algorithm]) -> Result<Keys, NotKeys> {
    Keys::read(json!({ "keys": keys }).to_string().as_bytes(), allowed)
}

fn head() -> Value {
    json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"})
}
fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "systole", "sub": "alice", "exp": NOW + 60})
}
fn with(mut it: Value, name: &str, value: Value) -> Value {
    it[name] = value;
    it
}
fn without(mut it: Value, name: &str) -> Value {
    it.as_object_mut().unwrap().remove(name);
    it
}

fn check(keys: &Keys, token: &str) -> Result<Proven, Refused> {
    let expected = Expected {
        issuer: "https://id.example".into(),
        audience: "systole".into(),
        user_claim: "sub".into(),
        skew: Duration::from_secs(30),
    };
    expected.check(keys, token, Timestamp::from_millis(NOW * 1000))
}

#[test]
fn a_good_token_names_its_user_and_its_end() {
    let provider = Provider::new();
    let proven = check(&provider.keys(), &provider.sign(&head(), &claims())).unwrap();
    let expires_at = Timestamp::from_millis((NOW + 60) * 1000);
    assert_eq!(proven, Proven { user: "alice".into(), expires_at });
    for fine in [
        with(claims(), "aud", json!(["other", "systole"])),
        with(claims(), "exp", json!(NOW - 29)),
        with(claims(), "nbf", json!(NOW + 29)),
    ] {
        assert!(check(&provider.keys(), &provider.sign(&head(), &fine)).is_ok(), "{fine}");
    }
}

#[test]
fn wrong_claims_are_refused() {
    let provider = Provider::new();
    for (wrong, why) in [
        (with(claims(), "exp", json!(NOW - 31)), Refused::Expired),
        (with(claims(), "exp", json!((NOW + 60).to_string())), Refused::Claims),
        (without(claims(), "exp"), Refused::Claims),
        (with(claims(), "nbf", json!(NOW + 31)), Refused::TooEarly),
        (with(claims(), "iat", json!(NOW + 31)), Refused::TooEarly),
        (with(claims(), "nbf", json!("never")), Refused::Claims),
        (without(claims(), "iss"), Refused::Claims),
        (with(claims(), "iss", json!("https://id.example.org")), Refused::Claims),
        (without(claims(), "aud"), Refused::Claims),
        (with(claims(), "aud", json!("systole2")), Refused::Claims),
        (without(claims(), "sub"), Refused::Claims),
        (with(claims(), "sub", json!("")), Refused::Claims),
        (with(claims(), "sub", json!(7)), Refused::Claims),
    ] {
        let token = provider.sign(&head(), &wrong);
        assert_eq!(check(&provider.keys(), &token), Err(why), "{wrong}");
    }
}

#[test]
fn a_token_cannot_choose_how_it_is_checked() {
    let provider = Provider::new();
    let keys = provider.keys();
    let none = |alg: &str| {
        let part = |it: &Value| BASE64URL.encode(it.to_string());
        format!("{}.{}.", part(&with(head(), "alg", json!(alg))), part(&claims()))
    };
    assert_eq!(check(&keys, &none("none")), Err(Refused::Malformed));
    assert_eq!(check(&keys, &none("RS256")), Err(Refused::Algorithm));
    // The public key as the secret of an HMAC: the old confusion.
    let secret = EncodingKey::from_secret(provider.pair.der_bytes());
    let header = Header { kid: Some("k1".into()), ..Header::new(Jwa::HS256) };
    let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(check(&keys, &token), Err(Refused::Algorithm));
    let stranger = Provider::new();
    assert_eq!(check(&keys, &stranger.sign(&head(), &claims())), Err(Refused::Claims));
    let own_key = with(head(), "jwk", stranger.jwk("k1"));
    let token = stranger.sign(&own_key, &claims());
    assert!(check(&keys, &token).is_err(), "a key in the token is no key");
    let unknown = with(head(), "kid", json!("../../etc/passwd"));
    assert_eq!(check(&keys, &provider.sign(&unknown, &claims())), Err(Refused::UnknownKey));
    let typed = with(head(), "typ", json!("logout+jwt"));
    assert_eq!(check(&keys, &provider.sign(&typed, &claims())), Err(Refused::Malformed));
    let huge = with(claims(), "x", json!("x".repeat(TOKEN_BYTES_MAX)));
    assert_eq!(check(&keys, &provider.sign(&head(), &huge)), Err(Refused::Malformed));
    let token = provider.sign(&head(), &claims());
    let cut = &token[..token.len() - 4];
    assert_eq!(check(&keys, cut), Err(Refused::Claims));
}

#[test]
fn only_public_keys_for_signatures_are_keys() {
    let provider = Provider::new();
    let secret = json!({"kty": "oct", "alg": "HS256", "kid": "k1", "k": "c2VjcmV0"});
    let encrypts = with(provider.jwk("k1"), "use", json!("enc"));
    assert!(matches!(read(&json!([secret, encrypts]), &ALL), Err(NotKeys::NoneUsable)));
    let odd = json!({"kty": "PQ", "alg": "ML-DSA-65", "kid": "k2"});
    assert_eq!(read(&json!([odd, provider.jwk("k1")]), &ALL).unwrap().0.len(), 1);
    assert!(matches!(Keys::read(b"<html>", &ALL), Err(NotKeys::Syntax(_))));
    let many = vec![provider.jwk("k1"); KEYS_MAX + 1];
    assert!(matches!(read(&json!(many), &ALL), Err(NotKeys::TooMany)));
}

#[test]
fn only_allowed_algorithms_check_tokens() {
    let provider = Provider::new();
    let token = provider.sign(&head(), &claims());
    let silent = json!([without(provider.jwk("k1"), "alg")]);
    assert!(check(&read(&silent, &ALL).unwrap(), &token).is_ok(), "the kind of the key says it");
    for keys in [json!([provider.jwk("k1")]), silent] {
        let not_this_one = read(&keys, &[Algorithm::RS256, Algorithm::ES256]);
        assert!(matches!(not_this_one, Err(NotKeys::NoneUsable)), "{keys}");
    }
    let lying = json!([with(provider.jwk("k1"), "alg", json!("RS256"))]);
    assert!(matches!(read(&lying, &ALL), Err(NotKeys::NoneUsable)));
}

#[test]
fn the_token_stands_behind_bearer() {
    let bearer = |it: &'static str| read_bearer(it.as_bytes()).ok();
    assert_eq!(bearer("n,,\u{1}auth=Bearer a.b.c\u{1}\u{1}"), Some("a.b.c"));
    assert_eq!(bearer("n,a=x,\u{1}host=h\u{1}auth=bearer a.b.c\u{1}k=v\u{1}\u{1}"), Some("a.b.c"));
    for wrong in ["", "n,,", "y,,\u{1}auth=Bearer x\u{1}", "n,,\u{1}auth=Basic x\u{1}\u{1}"] {
        assert_eq!(bearer(wrong), None, "{wrong:?}");
    }
}
