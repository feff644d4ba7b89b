//! Signed tokens (JWT) of an identity provider.
//!
//! Owns: keys out of a JWKS, and the checks of a token. Does not own: where keys lie and when they
//! are read again, time (an argument).
//! Reading order: [`Keys`] -> [`Expected`] -> [`Expected::check`].
//!
//! A token cannot choose how it is checked: the algorithm is the key's, or where the provider does
//! not say one (many do not), one of those that the configuration allows for keys of this kind.
//! Symmetric keys are not keys here. `exp`, `iss`, `aud` and the claim that names the user are
//! required; times are numbers.
//!
//! # Source  RFC 7519, RFC 7517, RFC 8725

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::time::Duration;
use systole_kit::Timestamp;

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Keys that one set may hold.
const KEYS_MAX: usize = 100;

/// How a provider may sign, by the names of JSON Web Algorithms. Symmetric ones are not among them:
/// whoever can check those can sign too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    const fn jwt(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as A;
        match self {
            Self::RS256 => A::RS256,
            Self::RS384 => A::RS384,
            Self::RS512 => A::RS512,
            Self::PS256 => A::PS256,
            Self::PS384 => A::PS384,
            Self::PS512 => A::PS512,
            Self::ES256 => A::ES256,
            Self::ES384 => A::ES384,
            Self::EdDSA => A::EdDSA,
        }
    }

    /// Whether a key of this kind can sign so.
    fn is_for(self, key: &AlgorithmParameters) -> bool {
        match (key, self) {
            (AlgorithmParameters::RSA(_), it) => {
                !matches!(it, Self::ES256 | Self::ES384 | Self::EdDSA)
            }
            (AlgorithmParameters::EllipticCurve(it), Self::ES256) => {
                it.curve == EllipticCurve::P256
            }
            (AlgorithmParameters::EllipticCurve(it), Self::ES384) => {
                it.curve == EllipticCurve::P384
            }
            (AlgorithmParameters::OctetKeyPair(_), it) => it == Self::EdDSA,
            (AlgorithmParameters::OctetKey(_) | AlgorithmParameters::EllipticCurve(_), _) => false,
        }
    }
}

/// The keys with which the provider signs.
pub struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// Those that were allowed and fit; one if the provider says which.
    algorithms: Vec<jsonwebtoken::Algorithm>,
    material: DecodingKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} keys>", self.0.len())
    }
}

/// The text is no set of keys that can be used.
#[derive(Debug, thiserror::Error)]
pub enum NotKeys {
    #[error("it is no JWKS: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("no key in it is public, for signatures, and of an algorithm that is allowed")]
    NoneUsable,
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
}

impl Keys {
    /// Reads a JWKS. Keys that cannot be used here, or not by `allowed`, are left out.
    pub fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Self, NotKeys> {
        // One by one: a key of a kind that is not known yet must not spoil the others.
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text)?;
        if set.keys.len() > KEYS_MAX {
            return Err(NotKeys::TooMany);
        }
        let known = set.keys.into_iter().filter_map(|it| serde_json::from_value(it).ok());
        let keys: Vec<_> = known.filter_map(|it| Key::of(&it, allowed)).collect();
        if keys.is_empty() { Err(NotKeys::NoneUsable) } else { Ok(Self(keys)) }
    }

    fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), all) => all.iter().find(|it| it.id.as_deref() == Some(id)),
        }
    }
}

impl Key {
    fn of(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return None;
        }
        let said = match jwk.common.key_algorithm {
            None => None,
            Some(it) => Some(it.to_string().parse::<jsonwebtoken::Algorithm>().ok()?),
        };
        let fitting = allowed.iter().filter(|it| it.is_for(&jwk.algorithm)).map(|it| it.jwt());
        let algorithms: Vec<_> = fitting.filter(|it| said.is_none_or(|said| said == *it)).collect();
        if algorithms.is_empty() {
            return None;
        }
        let material = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: jwk.common.key_id.clone(), algorithms, material })
    }
}

/// What a token must say.
#[derive(Debug, Clone)]
pub struct Expected {
    pub issuer: String,
    pub audience: String,
    /// The claim that names the user; `sub` mostly.
    pub user_claim: String,
    /// How far clocks may differ.
    pub skew: Duration,
}

/// A token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub user: String,
    pub expires_at: Timestamp,
}

/// For the log; the caller learns nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is no token")]
    Malformed,
    /// Newer keys may have it.
    #[error("its key is not known")]
    UnknownKey,
    #[error("its algorithm is not that of its key, or not allowed")]
    Algorithm,
    #[error("its signature, issuer or audience does not hold, or a required claim is absent")]
    Claims,
    #[error("it is expired")]
    Expired,
    #[error("it is not valid yet")]
    TooEarly,
}

#[derive(Deserialize)]
struct Claims {
    exp: Number,
    #[serde(default)]
    nbf: Option<Number>,
    #[serde(default)]
    iat: Option<Number>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Expected {
    /// The user of `token`, if everything about it holds at `now`. Costs one signature check:
    /// 20 to 50 µs.
    pub fn check(&self, keys: &Keys, token: &str, now: Timestamp) -> Result<Proven, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let head = jsonwebtoken::decode_header(token).map_err(|_| Refused::Malformed)?;
        let is_access_token = head
            .typ
            .as_deref()
            .is_none_or(|it| ["jwt", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(it)));
        if !is_access_token {
            return Err(Refused::Malformed);
        }
        let key = keys.find(head.kid.as_deref()).ok_or(Refused::UnknownKey)?;
        if !key.algorithms.contains(&head.alg) {
            return Err(Refused::Algorithm);
        }
        let mut validation = Validation::new(head.alg);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_exp = false; // below, by the clock that is handed in
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.material, &validation);
        self.check_claims(&decoded.map_err(|_| Refused::Claims)?.claims, now)
    }

    fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<Proven, Refused> {
        let expires_at = instant(&claims.exp)?;
        if expires_at.plus(self.skew) <= now {
            return Err(Refused::Expired);
        }
        for it in [&claims.nbf, &claims.iat].into_iter().flatten() {
            if instant(it)? > now.plus(self.skew) {
                return Err(Refused::TooEarly);
            }
        }
        let user = claims.others.get(&self.user_claim).and_then(Value::as_str);
        let user = user.filter(|it| !it.is_empty()).ok_or(Refused::Claims)?;
        Ok(Proven { user: user.to_owned(), expires_at })
    }
}

/// Seconds since 1970; parts of a second do not count.
fn instant(seconds: &Number) -> Result<Timestamp, Refused> {
    let text = seconds.to_string();
    let whole = text.split('.').next().and_then(|it| it.parse::<i64>().ok());
    let millis = whole.filter(|it| *it >= 0).and_then(|it| it.checked_mul(1000));
    millis.map(Timestamp::from_millis).ok_or(Refused::Claims)
}

/// The token in the client's first message: `n,[a=user],^Aauth=Bearer TOKEN^A...^A^A`.
///
/// # Source  RFC 7628
pub fn read_bearer(message: &[u8]) -> Result<&str, crate::NotProven> {
    let text = str::from_utf8(message).map_err(|_| crate::NotProven)?;
    let mut parts = text.split('\u{1}');
    let header = parts.next().unwrap_or_default();
    if !header.starts_with("n,") {
        return Err(crate::NotProven);
    }
    let auth = parts.find_map(|it| it.strip_prefix("auth=")).ok_or(crate::NotProven)?;
    let (scheme, token) = auth.split_once(' ').ok_or(crate::NotProven)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(crate::NotProven) }
}

#[cfg(test)]
mod tests;
