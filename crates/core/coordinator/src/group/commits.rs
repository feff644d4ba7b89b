//! The coordinator's work with offsets: committing, reading, deleting, growing old.
//!
//! Owns: the order of an offset's record and its showing. Does not own: the offsets (`Offsets`),
//! who may commit (`Group`).

use super::coordinator::{Coordinator, encoded};
use super::journal::Durable;
use super::kind::Kind;
use super::slot::{Inner, Slot};
use std::sync::Arc;
use systole_group::classic::Caller;
use systole_group::{Change, Committed, Offsets, Place, Retention, record};
use systole_wire::ErrorCode;

/// An OffsetCommit whose topics exist.
#[derive(Debug)]
pub struct Commit<'a> {
    pub caller: Caller<'a>,
    /// The client can send member epochs (v9+).
    pub knows_epochs: bool,
    pub offsets: Vec<(Place, Committed)>,
}

/// One result for each offset, and when those that are well are durable.
pub type Accepted = (Vec<Result<(), ErrorCode>>, Durable);

impl Coordinator {
    /// OffsetCommit. The records have their place when this returns; they count when the future is
    /// ready. A member of a consumer group may be late with its epoch for some partitions and not
    /// for others.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND` for a member of a group that does not exist, whatever
    /// `Group::may_commit` refuses, `INVALID_COMMIT_OFFSET_SIZE` if there is no room.
    pub fn commit(&self, group_id: &str, commit: Commit<'_>) -> Result<Accepted, ErrorCode> {
        let is_full = self.0.is_full();
        let is_simple = commit.caller.generation < 0;
        let committed = self.enter(group_id, is_simple && !is_full, |slot, inner| {
            let results = self.may_commit(inner, &commit)?;
            let is_new = |it: &Place| inner.offsets.get(&it.topic, it.partition).is_none();
            if is_full && commit.offsets.iter().any(|(place, _)| is_new(place)) {
                return Err(ErrorCode::InvalidCommitOffsetSize);
            }
            let accepted = commit.offsets.into_iter().zip(&results).filter(|(_, may)| may.is_ok());
            let changes = accepted.map(|((place, it), _)| (place, Some(it))).collect();
            let durable = self.append_changes(slot, inner, changes);
            self.0.forget_if_unused(slot, inner);
            Ok((results, durable?))
        });
        committed.unwrap_or(Err(if is_simple {
            ErrorCode::InvalidCommitOffsetSize
        } else {
            ErrorCode::GroupIdNotFound
        }))
    }

    fn may_commit(
        &self,
        inner: &mut Inner,
        commit: &Commit<'_>,
    ) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
        match &mut inner.kind {
            Kind::Classic(group) => {
                group.may_commit(commit.caller, self.0.now())?;
                Ok(vec![Ok(()); commit.offsets.len()])
            }
            Kind::Share(_) => Err(ErrorCode::GroupIdNotFound),
            Kind::Consumer(group) => {
                let right = group.may_commit(commit.caller, commit.knows_epochs)?;
                let member = commit.caller.member_id;
                let one = |(place, it): &(Place, Committed)| {
                    group.may_commit_place(member, right, (it.topic_id, place.partition))
                };
                Ok(commit.offsets.iter().map(one).collect())
            }
            Kind::Streams(group) => {
                let right = group.may_commit(commit.caller, commit.knows_epochs)?;
                let member = commit.caller.member_id;
                let one = |(place, _): &(Place, Committed)| {
                    group.may_commit_place(member, right, (&*place.topic, place.partition))
                };
                Ok(commit.offsets.iter().map(one).collect())
            }
        }
    }

    /// Looks at the durable offsets of a group; `None` if there is no such group.
    pub fn read_offsets<R>(&self, group_id: &str, look: impl FnOnce(&Offsets) -> R) -> Option<R> {
        self.enter(group_id, false, |slot, inner| {
            self.catch_up(slot, inner);
            look(&inner.offsets)
        })
    }

    /// OffsetDelete; one result for each place, an error if a member may still read it.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND`, or `NON_EMPTY_GROUP` if the members are no consumers.
    pub fn delete_offsets(
        &self,
        group_id: &str,
        places: Vec<Place>,
    ) -> Result<(Vec<Result<(), ErrorCode>>, Durable), ErrorCode> {
        let deleted = self.enter(group_id, false, |slot, inner| {
            inner.kind.may_delete_offsets()?;
            self.catch_up(slot, inner);
            let check = |it: &Place| {
                let is_read = inner.kind.is_subscribed(&it.topic);
                if is_read { Err(ErrorCode::GroupSubscribedToTopic) } else { Ok(()) }
            };
            let results: Vec<_> = places.iter().map(check).collect();
            let there = |it: &Place| inner.offsets.get(&it.topic, it.partition).is_some();
            let gone =
                places.into_iter().zip(&results).filter(|(it, may)| may.is_ok() && there(it));
            let changes = gone.map(|(place, _)| (place, None)).collect();
            Ok((results, self.append_changes(slot, inner, changes)?))
        });
        deleted.unwrap_or(Err(ErrorCode::GroupIdNotFound))
    }

    /// DeleteGroups.
    ///
    /// # Errors  `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`.
    pub fn delete(&self, group_id: &str) -> Result<Durable, ErrorCode> {
        let deleted = self.enter(group_id, false, |slot, inner| {
            inner.kind.may_delete()?;
            if let Kind::Share(_) = inner.kind {
                self.0.shares.end(&slot.id, None)?;
            }
            let offsets = inner.offsets.places(None).into_iter().map(|place| (place, None));
            let offsets = offsets.map(|it| encoded(record::of_offset(&slot.id, &it)));
            let mut pairs = offsets.collect::<Result<Vec<_>, _>>()?;
            pairs.extend(inner.kind.tombstones(&slot.id)?);
            let appended = self.0.append(slot.partition, &pairs)?;
            self.0.remove(slot, inner);
            Ok(appended.durable)
        });
        deleted.unwrap_or(Err(ErrorCode::GroupIdNotFound))
    }

    /// Forgets what groups committed for a topic that is gone.
    pub fn forget_topic(&self, topic: &str) {
        for slot in self.0.all() {
            let mut inner = slot.lock();
            self.catch_up(&slot, &mut inner);
            let places = inner.offsets.places(Some(topic)).into_iter().collect();
            self.drop_offsets(&slot, &mut inner, places);
        }
    }

    /// Drops offsets that are too old, and groups that have neither members nor offsets.
    pub(super) fn expire(&self) {
        let (retention, now) = (self.0.config.offsets_retention, self.0.now().calendar);
        for slot in self.0.all() {
            let mut inner = slot.lock();
            self.catch_up(&slot, &mut inner);
            let subscribed = inner.kind.subscribed();
            let places = match inner.kind.retention(&subscribed) {
                Retention::Forever => Vec::new(),
                rule => inner.offsets.expired(&rule, retention, now),
            };
            self.drop_offsets(&slot, &mut inner, places);
            self.bury_if_vacant(&slot, &mut inner);
        }
    }

    /// Tombstones for `places`, which nobody waits for.
    fn drop_offsets(&self, slot: &Slot, inner: &mut Inner, places: Vec<Place>) {
        let changes = places.into_iter().map(|place| (place, None)).collect();
        if let Err(code) = self.append_changes(slot, inner, changes) {
            // The next round finds them again.
            tracing::warn!(code = code.name(), "offsets could not be dropped");
        }
    }

    fn bury_if_vacant(&self, slot: &Arc<Slot>, inner: &mut Inner) {
        let is_kept = !inner.kind.is_vacant() || !inner.kind.grows_old();
        if is_kept || !inner.offsets.is_empty() {
            return;
        }
        let tombstones = inner.kind.tombstones(&slot.id);
        match tombstones.and_then(|it| self.0.append(slot.partition, &it)) {
            Ok(_) => self.0.remove(slot, inner),
            Err(code) => tracing::warn!(code = code.name(), "a group could not be dropped"),
        }
    }

    /// Appends changes of offsets; no change is durable at once.
    fn append_changes(
        &self,
        slot: &Slot,
        inner: &mut Inner,
        changes: Vec<Change>,
    ) -> Result<Durable, ErrorCode> {
        if changes.is_empty() {
            return Ok(Box::pin(async { Ok(()) }));
        }
        let pairs: Result<Vec<_>, _> =
            changes.iter().map(|it| encoded(record::of_offset(&slot.id, it))).collect();
        let appended = self.0.append(slot.partition, &pairs?)?;
        inner.offsets.appended(appended.last_offset, changes);
        // So that a group which only ever commits does not keep all of its history in flight.
        self.catch_up(slot, inner);
        Ok(appended.durable)
    }

    /// Lets everything show that is durable by now.
    fn catch_up(&self, slot: &Slot, inner: &mut Inner) {
        inner.offsets.durable_below(self.0.journal.durable_end(slot.partition));
        self.0.weigh(inner);
    }
}
