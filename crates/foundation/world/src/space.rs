//! How large a file system is, and how much room is left on it.
//!
//! Owns: asking the operating system. Does not own: how much is enough.

use std::io;
use std::path::Path;
use systole_kit::ByteSize;

/// The file system under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: ByteSize,
    /// What this process may still write, which may be less than what is free for the superuser.
    pub usable: ByteSize,
}

/// The space on the file system of `path`, which must exist.
pub fn of(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| ByteSize::new(blocks.saturating_mul(stat.f_frsize));
    Ok(Space { total: bytes(stat.f_blocks), usable: bytes(stat.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_a_missing_one_has_none_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        let space = of(dir.path()).unwrap();
        assert!(ByteSize::kib(1) < space.usable && space.usable <= space.total, "{space:?}");
        assert!(of(&dir.path().join("missing")).is_err());
    }
}
