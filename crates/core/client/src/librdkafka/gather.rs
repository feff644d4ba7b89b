//! Messages on their way into batches of records.
//!
//! Owns: copying out of librdkafka's memory with few allocations, and the position after what was
//! copied. Does not own: where batches go.

use super::list::Words;
use crate::record::TimestampKind;
use crate::{Error, Header, Kind, Offset, Record, TopicPartition};
use bytes::{Bytes, BytesMut};
use rdkafka::Timestamp as NativeTimestamp;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use systole_kit::Timestamp;

/// Neighbouring records share blocks of this size.
const BLOCK_BYTES: usize = 64 * 1024;
/// A batch is handed on when it weighs as much, or has so many records.
const BATCH_WEIGHT: usize = 128 * 1024;
const BATCH_RECORDS: usize = 1000;
/// What a record needs beside its bytes, about.
const RECORD_OVERHEAD: usize = 128;

#[derive(Default)]
pub(super) struct Gather {
    block: BytesMut,
    words: Words,
    records: Vec<Record>,
    weight: usize,
    /// The position after the last record of each partition, or where it began.
    pub(super) positions: HashMap<TopicPartition, Offset>,
}

impl Gather {
    /// # Errors  [`Kind::Corrupt`] if the record cannot be shown; it is skipped.
    pub(super) fn add(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Error> {
        let topic = self.words.get(message.topic());
        let at = TopicPartition { topic: topic.clone(), partition: message.partition() };
        let offset = Offset::new(message.offset()).unwrap_or_default();
        let headers = self.headers(message).map_err(|it| it.about(format!("{at}@{offset}")));
        match self.positions.get_mut(&at) {
            Some(position) => *position = offset.next(),
            None => drop(self.positions.insert(at, offset.next())),
        }
        let record = Record {
            topic,
            partition: message.partition(),
            offset,
            timestamp: timestamp(message.timestamp()),
            key: message.key().map(|it| self.copy(it)),
            value: message.payload().map(|it| self.copy(it)),
            headers: headers?,
        };
        self.weight += record.size_bytes() + RECORD_OVERHEAD;
        self.records.push(record);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.weight >= BATCH_WEIGHT || self.records.len() >= BATCH_RECORDS
    }

    /// The batch with its weight, if there is one.
    pub(super) fn take(&mut self) -> Option<(Vec<Record>, usize)> {
        if self.records.is_empty() {
            return None;
        }
        Some((std::mem::take(&mut self.records), std::mem::take(&mut self.weight)))
    }

    fn headers(&mut self, message: &BorrowedMessage<'_>) -> Result<Vec<Header>, Error> {
        let Some(headers) = message.headers() else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(headers.count());
        for at in 0..headers.count() {
            // `rdkafka` panics on a name that is not UTF-8, which any producer may write.
            let header = catch_unwind(AssertUnwindSafe(|| headers.get(at)))
                .map_err(|_| Error::new(Kind::Corrupt).because("a header name is not UTF-8"))?;
            let name = self.words.get(header.key);
            all.push(Header { name, value: header.value.map(|it| self.copy(it)) });
        }
        Ok(all)
    }

    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() >= BLOCK_BYTES {
            return Bytes::copy_from_slice(bytes);
        }
        if self.block.capacity() < bytes.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }
}

fn timestamp(native: NativeTimestamp) -> Option<(Timestamp, TimestampKind)> {
    let kind = match native {
        NativeTimestamp::NotAvailable => return None,
        NativeTimestamp::CreateTime(_) => TimestampKind::Create,
        NativeTimestamp::LogAppendTime(_) => TimestampKind::LogAppend,
    };
    Some((Timestamp::from_millis(native.to_millis()?), kind))
}
