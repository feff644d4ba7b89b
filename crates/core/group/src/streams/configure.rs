//! A topology over the topics that exist: how many tasks, which internal topics are missing.
//!
//! Owns: the partition counts of internal topics, the rules of copartitioning. Does not own:
//! creating what is missing, what becomes of a group until then (`heartbeat`).
//!
//! The order of the decisions: repartition topics get as many partitions as the largest input of
//! whoever writes to them, then copartition groups are made equal, then changelogs follow the
//! largest input of their subtopology.
//!
//! # Source  KIP-1071; the texts and the order are those of Kafka's `InternalTopicManager`

use super::topology::invalid;
use super::{InternalTopic, Status, Subtopology, Topology};
use crate::consumer::{Refused, Topics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that a text tells at most.
const NAMES_SHOWN_MAX: usize = 3;

/// What the topics make of a topology.
#[derive(Debug, Clone, Default)]
pub(super) struct Configured {
    /// By subtopology; empty if the topics do not allow to count.
    pub(super) tasks: BTreeMap<Arc<str>, i32>,
    /// Of each internal topic.
    pub(super) counts: BTreeMap<Arc<str>, i32>,
    /// Internal topics that do not exist.
    pub(super) missing: Vec<Missing>,
    /// Why no task can run.
    pub(super) problem: Option<(Status, String)>,
}

/// An internal topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub topic: InternalTopic,
    pub partitions: i32,
}

impl Configured {
    pub(super) fn is_ready(&self) -> bool {
        self.problem.is_none()
    }
}

/// # Errors  `STREAMS_INVALID_TOPOLOGY` if no topics whatever can make it run.
pub(super) fn configure(topology: &Topology, topics: &dyn Topics) -> Result<Configured, Refused> {
    let plan = Plan { topology, topics, counts: BTreeMap::new() };
    match plan.make() {
        Ok(it) => Ok(it),
        Err(Wrong::Topics(status, detail)) => {
            Ok(Configured { problem: Some((status, detail)), ..Configured::default() })
        }
        Err(Wrong::Topology(refused)) => Err(refused),
    }
}

enum Wrong {
    /// The topics may still change.
    Topics(Status, String),
    Topology(Refused),
}

struct Plan<'a> {
    topology: &'a Topology,
    topics: &'a dyn Topics,
    /// Partitions that internal topics are to have.
    counts: BTreeMap<Arc<str>, i32>,
}

impl Plan<'_> {
    fn make(mut self) -> Result<Configured, Wrong> {
        self.check_sources()?;
        self.count_repartition_topics()?;
        self.copartition()?;
        let mut tasks = BTreeMap::new();
        for (id, it) in &self.topology.subtopologies {
            let largest = it.inputs().filter_map(|it| self.count(it)).max();
            let largest = largest.ok_or_else(|| Wrong::Topology(invalid("No source topics.")))?;
            let changelogs = it.changelogs.iter().map(|it| (Arc::clone(&it.name), largest));
            self.counts.extend(changelogs);
            tasks.insert(Arc::clone(id), largest);
        }
        let missing = self.missing()?;
        let names = missing.iter().map(|it| &it.topic.name).collect();
        let text = || format!("Internal topics are missing: {}", shown(&names));
        let problem = (!missing.is_empty()).then(|| (Status::MissingInternalTopics, text()));
        Ok(Configured { tasks, counts: self.counts, missing, problem })
    }

    /// Those of a topic that exists, else what was decided for it.
    fn count(&self, name: &str) -> Option<i32> {
        let exists = self.topics.by_name(name).map(|it| it.partition_count);
        exists.or_else(|| self.counts.get(name).copied())
    }

    fn check_sources(&self) -> Result<(), Wrong> {
        let sources = self.topology.subtopologies.values().flat_map(|it| &it.sources);
        let absent: BTreeSet<_> = sources.filter(|it| self.topics.by_name(it).is_none()).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let text = format!("Source topics {} are missing.", shown(&absent));
        Err(Wrong::Topics(Status::MissingSourceTopics, text))
    }

    /// Each round decides those whose writers' inputs are decided, until none is left.
    fn count_repartition_topics(&mut self) -> Result<(), Wrong> {
        let subtopologies = &self.topology.subtopologies;
        let read = subtopologies.values().flat_map(|it| &it.repartition_sources);
        let fixed = read.clone().filter(|it| it.partitions != 0);
        self.counts = fixed.map(|it| (Arc::clone(&it.name), it.partitions)).collect();
        loop {
            let (mut is_open, mut is_progress) = (false, false);
            for it in subtopologies.values() {
                let largest = self.largest_input(it);
                for sink in &it.repartition_sinks {
                    if self.counts.contains_key(sink) {
                        continue;
                    }
                    if let Some(largest) = largest {
                        self.counts.insert(Arc::clone(sink), largest);
                        is_progress = true;
                    } else {
                        is_open = true;
                    }
                }
            }
            if !is_open {
                break;
            }
            if !is_progress {
                let text = "Failed to compute number of partitions for all repartition topics. \
                            There may be loops in the topology that cannot be resolved.";
                return Err(Wrong::Topology(invalid(text)));
            }
        }
        if read.into_iter().any(|it| !self.counts.contains_key(&it.name)) {
            let text = "Failed to compute number of partitions for all repartition topics, \
                        because a repartition source topic is never used as a sink topic.";
            return Err(Wrong::Topology(invalid(text)));
        }
        Ok(())
    }

    fn largest_input(&self, it: &Subtopology) -> Option<i32> {
        let internal = it.repartition_sources.iter().map(|it| self.counts.get(&it.name).copied());
        let sources = it.sources.iter().map(|it| self.count(it));
        internal.chain(sources).flatten().max()
    }

    fn copartition(&mut self) -> Result<(), Wrong> {
        let subtopologies = self.topology.subtopologies.values();
        let internal = subtopologies.clone().flat_map(|it| &it.repartition_sources);
        let fixed: BTreeSet<_> =
            internal.clone().filter(|it| it.partitions != 0).map(|it| &it.name).collect();
        let internal: BTreeSet<_> = internal.map(|it| &it.name).collect();
        for it in subtopologies {
            for group in &it.copartitions {
                let names = it.copartitioned(group).unwrap_or_default();
                let (ours, users): (Vec<_>, Vec<_>) =
                    names.into_iter().partition(|it| internal.contains(it));
                let rigid: Vec<_> = ours.iter().copied().filter(|it| fixed.contains(it)).collect();
                let wanted = if !users.is_empty() {
                    self.same_count(&users)?
                } else if !rigid.is_empty() {
                    self.same_count(&rigid)?
                } else {
                    ours.iter().filter_map(|it| self.count(it)).max().unwrap_or_default()
                };
                for name in ours {
                    let count = self.count(name).unwrap_or_default();
                    if fixed.contains(name) && count != wanted {
                        let text = format!(
                            "Number of partitions [{count}] of repartition topic [{name}] doesn't \
                             match number of partitions [{wanted}] of the source topic."
                        );
                        return Err(Wrong::Topics(Status::IncorrectlyPartitionedTopics, text));
                    }
                    self.counts.insert(Arc::clone(name), wanted);
                }
            }
        }
        Ok(())
    }

    fn same_count(&self, names: &[&Arc<str>]) -> Result<i32, Wrong> {
        let counts: BTreeMap<_, _> =
            names.iter().map(|it| (*it, self.count(it).unwrap_or_default())).collect();
        let first = counts.values().next().copied().unwrap_or_default();
        if counts.values().all(|it| *it == first) {
            return Ok(first);
        }
        let counts: Vec<_> = counts.iter().map(|(name, it)| format!("{name}={it}")).collect();
        let text = format!(
            "Following topics do not have the same number of partitions: [{{{}}}]",
            counts.join(", ")
        );
        Err(Wrong::Topics(Status::IncorrectlyPartitionedTopics, text))
    }

    /// Internal topics that do not exist; those that do must be as decided.
    fn missing(&self) -> Result<Vec<Missing>, Wrong> {
        let mut missing = BTreeMap::new();
        for it in self.topology.subtopologies.values() {
            for topic in it.repartition_sources.iter().chain(&it.changelogs) {
                let partitions = self.counts.get(&topic.name).copied().unwrap_or_default();
                match self.topics.by_name(&topic.name).map(|it| it.partition_count) {
                    None => {
                        let wanted = Missing { topic: topic.clone(), partitions };
                        missing.insert(Arc::clone(&topic.name), wanted);
                    }
                    Some(found) if found != partitions => {
                        let text = format!(
                            "Existing topic {} has different number of partitions: expected \
                             {partitions}, found {found}",
                            topic.name
                        );
                        return Err(Wrong::Topics(Status::IncorrectlyPartitionedTopics, text));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(missing.into_values().collect())
    }
}

fn shown(names: &BTreeSet<&Arc<str>>) -> String {
    let first: Vec<_> = names.iter().take(NAMES_SHOWN_MAX).map(|it| &***it).collect();
    let rest = names.len() - first.len();
    let rest = if rest == 0 { String::new() } else { format!(" and {rest} additional topics") };
    format!("{}{rest}", first.join(", "))
}
