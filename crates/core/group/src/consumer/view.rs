//! A group as others see it: ConsumerGroupDescribe and ListGroups.

use super::{Group, Partitions, Subscription, fact};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub struct Described {
    pub state: &'static str,
    pub epoch: i32,
    pub target_epoch: i32,
    pub assignor: Arc<str>,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug)]
pub struct DescribedMember {
    pub id: Arc<str>,
    pub epoch: i32,
    pub subscription: Subscription,
    /// What it reads, with what it is still to give up.
    pub assigned: Partitions,
    pub target: Partitions,
}

impl Group {
    /// The state under Kafka's name.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.epoch() > self.target_epoch() {
            "Assigning"
        } else if self.is_settled() {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    pub fn described(&self) -> Described {
        let members = self.subscriptions.iter().map(|(id, it)| {
            let current = self.current(id);
            let mut assigned = fact::partitions(&current.assigned);
            for (topic, those) in &current.revoking {
                assigned.entry(*topic).or_default().extend(those.keys());
            }
            DescribedMember {
                id: Arc::clone(id),
                epoch: current.epoch,
                subscription: it.clone(),
                assigned,
                target: self.targets.get(id).cloned().unwrap_or_default(),
            }
        });
        Described {
            state: self.state_name(),
            epoch: self.epoch(),
            target_epoch: self.target_epoch(),
            assignor: self.assignor(),
            members: members.collect(),
        }
    }

    /// Does a member read `topic`?
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed_names().iter().any(|it| ***it == *topic)
    }

    /// The names that members subscribe to, themselves or by pattern.
    pub fn topics(&self) -> BTreeSet<Arc<str>> {
        self.subscribed_names().into_iter().cloned().collect()
    }
}
