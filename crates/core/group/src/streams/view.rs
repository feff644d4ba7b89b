//! A group as others see it: StreamsGroupDescribe and ListGroups.

use super::{Group, Member, Tasks, Topology};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub struct Described {
    pub state: &'static str,
    pub epoch: i32,
    pub target_epoch: i32,
    /// With the partition counts that were decided, if all topics are there.
    pub topology: Option<Topology>,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug)]
pub struct DescribedMember {
    pub id: Arc<str>,
    pub epoch: i32,
    pub member: Member,
    pub assigned: Tasks,
    pub target: Tasks,
}

impl Group {
    /// The state under Kafka's name.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if !self.is_ready() {
            "NotReady"
        } else if self.epoch() > self.target_epoch() {
            "Assigning"
        } else if self.is_settled() {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub fn described(&self) -> Described {
        let members = self.members.iter().map(|(id, it)| {
            let current = self.current(id);
            DescribedMember {
                id: Arc::clone(id),
                epoch: current.epoch,
                member: it.clone(),
                assigned: current.assigned.tasks(),
                target: self.targets.get(id).cloned().unwrap_or_default(),
            }
        });
        Described {
            state: self.state_name(),
            epoch: self.epoch(),
            target_epoch: self.target_epoch(),
            topology: self.described_topology(),
            members: members.collect(),
        }
    }

    fn described_topology(&self) -> Option<Topology> {
        let mut topology = Topology::clone(self.topology.as_ref()?);
        let configured = self.configured.as_ref().map(|(_, it)| it);
        if let Some(configured) = configured.filter(|it| it.is_ready()) {
            for it in topology.subtopologies.values_mut() {
                for topic in it.repartition_sources.iter_mut().chain(&mut it.changelogs) {
                    let decided = configured.counts.get(&topic.name).copied();
                    topic.partitions = decided.unwrap_or(topic.partitions);
                }
            }
        }
        Some(topology)
    }

    /// Does a member read `topic`?
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let reads = |it: &Arc<Topology>| it.reader(topic).is_some();
        !self.is_empty() && self.topology.as_ref().is_some_and(reads)
    }

    /// The topics that members read.
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        let topology = self.topology.as_ref().filter(|_| !self.is_empty());
        let subtopologies = topology.iter().flat_map(|it| it.subtopologies.values());
        subtopologies.flat_map(super::Subtopology::inputs).cloned().collect()
    }
}
