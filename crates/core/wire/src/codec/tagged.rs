//! Tagged fields (KIP-482): those that this Kafka does not know, and how known ones are written.

use super::{EncodeError, Form, Writer};
use bytes::Bytes;
use std::fmt;

/// A field of a later Kafka, kept as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct TaggedField {
    pub tag: u32,
    pub value: Bytes,
}

impl fmt::Debug for TaggedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes", self.tag, self.value.len())
    }
}

/// Tagged fields that the struct does not know, ascending by tag. Empty nearly always, hence one
/// pointer wide.
#[derive(Clone, PartialEq, Eq, Default)]
#[expect(clippy::box_collection, reason = "one word in each of a message's structs, not three")]
pub struct TaggedFields(Option<Box<Vec<TaggedField>>>);

impl TaggedFields {
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
    pub fn as_slice(&self) -> &[TaggedField] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
    pub fn push(&mut self, field: TaggedField) {
        let fields = self.0.get_or_insert_default();
        fields.reserve_exact(1);
        fields.push(field);
    }
    /// Heap bytes that the next `push` takes.
    pub(super) fn growth(&self) -> usize {
        let head = if self.0.is_none() { size_of::<Vec<TaggedField>>() } else { 0 };
        head + size_of::<TaggedField>()
    }
}

impl fmt::Debug for TaggedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// Collects the tagged fields of one struct, known and unknown, and writes them in order.
pub(crate) struct TagWriter {
    form: Form,
    fields: Vec<TaggedField>,
}

impl TagWriter {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, fields: Vec::new() }
    }
    /// Takes a known field, if it `is_set` to something else than its default.
    pub(crate) fn add(
        &mut self,
        tag: u32,
        is_set: bool,
        write: impl FnOnce(&mut Writer, Form) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if is_set {
            let mut value = Writer::default();
            write(&mut value, self.form)?;
            self.fields.push(TaggedField { tag, value: value.into_bytes() });
        }
        Ok(())
    }
    pub(crate) fn finish(
        mut self,
        unknown: &TaggedFields,
        to: &mut Writer,
    ) -> Result<(), EncodeError> {
        if self.fields.is_empty() {
            return to.tags(unknown.as_slice());
        }
        self.fields.extend_from_slice(unknown.as_slice());
        self.fields.sort_by_key(|it| it.tag);
        to.tags(&self.fields)
    }
}
