//! Bytes on their way to the write-ahead log, at a page border in memory.
//!
//! Owns: where the first byte lies, as files that pass by the page cache want it. Does not own:
//! what the bytes mean (`frame`).

use crate::wal::frame::PAGE;

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// The first page border in the allocation.
    start: usize,
}

impl Buffer {
    /// Empties the buffer and makes room for `length` bytes; beyond them it may move, and then
    /// lies at a border no more.
    pub(crate) fn restart(&mut self, length: usize) {
        self.bytes.clear();
        self.bytes.reserve(length + PAGE);
        self.start = self.bytes.as_ptr().align_offset(PAGE);
        self.bytes.resize(self.start, 0);
    }
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    /// Appends zeroes, or cuts off, until there are `length` bytes.
    pub(crate) fn resize(&mut self, length: usize) {
        self.bytes.resize(self.start + length, 0);
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_begin_at_a_page_border_however_often_it_grows() {
        let mut buffer = Buffer::default();
        for length in [1, PAGE, 3 * PAGE + 1, 7] {
            buffer.restart(length);
            buffer.extend(&vec![1; length]);
            assert_eq!(buffer.bytes().as_ptr().align_offset(PAGE), 0, "{length}");
            assert_eq!(buffer.bytes().len(), length);
        }
    }
}
