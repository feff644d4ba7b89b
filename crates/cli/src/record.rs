//! A record as the command line shows and reads it.
//!
//! Owns: the JSON form (the same for `consume --json` and `produce --format json`), the line for
//! people, and which parts are shown. Does not own: reading or writing records.
//!
//! A record may hold patient data. On a terminal nothing of it is shown but what was asked for.

use crate::output::Output;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use systole_client::{Header, NewRecord, Record};
use systole_kit::Timestamp;

/// A part of a record that may hold patient data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    Key,
    Value,
    Headers,
    All,
}

/// Which parts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    key: bool,
    headers: bool,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Hidden,
    Plain,
    /// JSON over several lines.
    Pretty,
}

impl Shown {
    /// What was asked for; without a wish everything, except on a terminal.
    pub(crate) fn new(asked: &[Part], pretty: bool, out: Output) -> Self {
        let everything = asked.is_empty() && !out.terminal;
        let wants = |it: Part| everything || asked.contains(&it) || asked.contains(&Part::All);
        let value = match (pretty, wants(Part::Value)) {
            (true, _) => Value::Pretty,
            (false, true) => Value::Plain,
            (false, false) => Value::Hidden,
        };
        Self { key: wants(Part::Key), headers: wants(Part::Headers), value }
    }
    /// Nothing of the contents is shown, which deserves a hint.
    pub(crate) fn is_nothing(self) -> bool {
        self == Self { key: false, headers: false, value: Value::Hidden }
    }
}

/// The JSON form. Bytes that are not UTF-8 stand in the member with `_base64`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Json {
    /// Where it was. Ignored when read: another topic has other partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    /// Names and values in their order; names may repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<(String, Option<String>)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Json {
    pub(crate) fn of(record: &Record, shown: Shown) -> Self {
        let (key, key_base64) = text(record.key.as_ref().filter(|_| shown.key));
        let (value, value_base64) =
            text(record.value.as_ref().filter(|_| shown.value != Value::Hidden));
        let header = |it: &Header| {
            let value = it.value.as_ref().map(|it| String::from_utf8_lossy(it).into_owned());
            (it.name.to_string(), value)
        };
        Self {
            topic: Some(record.topic.to_string()),
            partition: Some(record.partition),
            offset: Some(record.offset.get()),
            timestamp: record.timestamp.map(|(it, _)| time(it)),
            key,
            key_base64,
            headers: shown.headers.then(|| record.headers.iter().map(header).collect()),
            value,
            value_base64,
        }
    }
    /// The record that this line asks to write, and what is wrong with it otherwise.
    pub(crate) fn into_record(self, topic: &str) -> Result<NewRecord, &'static str> {
        let mut record = NewRecord::to(topic);
        record.key = bytes(self.key, self.key_base64)?;
        record.value = bytes(self.value, self.value_base64)?;
        for (name, value) in self.headers.unwrap_or_default() {
            let value = value.map(Bytes::from);
            record.headers.push(Header { name: name.into(), value });
        }
        if let Some(text) = self.timestamp {
            let time: jiff::Timestamp =
                text.parse().map_err(|_| "the timestamp is not RFC 3339")?;
            record.timestamp = Some(Timestamp::from_millis(time.as_millisecond()));
        }
        Ok(record)
    }
}

/// The bytes as text, or as base64 in the second place.
fn text(bytes: Option<&Bytes>) -> (Option<String>, Option<String>) {
    match bytes.map(|it| std::str::from_utf8(it).map_err(|_| it)) {
        None => (None, None),
        Some(Ok(text)) => (Some(text.to_owned()), None),
        Some(Err(bytes)) => (None, Some(STANDARD.encode(bytes))),
    }
}

fn bytes(text: Option<String>, base64: Option<String>) -> Result<Option<Bytes>, &'static str> {
    match (text, base64) {
        (Some(_), Some(_)) => Err("text and base64 of the same thing"),
        (Some(text), None) => Ok(Some(text.into())),
        (None, Some(it)) => match STANDARD.decode(it) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(_) => Err("not base64"),
        },
        (None, None) => Ok(None),
    }
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.as_millis().to_string(), |it| format!("{it:.3}"))
}

/// The record for people: where, when, what kind; the contents below, as far as shown.
pub(crate) fn lines(record: &Record, shown: Shown, out: Output) -> String {
    let at = record.timestamp.map(|(it, _)| time(it)).unwrap_or_default();
    let place = format!("{}-{}@{}", record.topic, record.partition, record.offset.get());
    let kind = record.header("ce_type").map(|it| String::from_utf8_lossy(it).into_owned());
    let size = format!("{} bytes", record.size_bytes());
    let mut lines = vec![format!("{}  {place}  {}", out.dim(&at), kind.unwrap_or(size))];
    if let Some(key) = record.key.as_ref().filter(|_| shown.key) {
        lines.push(format!("  {} {}", out.dim("key"), String::from_utf8_lossy(key)));
    }
    for header in record.headers.iter().filter(|_| shown.headers) {
        let value = header.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        lines.push(format!("  {} {value}", out.dim(&header.name)));
    }
    match (record.value.as_ref(), shown.value) {
        (None, _) | (_, Value::Hidden) => {}
        (Some(value), Value::Plain) => lines.push(format!("  {}", String::from_utf8_lossy(value))),
        (Some(value), Value::Pretty) => lines.push(pretty(value)),
    }
    lines.join("\n")
}

/// JSON over several lines; anything else as it is.
fn pretty(value: &Bytes) -> String {
    serde_json::from_slice::<serde_json::Value>(value)
        .and_then(|it| serde_json::to_string_pretty(&it))
        .unwrap_or_else(|_| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use systole_client::Offset;
    use systole_client::record::TimestampKind;

    fn record() -> Record {
        Record {
            topic: "clinical.patient".into(),
            partition: 2,
            offset: Offset::new(7).unwrap(),
            timestamp: Some((Timestamp::from_millis(1_700_000_000_123), TimestampKind::Create)),
            key: Some("Patient/1".into()),
            value: Some(Bytes::from_static(b"\xff\x00")),
            headers: vec![Header::new("ce_type", "health.systole.noted.v1")],
        }
    }
    const TERMINAL: Shown = Shown { key: false, headers: false, value: Value::Hidden };
    const ALL: Shown = Shown { key: true, headers: true, value: Value::Plain };

    #[test]
    fn a_terminal_sees_nothing_that_was_not_asked_for() {
        let out = Output::new(true);
        let line = "2023-11-14T22:13:20.123Z  clinical.patient-2@7  health.systole.noted.v1";
        assert_eq!(lines(&record(), TERMINAL, out), line);
        let json = serde_json::to_string(&Json::of(&record(), TERMINAL)).unwrap();
        let place = r#"{"topic":"clinical.patient","partition":2,"offset":7,"#;
        assert_eq!(json, format!(r#"{place}"timestamp":"2023-11-14T22:13:20.123Z"}}"#));
    }

    #[test]
    fn what_consume_prints_produce_can_read() {
        let json = serde_json::to_string(&Json::of(&record(), ALL)).unwrap();
        let read: Json = serde_json::from_str(&json).unwrap();
        let back = read.into_record("copy").unwrap();
        assert_eq!((back.key, back.value), (record().key, record().value));
        assert_eq!(back.headers, record().headers);
        assert_eq!(back.timestamp, record().timestamp.map(|(it, _)| it));
    }

    #[test]
    fn a_line_that_is_no_record_is_refused() {
        assert!(serde_json::from_str::<Json>(r#"{"vlaue": "x"}"#).is_err());
        let both =
            Json { value: Some("a".into()), value_base64: Some("YQ==".into()), ..Json::default() };
        assert!(both.into_record("t").is_err());
    }
}
