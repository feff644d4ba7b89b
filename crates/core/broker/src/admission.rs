//! What a produced batch must be like to enter a topic.
//!
//! Owns: the rules of a topic's settings (size, keys, timestamps, codec), and the answer for each
//! way to break a rule (KIP-467: which records, and why). Does not own: the rules of the format
//! (`wire::record::check_produced`), sequence numbers (the log).
//!
//! Ours, beside the codes in `refuse`: lz4 has one level, whatever `compression.lz4.level` says;
//! Kafka names every bad record, this node [`RECORD_ERRORS_MAX`] of them.
//!
//! An uncompressed batch that keeps its codec and timestamps passes without being copied.

use bytes::{Bytes, BytesMut};
use systole_catalogue::Settings;
use systole_kit::Timestamp;
use systole_wire::ErrorCode;
use systole_wire::compression;
use systole_wire::record::{
    self, BatchHeader, Contents, NO_TIMESTAMP, Record, RecordSet, TimestampType, check_produced,
};

/// Most bytes that the records of one batch may decompress to. Clients build batches of 1 MiB
/// unless told otherwise.
const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Most records that one answer names.
const RECORD_ERRORS_MAX: usize = 100;

/// Why a batch does not enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// For people. Never record content.
    pub(crate) message: Option<String>,
    /// Index in the batch and reason, at most [`RECORD_ERRORS_MAX`].
    pub(crate) records: Vec<(i32, String)>,
}

impl Refusal {
    pub(crate) const fn plain(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new() }
    }
    pub(crate) fn because(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::plain(code) }
    }
}

/// Checks what one partition of a Produce request carries; gives the batch to append.
pub(crate) fn admit(
    batch: Option<&Bytes>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Bytes, Refusal> {
    let Some(batch) = batch.filter(|it| !it.is_empty()) else {
        return Err(Refusal::because(ErrorCode::InvalidRecord, "there is no batch of records"));
    };
    let (size, limit) = (batch.len(), settings.message_bytes_max);
    if size > limit {
        // Two batches are refused for being two; a size alone says less.
        BatchHeader::read(batch).map_err(|it| refuse(&it))?;
        let message = format!("a batch of {size} bytes, the topic's limit is {limit} bytes");
        return Err(Refusal::because(ErrorCode::MessageTooLarge, message));
    }
    let mut found = Found::new(settings, now);
    let checked = check_produced(batch, DECOMPRESSED_BYTES_MAX, |it| found.look_at(it));
    let (records, contents) = checked.map_err(|it| refuse(&it))?;
    found.verdict()?;
    settle(batch, &records, contents, settings)
}

/// The batch as it is stored.
fn settle(
    batch: &Bytes,
    records: &RecordSet<'_>,
    contents: Contents,
    settings: &Settings,
) -> Result<Bytes, Refusal> {
    let header = records.header();
    let wanted = settings.compression;
    let recoded = match wanted {
        Some(how) if header.attributes.codec().map_err(|it| refuse(&it))? != how.codec => {
            Some(record::recompress(records, how).map_err(|it| refuse(&it))?)
        }
        _ => None,
    };
    let batch = recoded.unwrap_or_else(|| batch.clone());
    let is_as_said = header.max_timestamp == contents.max_timestamp
        && header.attributes.timestamp_type() == TimestampType::Create;
    if settings.log_append_time || is_as_said {
        return Ok(batch); // the log stamps what gets its time from the append
    }
    let mut patched = BytesMut::from(batch);
    record::set_max_timestamp(&mut patched, TimestampType::Create, contents.max_timestamp)
        .map_err(|it| refuse(&it))?;
    Ok(patched.freeze())
}

/// Looks at each record for what the topic asks of it.
struct Found {
    /// Records need a key.
    compacted: bool,
    /// `None`: timestamps are the broker's.
    times: Option<(i64, i64)>,
    without_key: u32,
    out_of_time: u32,
    records: Vec<(i32, String)>,
}

impl Found {
    fn new(settings: &Settings, now: Timestamp) -> Self {
        let earliest = now.as_millis().saturating_sub(settings.timestamp_before_max_ms);
        let latest = now.as_millis().saturating_add(settings.timestamp_after_max_ms);
        Self {
            compacted: settings.cleanup_compact,
            times: (!settings.log_append_time).then_some((earliest, latest)),
            without_key: 0,
            out_of_time: 0,
            records: Vec::new(),
        }
    }

    #[inline]
    fn look_at(&mut self, record: &Record<'_>) {
        if self.compacted && record.key.is_none() {
            self.without_key += 1;
            self.note(record, "a record of a compacted topic needs a key");
        } else if let Some((earliest, latest)) = self.times
            && !(earliest..=latest).contains(&record.timestamp)
            && record.timestamp != NO_TIMESTAMP
        {
            self.out_of_time += 1;
            self.note(record, "the timestamp is too far from the node's clock for this topic");
        }
    }

    #[cold]
    fn note(&mut self, record: &Record<'_>, why: &str) {
        if self.records.len() < RECORD_ERRORS_MAX {
            self.records.push((record.offset_delta, why.to_owned()));
        }
    }

    /// As Kafka does: one bad timestamp decides the code.
    fn verdict(self) -> Result<(), Refusal> {
        let Self { without_key, out_of_time, records, .. } = self;
        let (code, message) = match (without_key, out_of_time) {
            (0, 0) => return Ok(()),
            (n, 0) => (ErrorCode::InvalidRecord, format!("{n} records have no key")),
            (_, n) => (ErrorCode::InvalidTimestamp, format!("{n} records are out of time")),
        };
        Err(Refusal { code, message: Some(message), records })
    }
}

/// The answer to a batch that breaks the format. Where Kafka says UNKNOWN_SERVER_ERROR (a codec
/// that does not exist, damaged compressed data), ours says what is wrong.
fn refuse(error: &record::Error) -> Refusal {
    use record::Error as E;
    let code = match error {
        E::Magic { magic: 0 | 1 }
        | E::Truncated { .. }
        | E::Count { .. }
        | E::BaseOffset { .. }
        | E::Control
        | E::NotAMarker
        | E::Sequence { .. }
        | E::Record { .. }
        | E::Trailing { .. }
        | E::Compression(compression::Error::Damaged { .. }) => ErrorCode::InvalidRecord,
        E::Magic { .. } | E::Length { .. } | E::Crc { .. } => ErrorCode::CorruptMessage,
        E::Codec { .. } => ErrorCode::UnsupportedCompressionType,
        // The Java client splits a batch on this code and sends the halves.
        E::TooLarge | E::Compression(compression::Error::TooLarge { .. }) => {
            ErrorCode::MessageTooLarge
        }
        E::Compression(compression::Error::Compress { .. }) => ErrorCode::UnknownServerError,
    };
    let records = match error {
        E::Record { index, fault } => {
            i32::try_from(*index).map(|it| vec![(it, fault.to_string())]).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    Refusal { code, message: Some(error.to_string()), records }
}

#[cfg(test)]
mod tests;
