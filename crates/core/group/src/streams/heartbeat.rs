//! StreamsGroupHeartbeat: joining, staying, and learning which tasks to run.
//!
//! Owns: who gets in, what starts a new epoch, when the target is made anew, what members are told
//! beside their tasks. Does not own: leaving (`leave`), the step of a member (`reconcile`).
//!
//! # Source  KIP-1071; Kafka's `GroupMetadataManager.streamsGroupHeartbeat`

use super::assign::{self, Candidate};
use super::configure::{self, Configured, Missing};
use super::reconcile::Step;
use super::{
    Current, Epoch, Fact, Group, Member, MemberState, TargetEpoch, Tasks, Topology, by_subtopology,
};
use crate::Now;
use crate::consumer::{Refused, Topics, metadata_hash};
use crate::timers::Timer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use systole_wire::ErrorCode;

/// The epoch of a member that joins, or joins anew.
const JOINING: i32 = 0;

/// A StreamsGroupHeartbeat whose form is right. `None`: as before.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    pub member_id: Arc<str>,
    /// Negative: it leaves.
    pub epoch: i32,
    /// The last that it was told.
    pub endpoint_epoch: i32,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout: Option<Duration>,
    pub topology: Option<Arc<Topology>>,
    pub process_id: Option<Arc<str>>,
    pub endpoint: Option<(Arc<str>, u16)>,
    pub tags: Option<BTreeMap<Arc<str>, Arc<str>>>,
    pub owned: Option<Tasks>,
    /// The whole application is to stop.
    pub shuts_down: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    /// Until the next heartbeat; zero for one that left.
    pub interval: Duration,
    /// `None`: as before.
    pub tasks: Option<Tasks>,
    pub notices: Vec<Notice>,
    pub endpoint_epoch: i32,
    /// `None`: as before.
    pub endpoints: Option<Vec<Endpoint>>,
    /// Internal topics that the application needs, and that are to be made.
    pub missing: Vec<Missing>,
}

/// Something that the member should know of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub status: Status,
    pub detail: String,
}

/// Under Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    StaleTopology = 0,
    MissingSourceTopics = 1,
    IncorrectlyPartitionedTopics = 2,
    MissingInternalTopics = 3,
    ShutdownApplication = 4,
    AssignmentDelayed = 5,
}

/// Partitions by topic.
pub type Inputs = BTreeMap<Arc<str>, Vec<i32>>;

/// Which data a process can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: Arc<str>,
    pub port: u16,
    pub active: Inputs,
    pub standby: Inputs,
}

impl Heartbeat {
    /// It says everything that a member can say, so it wants to hear everything.
    fn is_full(&self) -> bool {
        self.rebalance_timeout.is_some() && self.owned.is_some()
    }

    fn member(&self, before: Option<&Member>) -> Member {
        let mut member = before.cloned().unwrap_or_default();
        member.client_id = Arc::clone(&self.client_id);
        member.client_host = Arc::clone(&self.client_host);
        member.rack_id = self.rack_id.clone().or(member.rack_id);
        member.rebalance_timeout = self.rebalance_timeout.unwrap_or(member.rebalance_timeout);
        member.topology_epoch = self.topology.as_ref().map_or(member.topology_epoch, |it| it.epoch);
        member.process_id = self.process_id.clone().unwrap_or(member.process_id);
        member.endpoint = self.endpoint.clone().or(member.endpoint);
        member.tags = self.tags.clone().unwrap_or(member.tags);
        member
    }
}

impl Group {
    /// Takes in a heartbeat. The answer may go out when the facts that it made are durable, and
    /// those that were made before.
    ///
    /// # Errors  `FENCED_MEMBER_EPOCH`, `UNKNOWN_MEMBER_ID`, `GROUP_MAX_SIZE_REACHED`,
    /// `INVALID_REQUEST`, `STREAMS_INVALID_TOPOLOGY`: nothing is changed then.
    pub fn heartbeat(
        &mut self,
        beat: &Heartbeat,
        topics: &dyn Topics,
        now: Now,
    ) -> Result<Beat, Refused> {
        let answer =
            if beat.epoch < JOINING { self.leave(beat) } else { self.stay(beat, topics, now) };
        if answer.is_err() {
            self.undo();
        }
        answer
    }

    fn stay(&mut self, beat: &Heartbeat, topics: &dyn Topics, now: Now) -> Result<Beat, Refused> {
        self.enter(beat, now)?;
        let id = &beat.member_id;
        let before = self.current(id);
        let is_other = self.note_member(beat);
        let stale = self.adopt_topology(beat)?;
        let configured = self.configured(topics)?;
        check_tasks(&configured, beat.owned.as_ref())?;
        self.refresh(is_other, &configured, topics);
        let delayed = self.retarget(&configured, now);
        let current = self.reconcile(id, beat.owned.as_ref());
        self.timers.set(Timer::Session, id, now.instant.plus(self.config.session_timeout));
        if current.state != MemberState::Unrevoked {
            self.timers.cancel(Timer::Revoke, id);
        } else if before != current || !self.timers.is_set(Timer::Revoke, id) {
            self.time_revocation(id, now);
        }
        if beat.shuts_down {
            self.shutdown_by.get_or_insert_with(|| Arc::clone(id));
        }
        let is_changed = before.assigned != current.assigned;
        let tells = beat.epoch == JOINING || beat.is_full() || is_changed;
        if (is_changed || beat.epoch == JOINING) && self.has_endpoint(id) {
            self.endpoint_epoch += 1;
        }
        let is_new_to_it = self.endpoint_epoch != beat.endpoint_epoch;
        Ok(Beat {
            member_id: Arc::clone(id),
            epoch: current.epoch,
            interval: self.interval(&configured),
            tasks: tells.then(|| current.assigned.tasks()),
            notices: self.notices(&configured, stale, delayed),
            endpoint_epoch: self.endpoint_epoch,
            endpoints: is_new_to_it.then(|| self.endpoints(topics)),
            missing: configured.missing.clone(),
        })
    }

    /// Lets a member in, or makes sure that it is the one it claims to be.
    fn enter(&mut self, beat: &Heartbeat, now: Now) -> Result<(), Refused> {
        if beat.epoch != JOINING {
            return self.check_epoch(beat);
        }
        let is_known = self.members.contains_key(&beat.member_id);
        if !is_known && self.members.len() >= self.config.members_max {
            let message = format!("The group has {} members, its limit.", self.config.members_max);
            return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
        }
        if self.is_empty() && !self.config.initial_rebalance_delay.is_zero() {
            let until = now.instant.plus(self.config.initial_rebalance_delay);
            self.delayed_until.get_or_insert(until);
        }
        Ok(())
    }

    /// An older epoch is right only if the answer with the newer one may have been lost.
    fn check_epoch(&self, beat: &Heartbeat) -> Result<(), Refused> {
        if !self.members.contains_key(&beat.member_id) {
            return Err(unknown_member());
        }
        let current = self.current(&beat.member_id);
        let lost = beat.epoch == current.previous_epoch
            && beat.epoch < current.epoch
            && beat.owned.as_ref().is_some_and(|it| it.is_part_of(&current.assigned));
        if beat.epoch == current.epoch || lost {
            return Ok(());
        }
        let message = format!(
            "Member epoch {} is not {}: give up all tasks and join again.",
            beat.epoch, current.epoch
        );
        Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
    }

    /// Notes who a member is. True if that changed.
    fn note_member(&mut self, beat: &Heartbeat) -> bool {
        let id = &beat.member_id;
        let member = beat.member(self.members.get(id));
        let is_other = self.members.get(id) != Some(&member);
        if is_other {
            self.put(Fact::Member(Arc::clone(id), Some(Box::new(member))));
        }
        is_other
    }

    /// The first topology is the group's; the notice for a member that has an older one.
    fn adopt_topology(&mut self, beat: &Heartbeat) -> Result<Option<Notice>, Refused> {
        let Some(ours) = self.topology.clone() else {
            self.put(Fact::Topology(Some(beat.topology.clone().unwrap_or_default())));
            return Ok(None);
        };
        if beat.topology.as_ref().is_some_and(|it| it.epoch >= ours.epoch && **it != *ours) {
            let message = "Topology updates are not supported yet.";
            return Err(Refused::new(ErrorCode::InvalidRequest, message));
        }
        let theirs = self.members.get(&beat.member_id).map_or(0, |it| it.topology_epoch);
        Ok((theirs < ours.epoch).then(|| Notice {
            status: Status::StaleTopology,
            detail: format!(
                "The member's topology epoch {theirs} is behind the group's topology epoch {}.",
                ours.epoch
            ),
        }))
    }

    /// The topology over the topics that exist now.
    fn configured(&mut self, topics: &dyn Topics) -> Result<Arc<Configured>, Refused> {
        let version = topics.version();
        if let Some((seen, it)) = &self.configured
            && *seen == version
        {
            return Ok(Arc::clone(it));
        }
        let topology = self.topology.clone().unwrap_or_default();
        let fresh = Arc::new(configure::configure(&topology, topics)?);
        self.configured = Some((version, Arc::clone(&fresh)));
        Ok(fresh)
    }

    /// Begins a new epoch if members, topics or settings changed.
    fn refresh(&mut self, is_other: bool, configured: &Configured, topics: &dyn Topics) {
        let topology = self.topology.clone().unwrap_or_default();
        let names: BTreeSet<_> = topology.required().collect();
        let validated_topology_epoch =
            if configured.is_ready() { topology.epoch } else { Epoch::NOT_READY };
        let wanted = Epoch {
            number: self.epoch(),
            metadata_hash: metadata_hash(names.into_iter(), topics),
            validated_topology_epoch,
            standby_replicas: Some(self.config.standby_replicas),
        };
        if is_other || self.epoch != Some(wanted) {
            self.put(Fact::Epoch(Some(Epoch { number: wanted.number + 1, ..wanted })));
        }
    }

    /// Makes the target anew if the group has come to a later epoch. True if that must wait.
    fn retarget(&mut self, configured: &Configured, now: Now) -> bool {
        if self.delayed_until.is_some_and(|it| now.instant < it) {
            return true;
        }
        self.delayed_until = None;
        if self.target_epoch() >= self.epoch() {
            return false;
        }
        let candidates: Vec<_> = self
            .members
            .iter()
            .map(|(id, it)| Candidate {
                id: Arc::clone(id),
                process_id: Arc::clone(&it.process_id),
                target: self.targets.get(id).cloned().unwrap_or_default(),
            })
            .collect();
        let targets = if configured.is_ready() {
            let topology = self.topology.clone().unwrap_or_default();
            let is_stateful = |id: &str| {
                topology.subtopologies.get(id).is_some_and(super::Subtopology::is_stateful)
            };
            let work = assign::Work::new(&configured.tasks, &is_stateful);
            assign::assign(&candidates, &work, self.config.standby_replicas)
        } else {
            vec![Tasks::default(); candidates.len()]
        };
        for (candidate, target) in candidates.iter().zip(targets) {
            let is_known = self.targets.contains_key(&candidate.id);
            if !is_known || candidate.target != target {
                self.put(Fact::Target(Arc::clone(&candidate.id), Some(target)));
            }
        }
        let number = self.epoch();
        self.put(Fact::TargetEpoch(Some(TargetEpoch { number, at: now.calendar })));
        false
    }

    /// Takes a member one step towards its target; what it has then.
    fn reconcile(&mut self, id: &Arc<str>, owned: Option<&Tasks>) -> Current {
        let from = self.current(id);
        let nothing = Tasks::default();
        let step = Step {
            target_epoch: self.target_epoch(),
            target: self.targets.get(id).unwrap_or(&nothing),
            owned,
            is_active_elsewhere: &|task| self.is_active_elsewhere(id, task),
            is_held_beside: &|task| self.is_held_beside(id, task),
        };
        let to = step.take(&from);
        if to != from || !self.currents.contains_key(id) {
            self.put(Fact::Current(Arc::clone(id), Some(to.clone())));
        }
        to
    }

    /// Members report oftener while they wait for something that is on its way.
    fn interval(&self, configured: &Configured) -> Duration {
        let waits_for_user = !configured.is_ready() && configured.missing.is_empty();
        if waits_for_user || (self.is_settled() && configured.is_ready()) {
            self.config.heartbeat_interval
        } else {
            self.config.heartbeat_interval_unsettled
        }
    }

    fn notices(
        &self,
        configured: &Configured,
        stale: Option<Notice>,
        is_delayed: bool,
    ) -> Vec<Notice> {
        let delayed = is_delayed.then(|| Notice {
            status: Status::AssignmentDelayed,
            detail: "Assignment delayed due to the configured initial rebalance delay.".into(),
        });
        let problem = configured.problem.clone();
        let problem = problem.map(|(status, detail)| Notice { status, detail });
        let shutdown = self.shutdown_by.as_ref().map(|it| Notice {
            status: Status::ShutdownApplication,
            detail: format!(
                "Streams group member {it} encountered a fatal error and requested a shutdown for \
                 the entire application."
            ),
        });
        [stale, delayed, problem, shutdown].into_iter().flatten().collect()
    }

    fn has_endpoint(&self, id: &str) -> bool {
        self.members.get(id).is_some_and(|it| it.endpoint.is_some())
    }

    /// Which data every member with an endpoint can be asked for.
    fn endpoints(&self, topics: &dyn Topics) -> Vec<Endpoint> {
        let with_endpoint = self.members.iter().filter_map(|(id, it)| {
            let (host, port) = it.endpoint.clone()?;
            let assigned = self.current(id).assigned;
            Some(Endpoint {
                host,
                port,
                active: self.inputs(by_subtopology(assigned.active.keys()), topics),
                standby: self.inputs(by_subtopology(&assigned.standby), topics),
            })
        });
        with_endpoint.collect()
    }

    /// The partitions that exist of what tasks read.
    fn inputs(&self, tasks: BTreeMap<&Arc<str>, Vec<i32>>, topics: &dyn Topics) -> Inputs {
        let mut inputs = Inputs::new();
        for (id, partitions) in tasks {
            let subtopology = self.topology.as_ref().and_then(|it| it.subtopologies.get(id));
            for name in subtopology.into_iter().flat_map(super::Subtopology::inputs) {
                let count = topics.by_name(name).map_or(0, |it| it.partition_count);
                let exist = partitions.iter().copied().filter(|it| *it < count);
                inputs.entry(Arc::clone(name)).or_default().extend(exist);
            }
        }
        inputs
    }
}

pub(super) fn unknown_member() -> Refused {
    Refused::new(ErrorCode::UnknownMemberId, "The group has no such member.")
}

/// Nobody can have tasks that the topology does not make.
fn check_tasks(configured: &Configured, owned: Option<&Tasks>) -> Result<(), Refused> {
    let Some(owned) = owned.filter(|_| configured.is_ready()) else { return Ok(()) };
    for task in owned.active.iter().chain(&owned.standby) {
        let (id, partition) = (&task.subtopology, task.partition);
        let message = match configured.tasks.get(id) {
            None => format!("Subtopology {id} does not exist in the topology."),
            Some(count) if !(0..*count).contains(&partition) => format!(
                "Task {partition} for subtopology {id} is invalid. Number of tasks for this \
                 subtopology: {count}"
            ),
            Some(_) => continue,
        };
        return Err(Refused::new(ErrorCode::InvalidRequest, message));
    }
    Ok(())
}
