//! Who may commit and fetch offsets under which epoch.
//!
//! # Source  Kafka's `ConsumerGroup.validateOffsetCommit` and `validateOffsetFetch`; KIP-1251 for
//! commits under an older epoch.

use super::{Group, heartbeat};
use crate::classic::Caller;
use std::cmp::Ordering;
use systole_kit::Uuid;
use systole_wire::ErrorCode;

/// A commit that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// For every partition.
    All,
    /// For partitions that the member has held since this epoch or before.
    HeldSince(i32),
}

impl Group {
    /// May `caller` commit? `knows_epochs`: it speaks OffsetCommit v9 or later.
    ///
    /// Without a member (negative epoch) it may as long as nobody is in the group.
    ///
    /// # Errors  `UNKNOWN_MEMBER_ID`, `STALE_MEMBER_EPOCH` (to a classic member
    /// `ILLEGAL_GENERATION`), `UNSUPPORTED_VERSION`.
    pub fn may_commit(&self, caller: Caller<'_>, knows_epochs: bool) -> Result<Right, ErrorCode> {
        if caller.generation < 0 && self.is_empty() {
            return Ok(Right::All);
        }
        let subscription = self.subscriptions.get(caller.member_id);
        let is_classic = subscription.ok_or(ErrorCode::UnknownMemberId)?.classic.is_some();
        if !is_classic && !knows_epochs {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let epoch = self.current(caller.member_id).epoch;
        match caller.generation.cmp(&epoch) {
            Ordering::Equal => Ok(Right::All),
            Ordering::Greater => Err(self.stale(caller.member_id)),
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
        (topic, partition): (Uuid, i32),
    ) -> Result<(), ErrorCode> {
        let Right::HeldSince(epoch) = right else { return Ok(()) };
        let since = self.currents.get(member_id).and_then(|it| it.since(topic, partition));
        if since.is_some_and(|it| it <= epoch) { Ok(()) } else { Err(self.stale(member_id)) }
    }

    /// May offsets be fetched under this epoch? `member_id`: `None` if the client gives none.
    ///
    /// # Errors  As [`Group::may_commit`].
    pub fn may_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            let is_anyone = epoch < heartbeat::JOINING;
            return if is_anyone { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        if !self.subscriptions.contains_key(member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if self.current(member_id).epoch == epoch { Ok(()) } else { Err(self.stale(member_id)) }
    }

    fn stale(&self, member_id: &str) -> ErrorCode {
        match self.subscriptions.get(member_id).map(|it| it.classic.is_some()) {
            Some(true) => ErrorCode::IllegalGeneration,
            _ => ErrorCode::StaleMemberEpoch,
        }
    }
}
