//! Who may commit and fetch offsets under which epoch.
//!
//! # Source  Kafka's `StreamsGroup.validateOffsetCommit` and `validateOffsetFetch`

use super::{Group, Task};
use crate::classic::Caller;
use std::cmp::Ordering;
use std::sync::Arc;
use systole_wire::ErrorCode;

/// A commit that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// For every partition.
    All,
    /// For inputs of active tasks that the member has held since this epoch or before.
    HeldSince(i32),
}

impl Group {
    /// May `caller` commit? `knows_epochs`: it speaks OffsetCommit v9 or later.
    ///
    /// Without a member (negative epoch) it may as long as nobody is in the group.
    ///
    /// # Errors  `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH`, `UNSUPPORTED_VERSION`.
    pub fn may_commit(&self, caller: Caller<'_>, knows_epochs: bool) -> Result<Right, ErrorCode> {
        if caller.generation < 0 && self.is_empty() {
            return Ok(Right::All);
        }
        if !self.members.contains_key(caller.member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if !knows_epochs {
            return Err(ErrorCode::UnsupportedVersion);
        }
        match caller.generation.cmp(&self.current(caller.member_id).epoch) {
            Ordering::Equal => Ok(Right::All),
            Ordering::Greater => Err(ErrorCode::StaleMemberEpoch),
            Ordering::Less => Ok(Right::HeldSince(caller.generation)),
        }
    }

    /// May `caller` commit as part of a transaction? Whoever names no member may always: the
    /// transaction fences it.
    ///
    /// # Errors  As [`Group::may_commit`].
    pub fn may_commit_in_transaction(&self, caller: Caller<'_>) -> Result<Right, ErrorCode> {
        let names_nobody = caller.member_id.is_empty() && caller.instance_id.is_none();
        if caller.generation < 0 && names_nobody {
            return Ok(Right::All);
        }
        self.may_commit(caller, true)
    }

    /// The same for one partition.
    pub fn may_commit_place(
        &self,
        member_id: &str,
        right: Right,
        (topic, partition): (&str, i32),
    ) -> Result<(), ErrorCode> {
        let Right::HeldSince(epoch) = right else { return Ok(()) };
        let reader = self.topology.as_ref().and_then(|it| it.reader(topic));
        let task = reader.map(|id| Task { subtopology: Arc::clone(id), partition });
        let since = task.and_then(|it| self.currents.get(member_id)?.since(&it));
        if since.is_some_and(|it| it <= epoch) { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    /// May offsets be fetched under this epoch? `member_id`: `None` if the client gives none.
    ///
    /// # Errors  As [`Group::may_commit`].
    pub fn may_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        if !self.members.contains_key(member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        let is_right = self.current(member_id).epoch == epoch;
        if is_right { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }
}
