//! Who is to have which partition: the assignors that a member may ask for by name.
//!
//! Owns: the choice of a target, as a pure function of members, topics and the target before.
//! Does not own: how members come from what they have to what they are to have (`reconcile`).
//!
//! # Source  Kafka's `UniformAssignor` and `RangeAssignor`. Kafka takes members in the order of a
//! hash map; here they come in the order of their ids, so the same input gives the same target.

mod range;
mod uniform;

use super::Partitions;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use systole_kit::Uuid;

/// A member, as an assignor sees it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    /// Those that exist.
    pub(super) topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(super) target: Partitions,
}

/// Partitions of each topic that somebody subscribes to.
pub(super) type Counts = BTreeMap<Uuid, i32>;

/// Kafka's names, the default first.
pub const ASSIGNORS: [&str; 2] = ["uniform", "range"];

/// One target for each candidate, in their order. An unknown name is `uniform`: the name was
/// checked when it came in.
pub(super) fn assign(name: &str, candidates: &[Candidate], counts: &Counts) -> Vec<Partitions> {
    match name {
        "range" => range::assign(candidates, counts),
        _ => uniform::assign(candidates, counts),
    }
}

#[cfg(test)]
mod tests;
