//! A run of batches, as a Produce request or a log segment holds it.
//!
//! Owns: finding where each batch ends. Does not own: what is inside.

use super::{BatchHeader, Error};
use bytes::Bytes;
use std::fmt;

/// One whole batch and its header. Cheap to clone: the bytes are shared.
#[derive(Clone)]
pub struct Batch {
    pub header: BatchHeader,
    pub bytes: Bytes,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size_bytes = self.bytes.len();
        f.debug_struct("Batch")
            .field("header", &self.header)
            .field("size_bytes", &size_bytes)
            .finish()
    }
}

/// Splits bytes into batches without copying. Ends after the first error; a fetch answer may end
/// with a part of a batch, which shows as [`Error::Truncated`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    pub const fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    fn split_first(&mut self) -> Result<Batch, Error> {
        let header = BatchHeader::read(&self.rest)?;
        let (need_bytes, have_bytes) = (header.size_bytes(), self.rest.len());
        if need_bytes > have_bytes {
            return Err(Error::Truncated { need_bytes, have_bytes });
        }
        Ok(Batch { header, bytes: self.rest.split_to(need_bytes) })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = self.split_first();
        if batch.is_err() {
            self.rest = Bytes::new();
        }
        Some(batch)
    }
}
