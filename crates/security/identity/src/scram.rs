//! SCRAM-SHA-256 and SCRAM-SHA-512: a password is proved without being sent or kept.
//!
//! Owns: credentials and the server's side of the exchange. Does not own: where credentials are
//! kept, nonces' randomness (handed in).
//! Reading order: [`Mechanism`] -> [`Credential`] -> [`First`] -> [`Exchange`].
//!
//! An unknown user gets a salt like any other and fails at the proof, as a wrong password does.
//! Channel binding is not offered. As in Kafka, passwords are taken as their UTF-8 bytes.
//!
//! # Source  RFC 5802, RFC 7677; Kafka KIP-84, KIP-554

use crate::NotProven;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::num::NonZeroU32;

/// Rounds of hashing that credentials made here have.
pub const ITERATIONS_DEFAULT: u32 = 4096;
/// Longest nonce that a client may send, in bytes.
const NONCE_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum Mechanism {
    Sha256 = 1,
    Sha512 = 2,
}

impl Mechanism {
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Kafka's number.
    pub const fn number(self) -> i8 {
        self as i8
    }
    pub fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
    pub const fn hash_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }
    fn hash(self, text: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, text).as_ref().to_vec()
    }
}

/// What the server keeps of a password. It proves nothing to anyone else, but a weak password can
/// be guessed from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
    pub iterations: u32,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<credential, {} iterations>", self.iterations)
    }
}

impl Credential {
    /// Costs `iterations` rounds of hashing: 0.4 ms and more.
    pub fn from_password(
        mechanism: Mechanism,
        password: &[u8],
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> Self {
        let algorithm = match mechanism {
            Mechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Mechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; mechanism.hash_bytes()];
        pbkdf2::derive(algorithm, iterations, &salt, password, &mut salted);
        Self::from_salted_password(mechanism, &salted, salt, iterations.get())
    }

    /// From what Kafka's AdminClient sends: the password after its rounds of hashing.
    pub fn from_salted_password(
        mechanism: Mechanism,
        salted: &[u8],
        salt: Vec<u8>,
        iterations: u32,
    ) -> Self {
        let client_key = mechanism.hmac(salted, b"Client Key");
        let stored_key = mechanism.hash(&client_key);
        let server_key = mechanism.hmac(salted, b"Server Key");
        Self { salt, stored_key, server_key, iterations }
    }

    /// What an unknown user is shown: the same each time, and nobody's. `secret` is this server's.
    pub fn of_nobody(mechanism: Mechanism, user: &str, secret: &[u8]) -> Self {
        let mut salt = mechanism.hmac(secret, user.as_bytes());
        salt.truncate(SALT_BYTES);
        // No key is known whose hash is this.
        let none = vec![0; mechanism.hash_bytes()];
        Self { salt, stored_key: none.clone(), server_key: none, iterations: ITERATIONS_DEFAULT }
    }
}

/// Salts made here, and those that unknown users seem to have.
pub const SALT_BYTES: usize = 24;

/// The client's first message, read.
#[derive(Debug)]
pub struct First {
    pub user: String,
    header: String,
    bare: String,
    nonce: String,
}

impl First {
    /// Reads `n,[a=user],n=user,r=nonce`. Channel binding, acting for another user, and extensions
    /// (Kafka's delegation tokens are one) are refused.
    pub fn read(message: &[u8]) -> Result<Self, NotProven> {
        let text = str::from_utf8(message).map_err(|_| NotProven)?;
        let (binding, rest) = text.split_once(',').ok_or(NotProven)?;
        let (acting_for, bare) = rest.split_once(',').ok_or(NotProven)?;
        if !["n", "y"].contains(&binding) {
            return Err(NotProven);
        }
        let (user, nonce) = bare.split_once(',').ok_or(NotProven)?;
        let user = unescape(user.strip_prefix("n=").ok_or(NotProven)?).ok_or(NotProven)?;
        let nonce = nonce.strip_prefix("r=").ok_or(NotProven)?;
        let is_alone = match acting_for.strip_prefix("a=") {
            Some(other) => unescape(other).is_some_and(|it| it == user),
            None => acting_for.is_empty(),
        };
        let is_nonce = (1..=NONCE_BYTES_MAX).contains(&nonce.len()) && !nonce.contains(',');
        if user.is_empty() || !is_alone || !is_nonce {
            return Err(NotProven);
        }
        let header = format!("{binding},{acting_for},");
        Ok(Self { user, header, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }
}

/// `=2C` and `=3D` stand for what would end a field.
fn unescape(text: &str) -> Option<String> {
    let is_legal = text.split('=').skip(1).all(|it| it.starts_with("2C") || it.starts_with("3D"));
    is_legal.then(|| text.replace("=2C", ",").replace("=3D", "="))
}

/// An exchange that waits for the client's proof.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    first: First,
    credential: Credential,
    nonce: String,
    challenge: String,
}

impl Exchange {
    /// `random` becomes the server's part of the nonce and must be new each time.
    pub fn begin(
        mechanism: Mechanism,
        first: First,
        credential: Credential,
        random: [u8; 24],
    ) -> Self {
        let nonce = format!("{}{}", first.nonce, BASE64.encode(random));
        let salt = BASE64.encode(&credential.salt);
        let challenge = format!("r={nonce},s={salt},i={}", credential.iterations);
        Self { mechanism, first, credential, nonce, challenge }
    }

    /// The server's first message.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Checks the proof; the user, and the server's last message, with which it proves in turn
    /// that it knows the credential.
    pub fn finish(self, message: &[u8]) -> Result<(String, String), NotProven> {
        let text = str::from_utf8(message).map_err(|_| NotProven)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(NotProven)?;
        let proof = BASE64.decode(proof).map_err(|_| NotProven)?;
        let expected = format!("c={},r={}", BASE64.encode(&self.first.header), self.nonce);
        if without_proof != expected {
            return Err(NotProven);
        }
        let signed = format!("{},{},{without_proof}", self.first.bare, self.challenge);
        let Self { mechanism, credential, .. } = self;
        let signature = mechanism.hmac(&credential.stored_key, signed.as_bytes());
        if proof.len() != signature.len() {
            return Err(NotProven);
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let stored_key = mechanism.hash(&client_key);
        verify_slices_are_equal(&stored_key, &credential.stored_key).map_err(|_| NotProven)?;
        let answer = mechanism.hmac(&credential.server_key, signed.as_bytes());
        Ok((self.first.user, format!("v={}", BASE64.encode(answer))))
    }
}

#[cfg(test)]
mod tests;
