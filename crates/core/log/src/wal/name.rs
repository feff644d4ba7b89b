//! Names of the files of the write-ahead log: `NNNNNNNN-BYTES.wal`, or `.new` until it is complete.
//!
//! Owns: making and reading them. Does not own: the files.
//!
//! A file bears its length, because what a file loses at its end cannot be missed otherwise: the
//! last groups are named by no other.

use std::path::{Path, PathBuf};

pub(crate) fn of(dir: &Path, number: u64, bytes: u64) -> PathBuf {
    dir.join(format!("{number:08}-{bytes}.wal"))
}

/// What the file is called while it is being made.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

pub(crate) fn is_unfinished(path: &Path) -> bool {
    path.extension() == Some("new".as_ref())
}

pub(crate) fn is_ours(path: &Path) -> bool {
    is_unfinished(path) || path.extension() == Some("wal".as_ref())
}

/// The place in the order in which files were made; 0 in a name that is not ours.
pub(crate) fn number(path: &Path) -> u64 {
    parts(path).map_or(0, |it| it.0)
}

/// The least length of the file; 0 in a name that is not ours.
pub(crate) fn bytes(path: &Path) -> u64 {
    parts(path).map_or(0, |it| it.1)
}

fn parts(path: &Path) -> Option<(u64, u64)> {
    let (number, bytes) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((number.parse().ok()?, bytes.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_was_made_of_and_a_strange_one_says_nothing() {
        let path = of(Path::new("wal"), 7, 4096);
        assert_eq!(path, Path::new("wal/00000007-4096.wal"));
        assert_eq!((number(&path), bytes(&unfinished(&path))), (7, 4096));
        assert_eq!((number(Path::new("x.wal")), bytes(Path::new("1-x.wal"))), (0, 0));
    }
}
