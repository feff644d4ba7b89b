//! Tokens for OAUTHBEARER.
//!
//! Owns: what a client must know of a JWT: whose it is and until when. Does not own: verifying it
//! (the broker does).

use crate::{Error, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use std::time::Duration;
use systole_kit::Timestamp;

/// A token that does not say when it ends is read again after this.
const LIFETIME_UNSAID: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    /// Seconds since 1970; a fraction is allowed (RFC 7519 §2, NumericDate).
    exp: Option<f64>,
}

pub(super) fn parse(token: String, now: Timestamp) -> Result<OAuthToken, Error> {
    let bad = || Error::new(Kind::Settings).about("sasl.secret").because("not a JWT");
    let body = token.split('.').nth(1).ok_or_else(bad)?;
    let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| bad())?;
    let claims: Claims = serde_json::from_slice(&body).map_err(|_| bad())?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and that is far enough")]
    let lifetime_ms = match claims.exp {
        Some(seconds) => (seconds * 1000.0) as i64,
        None => now.plus(LIFETIME_UNSAID).as_millis(),
    };
    Ok(OAuthToken { token, principal_name: claims.sub, lifetime_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is_and_until_when() {
        let body = URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":1700000000}"#);
        let token = parse(format!("x.{body}."), Timestamp::from_millis(0)).unwrap();
        assert_eq!(
            (token.principal_name.as_str(), token.lifetime_ms),
            ("alice", 1_700_000_000_000)
        );
    }

    #[test]
    fn what_is_not_a_token_is_not_shown() {
        let error = parse("hunter2".to_owned(), Timestamp::from_millis(0)).err().unwrap();
        assert!(!error.to_string().contains("hunter2"));
    }
}
