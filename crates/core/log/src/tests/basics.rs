//! Appending, reading and reopening on the operating system's disk, with the real threads.

use super::{Batch, content, partition, small};
use crate::{
    AppendError, Isolation, Log, Offset, OpenError, Options, Origin, Partition, PartitionConfig,
    ReadError, Ticket,
};
use std::path::Path;
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::record::{BatchHeader, TimestampType};
use systole_world::{Open, World};
use tokio::sync::Notify;

fn open(dir: &Path, options: Options) -> Log {
    Log::open(&World::os(), dir, options).unwrap().0
}
async fn create(log: &Log, number: u8) -> Partition {
    let (partition, ticket) = log.create(partition(number), PartitionConfig::default()).unwrap();
    log.done(ticket).await.unwrap();
    partition
}
fn read_all(partition: &Partition) -> Vec<Vec<u8>> {
    let mut from = partition.bounds().log_start;
    let mut batches = Vec::new();
    while from < partition.bounds().high_watermark {
        let bytes = partition.read(from, 700, Isolation::Uncommitted).unwrap().into_bytes();
        let mut rest = bytes.as_ref();
        while let Some(header) = crate::batch::read_intact(rest) {
            assert_eq!(header.base, from);
            from = header.last().next();
            let (batch, behind) = rest.split_at(header.bytes);
            batches.push(content(batch).to_vec());
            rest = behind;
        }
    }
    batches
}

#[tokio::test]
async fn what_was_appended_is_read_back_before_and_after_a_restart() {
    for close in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), small());
        let mut expected = Vec::new();
        let partitions = [create(&log, 0).await, create(&log, 1).await];
        let mut ticket = Ticket::NONE;
        for number in 0..200_u8 {
            let batch = Batch::of(1 + i32::from(number % 3), &vec![number; usize::from(number)]);
            let bytes = batch.bytes();
            for partition in &partitions {
                log.room().await;
                ticket = ticket.and(partition.append(&bytes, Origin::Client).unwrap().ticket);
            }
            expected.push(content(&bytes).to_vec());
        }
        log.done(ticket).await.unwrap();
        for it in &partitions {
            assert_eq!(read_all(it), expected);
        }
        if close {
            log.close();
        }
        drop((log, partitions));
        let (log, report) = Log::open(&World::os(), dir.path(), small()).unwrap();
        assert_eq!((report.partitions, report.damage.len()), (2, 0));
        assert!(!close || report.batches_replayed == 0, "{report:?}");
        for it in log.partitions() {
            assert_eq!(read_all(&it), expected);
        }
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path(), small());
    let error = Log::open(&World::os(), dir.path(), small()).unwrap_err();
    let OpenError::Locked { holder, .. } = error else { panic!("{error}") };
    assert_eq!(holder, Some(std::process::id()));
}

#[tokio::test]
async fn reading_past_the_end_or_before_the_start_says_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let partition = create(&log, 0).await;
    for _ in 0..3 {
        let appended = partition.append(&Batch::of(2, b"x").bytes(), Origin::Client).unwrap();
        log.done(appended.ticket).await.unwrap();
    }
    log.done(partition.delete_before(Offset::new(3)).unwrap()).await.unwrap();
    assert!(partition.read(Offset::new(6), 100, Isolation::Uncommitted).unwrap().chunks.is_empty());
    for asked in [2, 7] {
        let error = partition.read(Offset::new(asked), 100, Isolation::Uncommitted).unwrap_err();
        let ReadError::OutOfRange { start, end, .. } = error else { panic!("{error}") };
        assert_eq!((start, end), (Offset::new(3), Offset::new(6)));
    }
    // Offset 3 is in the middle of a batch, which is served whole.
    assert_eq!(partition.read(Offset::new(3), 1, Isolation::Uncommitted).unwrap().chunks.len(), 1);
}

#[tokio::test]
async fn a_watcher_wakes_when_the_high_watermark_moves() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let partition = create(&log, 0).await;
    let wake = Arc::new(Notify::new());
    let _watch = partition.watch(&wake);
    partition.append(&Batch::of(1, b"x").bytes(), Origin::Client).unwrap();
    wake.notified().await;
    assert_eq!(partition.bounds().high_watermark, Offset::new(1));
}

#[tokio::test]
async fn a_deleted_partition_is_gone_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let it = create(&log, 0).await;
    it.append(&Batch::of(1, &[7; 5000]).bytes(), Origin::Client).unwrap();
    let ticket = log.delete(it.id()).unwrap();
    let refused = it.append(&Batch::of(1, b"x").bytes(), Origin::Client);
    assert_eq!(refused, Err(AppendError::Deleted));
    assert!(matches!(it.read(Offset::ZERO, 1, Isolation::Uncommitted), Err(ReadError::Deleted)));
    log.done(ticket).await.unwrap();
    assert!(log.partition(it.id()).is_none());
    drop((log, it));
    assert!(open(dir.path(), small()).partitions().is_empty());
}

#[tokio::test]
async fn offsets_are_found_by_record_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let it = create(&log, 0).await;
    let mut ticket = Ticket::NONE;
    for number in 0..300_i64 {
        let time = if number == 150 { 9_000 } else { number * 10 };
        let batch = Batch::of(1, &[1; 100]).at(time).bytes();
        ticket = ticket.and(it.append(&batch, Origin::Client).unwrap().ticket);
    }
    log.done(ticket).await.unwrap();
    let seek = |at| {
        let found = it.seek_time(Timestamp::from_millis(at)).unwrap();
        found.map(|it| crate::batch::read_intact(&it).unwrap().base.raw())
    };
    assert_eq!((seek(-5), seek(11), seek(1490)), (Some(0), Some(2), Some(149)));
    assert_eq!((seek(1495), seek(2990), seek(9_001)), (Some(150), Some(150), None));
    let newest = crate::batch::read_intact(&it.seek_max_time().unwrap().unwrap()).unwrap();
    assert_eq!(newest.base, Offset::new(150));
}

#[tokio::test]
async fn retention_removes_whole_segments_by_age_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Options { fill_partition_bytes: 1, ..small() });
    let it = create(&log, 0).await;
    let config = PartitionConfig {
        segment_bytes: 1000,
        retention_age: Some(std::time::Duration::from_millis(50)),
        ..PartitionConfig::default()
    };
    it.configure(config);
    for number in 0..20_i64 {
        let batch = Batch::of(1, &[1; 300]).at(1_000_000 + number * 10).bytes();
        log.done(it.append(&batch, Origin::Client).unwrap().ticket).await.unwrap();
    }
    log.engine().keep();
    let start = async |config, now| {
        it.configure(config);
        let wake = Arc::new(Notify::new());
        let _watch = it.watch(&wake);
        log.maintain(Timestamp::from_millis(now));
        wake.notified().await;
        it.bounds().log_start.raw()
    };
    // Two batches of 361 bytes to a segment; those that end before 1_000_100 - 50 ms.
    assert_eq!(start(config, 1_000_100).await, 4);
    let by_size = PartitionConfig { retention_bytes: Some(2_000), ..config };
    assert_eq!(start(by_size, 1_000_100).await, 14);
    assert_eq!(start(config, 2_000_000).await, 20);
    assert!(it.read(Offset::new(20), 1, Isolation::Uncommitted).unwrap().chunks.is_empty());
    log.close();
    drop((log, it));
    let log = open(dir.path(), small());
    let bounds = log.partitions()[0].bounds();
    assert_eq!((bounds.log_start.raw(), bounds.high_watermark.raw()), (20, 20));
}

#[tokio::test]
async fn the_time_of_the_append_replaces_the_records_time_where_configured() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let it = create(&log, 0).await;
    it.configure(PartitionConfig { log_append_time: true, ..PartitionConfig::default() });
    let appended = it.append(&Batch::of(1, b"x").at(5).bytes(), Origin::Client).unwrap();
    log.done(appended.ticket).await.unwrap();
    let stored = it.read(Offset::ZERO, 1, Isolation::Uncommitted).unwrap().into_bytes();
    let header = crate::batch::read_intact(&stored).expect("checksum fits the new time");
    assert_eq!(header.max_timestamp, appended.append_time.unwrap().as_millis());
    let attributes = BatchHeader::read(&stored).unwrap().attributes;
    assert_eq!(attributes.timestamp_type(), TimestampType::LogAppend);
}

#[tokio::test]
async fn a_repeated_batch_is_answered_with_its_first_offsets_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let batch = Batch::of(3, b"x").by(42, 0, 0).bytes();
    for restart in [false, true] {
        let log = open(dir.path(), small());
        let it = if restart { log.partitions()[0].clone() } else { create(&log, 0).await };
        let appended = it.append(&batch, Origin::Client).unwrap();
        log.done(appended.ticket).await.unwrap();
        assert_eq!((appended.base_offset.raw(), appended.duplicate), (0, restart));
        let gap = it.append(&Batch::of(1, b"y").by(42, 0, 9).bytes(), Origin::Client);
        assert_eq!(gap, Err(AppendError::OutOfOrder { expected: 3, got: 9 }));
    }
}

#[tokio::test]
async fn a_producer_older_than_the_partition_is_told_to_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    for restart in [false, true] {
        let log = open(dir.path(), small());
        let old = if restart { log.partitions()[0].clone() } else { create(&log, 0).await };
        let ticket = old.append(&Batch::of(1, b"x").by(7, 0, 0).bytes(), Origin::Client).unwrap();
        log.done(ticket.ticket).await.unwrap();
        let new = create(&log, if restart { 2 } else { 1 }).await;
        let first = |id, sequence| {
            new.append(&Batch::of(1, b"x").by(id, 0, sequence).bytes(), Origin::Client)
        };
        assert_eq!(first(7, 1), Err(AppendError::UnknownProducer { got: 1 }));
        assert_eq!(first(8, 1), Err(AppendError::OutOfOrder { expected: 0, got: 1 }));
        assert!(first(6, 0).is_ok());
    }
}

#[tokio::test]
async fn a_relaxed_partition_answers_before_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    let it = create(&log, 0).await;
    it.configure(PartitionConfig { flush_messages: u64::MAX, ..PartitionConfig::default() });
    let appended = it.append(&Batch::of(1, b"x").bytes(), Origin::Client).unwrap();
    log.done(appended.ticket).await.unwrap();
    assert_eq!(it.bounds().high_watermark, Offset::new(1));
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Options { batch_bytes_max: 500, ..small() });
    let it = create(&log, 0).await;
    let good = Batch::of(1, b"x").bytes();
    for bad in [&good[..20], &good[..good.len() - 1], &[], &[&good[..], &good[..]].concat()] {
        let refused = it.append(bad, Origin::Client);
        assert_eq!(refused, Err(AppendError::Malformed { bytes: bad.len() }));
    }
    let large = it.append(&Batch::of(1, &[0; 500]).bytes(), Origin::Client);
    assert_eq!(large, Err(AppendError::TooLarge { bytes: 561, limit: 500 }));
}

#[test]
fn another_format_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let body = "systole-log 4 00000000000000aa";
    let line = format!("{body} {:08x}\n", crc32c::crc32c(body.as_bytes()));
    let file = World::os().disk.open(&dir.path().join("format"), Open::Create).unwrap();
    file.write_all_at(line.as_bytes(), 0).unwrap();
    let error = Log::open(&World::os(), dir.path(), small()).unwrap_err();
    assert_eq!(error.code().to_string(), "SYS-3002");
}
