//! Secrets by reference: `file:PATH` or `env:NAME`. The secret itself never stands in a
//! configuration.
//!
//! Owns: the reference and reading what it names. Does not own: what the secret is for.

use crate::{Disk, Open};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Largest secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Where a secret lies: `file:PATH` (its first line) or `env:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    File(PathBuf),
    Env(String),
    /// Made by this process for itself; no configuration can say it.
    Given(Given),
}

/// A secret that is at hand and is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Given(pub Arc<str>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// The text is not a reference. It is not repeated here: it may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is given by reference, `file:PATH` or `env:NAME`")]
pub struct BadSecretRef;

/// The reference is good and the secret is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Unreadable {
    /// The reference, which is no secret.
    pub place: String,
    pub why: String,
}

impl TryFrom<String> for SecretRef {
    type Error = BadSecretRef;

    fn try_from(text: String) -> Result<Self, BadSecretRef> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            _ => Err(BadSecretRef),
        }
    }
}

impl From<SecretRef> for String {
    fn from(it: SecretRef) -> Self {
        it.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Given(_) => f.write_str("given"),
        }
    }
}

impl SecretRef {
    /// The secret, without the line's end. Blocks on file IO.
    pub fn read(&self, disk: &dyn Disk) -> Result<String, Unreadable> {
        let text = match self {
            Self::Given(secret) => Ok(secret.0.to_string()),
            Self::Env(name) => std::env::var(name).map_err(|it| self.failed(it)),
            Self::File(path) => {
                let file = disk.open(path, Open::Read).map_err(|it| self.failed(it))?;
                let mut bytes = vec![0; SECRET_BYTES_MAX + 1];
                let mut len = 0;
                while let Some(rest) = bytes.get_mut(len..).filter(|it| !it.is_empty()) {
                    match file.read_at(rest, len as u64).map_err(|it| self.failed(it))? {
                        0 => break,
                        n => len += n,
                    }
                }
                if len > SECRET_BYTES_MAX {
                    return Err(self.failed(format!("larger than {SECRET_BYTES_MAX} bytes")));
                }
                bytes.truncate(len);
                String::from_utf8(bytes).map_err(|_| self.failed("not UTF-8"))
            }
        };
        let text = text?;
        match text.lines().next() {
            Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
            _ => Err(self.failed("empty")),
        }
    }

    fn failed(&self, why: impl fmt::Display) -> Unreadable {
        Unreadable { place: self.to_string(), why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;

    #[test]
    fn the_first_line_of_a_file_is_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            SecretRef::File(path.clone()).read(&*World::os().disk)
        };
        assert_eq!(read("open sesame\nnot this\n").unwrap(), "open sesame");
        assert!(read("").unwrap_err().why.contains("empty"));
        assert!(read(&"x".repeat(SECRET_BYTES_MAX + 1)).unwrap_err().why.contains("larger"));
    }

    #[test]
    fn a_text_that_is_no_reference_is_refused_and_not_repeated() {
        let error = SecretRef::try_from("hunter2".to_owned()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(SecretRef::try_from("env:X".to_owned()), Ok(SecretRef::Env("X".to_owned())));
    }
}
