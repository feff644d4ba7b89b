//! What one node knows of itself: topics with their settings, access lists, credentials, quotas.
//!
//! Owns: names, ids, counts, settings, their rules, and the journal that keeps them
//! (`docs/formats/cluster-metadata.md`). Does not own: records (`log`), groups (`coordinator`),
//! whether someone is allowed something (`guard`).
//! Reading order: [`Topic`] -> [`Catalogue`] -> `change` -> [`plan`] -> [`config`] -> [`setting`]
//! -> `journal` -> `fact`; beside them [`internal`], the topics in which the node keeps its own.

mod access;
mod catalogue;
mod change;
pub mod config;
mod credential;
mod fact;
pub mod internal;
mod journal;
mod name;
pub mod plan;
mod quota;
pub mod setting;
mod state;

pub use catalogue::{Catalogue, Durable, unknown};
pub use change::Scope;
pub use credential::CredentialKey;
pub use journal::JournalError;
pub use plan::NewTopic;
pub use setting::{Overrides, Settings};
pub use state::{Topic, is_internal};
