//! Checks of the machine: version, clock, data directory, room, how long a sync takes.
//!
//! Owns: the limits that divide good from odd and bad. Does not own: the log's own checks at start.

use super::Finding;
use std::io;
use std::path::Path;
use std::time::Duration;
use systole_kit::ByteSize;
use systole_world::{Open, World, space};

/// Syncs that are measured.
const SYNCS: usize = 100;
/// One small commit group.
const SYNC_BYTES: usize = 4096;
/// Above this, every acknowledged write is felt. A stated guess: disks in servers take 0.1 to 3 ms.
const SYNC_P99_ODD: Duration = Duration::from_millis(20);
/// Below this, a node stops soon. A stated guess: one minute of a busy node.
const FREE_BAD: ByteSize = ByteSize::mib(256);
const FREE_ODD: ByteSize = ByteSize::gib(2);
/// When this was written; a clock before it is not set.
const CLOCK_MIN_MILLIS: i64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

pub(super) fn version() -> Finding {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    Finding::good("version", format!("systole {} on {os} {arch}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn clock(world: &World) -> Finding {
    let now = world.clock.now();
    let shown = crate::record::time(now);
    if now.as_millis() < CLOCK_MIN_MILLIS {
        let cure = "set the clock; retention and timestamps go by it";
        return Finding::bad("clock", format!("{shown} is in the past"), cure);
    }
    Finding::good("clock", shown)
}

/// Everything about the data directory.
pub(super) fn disk(world: &World, data: &Path) -> Vec<Finding> {
    const CHECK: &str = "data directory";
    let shown = data.display();
    let existed = match world.disk.exists(data) {
        Ok(existed) => existed,
        Err(error) => {
            let cure = "give --data a directory that this user may read";
            return vec![Finding::bad(CHECK, format!("{shown}: {error}"), cure)];
        }
    };
    // A directory that is not there yet is judged by where it would be made.
    let place = if existed { data } else { existing_parent(world, data) };
    let mut findings = Vec::new();
    match latencies(world, place) {
        Ok(times) => {
            let what = if existed { "can be written" } else { "will be made by `serve`" };
            findings.push(Finding::good(CHECK, format!("{shown} {what}")));
            findings.push(syncs(&times));
        }
        Err(error) => {
            let cure = "give this user the right to write there, or another --data";
            findings.push(Finding::bad(CHECK, format!("{shown}: {error}"), cure));
        }
    }
    findings.push(match space::of(place).map(|it| it.usable) {
        Ok(free) if free < FREE_BAD => {
            Finding::bad("free space", free.to_string(), "make room: a full disk stops all writes")
        }
        Ok(free) if free < FREE_ODD => {
            Finding::odd("free space", free.to_string(), "make room, or set retention.bytes")
        }
        Ok(free) => Finding::good("free space", free.to_string()),
        Err(error) => Finding::odd("free space", error.to_string(), "look with `df`"),
    });
    findings
}

fn existing_parent<'a>(world: &World, data: &'a Path) -> &'a Path {
    let exists = |it: &&Path| !it.as_os_str().is_empty() && world.disk.exists(it).unwrap_or(false);
    data.ancestors().skip(1).find(exists).unwrap_or(Path::new("."))
}

/// Sorted times of a write and a sync, in a file that is removed again.
fn latencies(world: &World, dir: &Path) -> io::Result<Vec<Duration>> {
    let path = dir.join(format!("doctor-{}.tmp", world.random.uuid()));
    let file = world.disk.open(&path, Open::CreateNew)?;
    let bytes = [0x5a; SYNC_BYTES];
    let mut one = |at: usize| {
        let start = world.clock.instant();
        file.write_all_at(&bytes, (at * SYNC_BYTES) as u64)?;
        file.sync_data()?;
        Ok(world.clock.instant().since(start))
    };
    let times: io::Result<Vec<_>> = (0..SYNCS).map(&mut one).collect();
    world.disk.remove_file(&path)?;
    let mut times = times?;
    times.sort();
    Ok(times)
}

fn syncs(times: &[Duration]) -> Finding {
    const CHECK: &str = "disk sync";
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    let (p50, p99) = (at(50), at(99));
    let max = times.last().copied().unwrap_or_default();
    let found =
        format!("p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?} ({SYNCS} of {SYNC_BYTES} bytes)");
    if p99 > SYNC_P99_ODD {
        return Finding::odd(CHECK, found, "expect such waits for every write; use a local SSD");
    }
    Finding::good(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    fn states(findings: &[Finding]) -> Vec<(&'static str, State)> {
        findings.iter().map(|it| (it.check, it.state)).collect()
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_judged_by_its_parent_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let findings = disk(&World::os(), &data);
        assert_eq!(findings[0].state, State::Good, "{findings:?}");
        assert!(findings[1].found.starts_with("p50 "), "{findings:?}");
        assert_eq!(World::os().disk.list(dir.path()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_bad() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let findings = disk(&World::os(), file.path());
        assert_eq!(states(&findings)[0], ("data directory", State::Bad), "{findings:?}");
    }

    #[test]
    fn slow_syncs_are_odd() {
        let slow = vec![Duration::from_millis(50); 100];
        assert_eq!(syncs(&slow).state, State::Odd);
        assert_eq!(syncs(&[Duration::from_micros(200); 100]).state, State::Good);
    }
}
