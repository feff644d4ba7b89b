//! Groups and offsets from the records that keep them.
//!
//! Owns: what remains after all records of a partition. Does not own: reading the log (`store`),
//! giving the outcome life (`Coordinator::restore`).
//!
//! A record that cannot be read is counted and left out: one damaged offset must not take all
//! groups away.

use super::{Coordinator, GroupConfig};
use std::collections::HashMap;
use std::sync::Arc;
use systole_catalogue::internal::BATCH_BYTES_MAX;
use systole_group::classic::Snapshot;
use systole_group::record::{self, Entry};
use systole_group::{Offsets, consumer, share, streams};
use systole_wire::record::{EndMarker, Outcome, RecordSet, Records};

#[derive(Debug)]
pub(super) struct Replay {
    config: consumer::Config,
    share_config: share::Config,
    streams_config: streams::Config,
    groups: HashMap<Arc<str>, Saved>,
    pub(super) records: u64,
    /// Records that say nothing to us: damaged, or of a later version.
    pub(super) unreadable: u64,
}

/// What records say of one group.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) classic: Option<Snapshot>,
    pub(super) consumer: Option<Box<consumer::Group>>,
    pub(super) share: Option<Box<share::Group>>,
    pub(super) streams: Option<Box<streams::Group>>,
    pub(super) offsets: Offsets,
}

impl Saved {
    fn is_alive(&self) -> bool {
        let is_consumer = self.consumer.as_ref().is_some_and(|it| it.exists());
        let is_share = self.share.as_ref().is_some_and(|it| it.exists());
        let is_streams = self.streams.as_ref().is_some_and(|it| it.exists());
        let has_group = is_consumer || is_share || is_streams || self.classic.is_some();
        has_group || !self.offsets.is_empty()
    }
}

impl Replay {
    pub(super) fn new(config: &GroupConfig) -> Self {
        Self {
            config: config.consumer(),
            share_config: config.share(),
            streams_config: config.streams(),
            groups: HashMap::new(),
            records: 0,
            unreadable: 0,
        }
    }

    /// Takes in one batch. Batches come in the order of their offsets, partition by partition.
    pub(super) fn batch(&mut self, batch: &[u8]) {
        match RecordSet::open(batch, BATCH_BYTES_MAX) {
            Ok(records) if records.header().attributes.is_control() => self.marker(batch, &records),
            Ok(records) if records.header().attributes.is_transactional() => {
                self.records(records.iter(), Some(records.header().producer_id));
            }
            Ok(records) => self.records(records.iter(), None),
            Err(_) => self.unreadable += 1,
        }
    }

    /// A transaction ended: what it committed counts from here on, or not at all.
    fn marker(&mut self, batch: &[u8], records: &RecordSet<'_>) {
        let Ok(marker) = EndMarker::read(batch) else {
            self.unreadable += 1;
            return;
        };
        let producer_id = records.header().producer_id;
        for saved in self.groups.values_mut() {
            let committed = marker.outcome == Outcome::Commit;
            let position = records.header().last_offset();
            saved.offsets.end(producer_id, committed.then_some(position));
            saved.offsets.durable_below(i64::MAX);
        }
    }

    fn records(&mut self, records: Records<'_>, producer_id: Option<i64>) {
        for it in records {
            self.records += 1;
            match it.ok().and_then(|it| record::read(it.key, it.value).ok()) {
                Some(Entry::Group { id, snapshot }) => {
                    self.groups.entry(id).or_default().classic = snapshot;
                }
                Some(Entry::Offset { group, change: (place, committed) }) => {
                    let offsets = &mut self.groups.entry(group).or_default().offsets;
                    match producer_id {
                        Some(id) => offsets.pend(id, vec![(place, committed)]),
                        None => offsets.apply(place, committed),
                    }
                }
                Some(Entry::Fact { group, fact }) => {
                    let fresh = || Box::new(consumer::Group::new(self.config.clone()));
                    let saved = self.groups.entry(group).or_default();
                    saved.consumer.get_or_insert_with(fresh).replay(fact);
                }
                Some(Entry::ShareFact { group, fact }) => {
                    let fresh = || Box::new(share::Group::new(self.share_config));
                    let saved = self.groups.entry(group).or_default();
                    saved.share.get_or_insert_with(fresh).replay(fact);
                }
                Some(Entry::StreamsFact { group, fact }) => {
                    let fresh = || Box::new(streams::Group::new(self.streams_config.clone()));
                    let saved = self.groups.entry(group).or_default();
                    saved.streams.get_or_insert_with(fresh).replay(fact);
                }
                Some(Entry::Other) => {}
                None => self.unreadable += 1,
            }
        }
    }

    /// Hands every group that still says something to `coordinator`; how many there are.
    pub(super) fn finish(self, coordinator: &Coordinator) -> usize {
        let mut count = 0;
        for (id, saved) in self.groups.into_iter().filter(|(_, it)| it.is_alive()) {
            coordinator.restore(id, saved);
            count += 1;
        }
        count
    }
}
