//! Transactions where the disk is full or damaged; crashes are in `crash`.

use super::{Batch, partition, small};
use crate::{AppendError, Isolation, Log, Marker, Offset, Origin, Partition, PartitionConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::record::Outcome;
use systole_world::World;
use systole_world::sim::{HandClock, SeededRandom, SimDisk};

fn open(disk: &SimDisk) -> Log {
    let world = World {
        clock: Arc::new(HandClock::starting_at(Timestamp::from_millis(1_000_000))),
        random: Arc::new(SeededRandom::new(1)),
        disk: Arc::new(disk.clone()),
    };
    Log::open_stepped(&world, Path::new("/data"), small()).unwrap().0
}
fn create(log: &Log) -> Partition {
    let config = PartitionConfig { segment_bytes: 2000, ..PartitionConfig::default() };
    log.create(partition(0), config).unwrap().0
}
fn produce(log: &Log, it: &Partition, (id, epoch, sequence): (i64, i16, i32)) {
    let batch = Batch::of(1, &[7; 200]).by(id, epoch, sequence).in_transaction().bytes();
    it.append(&batch, Origin::Client).unwrap();
    log.engine().commit_group();
}
fn end(it: &Partition, producer_id: i64, producer_epoch: i16, outcome: Outcome) -> crate::Ticket {
    let marker = Marker {
        producer_id,
        producer_epoch,
        outcome,
        coordinator_epoch: 0,
        transaction_version: 2,
    };
    it.append_marker(marker).unwrap().ticket
}

#[test]
fn a_marker_that_finds_no_space_leaves_its_transaction_open() {
    let disk = SimDisk::default();
    let log = open(&disk);
    let it = create(&log);
    produce(&log, &it, (1, 0, 0));
    produce(&log, &it, (2, 0, 0));
    end(&it, 1, 1, Outcome::Abort);
    log.engine().commit_group();
    let decided = it.bounds();
    disk.set_capacity(Some(disk.used()));
    let fill = || {
        let ticket = it.append(&Batch::of(1, &[7; 900]).bytes(), Origin::Client).unwrap().ticket;
        log.engine().commit_group();
        log.outcome(ticket)
    };
    while fill() == Some(Ok(())) {}
    let refused = end(&it, 2, 1, Outcome::Abort);
    assert_eq!((it.open_transactions(), it.bounds().last_stable), (vec![], decided.last_stable));
    log.engine().commit_group();
    assert_eq!(log.outcome(refused), Some(Err(AppendError::DiskFull)));
    let open = it.open_transactions();
    assert_eq!((open.len(), open[0].producer_id), (1, 2));
    assert_eq!((it.bounds().last_stable, open[0].first), (Offset::new(1), Offset::new(1)));
    disk.set_capacity(None);
    end(&it, 2, 1, Outcome::Commit);
    log.engine().commit_group();
    assert_eq!(it.bounds().last_stable, it.bounds().high_watermark);
}

#[test]
fn without_any_checkpoint_transactions_are_known_from_the_records() {
    let disk = SimDisk::default();
    let log = open(&disk);
    let it = create(&log);
    for round in 0..30_i16 {
        produce(&log, &it, (1, round, 0));
        end(&it, 1, round + 1, if round % 2 == 0 { Outcome::Abort } else { Outcome::Commit });
        log.engine().commit_group();
        log.engine().keep();
    }
    produce(&log, &it, (2, 0, 0));
    log.engine().checkpoint_now();
    let read = |it: &Partition| {
        let (mut from, mut aborted) = (Offset::ZERO, Vec::new());
        while from < it.bounds().last_stable {
            let records = it.read(from, 500, Isolation::Committed).unwrap();
            from = records.end;
            aborted.extend(records.aborted);
        }
        (it.bounds(), it.open_transactions(), it.producers(), aborted)
    };
    let before = read(&it);
    assert_eq!((before.0.last_stable, before.3.len()), (Offset::new(60), 16), "one in two pieces");
    drop((log, it));
    disk.kill();
    for name in ["checkpoint-0", "checkpoint-1"] {
        let path = PathBuf::from("/data").join(name);
        if disk.files().iter().any(|it| it.0 == path && it.1 > 0) {
            disk.flip(&path, 99);
        }
    }
    let log = open(&disk);
    assert_eq!(read(&log.partitions()[0]), before);
}
