//! A change event: what is handed to a producer, whichever it is.
//!
//! Owns: topic, key, headers and value of the record. Does not own: where they come from
//! ([`crate::draft`]) or sending them (`client`). Form: `docs/formats/fhir-events.md`.

use bytes::Bytes;
use std::fmt;

/// One record in CloudEvents 1.0 Kafka binary mode. All of it but the topic may identify a patient,
/// so `Debug` shows sizes.
///
/// # Source  CloudEvents 1.0.2, "Kafka Protocol Binding", 3.2 binary content mode
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// `clinical.<resource type in lower case>`.
    pub topic: String,
    /// `Patient/<id>`, else the resource's own `<type>/<id>`; `None` if nobody gave it an id.
    pub key: Option<Bytes>,
    /// Each name at most once, in the order of the table in `docs/formats/fhir-events.md`.
    pub headers: Vec<(&'static str, Bytes)>,
    /// The resource, byte for byte as in the input; `None` for a deletion.
    pub value: Option<Bytes>,
    /// As in `resourceType`.
    pub resource_type: &'static str,
}

impl ChangeEvent {
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for ChangeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeEvent")
            .field("topic", &self.topic)
            .field("key_bytes", &self.key.as_ref().map(Bytes::len))
            .field("headers", &self.headers.len())
            .field("value_bytes", &self.value.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}
