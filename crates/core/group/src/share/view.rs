//! A share group as others see it: ShareGroupDescribe and ListGroups.

use super::{Group, Subscription};
use crate::consumer::Partitions;
use std::sync::Arc;

#[derive(Debug)]
pub struct Described {
    pub state: &'static str,
    pub epoch: i32,
    pub target_epoch: i32,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug)]
pub struct DescribedMember {
    pub id: Arc<str>,
    pub epoch: i32,
    pub subscription: Subscription,
    pub assigned: Partitions,
}

impl Group {
    /// The state under Kafka's name.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() { "Empty" } else { "Stable" }
    }

    pub fn described(&self) -> Described {
        let members = self.subscriptions.iter().map(|(id, it)| {
            let current = self.current(id);
            DescribedMember {
                id: Arc::clone(id),
                epoch: current.epoch,
                subscription: it.clone(),
                assigned: current.assigned,
            }
        });
        Described {
            state: self.state_name(),
            epoch: self.epoch(),
            target_epoch: self.target_epoch(),
            members: members.collect(),
        }
    }
}
