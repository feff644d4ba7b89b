//! The operating system behind the seams.
//!
//! Owns: [`OsClock`], [`OsRandom`], [`OsDisk`], the limit of open files. Does not own: sockets
//! (`net`).

use crate::clock::{Clock, Instant, Sleep};
use crate::disk::{Disk, File, Open};
use crate::random::Random;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use systole_kit::Timestamp;

#[derive(Debug)]
pub struct OsClock {
    start: std::time::Instant,
}

impl Default for OsClock {
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for OsClock {
    fn now(&self) -> Timestamp {
        let millis = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        Timestamp::from_millis(millis)
    }
    fn instant(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
    fn sleep_until(&self, until: Instant) -> Sleep {
        let until = self.start + until.since_start();
        Box::pin(tokio::time::sleep_until(until.into()))
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::expect_used, reason = "without the OS's randomness nothing can be secret")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// How many files and sockets this process may have open (the soft limit). `None`: any number.
pub fn file_handles_max() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|it| usize::try_from(it).ok())
}

/// Raises the soft limit to the hard one, as far as the system lets us. Shells and systemd keep the
/// soft one low for the sake of programs that use `select`, which we do not.
pub fn raise_file_handles_max() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused: it stays as it was, and whoever asks `file_handles_max` sees that.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(how != Open::Read).create(how == Open::Create);
        options.create_new(matches!(how, Open::CreateNew | Open::CreateNewDirect));
        let file = options.open(path)?;
        if matches!(how, Open::ReadWriteDirect | Open::CreateNewDirect) {
            pass_page_cache(&file);
        }
        Ok(Arc::new(OsFile(file)))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::File::open(dir)?.sync_all()
    }
}

/// Not every file system can; then writes go the common way, which costs time and nothing else.
fn pass_page_cache(file: &std::fs::File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Ok(flags) = rustix::fs::fcntl_getfl(file) {
        let _unable = rustix::fs::fcntl_setfl(file, flags | rustix::fs::OFlags::DIRECT);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = file;
}

#[derive(Debug)]
struct OsFile(std::fs::File);

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buf, at)
    }
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn sync_file_system(&self) -> io::Result<()> {
        // Reports failed writes since Linux 5.8, once per open handle.
        Ok(rustix::fs::syncfs(&self.0)?)
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
