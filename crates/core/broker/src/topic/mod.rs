//! The catalogue of topics: which there are, with which partitions and settings.
//!
//! Owns: names, ids, counts, settings, their rules, and the journal that keeps them
//! (`docs/formats/cluster-metadata.md`). Does not own: records (`log`), groups (`group`).
//! Reading order: [`Catalogue`] -> [`plan`] -> [`config`] -> [`setting`] -> [`name`].

mod catalogue;
pub(crate) mod config;
mod name;
pub(crate) mod plan;
pub(crate) mod setting;

pub(crate) use catalogue::{Catalogue, Durable, Topic};
pub(crate) use plan::NewTopic;
