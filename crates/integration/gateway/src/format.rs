//! The forms in which an event travels: HTTP structured, batch and binary; Kafka binary and
//! structured.
//!
//! Owns: reading and writing them. Does not own: what makes an event valid
//! ([`crate::cloudevent`]).
//!
//! # Source  CloudEvents 1.0.2: JSON event format, HTTP and Kafka protocol bindings

use crate::cloudevent::{CloudEvent, Fault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use systole_client::{NewRecord, Record};

pub(crate) const STRUCTURED: &str = "application/cloudevents+json";
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// The part of a media type that names it, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
}

fn is_json(content_type: &str) -> bool {
    let it = essence(content_type);
    it.ends_with("/json") || it.ends_with("+json")
}

/// An object with its members in order, values as they stand. Duplicates are kept, to be refused.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

/// The events of a batch, each to be read by [`read_structured`]. `None`: not an array.
pub(crate) fn split_batch(body: &[u8]) -> Option<Vec<&[u8]>> {
    let events: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    Some(events.into_iter().map(|it| it.get().as_bytes()).collect())
}

/// One event in the JSON format.
pub(crate) fn read_structured(text: &[u8]) -> Result<CloudEvent, Fault> {
    let Members(members) =
        serde_json::from_slice(text).map_err(|_| (None, "is not a JSON object"))?;
    let (mut attributes, mut content_type) = (Vec::new(), None);
    let (mut data, mut base64) = (None, None);
    for (name, value) in members {
        let value = value.get();
        let twice = |is_set: bool| if is_set { Err((None, "has a member twice")) } else { Ok(()) };
        match name.as_str() {
            _ if value == "null" && name != "data" => {} // as if it were not there
            "data" => {
                twice(data.is_some())?;
                data = Some(value);
            }
            "data_base64" => {
                twice(base64.is_some())?;
                base64 = Some(value);
            }
            "datacontenttype" => {
                twice(content_type.is_some())?;
                content_type = Some(attribute_text(&name, value)?);
            }
            _ => {
                let text = attribute_text(&name, value)?;
                attributes.push((name, text));
            }
        }
    }
    let data = match (data, base64) {
        (Some(_), Some(_)) => return Err((None, "has both data and data_base64")),
        (None, None) => None,
        (None, Some(text)) => Some(read_base64(text)?),
        (Some(value), None) => {
            let is_json = content_type.as_deref().is_none_or(is_json);
            content_type.get_or_insert_with(|| "application/json".to_owned());
            Some(read_data(value, is_json))
        }
    };
    CloudEvent::new(attributes, content_type, data)
}

/// CloudEvents attributes are strings, booleans and 32-bit integers.
fn attribute_text(name: &str, value: &str) -> Result<String, Fault> {
    let is_safe = name.len() <= 20 && name.bytes().all(|it| it.is_ascii_alphanumeric());
    let fault = |reason| (is_safe.then(|| name.to_owned()), reason);
    match value.as_bytes() {
        [b'"', ..] => serde_json::from_str(value).map_err(|_| fault("is not Unicode")),
        b"true" | b"false" => Ok(value.to_owned()),
        _ => match value.parse::<i32>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(fault("must be a string, a boolean or a 32-bit integer")),
        },
    }
}

fn read_base64(value: &str) -> Result<Bytes, Fault> {
    let name = || Some("data_base64".to_owned());
    let text: String = serde_json::from_str(value).map_err(|_| (name(), "must be a string"))?;
    STANDARD.decode(text).map(Bytes::from).map_err(|_| (name(), "is not base64"))
}

/// Data whose type is not JSON travels as a JSON string; anything else stays as it stands.
fn read_data(value: &str, is_json: bool) -> Bytes {
    let text = (!is_json).then(|| serde_json::from_str::<String>(value).ok()).flatten();
    Bytes::from(text.unwrap_or_else(|| value.to_owned()))
}

/// Whether the headers hold an event in binary mode.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion") || headers.contains_key("ce-id")
}

/// An event in HTTP binary mode.
pub(crate) fn read_binary(headers: &HeaderMap, body: Bytes) -> Result<CloudEvent, Fault> {
    let mut attributes = Vec::new();
    for (header, value) in headers {
        if let Some(name) = header.as_str().strip_prefix("ce-") {
            let text = unescape(value.as_bytes());
            let fault = || (Some(name.to_owned()), "is not percent-encoded UTF-8");
            attributes.push((name.to_owned(), text.ok_or_else(fault)?));
        }
    }
    let content_type = match headers.get(http::header::CONTENT_TYPE).map(|it| it.to_str()) {
        None => None,
        Some(Ok(it)) => Some(it.to_owned()),
        Some(Err(_)) => return Err((Some("datacontenttype".to_owned()), "is not a media type")),
    };
    CloudEvent::new(attributes, content_type, (!body.is_empty()).then_some(body))
}

/// HTTP binding 3.1.3.2: `%` and two hex digits stand for a byte of UTF-8; quotes may surround.
fn unescape(value: &[u8]) -> Option<String> {
    let inside = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\""));
    let mut rest = inside.unwrap_or(value).iter().copied();
    let mut bytes = Vec::with_capacity(value.len());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'\\' if inside.is_some() => rest.next()?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The record of an event in Kafka binary mode, keyed by `partitionkey`, else by `subject`.
pub(crate) fn to_record(event: &CloudEvent, topic: &str) -> NewRecord {
    let mut record = NewRecord::to(topic);
    for (name, value) in event.attributes() {
        record = record.header(format!("ce_{name}"), value.to_owned());
    }
    if let Some(it) = &event.content_type {
        record = record.header("content-type", it.clone());
    }
    record.key = event
        .get("partitionkey")
        .or_else(|| event.get("subject"))
        .map(|it| Bytes::from(it.to_owned()));
    record.value.clone_from(&event.data);
    record
}

/// Any record as an event: binary mode, structured mode, or else with an envelope of ours.
pub(crate) fn from_record(record: &Record) -> CloudEvent {
    let text = |name: &str| record.header(name).and_then(|it| std::str::from_utf8(it).ok());
    let content_type = text("content-type");
    if content_type.is_some_and(|it| essence(it) == STRUCTURED) {
        let event = record.value.as_deref().map(read_structured);
        if let Some(Ok(event)) = event {
            return event;
        }
    }
    let mut attributes: Vec<(String, String)> = Vec::new();
    for header in &record.headers {
        let name = header.name.strip_prefix("ce_");
        let value = header.value.as_deref().and_then(|it| std::str::from_utf8(it).ok());
        if let (Some(name), Some(value)) = (name, value) {
            attributes.retain(|(it, _)| it != name); // the last one counts
            attributes.push((name.to_owned(), value.to_owned()));
        }
    }
    let content_type = content_type.map(str::to_owned);
    let data = record.value.clone();
    CloudEvent::new(attributes, content_type, data).unwrap_or_else(|_| bare(record))
}

/// The least that makes a record an event.
fn bare(record: &Record) -> CloudEvent {
    let mut attributes = vec![
        ("specversion".to_owned(), "1.0".to_owned()),
        ("id".to_owned(), format!("{}-{}", record.partition, record.offset)),
        ("source".to_owned(), format!("/v1/topics/{}", record.topic)),
        ("type".to_owned(), "health.systole.kafka.record.v1".to_owned()),
    ];
    let time =
        record.timestamp.and_then(|(it, _)| jiff::Timestamp::from_millisecond(it.as_millis()).ok());
    attributes.extend(time.map(|it| ("time".to_owned(), format!("{it:.3}"))));
    let key = record.key.as_deref().and_then(|it| std::str::from_utf8(it).ok());
    let key = key.filter(|it| !it.contains(char::is_control));
    attributes.extend(key.map(|it| ("partitionkey".to_owned(), it.to_owned())));
    let content_type = record.header("content-type").and_then(|it| std::str::from_utf8(it).ok());
    CloudEvent::synthetic(attributes, content_type.map(str::to_owned), record.value.clone())
}

/// The JSON format: data inline if it is JSON or text, otherwise in base64.
pub(crate) fn write_structured(event: &CloudEvent) -> String {
    let quote = |it: &str| serde_json::Value::from(it).to_string();
    let mut json = String::from("{");
    for (name, value) in event.attributes() {
        json.extend([&quote(name), ":", &quote(value), ","]);
    }
    if let Some(it) = &event.content_type {
        json.extend(["\"datacontenttype\":", &quote(it), ","]);
    }
    if let Some(data) = &event.data {
        let content_type = event.content_type.as_deref();
        let inline = match std::str::from_utf8(data) {
            Ok(text) if content_type.is_none_or(is_json) => {
                serde_json::from_str::<&RawValue>(text).ok().map(|it| it.get().to_owned())
            }
            Ok(text) if content_type.is_some_and(|it| essence(it).starts_with("text/")) => {
                Some(quote(text))
            }
            _ => None,
        };
        match inline {
            Some(inline) => json.extend(["\"data\":", &inline, ","]),
            None => json.extend(["\"data_base64\":\"", &STANDARD.encode(data), "\","]),
        }
    }
    json.pop();
    json.push('}');
    json
}
