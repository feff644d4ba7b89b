//! A classic group that becomes a consumer group, and the way back.
//!
//! Owns: what is handed over. Does not own: what the other side makes of it (`consumer`).

use super::state::{Group, Limits, State};
use super::{Member, Protocol, SavedMember, Snapshot, subscription};
use crate::Now;
use std::collections::HashMap;
use std::sync::Arc;
use systole_wire::ErrorCode;

/// A member on its way from one protocol to the other.
#[derive(Debug)]
pub struct Migrant {
    pub member: SavedMember,
    /// All that it speaks, in the order of its preference.
    pub protocols: Vec<Protocol>,
}

impl Group {
    /// Are the members consumers, whose subscriptions the coordinator can read?
    pub fn may_hand_over(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::CONSUMER)
    }

    /// The generation and its members. Whoever waits is told to join again.
    pub fn hand_over(&mut self) -> (i32, Vec<Migrant>) {
        let ids: Vec<_> = self.in_order().into_iter().map(|it| Arc::clone(&it.id)).collect();
        for id in ids {
            if let Some(mut member) = self.members.remove(&id) {
                self.answer_error(&mut member, ErrorCode::RebalanceInProgress);
                self.members.insert(id, member);
            }
        }
        let saved = self.snapshot(&HashMap::new()).members;
        let protocols = |id: &str| self.members.get(id).map(|it| it.protocols.clone());
        let migrant = |member: SavedMember| Migrant {
            protocols: protocols(&member.id).unwrap_or_default(),
            member,
        };
        (self.generation, saved.into_iter().map(migrant).collect())
    }

    /// The group of these members, who are asked to join again.
    pub fn taken_over(
        limits: Limits,
        (generation, migrants): (i32, Vec<Migrant>),
        now: Now,
    ) -> Self {
        let mut it = Self::new(limits);
        it.generation = generation;
        it.protocol_type = Some(subscription::CONSUMER.into());
        for migrant in migrants {
            let number = it.next_number();
            let protocol = Arc::default();
            let mut member = Member::restored(migrant.member, &protocol, number, now.instant);
            member.protocols = migrant.protocols;
            it.insert(member);
        }
        it.protocol = it.vote();
        it.subscribed = it.union_of_subscriptions();
        it.enter(State::Stable { sync_until: None }, now);
        it.rebalance(now);
        it
    }

    /// The group as its record is to keep it now.
    pub fn saved_now(&self) -> Snapshot {
        self.snapshot(&HashMap::new())
    }
}
