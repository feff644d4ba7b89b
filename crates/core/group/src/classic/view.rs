//! A group as others see it: DescribeGroups and ListGroups.
//!
//! Owns: what is shown in which state. Does not own: who may look.

use super::Group;
use super::state::State;
use bytes::Bytes;
use std::sync::Arc;

/// What DescribeGroups tells.
#[derive(Debug)]
pub struct Described {
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// Empty unless the group is stable.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedMember>,
}

#[derive(Debug)]
pub struct DescribedMember {
    pub id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Empty unless the group is stable, like the assignment: before, they belong to no generation.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl Group {
    /// The state under Kafka's name.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Empty => "Empty",
            State::PreparingRebalance(_) => "PreparingRebalance",
            State::CompletingRebalance { .. } => "CompletingRebalance",
            State::Stable { .. } => "Stable",
            State::Dead => "Dead",
        }
    }

    /// Empty for a group that nobody ever joined.
    pub fn protocol_type(&self) -> Arc<str> {
        self.protocol_type.clone().unwrap_or_default()
    }

    pub fn described(&self) -> Described {
        let is_stable = matches!(self.state, State::Stable { .. });
        let protocol = if is_stable { self.protocol.clone() } else { None }.unwrap_or_default();
        let member = |it: &super::Member| DescribedMember {
            id: Arc::clone(&it.id),
            instance_id: it.instance_id.clone(),
            client_id: Arc::clone(&it.client_id),
            client_host: Arc::clone(&it.client_host),
            metadata: if is_stable { it.metadata(&protocol) } else { Bytes::new() },
            assignment: if is_stable { it.assignment.clone() } else { Bytes::new() },
        };
        Described {
            state: self.state_name(),
            protocol_type: self.protocol_type(),
            members: self.in_order().into_iter().map(member).collect(),
            protocol,
        }
    }
}
