//! Directories as earlier versions of this program left them.
//!
//! Owns: their bytes, one directory per format, and that each is read and becomes the present one.

use super::{Batch, small};
use crate::{AppendError, Isolation, Log, Offset, Origin, PartitionId};
use std::path::Path;
use systole_kit::Uuid;
use systole_world::{Open, World};

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
    assert_eq!(&line, b"systole-log 2");
}
