//! Identifiers without a domain.
//!
//! Owns: [`Uuid`] in Kafka's printed form. Does not own: drawing one (`world::Random` gives the
//! bytes).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// 128 bits, printed as Kafka prints topic and cluster ids: 22 characters of URL-safe base64.
///
/// # Source  Kafka `org.apache.kafka.common.Uuid`
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Kafka's "no id".
    pub const ZERO: Self = Self([0; 16]);

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
    pub const fn is_zero(&self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }
    /// A version 4 id from 16 random bytes: never zero, and never with a leading `-` in print,
    /// which command lines would take for an option.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        if bytes[0] >> 2 == 0b11_1110 {
            bytes[0] &= 0x7f; // 62 is '-' in the URL-safe alphabet
        }
        Self(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}
impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not 22 characters of URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 22 characters of URL-safe base64 without padding")]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;
    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseUuidError)?;
        bytes.try_into().map(Self).map_err(|_| ParseUuidError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn print_and_parse_agree(bytes: [u8; 16]) {
            let id = Uuid::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
        #[test]
        fn a_random_id_is_never_zero_nor_an_option(bytes: [u8; 16]) {
            let id = Uuid::from_random(bytes);
            prop_assert!(!id.is_zero() && !id.to_string().starts_with('-'));
        }
    }
}
