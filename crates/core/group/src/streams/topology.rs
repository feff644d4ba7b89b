//! What an application reads, writes and keeps, as its members tell it when they join.
//!
//! Owns: the description and whether it is consistent in itself. Does not own: whether the topics
//! that exist fit it (`configure`).
//!
//! # Source  KIP-1071, "Topology"; `StreamsGroupHeartbeatRequest.json`

use crate::consumer::Refused;
use std::collections::BTreeMap;
use std::sync::Arc;
use systole_wire::ErrorCode;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    pub epoch: i32,
    /// By id.
    pub subtopologies: BTreeMap<Arc<str>, Subtopology>,
}

/// A part of the application that no other part shares topics in memory with: partition `n` of its
/// topics together is one task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subtopology {
    /// Topics of the user.
    pub sources: Vec<Arc<str>>,
    /// Names of topics that other subtopologies (or this one) read as `repartition_sources`.
    pub repartition_sinks: Vec<Arc<str>>,
    pub repartition_sources: Vec<InternalTopic>,
    /// Any: its tasks have state, so they may have standbys.
    pub changelogs: Vec<InternalTopic>,
    pub copartitions: Vec<Copartition>,
}

/// A topic that the application needs and nobody else makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InternalTopic {
    pub name: Arc<str>,
    /// 0: as many as those of the topics before it.
    pub partitions: i32,
    /// 0: the node's default.
    pub replication_factor: i16,
    pub configs: Vec<(Arc<str>, Arc<str>)>,
}

/// Topics that must have the same number of partitions, as places in the lists above.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copartition {
    pub sources: Vec<i16>,
    pub repartition_sources: Vec<i16>,
}

impl Topology {
    /// Every topic without which no task can run.
    pub fn required(&self) -> impl Iterator<Item = &Arc<str>> {
        self.subtopologies.values().flat_map(|it| {
            let internal = it.repartition_sources.iter().chain(&it.changelogs);
            it.sources.iter().chain(internal.map(|it| &it.name))
        })
    }

    /// The subtopology that reads `topic`.
    pub(super) fn reader(&self, topic: &str) -> Option<&Arc<str>> {
        let reads = |it: &Subtopology| it.inputs().any(|it| **it == *topic);
        self.subtopologies.iter().find(|(_, it)| reads(it)).map(|(id, _)| id)
    }

    /// # Errors  `STREAMS_INVALID_TOPOLOGY_EPOCH`, `STREAMS_INVALID_TOPOLOGY`.
    pub fn check(&self) -> Result<(), Refused> {
        if self.epoch < 0 {
            let message = "The epoch of a topology is at least 0.";
            return Err(Refused::new(ErrorCode::StreamsInvalidTopologyEpoch, message));
        }
        for (id, it) in &self.subtopologies {
            if it.inputs().next().is_none() {
                return Err(invalid(format!("No source topics found for subtopology {id}")));
            }
            if let Some(changelog) = it.changelogs.iter().find(|it| it.partitions != 0) {
                return Err(invalid(format!(
                    "Changelog topic {} must have an undefined partition count, but it is set to \
                     {}.",
                    changelog.name, changelog.partitions
                )));
            }
            if let Some(fixed) = it.repartition_sources.iter().find(|it| it.partitions < 0) {
                let text = format!("Repartition topic {} has fewer than 0 partitions.", fixed.name);
                return Err(invalid(text));
            }
            if it.copartitions.iter().any(|group| it.copartitioned(group).is_none()) {
                let text = format!("A copartition group of subtopology {id} points nowhere.");
                return Err(invalid(text));
            }
        }
        Ok(())
    }
}

impl Subtopology {
    /// Names of everything that its tasks read.
    pub fn inputs(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sources.iter().chain(self.repartition_sources.iter().map(|it| &it.name))
    }
    pub(super) fn is_stateful(&self) -> bool {
        !self.changelogs.is_empty()
    }
    /// The topics of a copartition group; `None` if it points outside the lists.
    pub(super) fn copartitioned(&self, group: &Copartition) -> Option<Vec<&Arc<str>>> {
        let place = |it: &i16| usize::try_from(*it).ok();
        let sources = group.sources.iter().map(|it| self.sources.get(place(it)?));
        let internal = group.repartition_sources.iter();
        let internal =
            internal.map(|it| self.repartition_sources.get(place(it)?).map(|it| &it.name));
        sources.chain(internal).collect()
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(ErrorCode::StreamsInvalidTopology, message)
}
