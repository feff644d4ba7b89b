//! Decisions as pure functions: who may pass.
//!
//! Owns: whether a listener may open ([`door`]), what a caller may do to which resource
//! ([`access`] over the rules of [`acl`]), and how much of it ([`quota`]). Does not own: sockets,
//! storage, proof of who someone is, enforcement; the edges ask and obey.
//! Reading order: [`door`] -> [`principal`] -> [`acl`] -> [`access`] -> [`quota`].

pub mod access;
pub mod acl;
pub mod door;
pub mod principal;
pub mod quota;

pub use access::{AccessList, Caller, Decision, Policy, Reason, Resource};
pub use acl::{Operation, PatternType, Permission, ResourceType, Rule};
pub use principal::Principal;
