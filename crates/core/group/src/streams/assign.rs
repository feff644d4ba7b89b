//! The sticky assignor: who runs which task, who keeps a copy of its state.
//!
//! Owns: the target of every member, as a pure function. Does not own: when it is made
//! (`heartbeat`), how members come to it (`reconcile`).
//!
//! Tasks stay where they are as long as everyone has its even share; then they go where a copy of
//! their state lies; what is left goes to the member with the least to do. Standbys follow by the
//! same rules, never to a process that has the task already. Cost: tasks times members.
//!
//! # Source  Kafka's `StickyTaskAssignor`, which gives what is left to the process with the least
//! to do for its members: one of them may end with two tasks more than another.

use super::{Task, Tasks};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A member that tasks are shared out to.
pub(super) struct Candidate {
    pub(super) id: Arc<str>,
    pub(super) process_id: Arc<str>,
    /// What it was to have until now.
    pub(super) target: Tasks,
}

/// Every task that there is, and which have state.
pub(super) struct Work {
    active: Vec<Task>,
    stateful: Vec<Task>,
}

impl Work {
    /// `tasks`: how many each subtopology has.
    pub(super) fn new(tasks: &BTreeMap<Arc<str>, i32>, is_stateful: &dyn Fn(&str) -> bool) -> Self {
        let all = |(id, count): (&Arc<str>, &i32)| {
            let subtopology = Arc::clone(id);
            (0..*count)
                .map(move |partition| Task { subtopology: Arc::clone(&subtopology), partition })
        };
        let stateful = tasks.iter().filter(|(id, _)| is_stateful(id)).flat_map(all).collect();
        Self { active: tasks.iter().flat_map(all).collect(), stateful }
    }
}

/// The targets of `candidates`, in their order. Same input, same output.
pub(super) fn assign(candidates: &[Candidate], work: &Work, standbys: usize) -> Vec<Tasks> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let mut plan = Plan::new(candidates, work, standbys);
    plan.assign_active(&work.active);
    plan.assign_standbys(&work.stateful, standbys);
    plan.members.into_iter().map(|it| it.tasks).collect()
}

/// Members and processes are named by their places in the lists.
struct Plan {
    members: Vec<Member>,
    processes: Vec<Process>,
    /// Who had a task until now.
    was_active: BTreeMap<Task, usize>,
    was_standby: BTreeMap<Task, Vec<usize>>,
    active_share: Share,
    share: Share,
}

#[derive(Default)]
struct Member {
    process: usize,
    count: usize,
    tasks: Tasks,
}

#[derive(Default)]
struct Process {
    members: usize,
    count: usize,
    tasks: BTreeSet<Task>,
}

/// How many tasks a member gets at most, so that all get the same, give or take one.
struct Share {
    tasks_left: usize,
    members_left: usize,
}

impl Share {
    fn size(&self) -> usize {
        if self.members_left == 0 { 0 } else { self.tasks_left.div_ceil(self.members_left) }
    }
    /// A member has `count` now: one that has its share takes no part any more, and the others
    /// share what is left.
    fn note(&mut self, count: usize) {
        let size = self.size();
        if size > 0 && count == size {
            self.tasks_left -= size;
            self.members_left -= 1;
        }
    }
}

impl Plan {
    fn new(candidates: &[Candidate], work: &Work, standbys: usize) -> Self {
        let mut places: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        let mut processes: Vec<Process> = Vec::new();
        let mut members = Vec::with_capacity(candidates.len());
        let mut was_active = BTreeMap::new();
        let mut was_standby: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (n, it) in candidates.iter().enumerate() {
            let process = *places.entry(&it.process_id).or_insert_with(|| {
                processes.push(Process::default());
                processes.len() - 1
            });
            if let Some(process) = processes.get_mut(process) {
                process.members += 1;
            }
            members.push(Member { process, ..Member::default() });
            was_active.extend(it.target.active.iter().map(|task| (task.clone(), n)));
            for task in &it.target.standby {
                was_standby.entry(task.clone()).or_default().push(n);
            }
        }
        let (active, copies) = (work.active.len(), work.stateful.len() * standbys);
        let members_left = members.len();
        let active_share = Share { tasks_left: active, members_left };
        let share = Share { tasks_left: active + copies, members_left };
        Self { members, processes, was_active, was_standby, active_share, share }
    }

    fn assign_active(&mut self, tasks: &[Task]) {
        let mut tasks: Vec<_> = tasks.iter().collect();
        // Partition by partition, so that those who keep less keep whole partitions.
        tasks.sort_by_key(|it| (it.partition, &it.subtopology));
        tasks.retain(|task| !self.keep_active(task));
        tasks.retain(|task| !self.promote(task));
        tasks.sort();
        for task in tasks {
            let least = self.least_busy(|_| true);
            if let Some(member) = least {
                self.give_active(member, task);
            }
        }
    }

    fn keep_active(&mut self, task: &Task) -> bool {
        let Some(member) = self.was_active.get(task).copied() else { return false };
        self.may_take_active(member) && self.give_active(member, task)
    }

    /// A member that keeps a copy of the state has the least to restore.
    fn promote(&mut self, task: &Task) -> bool {
        let holders = self.was_standby.get(task).map(Vec::as_slice).unwrap_or_default();
        let holders = holders.iter().copied().filter(|it| self.may_take_active(*it));
        let Some(member) = holders.min_by(|a, b| self.compare(*a, *b)) else { return false };
        self.give_active(member, task)
    }

    fn assign_standbys(&mut self, tasks: &[Task], copies: usize) {
        let mut tasks: Vec<_> = tasks.iter().collect();
        tasks.sort_by_key(|it| Reverse((it.partition, &it.subtopology)));
        let mut rest = Vec::new();
        for task in tasks {
            let kept = (0..copies).take_while(|_| self.keep_standby(task)).count();
            rest.extend(std::iter::repeat_n(task, copies - kept));
        }
        rest.sort_by_key(|it| Reverse(*it));
        for task in rest {
            // None: there are fewer processes than copies wanted.
            if let Some(member) = self.least_busy(|it| !it.tasks.contains(task)) {
                self.give_standby(member, task);
            }
        }
    }

    /// Whoever ran the task has its state, and whoever kept a copy.
    fn keep_standby(&mut self, task: &Task) -> bool {
        let was_active = self.was_active.get(task).copied();
        let was_active = was_active.filter(|it| self.may_take_standby(*it, task));
        let was_standby = self.was_standby.get(task).map(Vec::as_slice).unwrap_or_default();
        let was_standby = was_standby.iter().copied();
        let was_standby = was_standby.filter(|it| self.may_take_standby(*it, task));
        let best = was_active.or_else(|| was_standby.min_by(|a, b| self.compare(*a, *b)));
        let Some(member) = best else { return false };
        self.give_standby(member, task)
    }

    fn may_take_active(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|it| it.count < self.active_share.size())
    }

    fn may_take_standby(&self, member: usize, task: &Task) -> bool {
        let Some(member) = self.members.get(member) else { return false };
        let process = self.processes.get(member.process);
        member.count < self.share.size() && process.is_some_and(|it| !it.tasks.contains(task))
    }

    /// The one with less to do first: by member, then by what its process has for each of its own.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let load = |it: usize| {
            let member = self.members.get(it);
            let process = member.and_then(|it| self.processes.get(it.process));
            let (count, size) = process.map_or((0, 1), |it| (it.count, it.members));
            (member.map_or(0, |it| it.count), count, size)
        };
        let (a, b) = (load(a), load(b));
        a.0.cmp(&b.0).then((a.1 * b.2).cmp(&(b.1 * a.2)))
    }

    /// Of the members of processes that `may` have more.
    fn least_busy(&self, may: impl Fn(&Process) -> bool) -> Option<usize> {
        let of = |it: &Member| self.processes.get(it.process).is_some_and(&may);
        let all = self.members.iter().enumerate().filter(|(_, it)| of(it)).map(|(n, _)| n);
        all.min_by(|a, b| self.compare(*a, *b))
    }

    fn give_active(&mut self, member: usize, task: &Task) -> bool {
        let count = self.give(member, task, |it| &mut it.active);
        self.active_share.note(count);
        self.share.note(count);
        true
    }

    fn give_standby(&mut self, member: usize, task: &Task) -> bool {
        let count = self.give(member, task, |it| &mut it.standby);
        self.share.note(count);
        true
    }

    /// How many tasks the member has then.
    fn give(
        &mut self,
        member: usize,
        task: &Task,
        list: fn(&mut Tasks) -> &mut BTreeSet<Task>,
    ) -> usize {
        let Some(member) = self.members.get_mut(member) else { return 0 };
        list(&mut member.tasks).insert(task.clone());
        member.count += 1;
        if let Some(process) = self.processes.get_mut(member.process) {
            process.count += 1;
            process.tasks.insert(task.clone());
        }
        member.count
    }
}
