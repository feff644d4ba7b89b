//! From an entry to a change event, in two steps: a draft without its patient, then the event.
//!
//! Owns: what happened (the verb), the event's id, its headers. Does not own: who the patient is
//! ([`crate::patients`]).

use crate::entry::{Entry, Request, Resource};
use crate::event::ChangeEvent;
use crate::problem::Reason;
use crate::reference::{self, Candidate, Identity};
use crate::resource_type::{self, ResourceType};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a bundle says happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Created,
    Updated,
    Deleted,
    /// The bundle says only that the resource is there: searchset, collection, document.
    Recorded,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Recorded => "recorded",
        }
    }
}

/// An event that lacks its patient.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) kind: &'static ResourceType,
    /// The resource's own `<type>/<id>`.
    pub(crate) own: Option<String>,
    verb: Verb,
    id: String,
    time: Option<String>,
    value: Option<Bytes>,
}

/// The headers that every event of one document shares.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) source: Bytes,
    pub(crate) correlation_id: Bytes,
}

impl Draft {
    /// `None`: nothing changed (a read request, or a response without a resource).
    pub(crate) fn of(entry: &Entry<'_>) -> Result<Option<Self>, Reason> {
        let verb = match &entry.request {
            None => Verb::Recorded,
            Some(request) => match &*request.method {
                "POST" => Verb::Created,
                "PUT" => Verb::Updated,
                "DELETE" => return deletion(entry, request).map(Some),
                "GET" | "HEAD" => return Ok(None),
                "PATCH" => {
                    let why = "a PATCH carries instructions instead of the resource";
                    return Err(Reason::UnsupportedRequest(why));
                }
                _ => {
                    let why = "request.method is not one of FHIR's";
                    return Err(Reason::UnsupportedRequest(why));
                }
            },
        };
        match &entry.resource {
            Some(resource) => Ok(Some(change(entry, resource, verb))),
            None if entry.has_response => Ok(None),
            None => Err(Reason::NoResource),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        /// What a draft holds beside its value and its candidates, roughly.
        const OVERHEAD_BYTES: usize = 512;
        let value = self.value.as_ref().map_or(0, Bytes::len);
        let candidates = self.candidates.iter().map(Candidate::bytes).sum::<usize>();
        (value + candidates + OVERHEAD_BYTES) as u64
    }

    /// `patient` is the resolved reference, if the resource has a patient.
    pub(crate) fn event(
        self,
        patient: Option<String>,
        shared: &Shared,
        recorded_time: Bytes,
    ) -> ChangeEvent {
        let entity = self.kind.name.to_ascii_lowercase();
        let topic = format!("clinical.{entity}");
        let type_ = format!("health.systole.{topic}.{}.v1", self.verb.as_str());
        let key = patient.or(self.own).map(Bytes::from);
        let class = self.kind.classification.as_str();
        let headers = [
            ("ce_specversion", Some(Bytes::from_static(b"1.0"))),
            ("ce_id", Some(Bytes::from(self.id))),
            ("ce_source", Some(shared.source.clone())),
            ("ce_type", Some(Bytes::from(type_))),
            ("ce_subject", key.clone()),
            ("ce_time", self.time.map(Bytes::from)),
            ("ce_correlationid", Some(shared.correlation_id.clone())),
            ("ce_recordedtime", Some(recorded_time)),
            ("ce_dataclassification", Some(Bytes::from_static(class.as_bytes()))),
            ("ce_partitionkey", key.clone()),
            (
                "content-type",
                self.value.as_ref().map(|_| Bytes::from_static(b"application/fhir+json")),
            ),
        ];
        ChangeEvent {
            topic,
            key,
            headers: headers.into_iter().filter_map(|(name, it)| Some((name, it?))).collect(),
            value: self.value,
            resource_type: self.kind.name,
        }
    }
}

fn change(entry: &Entry<'_>, resource: &Resource<'_>, verb: Verb) -> Draft {
    let of_request = entry.request.as_ref().and_then(|it| Identity::of_url(&it.url));
    let id = resource
        .id
        .as_deref()
        .or(of_request.as_ref().map(|it| it.id))
        .or(entry.full_url.as_deref().and_then(reference::id_of_full_url));
    let last_updated = resource.last_updated.as_deref();
    let time = last_updated.filter(|it| it.parse::<jiff::Timestamp>().is_ok());
    Draft {
        candidates: resource.candidates.clone(),
        kind: resource.kind,
        own: id.map(|id| format!("{}/{id}", resource.kind.name)),
        verb,
        id: event_id(entry, verb, resource.kind, resource.raw),
        time: time.map(str::to_owned),
        value: Some(Bytes::copy_from_slice(resource.raw)),
    }
}

fn deletion(entry: &Entry<'_>, request: &Request<'_>) -> Result<Draft, Reason> {
    let full_url = entry.full_url.as_deref();
    let identity =
        Identity::of_url(&request.url)
            .or_else(|| full_url.and_then(Identity::of_url))
            .ok_or(Reason::UnsupportedRequest("a conditional DELETE does not name one resource"))?;
    let kind = resource_type::find(identity.type_name).ok_or(Reason::UnknownResourceType)?;
    Ok(Draft {
        candidates: Vec::new(),
        kind,
        own: Some(identity.to_string()),
        verb: Verb::Deleted,
        id: event_id(entry, Verb::Deleted, kind, b""),
        time: None,
        value: None,
    })
}

/// Equal entries get equal ids, so that a second ingest of the same file can be told: the hash of
/// verb, type, full URL, request URL and the resource's bytes.
fn event_id(entry: &Entry<'_>, verb: Verb, kind: &ResourceType, raw: &[u8]) -> String {
    let full_url = entry.full_url.as_deref().unwrap_or_default();
    let request_url = entry.request.as_ref().map(|it| &*it.url).unwrap_or_default();
    hash_id(&[verb.as_str(), kind.name, full_url, request_url], raw)
}

/// A UUID of version 8 (RFC 9562: content is the maker's) from the SHA-256 of the parts.
pub(crate) fn hash_id(parts: &[&str], last: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes()); // so that no two lists run together
        hash.update(part);
    }
    hash.update(last);
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}
