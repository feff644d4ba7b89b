//! How much room is left.
//!
//! Owns: asking the operating system. Does not own: how much is enough.

use std::io;
use std::path::Path;
use systole_kit::ByteSize;

/// Bytes that this process may still write on the file system of `path`, which must exist.
pub fn free(path: &Path) -> io::Result<ByteSize> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(ByteSize::new(stat.f_bavail.saturating_mul(stat.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_a_missing_one_has_none_to_tell() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free(dir.path()).unwrap() > ByteSize::kib(1));
        assert!(free(&dir.path().join("missing")).is_err());
    }
}
