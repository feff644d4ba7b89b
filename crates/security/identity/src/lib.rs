//! Proofs of who a caller is: passwords, tokens, certificates.
//!
//! Owns: the server's side of the SASL mechanisms ([`plain`], [`scram`], [`token`]) and the way
//! from a certificate to a principal ([`certificate`], [`mapping`]). Does not own: connections,
//! time, where secrets and keys lie, what a proven caller may do (`guard`).
//! Reading order: [`secret`] -> [`plain`] -> [`scram`] -> [`token`] -> [`certificate`] ->
//! [`mapping`].
//!
//! Invariants
//! - No secret is printed: `Debug` of what holds one says its kind alone.
//! - Secrets and proofs are compared in a time that does not depend on where they differ.
//! - Nobody learns from an answer whether a user exists.

pub mod certificate;
pub mod mapping;
pub mod plain;
pub mod scram;
pub mod secret;
pub mod token;

pub use secret::Secret;

/// The proof does not hold. Deliberately without a reason: the caller must not learn one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof of identity does not hold")]
pub struct NotProven;
