//! Answers on their way out.
//!
//! Owns: what is written but not yet taken by the socket. Does not own: order (the connection
//! queues answers in request order).

use super::stream::Stream;
use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// While this much waits for a slow reader, no further answers are made for it.
const FULL_BYTES: usize = 1024 * 1024;
/// Answers that leave in one system call.
const SLICES_MAX: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    parts: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        self.parts.push_back(part);
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    /// Hands the socket what it takes now; the number of bytes that it took.
    pub(crate) fn write_to(&mut self, stream: &mut Stream) -> io::Result<usize> {
        let mut written = 0;
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut filled = 0;
            for (slot, part) in slices.iter_mut().zip(&self.parts) {
                *slot = IoSlice::new(part);
                filled += 1;
            }
            match stream.try_write_vectored(slices.get(..filled).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.drop_front(n);
                    written += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn drop_front(&mut self, mut n: usize) {
        self.bytes -= n;
        while let Some(front) = self.parts.front_mut() {
            if front.len() > n {
                front.advance(n);
                return;
            }
            n -= front.len();
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_write_leaves_the_rest_in_order() {
        let mut outbox = Outbox::default();
        for part in ["abc", "", "def"] {
            outbox.push(Bytes::from(part));
        }
        outbox.drop_front(4);
        assert_eq!(outbox.parts.iter().flatten().copied().collect::<Vec<_>>(), b"ef");
        outbox.drop_front(2);
        assert!(outbox.is_empty() && outbox.bytes == 0);
    }
}
