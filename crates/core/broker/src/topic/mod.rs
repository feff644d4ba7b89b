//! The catalogue of topics: which there are, with which partitions and settings.
//!
//! Owns: names, ids, counts, settings, their rules, and the journal that keeps them
//! (`docs/formats/cluster-metadata.md`). Does not own: records (`log`), groups (`group`).
//! Reading order: [`Topic`] -> [`Catalogue`] -> `change` -> [`plan`] -> [`config`] -> [`setting`]
//! -> `journal` -> `fact`; beside them [`internal`], the topics in which the node keeps its own.

mod access;
mod catalogue;
mod change;
pub(crate) mod config;
mod credential;
mod fact;
pub(crate) mod internal;
mod journal;
mod name;
pub(crate) mod plan;
pub(crate) mod setting;
mod state;

pub(crate) use catalogue::{Catalogue, Durable, unknown};
pub(crate) use change::Scope;
pub(crate) use credential::CredentialKey;
pub(crate) use journal::JournalError;
pub(crate) use plan::NewTopic;
pub(crate) use setting::{Overrides, Settings};
pub(crate) use state::Topic;
