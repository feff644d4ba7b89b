//! Disks that fail, fill up or change bytes at rest.
//!
//! Owns: what is answered then, and that the rest goes on. Does not own: crashes (`crash`).

use super::{Batch, content, partition, small};
use crate::{
    AppendError, Damage, Isolation, Log, Offset, Options, Origin, Partition, PartitionConfig,
    ReadError, RecoveryReport, Ticket,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_world::sim::{HandClock, SeededRandom, SimDisk};
use systole_world::{Disk as _, Open, Random, World};

fn world(disk: &SimDisk) -> World {
    World {
        clock: Arc::new(HandClock::starting_at(Timestamp::from_millis(1_000_000))),
        random: Arc::new(SeededRandom::new(1)),
        disk: Arc::new(disk.clone()),
    }
}
fn open(disk: &SimDisk) -> (Log, RecoveryReport) {
    Log::open_stepped(&world(disk), Path::new("/data"), small()).expect("always opens")
}
fn create(log: &Log, number: u8) -> Partition {
    let config = PartitionConfig { segment_bytes: 4000, ..PartitionConfig::default() };
    log.create(partition(number), config).unwrap().0
}
/// A batch that says which it is.
fn batch(number: u8) -> Vec<u8> {
    Batch::of(1, &[number; 200]).bytes()
}
fn append(log: &Log, partition: &Partition, number: u8) -> Result<Ticket, AppendError> {
    let ticket = partition.append(&batch(number), Origin::Client)?.ticket;
    log.engine().commit_group();
    log.outcome(ticket).expect("one step decides it")?;
    Ok(ticket)
}
fn append_all(log: &Log, partition: &Partition, numbers: std::ops::Range<u8>) {
    for number in numbers {
        append(log, partition, number).unwrap();
    }
}
/// What each offset gives: the number of its batch, or `None` where it is refused as damaged.
fn contents(partition: &Partition) -> Vec<Option<u8>> {
    let end = partition.bounds().high_watermark.raw();
    let read = |offset| match partition.read(Offset::new(offset), 1, Isolation::Uncommitted) {
        Ok(records) => {
            let bytes = records.into_bytes();
            let header = crate::batch::read_intact(&bytes).expect("intact");
            assert_eq!(header.base.raw(), offset);
            let number = bytes[bytes.len() - 1];
            assert_eq!(content(&bytes), content(&batch(number)));
            Some(number)
        }
        Err(ReadError::Damaged { first, last, .. }) => {
            assert!(first.raw() <= offset && offset <= last.raw());
            None
        }
        Err(error) => panic!("{error}"),
    };
    (0..end).map(read).collect()
}
fn all(numbers: std::ops::Range<u8>) -> Vec<Option<u8>> {
    numbers.map(Some).collect()
}

#[test]
fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_space() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let it = create(&log, 0);
    let mut appended = 0;
    disk.set_capacity(Some(disk.used() + 40_000));
    let refused = loop {
        match append(&log, &it, appended) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        log.engine().keep();
        assert!(appended < 250, "the disk never fills");
    };
    assert_eq!(refused, AppendError::DiskFull);
    assert_eq!(contents(&it), all(0..appended));
    // Several queued at once are all refused, and none leaves a trace.
    let queued = [1, 2, 3].map(|it2| it.append(&batch(it2), Origin::Client).unwrap().ticket);
    log.engine().commit_group();
    assert!(queued.iter().all(|it| log.outcome(*it) == Some(Err(AppendError::DiskFull))));
    assert_eq!(it.bounds().high_watermark, Offset::new(i64::from(appended)));

    disk.set_capacity(None);
    append(&log, &it, appended).unwrap();
    log.engine().keep();
    assert_eq!(contents(&it), all(0..appended + 1));
    drop((log, it));
    disk.crash(3);
    let (log, report) = open(&disk);
    assert_eq!(report.damage, []);
    assert_eq!(contents(&log.partitions()[0]), all(0..appended + 1));
}

#[test]
fn a_full_disk_at_the_start_leaves_everything_readable() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let it = create(&log, 0);
    append_all(&log, &it, 0..30);
    drop((log, it));
    disk.crash(1);
    disk.set_capacity(Some(0));
    let (log, report) = open(&disk);
    assert!(log.status().disk_full && report.batches_replayed == 30);
    let it = log.partitions()[0].clone();
    assert_eq!(contents(&it), all(0..30));
    assert_eq!(append(&log, &it, 30), Err(AppendError::DiskFull));
    disk.set_capacity(None);
    append(&log, &it, 30).unwrap();
    log.engine().checkpoint_now();
    drop((log, it));
    disk.crash(2);
    assert_eq!(contents(&open(&disk).0.partitions()[0]), all(0..31));
}

#[test]
fn a_full_disk_is_told_until_there_is_space_though_nobody_appends() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let it = create(&log, 0);
    disk.set_capacity(Some(disk.used()));
    while append(&log, &it, 0).is_ok() {}
    assert!(log.status().disk_full);
    log.engine().keep();
    assert!(log.status().disk_full);
    disk.set_capacity(None);
    log.engine().keep();
    assert!(!log.status().disk_full);
}

#[test]
fn a_thread_that_panics_leaves_nobody_waiting() {
    let (log, _) = open(&SimDisk::default());
    let it = create(&log, 0);
    append_all(&log, &it, 0..3);
    let in_hand = it.append(&batch(3), Origin::Client).unwrap().ticket;
    let doomed = log.spawn("doomed", |engine| {
        assert!(engine.take_group().is_empty(), "on purpose");
    });
    assert!(doomed.unwrap().join().is_err());
    assert_eq!(log.outcome(in_hand), Some(Err(AppendError::DiskFailed)));
    assert!(it.append(&batch(4), Origin::Client).is_err());
    assert_eq!(contents(&it), all(0..3));
}

#[test]
fn a_failed_sync_is_final_and_reads_go_on() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let it = create(&log, 0);
    append_all(&log, &it, 0..5);
    let behind = it.append(&batch(5), Origin::Client).unwrap().ticket;
    disk.fail_sync(1);
    log.engine().commit_group();
    assert_eq!(log.outcome(behind), Some(Err(AppendError::DiskFailed)));
    let later = it.append(&batch(6), Origin::Client);
    assert_eq!(later, Err(AppendError::DiskFailed));
    assert_eq!(contents(&it), all(0..5));
    assert_eq!(log.status().refusing, Some(AppendError::DiskFailed));
    log.close();
    drop((log, it));
    disk.crash(9);
    let (log, report) = open(&disk);
    assert_eq!(report.damage, []);
    let left = contents(&log.partitions()[0]);
    assert!(left == all(0..5) || left == all(0..6), "{left:?}");
}

/// The kernel drops what it could not write, and goes on showing it to whoever reads.
#[test]
fn what_a_start_shows_after_a_failed_sync_survives_the_next_loss_of_power() {
    for seed in 0..40 {
        let disk = SimDisk::default();
        let (log, _) = open(&disk);
        let it = create(&log, 0);
        append_all(&log, &it, 0..3);
        it.append(&batch(3), Origin::Client).unwrap();
        disk.fail_sync(1);
        log.engine().commit_group();
        drop((log, it));
        disk.kill();
        let (log, _) = open(&disk);
        let it = log.partitions()[0].clone();
        assert_eq!(contents(&it), all(0..4));
        append(&log, &it, 4).unwrap();
        drop((log, it));
        disk.crash(seed);
        let (log, report) = open(&disk);
        let there = contents(&log.partitions()[0]);
        assert_eq!((report.damage, there), (vec![], all(0..5)), "seed {seed}");
    }
}

#[test]
fn a_start_writes_to_no_segment_that_was_not_written_to_before() {
    let disk = SimDisk::default();
    let options = Options { fill_total_bytes: 1 << 20, ..small() };
    let open =
        || Log::open_stepped(&world(&disk), Path::new("/data"), options.clone()).expect("opens");
    let (log, _) = open();
    let partitions: Vec<_> = (0..50).map(|number| create(&log, number)).collect();
    while log.engine().commit_group() {}
    append_all(&log, &partitions[0], 0..20);
    log.engine().checkpoint_now();
    append_all(&log, &partitions[0], 20..30);
    let first = &partitions[0].shared;
    log.engine().fill(first, first.high_watermark()).unwrap();
    partitions.iter().skip(1).for_each(|it| append_all(&log, it, 0..1));
    drop((log, partitions));
    for life in 1..4 {
        disk.kill();
        let before = files_of(&disk, "/segments/");
        assert!(before.len() < 10, "of one partition: {before:?}");
        let changes = disk.changes();
        let (log, report) = open();
        assert_eq!((report.batches_replayed, report.damage.len()), (59, 0));
        assert!(disk.changes() - changes < 40, "{} changes", disk.changes() - changes);
        assert_eq!(files_of(&disk, "/segments/"), before, "life {life}");
        for it in log.partitions() {
            let count = if it.id() == partition(0) { 30 } else { 1 };
            assert_eq!(contents(&it), all(0..count));
        }
    }
}

/// A batch whose header tells nothing any more is the only one that is lost, index or not.
#[test]
fn behind_a_header_that_is_gone_the_next_batch_is_found() {
    for index_from_bytes in [1000, u64::MAX] {
        let disk = SimDisk::default();
        let options = Options { index_from_bytes, ..small() };
        let open = || {
            let log = Log::open_stepped(&world(&disk), Path::new("/data"), options.clone());
            log.expect("opens").0
        };
        let mut log = open();
        append_all(&log, &create(&log, 0), 0..14);
        log.close();
        let [segment, ..] = &*files_of(&disk, ".log") else { panic!("{:?}", disk.files()) };
        let segment = disk.open(segment, Open::ReadWrite).unwrap();
        segment.write_all_at(&[0xa5; 61], 3 * 261).unwrap();
        let mut expected = all(0..14);
        expected[3] = None;
        for _ in 0..2 {
            drop(log);
            disk.kill();
            log = open();
            assert_eq!(contents(&log.partitions()[0]), expected);
            for index in files_of(&disk, ".index") {
                disk.remove_file(&index).unwrap();
            }
        }
    }
}

#[test]
fn a_read_error_of_the_disk_is_answered_and_passes() {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let it = create(&log, 0);
    append_all(&log, &it, 0..30);
    log.engine().checkpoint_now();
    disk.fail_reads_of(Some(".log"));
    let error = it.read(Offset::ZERO, 1, Isolation::Uncommitted).unwrap_err();
    assert_eq!((error.code().to_string(), log.status().damage), ("SYS-3022".into(), vec![]));
    append(&log, &it, 30).unwrap();
    disk.fail_reads_of(None);
    assert_eq!(contents(&it), all(0..31));
}

/// Two partitions: the first all in segments, the second partly in the write-ahead log only.
fn lived_in() -> SimDisk {
    let disk = SimDisk::default();
    let (log, _) = open(&disk);
    let [one, two] = [create(&log, 0), create(&log, 1)];
    for number in 0..40 {
        append(&log, &one, number).unwrap();
        append(&log, &two, number).unwrap();
    }
    log.engine().checkpoint_now();
    for number in 40..60 {
        append(&log, &two, number).unwrap();
        log.engine().keep();
    }
    drop((log, one, two));
    disk.kill();
    disk
}

#[test]
fn one_flipped_bit_anywhere_never_keeps_the_log_from_starting_and_is_never_served() {
    let dice = SeededRandom::new(77);
    let below = |count: u64| dice.next_u64() % count.max(1);
    let mut lost = 0;
    for round in 0..1500 {
        let disk = lived_in();
        let files: Vec<_> = disk.files().into_iter().filter(|it| it.1 > 0).collect();
        let count = u64::try_from(files.len()).unwrap();
        let (path, length) = &files[usize::try_from(below(count)).unwrap()];
        // The beginnings hold what matters; of long files also the rest.
        let bit = if below(2) == 0 { below((length * 8).min(8 * 700)) } else { below(length * 8) };
        disk.flip(path, bit);
        let at = format!("round {round}: bit {bit} of {}", path.display());
        let (log, report) = open(&disk);
        let partitions = log.partitions();
        assert_eq!(partitions.len(), 2, "{at}");
        for (partition, end) in partitions.iter().zip([40, 60_usize]) {
            let read = contents(partition);
            // The last group of the write-ahead log cannot be told from a torn one.
            assert!(
                read.len() == end || (read.len() + 1 == end && end == 60),
                "{at}: {}",
                read.len()
            );
            for (offset, number) in read.iter().enumerate() {
                let expected = u8::try_from(offset).unwrap();
                assert!(number.is_none_or(|it| it == expected), "{at}");
            }
            let missing = read.iter().filter(|it| it.is_none()).count();
            assert!(missing <= 3, "{at}: {missing} records lost to one bit");
            lost += missing;
            if missing > 0 {
                let known = log.status().damage;
                let told = known.iter().any(|it| matches!(it, Damage::Records { .. }));
                assert!(told, "{at}: {report:?}");
            }
        }
        append(&log, &partitions[0], 99).unwrap();
        assert_eq!(contents(&partitions[0]).last(), Some(&Some(99)), "{at}");
    }
    assert!(lost > 100, "the flips hit records: {lost}");
}

fn files_of(disk: &SimDisk, word: &str) -> Vec<PathBuf> {
    let files = disk.files().into_iter().map(|it| it.0);
    files.filter(|it| it.to_string_lossy().contains(word)).collect()
}
fn cut(disk: &SimDisk, path: &Path, length: u64) {
    let file = disk.open(path, Open::ReadWrite).unwrap();
    file.set_len(length).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn the_write_ahead_log_alone_says_whose_it_is() {
    let disk = lived_in();
    for path in [files_of(&disk, "checkpoint"), files_of(&disk, "format")].concat() {
        cut(&disk, &path, 5);
    }
    let (log, report) = open(&disk);
    assert!(report.groups_replayed > 0, "{report:?}");
    assert_eq!(contents(&log.partitions()[0]), all(0..40));
    assert_eq!(contents(&log.partitions()[1]), all(0..60));
    // Besides, the oldest group names one before it, of which only a checkpoint knew the place.
    assert!(report.damage.contains(&Damage::File { path: "/data/format".into() }), "{report:?}");
    assert!(!report.damage.iter().any(|it| matches!(it, Damage::Records { .. })), "{report:?}");
    append(&log, &log.partitions()[1], 60).unwrap();
    drop(log);
    disk.kill();
    let (log, report) = open(&disk);
    assert_eq!((report.damage, contents(&log.partitions()[1])), (vec![], all(0..61)));
}

#[test]
fn a_write_ahead_log_that_lost_its_end_is_reported_once() {
    for length in [0, 4096] {
        let disk = SimDisk::default();
        let (log, _) = open(&disk);
        let it = create(&log, 0);
        append_all(&log, &it, 0..2);
        drop((log, it));
        disk.kill();
        let [path] = &*files_of(&disk, ".wal") else { panic!("one file: {:?}", disk.files()) };
        cut(&disk, path, length);
        let (log, report) = open(&disk);
        assert_eq!(report.damage, [Damage::File { path: path.clone() }]);
        let it = log.create(partition(0), PartitionConfig::default()).unwrap().0;
        let left = contents(&it);
        assert!(all(0..2).starts_with(&left), "{left:?}");
        append(&log, &it, 99).unwrap();
        log.close();
        drop((log, it));
        let (log, report) = open(&disk);
        assert_eq!((report.damage, contents(&log.partitions()[0]).len()), (vec![], left.len() + 1));
    }
}

#[test]
fn a_file_that_was_being_made_when_the_process_ended_is_removed_and_no_damage() {
    let disk = lived_in();
    let unfinished = Path::new("/data/wal/00000099-4096.new");
    disk.open(unfinished, Open::CreateNew).unwrap();
    let (_log, report) = open(&disk);
    assert_eq!((report.damage, disk.exists(unfinished).unwrap()), (vec![], false));
}

#[test]
fn few_files_are_open_with_many_partitions() {
    let disk = SimDisk::default();
    let options = Options { open_files_max: 16, ..small() };
    let (log, _) = Log::open_stepped(&world(&disk), Path::new("/data"), options).unwrap();
    let partitions: Vec<_> = (0..200).map(|number| create(&log, number)).collect();
    while log.engine().commit_group() {}
    for number in 0..3 {
        for it in &partitions {
            it.append(&batch(number), Origin::Client).unwrap();
        }
        while log.engine().commit_group() {}
        log.engine().keep();
    }
    log.engine().checkpoint_now();
    assert!(disk.open_handles() <= 16 + 5, "{} handles", disk.open_handles());
    for it in &partitions {
        assert_eq!(contents(it), all(0..3));
    }
}
