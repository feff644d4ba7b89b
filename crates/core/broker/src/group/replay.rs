//! Groups and offsets from the records that keep them.
//!
//! Owns: what remains after all records of a partition. Does not own: reading the log (`store`),
//! giving the outcome life (`Coordinator::restore`).
//!
//! A record that cannot be read is counted and left out: one damaged offset must not take all
//! groups away.

use super::Coordinator;
use std::collections::HashMap;
use std::sync::Arc;
use systole_group::Offsets;
use systole_group::classic::Snapshot;
use systole_group::record::{self, Entry};
use systole_wire::record::{EndMarker, Outcome, RecordSet, Records};

/// Most bytes that one batch of ours decompresses to; ours are not compressed at all.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Replay {
    groups: HashMap<Arc<str>, (Option<Snapshot>, Offsets)>,
    pub(super) records: u64,
    /// Records that say nothing to us: damaged, or of a later version.
    pub(super) unreadable: u64,
}

impl Replay {
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
        for (_, offsets) in self.groups.values_mut() {
            let committed = marker.outcome == Outcome::Commit;
            let position = records.header().last_offset();
            offsets.end(producer_id, committed.then_some(position));
            offsets.durable_below(i64::MAX);
        }
    }

    fn records(&mut self, records: Records<'_>, producer_id: Option<i64>) {
        for it in records {
            self.records += 1;
            match it.ok().and_then(|it| record::read(it.key, it.value).ok()) {
                Some(Entry::Group { id, snapshot }) => {
                    self.groups.entry(id).or_default().0 = snapshot;
                }
                Some(Entry::Offset { group, change: (place, committed) }) => {
                    let offsets = &mut self.groups.entry(group).or_default().1;
                    match producer_id {
                        Some(id) => offsets.pend(id, vec![(place, committed)]),
                        None => offsets.apply(place, committed),
                    }
                }
                Some(Entry::Other) => {}
                None => self.unreadable += 1,
            }
        }
    }

    /// Hands every group that still says something to `coordinator`; how many there are.
    pub(super) fn finish(self, coordinator: &Coordinator) -> usize {
        let alive = |(_, (snapshot, offsets)): &(_, (Option<Snapshot>, Offsets))| {
            snapshot.is_some() || !offsets.is_empty()
        };
        let mut count = 0;
        for (id, (snapshot, offsets)) in self.groups.into_iter().filter(alive) {
            coordinator.restore(id, snapshot, offsets);
            count += 1;
        }
        count
    }
}
