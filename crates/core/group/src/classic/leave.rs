//! LeaveGroup: members that go, one by one or removed by an administrator.
//!
//! Owns: who may be removed by what name. Does not own: the rebalance that follows (`state`).

use super::state::State;
use super::{Group, Now};
use systole_wire::ErrorCode;

/// A member to remove: by its id, or (an administrator, KIP-571) by its instance id alone.
#[derive(Debug, Clone, Copy)]
pub struct Leaver<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
}

impl Group {
    /// Removes members; one result for each, in order. One rebalance for all of them.
    pub fn leave(&mut self, leavers: &[Leaver<'_>], now: Now) -> Vec<Result<(), ErrorCode>> {
        let results: Vec<_> = leavers.iter().map(|it| self.remove_leaver(*it)).collect();
        if results.contains(&Ok(())) {
            self.after_removal(now);
        }
        results
    }

    fn remove_leaver(&mut self, leaver: Leaver<'_>) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.pending.remove(leaver.member_id).is_some() {
            return Ok(());
        }
        let id = match leaver.instance_id {
            Some(instance) if leaver.member_id.is_empty() => {
                self.instances.get(instance).cloned().ok_or(ErrorCode::UnknownMemberId)?
            }
            instance => {
                self.check_member(leaver.member_id, instance)?;
                leaver.member_id.into()
            }
        };
        self.remove(&id, ErrorCode::UnknownMemberId);
        Ok(())
    }

    /// The others take over what the removed members read; an empty group has nothing to share.
    pub(super) fn after_removal(&mut self, now: Now) {
        if self.state != State::Empty {
            self.rebalance(now);
        }
    }
}
