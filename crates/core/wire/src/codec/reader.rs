//! A cursor over one frame.
//!
//! Owns: position, bounds, the memory budget. Does not own: the meaning of a field.
//!
//! Invariants: `at <= end <= frame.len()`; nothing is reserved before the bytes for it were seen
//! and the budget paid.

use super::{DecodeError, Field, Form, Str, TaggedField, TaggedFields};
use bytes::Bytes;

/// Heap bytes that decoding may take per byte of input. Above the largest ratio, over all messages,
/// of an array element's size in memory to its fewest bytes on the wire (136 to 3: a `ListedGroup`
/// of empty strings), which the compiler checks where arrays are read. So no valid message is
/// refused for it, and no frame can take more.
pub const ALLOCATION_FACTOR: usize = 48;

/// Longest string, in bytes. Compact lengths could say more; Kafka holds them to the old limit.
pub const STRING_BYTES_MAX: usize = 32_767;

/// Reads fields off a frame. Strings and bytes are slices of the frame: they share its memory and
/// keep all of it alive, so copy what outlives the request (`Str::from(&*text)`).
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    end: usize,
    budget: usize,
}

impl Reader {
    pub fn new(frame: Bytes) -> Self {
        let budget = frame.len().saturating_mul(ALLOCATION_FACTOR);
        Self::with_budget(frame, budget)
    }
    /// As [`Reader::new`] with at most `budget` bytes of heap, for peers that have not yet said
    /// who they are.
    pub fn with_budget(frame: Bytes, budget: usize) -> Self {
        Self { at: 0, end: frame.len(), frame, budget }
    }
    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }
    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }
    /// What was not yet read, as a slice of the frame.
    pub fn rest(&self) -> Bytes {
        self.frame.slice(self.at..self.end)
    }
    /// Refuses a frame that says more than its message.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            surplus => Err(DecodeError::TrailingBytes { surplus }),
        }
    }

    /// The next `length` bytes, shared with the frame.
    pub fn bytes(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        let until = self.advance(length)?;
        if length == 0 { Ok(Bytes::new()) } else { Ok(self.frame.slice(until - length..until)) }
    }
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let until = self.advance(N)?;
        let slice = self.frame.get(until - N..until);
        // `advance` has checked the range, so the error cannot happen.
        let at = self.at;
        slice.and_then(|it| it.try_into().ok()).ok_or(DecodeError::Truncated {
            at,
            needed: N,
            remaining: 0,
        })
    }
    fn advance(&mut self, length: usize) -> Result<usize, DecodeError> {
        let remaining = self.remaining();
        if length > remaining {
            return Err(DecodeError::Truncated { at: self.at, needed: length, remaining });
        }
        self.at += length;
        Ok(self.at)
    }

    /// An unsigned varint of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let at = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { at })
    }
    fn unsigned_length(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let value = self.unsigned_varint()?;
        usize::try_from(value).map_err(|_| DecodeError::VarintTooLong { at })
    }

    /// A length as compact varint, else as what `rigid` reads (negative is null).
    pub(super) fn length(
        &mut self,
        form: Form,
        rigid: impl FnOnce(&mut Self) -> Result<i32, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        if form.flexible {
            return Ok(self.unsigned_length()?.checked_sub(1));
        }
        let at = self.at;
        match rigid(self)? {
            -1 => Ok(None),
            length => {
                usize::try_from(length).map(Some).map_err(|_| DecodeError::NegativeLength { at })
            }
        }
    }
    pub(super) fn not_null<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or(DecodeError::Null { at: self.at })
    }
    pub(super) fn string(&mut self, length: usize) -> Result<Str, DecodeError> {
        let at = self.at;
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong { at, length });
        }
        Str::try_from(self.bytes(length)?).map_err(|_| DecodeError::NotUtf8 { at })
    }

    /// An empty vector with room for `count` elements, if the rest can hold them and the budget
    /// pays for them. The room is exact, so a decoded array has no slack.
    pub(super) fn reserve<T>(
        &mut self,
        count: usize,
        size_min: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let possible = self.remaining() / size_min.max(1);
        if count > possible {
            return Err(DecodeError::ArrayTooLong { at: self.at, claimed: count, possible });
        }
        self.pay(count.saturating_mul(size_of::<T>()))?;
        Ok(Vec::with_capacity(count))
    }
    pub(super) fn pay(&mut self, needed: usize) -> Result<(), DecodeError> {
        let left = self.budget;
        self.budget = left.checked_sub(needed).ok_or(DecodeError::OverBudget {
            at: self.at,
            needed,
            left,
        })?;
        Ok(())
    }

    /// Reads a field: `reader.field(form)?` takes the type from where the value goes.
    pub(crate) fn field<T: Field>(&mut self, form: Form) -> Result<T, DecodeError> {
        T::read(self, form)
    }
    pub(crate) fn nullable<T: Field>(&mut self, form: Form) -> Result<Option<T>, DecodeError> {
        T::read_nullable(self, form)
    }

    /// The tag section after a struct; nothing in inflexible versions. `known` reads a field whose
    /// tag it knows and answers `true`; the others are kept.
    pub(crate) fn tags(
        &mut self,
        form: Form,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<TaggedFields, DecodeError> {
        let mut unknown = TaggedFields::default();
        if !form.flexible {
            return Ok(unknown);
        }
        let mut above = None;
        for _ in 0..self.unsigned_varint()? {
            let at = self.at;
            let tag = self.unsigned_varint()?;
            if above.is_some_and(|it| tag <= it) {
                return Err(DecodeError::TagOrder { at, tag });
            }
            above = Some(tag);
            let size = self.unsigned_length()?;
            self.tag(tag, size, &mut known, &mut unknown)?;
        }
        Ok(unknown)
    }
    fn tag(
        &mut self,
        tag: u32,
        size: usize,
        known: &mut impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
        unknown: &mut TaggedFields,
    ) -> Result<(), DecodeError> {
        let start = self.at;
        let inside_end = self.advance(size)?;
        let outside_end = std::mem::replace(&mut self.end, inside_end);
        self.at = start;
        let is_known = known(self, tag)?;
        self.end = outside_end;
        if !is_known {
            let value = self.bytes(size)?;
            self.pay(unknown.growth())?;
            unknown.push(TaggedField { tag, value });
        } else if self.at != inside_end {
            return Err(DecodeError::TagSize { tag, surplus: inside_end - self.at });
        }
        Ok(())
    }
}
