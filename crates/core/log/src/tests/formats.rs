//! Directories as earlier versions of this program left them.
//!
//! Owns: their bytes, one directory per format (of 2 in `golden/`), and that each is read and
//! becomes the present one, whatever happens on the way.

use super::{Batch, small};
use crate::{AppendError, Isolation, Log, Offset, Options, Origin, PartitionId, ProducerState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use systole_kit::{Timestamp, Uuid};
use systole_world::sim::{HandClock, SeededRandom, SimDisk};
use systole_world::{Disk, Open, World};

const FORMAT_1: &str = "systole-log 1 7040f03cbf695245 c9f7aeac\n";
/// Producer 41 wrote two batches, 42 one in each of two epochs.
const CHECKPOINT_1: &str = "\
    535953434b500001455269bf3cf040700200000000000000010000000100000001000000000000000707070707070707\
    070707070707070703000000000000000000000005000000000000000100000000000000000000000500000000000000\
    1c01000000000000e803000000000000e803000000000000000000000000000002000000290000000000000071897610\
    a20100000200000000000000000000000100000000000000000000000100000000000000000000000200000002000000\
    040000000000000004000000000000002a0000000000000071897610a201000002000000000000000000000000000000\
    02000000000000000200000000000000010000000000000000000000030000000000000003000000000000009455f6b3";
const SEGMENT_1: &str = "\
    0000000000000000000000410000000002d4504f9d00000000000100000000000003e800000000000003e80000000000\
    000029000000000000000000020e000000010261000e0000020102620000000000000000020000003900000000\
    02f793330a00000000000000000000000003e800000000000003e8000000000000002a000000000000000000010e0000\
    00010263000000000000000003000000390000000002d21a261000000000000000000000000003e800000000000003e8\
    000000000000002a000100000000000000010e0000000102640000000000000000040000003900000000023159b12a00\
    000000000000000000000003e800000000000003e80000000000000029000000000002000000010e0000000102650\
    0";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|it| it.to_digit(16)).collect();
    digits.chunks(2).map(|it| u8::try_from(it[0] * 16 + it[1]).unwrap()).collect()
}
fn put(path: &Path, bytes: &[u8]) {
    let disk = World::os().disk;
    disk.create_dir_all(path.parent().unwrap()).unwrap();
    disk.open(path, Open::CreateNew).unwrap().write_all_at(bytes, 0).unwrap();
}

#[test]
fn a_directory_of_format_1_is_read_and_becomes_one_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let id = PartitionId { topic: Uuid::from_bytes([7; 16]), index: 3 };
    put(&dir.path().join("format"), FORMAT_1.as_bytes());
    put(&dir.path().join("checkpoint-0"), &unhex(CHECKPOINT_1));
    let segment = format!("partitions/{id}/00000000000000000000.log");
    put(&dir.path().join(segment), &unhex(SEGMENT_1));
    for _ in 0..2 {
        let (log, report) = Log::open(&World::os(), dir.path(), small()).unwrap();
        assert_eq!((report.partitions, report.damage.as_slice()), (1, &[][..]));
        let it = log.partition(id).unwrap();
        let read = it.read(Offset::ZERO, 4096, Isolation::Committed).unwrap().into_bytes();
        assert_eq!(read, unhex(SEGMENT_1));
        let append = |producer, epoch, sequence| {
            let batch = Batch::of(1, b"x").by(producer, epoch, sequence).bytes();
            it.append(&batch, Origin::Client).map(|it| (it.duplicate, it.base_offset.raw()))
        };
        assert_eq!(append(41, 0, 2), Ok((true, 4)));
        assert_eq!(append(42, 1, 0), Ok((true, 3)));
        assert_eq!(append(42, 0, 1), Err(AppendError::Fenced { current: 1, got: 0 }));
        log.close();
    }
    let format = World::os().disk.open(&dir.path().join("format"), Open::Read).unwrap();
    let mut line = [0; 13];
    format.read_exact_at(&mut line, 0).unwrap();
    assert_eq!(&line, b"systole-log 3");
}

/// As a killed process left it: a compacted partition with the segments that it replaced, one with
/// an index and a segment that the checkpoint does not know, one that is in the write-ahead log
/// alone, and the file of one that was deleted. Beside it, what could be read of each.
fn golden_2() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden/format-2")
}
/// Log start and end.
const BOUNDS_2: [(&str, i64, i64); 4] = [
    ("AQEBAQEBAQEBAQEBAQEBAQ-0", 3, 21),
    ("AgICAgICAgICAgICAgICAg-1", 0, 15),
    ("AwMDAwMDAwMDAwMDAwMDAw-2", 0, 24),
    ("BQUFBQUFBQUFBQUFBQUFBQ-4", 0, 3),
];

fn read(path: &Path) -> Vec<u8> {
    let file = World::os().disk.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
/// Copies a directory of the operating system's disk.
fn copy(from: &Path, to: (&dyn Disk, &Path)) {
    let (disk, dir) = to;
    disk.create_dir_all(dir).unwrap();
    for name in World::os().disk.list(from).unwrap() {
        let (from, to) = (from.join(&name), dir.join(&name));
        if World::os().disk.list(&from).is_ok() {
            copy(&from, (disk, &to));
        } else {
            let file = disk.open(&to, Open::CreateNew).unwrap();
            file.write_all_at(&read(&from), 0).unwrap();
        }
    }
}
fn world(disk: &SimDisk) -> World {
    World {
        clock: Arc::new(HandClock::starting_at(Timestamp::from_millis(1_800_000_000_000))),
        random: Arc::new(SeededRandom::new(1)),
        disk: Arc::new(disk.clone()),
    }
}
fn old_disk() -> SimDisk {
    let disk = SimDisk::default();
    copy(&golden_2().join("data"), (&disk, Path::new("/data")));
    let anchor = disk.open(Path::new("/data/format"), Open::ReadWrite).unwrap();
    anchor.sync_file_system().unwrap();
    disk
}
fn check_2(log: &Log, at: &str) {
    let mut found = Vec::new();
    for it in log.partitions() {
        let (bounds, mut bytes) = (it.bounds(), Vec::new());
        let mut from = bounds.log_start;
        while from < bounds.high_watermark {
            let records = it.read(from, 1000, Isolation::Committed).unwrap();
            from = records.end;
            bytes.extend_from_slice(&records.into_bytes());
        }
        let id = it.id().to_string();
        assert_eq!(bytes, read(&golden_2().join(format!("{id}.records"))), "{at}: {id}");
        assert_eq!(bounds.last_stable, bounds.high_watermark);
        found.push((id, bounds.log_start.raw(), bounds.high_watermark.raw()));
    }
    let found: Vec<_> = found.iter().map(|it| (it.0.as_str(), it.1, it.2)).collect();
    assert_eq!(found, BOUNDS_2, "{at}");
    let producers = log.partitions()[0].producers();
    let known = |it: &ProducerState| (it.id, it.epoch, it.last_sequence, it.coordinator_epoch);
    let known: Vec<_> = producers.iter().map(known).collect();
    assert_eq!(known, [(7, 0, Some(15), None), (9, 0, Some(0), Some(1))], "{at}");
}
/// Nothing is left in the old places, nothing is lost on the way to the new ones.
fn check_places(disk: &SimDisk) {
    let files: Vec<_> = disk.files().into_iter().map(|it| it.0).collect();
    let named = |word: &str| files.iter().filter(|it| it.to_str().unwrap().contains(word)).count();
    assert!(!disk.exists(Path::new("/data/partitions")).unwrap());
    // The orphan went, and what was trimmed; what compaction replaced stays while named by a
    // checkpoint.
    assert_eq!((named(".log"), named(".index"), named("/BAQEBA")), (11, 2, 0), "{files:?}");
}

#[test]
fn a_directory_of_format_2_is_read_and_becomes_one_of_today() {
    let disk = old_disk();
    for round in 0..2 {
        let (log, report) =
            Log::open_stepped(&world(&disk), Path::new("/data"), Options::default()).unwrap();
        assert_eq!((report.damage.as_slice(), report.clean), (&[][..], false), "{report:?}");
        check_2(&log, &format!("start {round}"));
        check_places(&disk);
        drop(log);
        disk.crash(round);
    }
    let (log, _) =
        Log::open_stepped(&world(&disk), Path::new("/data"), Options::default()).unwrap();
    for it in log.partitions() {
        it.append(&Batch::of(1, b"x").bytes(), Origin::Client).unwrap();
    }
    log.close();
    let (log, report) =
        Log::open_stepped(&world(&disk), Path::new("/data"), Options::default()).unwrap();
    assert!(report.clean && report.damage.is_empty(), "{report:?}");
    let ends =
        log.partitions().iter().map(|it| it.bounds().high_watermark.raw()).collect::<Vec<_>>();
    assert_eq!(ends, BOUNDS_2.map(|it| it.2 + 1));
}

#[test]
fn a_crash_at_any_step_of_an_upgrade_is_made_good_by_the_next_start() {
    for changes in 0.. {
        for seed in 0..4 {
            let disk = old_disk();
            disk.power_off_after(changes);
            let opened = Log::open_stepped(&world(&disk), Path::new("/data"), Options::default());
            if opened.is_ok() && !disk.is_off() {
                assert!(changes > 30, "{changes} steps");
                return;
            }
            drop(opened);
            if seed == 0 {
                disk.kill();
            } else {
                disk.crash(seed);
            }
            let at = format!("{changes} changes, seed {seed}");
            let moved = disk.list(Path::new("/data/segments")).is_ok_and(|it| !it.is_empty());
            assert!(!moved || says_format_3(&disk), "{at}: the program of format 2 would come by");
            let (log, report) =
                Log::open_stepped(&world(&disk), Path::new("/data"), Options::default())
                    .expect(&at);
            assert_eq!(report.damage, [], "{at}");
            check_2(&log, &at);
            check_places(&disk);
        }
    }
}

fn says_format_3(disk: &SimDisk) -> bool {
    let file = disk.open(Path::new("/data/format"), Open::Read).unwrap();
    let mut line = [0; 13];
    file.read_exact_at(&mut line, 0).is_ok() && &line == b"systole-log 3"
}
