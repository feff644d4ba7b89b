//! A byte stream as a sequence of whole JSON values, each bounded in size.
//!
//! Owns: the buffer, where the input stands (byte and line), and the end of a value. Does not own:
//! whether the value is good JSON ([`crate::json`]); here only strings and brackets are followed.
//!
//! Invariants
//! - The buffer never holds more than the limit that was asked for plus one read.
//! - A value that is too large is passed over, not stored: the reader stays in step behind it.

use crate::problem::Reason;
use memchr::{memchr_iter, memchr2};
use std::io::Read;
use systole_kit::ByteSize;

/// How much is asked of the source at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

pub(crate) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    /// `buffer[start..filled]` was read and not yet consumed.
    start: usize,
    filled: usize,
    ended: bool,
    /// Bytes consumed, and the line of the next byte, from 1.
    offset: u64,
    line: u64,
    /// NDJSON: a line break ends the value, finished or not.
    pub(crate) line_is_value: bool,
}

/// Why there is no value. `at` is the number of unconsumed bytes before the place.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) at: usize,
    pub(crate) reason: Reason,
    /// Whether reading can go on behind the value.
    pub(crate) in_step: bool,
}

impl Stop {
    fn lost(at: usize, reason: Reason) -> Self {
        Self { at, reason, in_step: false }
    }
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            ended: false,
            offset: 0,
            line: 1,
            line_is_value: false,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
    pub(crate) fn line(&self) -> u64 {
        self.line
    }
    /// What was read and not yet consumed.
    pub(crate) fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Reads more; `false` at the end of the input.
    pub(crate) fn fill(&mut self) -> Result<bool, Stop> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 && self.filled + READ_BYTES > self.buffer.len() {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled + self.filled.max(READ_BYTES), 0);
        }
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        loop {
            match self.source.read(free) {
                Ok(count) => {
                    self.filled += count;
                    self.ended = count == 0;
                    return Ok(!self.ended);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Stop::lost(self.pending().len(), Reason::Read(error)));
                }
            }
        }
    }

    /// Consumes `count` bytes of what is pending.
    pub(crate) fn consume(&mut self, count: usize) {
        let taken = self.pending().get(..count).unwrap_or_default();
        let lines = memchr_iter(b'\n', taken).count();
        self.offset += count as u64;
        self.line += lines as u64;
        self.start += count;
    }

    /// The next byte that is not white space, without consuming it. With `line_is_value` a line
    /// break is not white space.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Stop> {
        loop {
            let pending = self.pending();
            let line_is_value = self.line_is_value;
            let space = |it: &&u8| match it {
                b' ' | b'\t' | b'\r' => true,
                b'\n' => !line_is_value,
                _ => false,
            };
            let blank = pending.iter().take_while(space).count();
            let found = pending.get(blank).copied();
            self.consume(blank);
            if found.is_some() || !self.fill()? {
                return Ok(found);
            }
        }
    }

    /// Consumes up to and with the next line break.
    pub(crate) fn skip_line(&mut self) -> Result<(), Stop> {
        loop {
            let end = memchr::memchr(b'\n', self.pending());
            self.consume(end.map_or(self.pending().len(), |it| it + 1));
            if end.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// The length of the value that begins at the next byte, all of which is then pending.
    pub(crate) fn value(&mut self, limit: ByteSize) -> Result<usize, Stop> {
        let most = usize::try_from(limit.bytes()).unwrap_or(usize::MAX);
        let mut extent = Extent::default();
        loop {
            let done = extent.advance(self.pending(), self.line_is_value)?;
            if extent.at > most {
                return Err(self.pass_over(extent, done, limit));
            }
            if done {
                return Ok(extent.at);
            }
            if !self.fill()? {
                return if extent.is_scalar() {
                    Ok(extent.at)
                } else {
                    Err(Stop::lost(self.pending().len(), Reason::Truncated))
                };
            }
        }
    }

    fn pass_over(&mut self, mut extent: Extent, mut done: bool, limit: ByteSize) -> Stop {
        let too_large = Reason::TooLarge { limit };
        loop {
            self.consume(extent.at);
            extent.at = 0;
            if done {
                return Stop { at: 0, reason: too_large, in_step: true };
            }
            done = match self.fill() {
                Err(stop) => return stop,
                Ok(false) => return Stop::lost(0, too_large),
                Ok(true) => match extent.advance(self.pending(), self.line_is_value) {
                    Ok(done) => done,
                    Err(_) => return Stop::lost(0, too_large),
                },
            };
        }
    }
}

impl<R> std::fmt::Debug for Input<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Whether the object at the start of `bytes` is a Bundle, which its `resourceType` says, wherever
/// that stands among the members; `None` while it has not come.
pub(crate) fn is_bundle(bytes: &[u8]) -> Option<bool> {
    let mut rest = bytes;
    if next_token(&mut rest)? != b'{' {
        return Some(false);
    }
    loop {
        let name = next_value(&mut rest)?;
        if !name.starts_with(b"\"") || next_token(&mut rest)? != b':' {
            return Some(false); // whoever reads it will say what is wrong
        }
        let value = next_value(&mut rest)?;
        if name == b"\"resourceType\"" {
            return Some(value == b"\"Bundle\"");
        }
        if next_token(&mut rest)? != b',' {
            return Some(false);
        }
    }
}

fn next_token(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.trim_ascii_start().split_first()?;
    *rest = behind;
    Some(*first)
}

/// The next value; one that is broken is taken for empty.
fn next_value<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = rest.trim_ascii_start();
    let mut extent = Extent::default();
    let is_whole = extent.advance(text, false).unwrap_or(true);
    if !is_whole {
        return None;
    }
    let (value, behind) = text.split_at_checked(extent.at)?;
    *rest = behind;
    Some(value)
}

const BRACKETS_KEPT: usize = u128::BITS as usize;

/// How far the end of one value has been looked for.
#[derive(Debug, Default)]
struct Extent {
    /// Bytes that belong to the value so far.
    at: usize,
    state: State,
    depth: usize,
    /// One bit per open bracket, innermost lowest: 1 for `{`. Those below the first
    /// `BRACKETS_KEPT` are only counted.
    brackets: u128,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Scalar,
    Between,
    Text,
    Escape,
}

impl Extent {
    fn is_scalar(&self) -> bool {
        self.state == State::Scalar
    }

    /// Goes on in `bytes`, of which `self.at` are known. `true` once the value has ended.
    fn advance(&mut self, bytes: &[u8], line_is_value: bool) -> Result<bool, Stop> {
        while let Some(&byte) = bytes.get(self.at) {
            if byte == b'\n' && line_is_value {
                return match self.state {
                    State::Scalar => Ok(true),
                    _ => Err(Stop::lost(self.at, Reason::Truncated)),
                };
            }
            match self.state {
                State::Text => {
                    let done = self.text(bytes, line_is_value);
                    if done {
                        return Ok(true);
                    }
                }
                State::Escape => {
                    self.state = State::Text;
                    self.at += 1;
                }
                State::Scalar => match byte {
                    b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r' => return Ok(true),
                    _ => self.at += 1,
                },
                State::Start | State::Between => {
                    if self.structure(byte)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn text(&mut self, bytes: &[u8], line_is_value: bool) -> bool {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let found = if line_is_value {
            memchr::memchr3(b'"', b'\\', b'\n', rest)
        } else {
            memchr2(b'"', b'\\', rest)
        };
        self.at += found.unwrap_or(rest.len());
        match bytes.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                self.state = State::Between;
                self.depth == 0
            }
            Some(b'\\') => {
                self.at += 1;
                self.state = State::Escape;
                false
            }
            _ => false,
        }
    }

    fn structure(&mut self, byte: u8) -> Result<bool, Stop> {
        match byte {
            b'"' => self.state = State::Text,
            b'{' | b'[' => {
                self.state = State::Between;
                self.depth += 1;
                if self.depth <= BRACKETS_KEPT {
                    self.brackets = (self.brackets << 1) | u128::from(byte == b'{');
                }
            }
            b'}' | b']' => {
                let is_kept = self.depth <= BRACKETS_KEPT;
                let is_pair = (self.brackets & 1 == 1) == (byte == b'}');
                if self.depth == 0 || (is_kept && !is_pair) {
                    let reason = Reason::Syntax("a closing bracket without its opening one");
                    return Err(Stop::lost(self.at, reason));
                }
                self.depth -= 1;
                self.brackets >>= u32::from(is_kept);
                self.at += 1;
                return Ok(self.depth == 0);
            }
            _ if self.state == State::Start => self.state = State::Scalar,
            _ => {}
        }
        self.at += 1;
        Ok(false)
    }
}
