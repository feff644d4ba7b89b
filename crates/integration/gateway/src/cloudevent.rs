//! One event and the rules of CloudEvents 1.0.
//!
//! Owns: attributes, their types and what makes them valid. Does not own: the forms in which events
//! travel ([`crate::format`]).
//!
//! # Source  CloudEvents 1.0.2, sections "Context attributes" and "Type system"

use bytes::Bytes;
use serde::Serialize;
use std::fmt;

/// A valid event: its attributes by name, without `ce` in front and without `datacontenttype`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CloudEvent {
    attributes: Vec<(String, String)>,
    pub(crate) content_type: Option<String>,
    pub(crate) data: Option<Bytes>,
}

/// What is wrong with one event of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Invalid {
    /// Index in the batch; 0 for a single event.
    pub(crate) event: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attribute: Option<String>,
    pub(crate) reason: &'static str,
}

/// A fault of the event being read, before it is known which of the batch it is.
pub(crate) type Fault = (Option<String>, &'static str);

const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
/// The specification asks that names be at most 20 characters; longer ones are taken up to here.
const NAME_BYTES_MAX: usize = 64;
/// All attributes of an event together.
const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;

impl CloudEvent {
    /// Checks every rule; `attributes` in the order in which they came.
    pub(crate) fn new(
        attributes: Vec<(String, String)>,
        content_type: Option<String>,
        data: Option<Bytes>,
    ) -> Result<Self, Fault> {
        let mut bytes = 0;
        for (at, (name, value)) in attributes.iter().enumerate() {
            if !is_name(name) {
                return Err((None, "an attribute name is made of lower-case letters and digits"));
            }
            if attributes.iter().take(at).any(|(other, _)| other == name) {
                return Err((Some(name.clone()), "is given twice"));
            }
            check_value(name, value).map_err(|reason| (Some(name.clone()), reason))?;
            bytes += name.len() + value.len();
        }
        if bytes > ATTRIBUTES_BYTES_MAX {
            return Err((None, "the attributes take more than 64 KiB"));
        }
        for name in REQUIRED {
            if !attributes.iter().any(|(it, _)| it == name) {
                return Err((Some(name.to_owned()), "is required"));
            }
        }
        if content_type.as_deref().is_some_and(|it| !is_media_type(it)) {
            return Err((Some("datacontenttype".to_owned()), "is not a media type"));
        }
        Ok(Self { attributes, content_type, data })
    }

    /// An event that we make ourselves about something that is none.
    pub(crate) fn synthetic(
        attributes: Vec<(String, String)>,
        content_type: Option<String>,
        data: Option<Bytes>,
    ) -> Self {
        Self { attributes, content_type, data }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
    pub(crate) fn set_default(&mut self, name: &str, value: impl FnOnce() -> String) {
        if self.get(name).is_none() {
            self.attributes.push((name.to_owned(), value()));
        }
    }
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for CloudEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudEvent")
            .field("attributes", &self.attributes.len())
            .field("data_bytes", &self.data.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
        && name != "data"
}

fn check_value(name: &str, value: &str) -> Result<(), &'static str> {
    let is_control = |it: char| it.is_control() || matches!(it, '\u{fdd0}'..='\u{fdef}');
    if value.chars().any(is_control) {
        return Err("holds a control character");
    }
    match name {
        "specversion" if value != "1.0" => Err("must be 1.0"),
        "id" | "type" | "subject" if value.is_empty() => Err("must not be empty"),
        "source" if value.is_empty() || !is_uri_reference(value) => {
            Err("must be a URI reference and not empty")
        }
        "dataschema" if !is_uri_reference(value) || !has_scheme(value) => Err("must be a URI"),
        "time" if !is_rfc3339(value) => Err("must be an RFC 3339 time with its offset"),
        _ => Ok(()),
    }
}

/// RFC 3986: only its characters, and `%` only before two hex digits.
fn is_uri_reference(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let is_good = match byte {
            b'%' => {
                let mut is_digit = || rest.next().is_some_and(|it| it.is_ascii_hexdigit());
                is_digit() && is_digit()
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte),
        };
        if !is_good {
            return false;
        }
    }
    true
}

fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|it: char| it.is_ascii_alphabetic())
            && scheme.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
    })
}

/// `jiff` takes more of ISO 8601 than RFC 3339 has, so the shape is checked first.
pub(crate) fn is_rfc3339(text: &str) -> bool {
    let shape = text.as_bytes();
    let is_separated = shape.get(10).is_some_and(|it| matches!(it, b'T' | b't'))
        && shape.get(13) == Some(&b':')
        && shape.get(16) == Some(&b':');
    is_separated && !text.contains(['[', ',']) && text.parse::<jiff::Timestamp>().is_ok()
}

/// RFC 2046 `type/subtype`, perhaps with parameters.
fn is_media_type(text: &str) -> bool {
    let is_token = |it: &str| {
        let good = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        !it.is_empty() && it.bytes().all(good)
    };
    let is_visible = text.bytes().all(|it| (0x20..0x7f).contains(&it));
    let essence = text.split(';').next().unwrap_or_default().trim_ascii();
    let parts = essence.split_once('/');
    is_visible && parts.is_some_and(|(main, sub)| is_token(main) && is_token(sub))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_rule_of_the_specification_has_its_words() {
        let cases: &[&[(&str, &str)]] = &[
            &[],
            &[("specversion", "0.3")],
            &[("id", "")],
            &[("source", "")],
            &[("source", "a b")],
            &[("source", "/a%2")],
            &[("source", "../a?b#c")],
            &[("type", "")],
            &[("subject", "")],
            &[("time", "2026-01-02")],
            &[("time", "2026-01-02 03:04:05Z")],
            &[("time", "2026-01-02T03:04:05")],
            &[("time", "2026-13-02T03:04:05Z")],
            &[("time", "2026-01-02T03:04:05.123456789+05:30")],
            &[("dataschema", "relative")],
            &[("dataschema", "https://s.example/a")],
            &[("datacontenttype", "json")],
            &[("datacontenttype", "application/json; charset=utf-8")],
            &[("Upper", "x")],
            &[("with_underscore", "x")],
            &[("data", "x")],
            &[("ext", "a\tb")],
            &[("ext", "1"), ("ext", "2")],
        ];
        let mut shown = String::new();
        for case in cases {
            let given = |name: &str| case.iter().any(|(it, _)| *it == name);
            let good = [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")];
            let rest = good.iter().filter(|(name, _)| !given(name));
            let (mut attributes, mut content_type) = (Vec::new(), None);
            for (name, value) in case.iter().chain(rest) {
                match *name {
                    "datacontenttype" => content_type = Some((*value).to_owned()),
                    _ => attributes.push(((*name).to_owned(), (*value).to_owned())),
                }
            }
            let said = match CloudEvent::new(attributes, content_type, None) {
                Ok(_) => "good".to_owned(),
                Err((name, reason)) => format!("{} {reason}", name.unwrap_or_default()),
            };
            shown.extend([&format!("{case:?}"), ": ", &said, "\n"]);
        }
        expect![[r#"
            []: good
            [("specversion", "0.3")]: specversion must be 1.0
            [("id", "")]: id must not be empty
            [("source", "")]: source must be a URI reference and not empty
            [("source", "a b")]: source must be a URI reference and not empty
            [("source", "/a%2")]: source must be a URI reference and not empty
            [("source", "../a?b#c")]: good
            [("type", "")]: type must not be empty
            [("subject", "")]: subject must not be empty
            [("time", "2026-01-02")]: time must be an RFC 3339 time with its offset
            [("time", "2026-01-02 03:04:05Z")]: time must be an RFC 3339 time with its offset
            [("time", "2026-01-02T03:04:05")]: time must be an RFC 3339 time with its offset
            [("time", "2026-13-02T03:04:05Z")]: time must be an RFC 3339 time with its offset
            [("time", "2026-01-02T03:04:05.123456789+05:30")]: good
            [("dataschema", "relative")]: dataschema must be a URI
            [("dataschema", "https://s.example/a")]: good
            [("datacontenttype", "json")]: datacontenttype is not a media type
            [("datacontenttype", "application/json; charset=utf-8")]: good
            [("Upper", "x")]:  an attribute name is made of lower-case letters and digits
            [("with_underscore", "x")]:  an attribute name is made of lower-case letters and digits
            [("data", "x")]:  an attribute name is made of lower-case letters and digits
            [("ext", "a\tb")]: ext holds a control character
            [("ext", "1"), ("ext", "2")]: ext is given twice
        "#]]
        .assert_eq(&shown);
    }
}
