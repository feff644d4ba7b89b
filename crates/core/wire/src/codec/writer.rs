//! A growing frame, as chunks.
//!
//! Owns: the bytes of one message on their way out. Large byte fields (record batches) are linked
//! and not copied.

use super::{EncodeError, Field, Form, TaggedField, TaggedFields};
use bytes::{BufMut as _, Bytes, BytesMut};

/// From this size on a byte field becomes a chunk of its own. Below, copying is cheaper than one
/// more entry in a vectored write (a stated guess: a quarter of a memory page per entry).
pub const LINK_BYTES_MIN: usize = 4096;

/// Writes fields. Ends as chunks for a vectored write, or joined as one buffer.
#[derive(Debug, Default)]
pub struct Writer {
    done: Vec<Bytes>,
    done_bytes: usize,
    tail: BytesMut,
}

impl Writer {
    pub fn with_capacity(bytes: usize) -> Self {
        Self { tail: BytesMut::with_capacity(bytes), ..Self::default() }
    }
    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.done_bytes + self.tail.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes in order, linked fields as chunks of their own.
    pub fn into_chunks(mut self) -> Vec<Bytes> {
        self.close_tail();
        self.done
    }
    /// The bytes in one piece; copies if anything was linked.
    pub fn into_bytes(mut self) -> Bytes {
        if self.done.is_empty() {
            return self.tail.freeze();
        }
        self.close_tail();
        self.done.concat().into()
    }
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.done_bytes += self.tail.len();
            self.done.push(self.tail.split().freeze());
        }
    }

    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }
    /// Copies a small value, links a large one.
    pub fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < LINK_BYTES_MIN {
            return self.put_slice(bytes);
        }
        self.close_tail();
        self.done_bytes += bytes.len();
        self.done.push(bytes.clone());
    }
    pub fn put_unsigned_varint(&mut self, mut value: u32) {
        while let [low, _, _, _] = value.to_le_bytes()
            && value >= 0x80
        {
            self.tail.put_u8(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.tail.put_u8(low);
    }

    /// A length as compact varint, else as what `rigid` writes.
    pub(super) fn length(
        &mut self,
        length: Option<usize>,
        form: Form,
        rigid: impl FnOnce(&mut Self, Option<usize>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if !form.flexible {
            return rigid(self, length);
        }
        self.put_unsigned_varint(limited(length.map_or(0, |it| it + 1))?);
        Ok(())
    }
    pub(super) fn tags(&mut self, fields: &[TaggedField]) -> Result<(), EncodeError> {
        self.put_unsigned_varint(limited(fields.len())?);
        let mut above = None;
        for TaggedField { tag, value } in fields {
            if above.is_some_and(|it| *tag <= it) {
                return Err(EncodeError::DuplicateTag { tag: *tag });
            }
            above = Some(*tag);
            self.put_unsigned_varint(*tag);
            self.put_unsigned_varint(limited(value.len())?);
            self.put_bytes(value);
        }
        Ok(())
    }

    pub(crate) fn field<T: Field>(&mut self, value: &T, form: Form) -> Result<(), EncodeError> {
        value.write(self, form)
    }
    pub(crate) fn nullable<T: Field>(
        &mut self,
        value: Option<&T>,
        form: Form,
    ) -> Result<(), EncodeError> {
        T::write_nullable(value, self, form)
    }
    /// A field that is nullable in other versions than this one.
    pub(crate) fn required<T: Field>(
        &mut self,
        value: Option<&T>,
        form: Form,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let Form { version, .. } = form;
        value.ok_or(EncodeError::Null { field, version })?.write(self, form)
    }
    /// A field that this version does not carry, and that must not get lost.
    #[expect(clippy::unused_self, reason = "reads as one more field beside its siblings")]
    pub(crate) fn absent(
        &mut self,
        is_set: bool,
        form: Form,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let Form { version, .. } = form;
        if is_set { Err(EncodeError::FieldNotInVersion { field, version }) } else { Ok(()) }
    }
    /// The tag section of a struct that knows no tags.
    pub(crate) fn unknown_tags(
        &mut self,
        unknown: &TaggedFields,
        form: Form,
    ) -> Result<(), EncodeError> {
        if form.flexible {
            return self.tags(unknown.as_slice());
        }
        self.absent(!unknown.is_empty(), form, "unknown_tagged_fields")
    }
}

fn limited(length: usize) -> Result<u32, EncodeError> {
    let limit = i32::MAX as usize;
    match u32::try_from(length) {
        Ok(it) if length <= limit => Ok(it),
        _ => Err(EncodeError::TooLong { length, limit }),
    }
}
