//! A full and a failing disk, as clients see it: writing stops with the right code, reading goes
//! on.

use crate::harness::Harness;
use crate::records::{batch, fetch, put, values};
use crate::topics::{create, topic};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use systole_world::os::OsDisk;
use systole_world::{Disk, File, Open, World};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const KAFKA_STORAGE_ERROR: i16 = 56;

/// The operating system's disk, until told to fail.
#[derive(Debug, Clone, Default)]
struct Faults {
    /// Error number of every write and of making files longer; 0: none.
    write: Arc<AtomicI32>,
    /// Error number of every sync; 0: none.
    sync: Arc<AtomicI32>,
}

fn fail(switch: &AtomicI32) -> io::Result<()> {
    match switch.load(Ordering::SeqCst) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

#[derive(Debug)]
struct FaultyDisk(Faults);

#[derive(Debug)]
struct FaultyFile(Arc<dyn File>, Faults);

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let file = OsDisk.open(path, how)?;
        Ok(Arc::new(FaultyFile(file, self.0.clone())))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        OsDisk.exists(path)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fail(&self.0.write)?;
        OsDisk.create_dir_all(dir)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fail(&self.0.sync)?;
        OsDisk.sync_dir(dir)
    }
}

impl File for FaultyFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buf, at)
    }
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        fail(&self.1.write)?;
        self.0.write_all_at(bytes, at)
    }
    fn sync_data(&self) -> io::Result<()> {
        fail(&self.1.sync)?;
        self.0.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        fail(&self.1.write)?;
        self.0.set_len(len)
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
}

async fn node_on(faults: &Faults) -> Harness {
    let world = World { disk: Arc::new(FaultyDisk(faults.clone())), ..World::os() };
    let harness = Harness::start_in(world, |_| {}).await;
    create(&mut harness.client().await, vec![topic("t", 1)]).await;
    harness
}

#[tokio::test]
async fn a_full_disk_refuses_records_until_there_is_space_and_reading_goes_on() {
    let faults = Faults::default();
    let harness = node_on(&faults).await;
    let mut client = harness.client().await;
    assert_eq!(put(&mut client, batch(&["before"])).await, (0, 0));
    faults.write.store(ENOSPC, Ordering::SeqCst);
    assert_eq!(put(&mut client, batch(&["refused"])).await, (KAFKA_STORAGE_ERROR, -1));
    assert_eq!(values(&fetch(&mut client, 0).await), ["before"]);
    faults.write.store(0, Ordering::SeqCst);
    assert_eq!(put(&mut client, batch(&["after"])).await, (0, 1));
    assert_eq!(values(&fetch(&mut client, 0).await), ["before", "after"]);
}

#[tokio::test]
async fn a_failed_sync_is_final_and_reading_goes_on() {
    let faults = Faults::default();
    let mut harness = node_on(&faults).await;
    let mut client = harness.client().await;
    assert_eq!(put(&mut client, batch(&["before"])).await, (0, 0));
    faults.sync.store(EIO, Ordering::SeqCst);
    assert_eq!(put(&mut client, batch(&["unsure"])).await, (KAFKA_STORAGE_ERROR, -1));
    faults.sync.store(0, Ordering::SeqCst);
    let again = put(&mut client, batch(&["refused"])).await;
    assert_eq!(again, (KAFKA_STORAGE_ERROR, -1), "a sync that failed proves nothing later");
    assert_eq!(values(&fetch(&mut client, 0).await), ["before"]);
    harness.restart().await;
    let mut client = harness.client().await;
    let (code, _) = put(&mut client, batch(&["after"])).await;
    assert_eq!(code, 0);
    let read = values(&fetch(&mut client, 0).await);
    let ends = (read.first().unwrap().as_str(), read.last().unwrap().as_str());
    assert_eq!(ends, ("before", "after"), "what was unsure may be between, in a segment or memory");
}
