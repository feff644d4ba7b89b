//! Transactional ids as records of `__transaction_state`, in Kafka's own format.
//!
//! Owns: keys, values, versions written and read. Does not own: the topic (the broker).
//! Bytes: `docs/formats/transactions.md`.
//!
//! # Source  Kafka 4.3 `TransactionLog`: keys v0, values v1

use crate::transaction::{EPOCH_LAST, NO_EPOCH};
use crate::{Place, Producer, State, Transaction, Version};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::collections::BTreeMap;
use std::sync::Arc;
use systole_kit::Timestamp;
use systole_wire::message::transaction_log_value::PartitionsSchema;
use systole_wire::message::{Message, TransactionLogKey, TransactionLogValue};
use systole_wire::{DecodeError, EncodeError, Reader, Writer};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;

/// Key and value of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub key: Bytes,
    /// `None`: the id is forgotten.
    pub value: Option<Bytes>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: Arc<str>,
    /// `None`: the id is forgotten.
    pub transaction: Option<Transaction>,
}

#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("a key or value shorter than its version")]
    NoVersion,
    #[error("a key of version {0}")]
    KeyVersion(i16),
    #[error("a transaction in state {0}")]
    State(i8),
    #[error(transparent)]
    Message(#[from] DecodeError),
}

/// The record that says `transaction`, or that `id` is forgotten.
///
/// # Errors  An id or topic name longer than the format can say.
pub fn of(id: &str, transaction: Option<&Transaction>) -> Result<Pair, EncodeError> {
    let key = encode(KEY_VERSION, &TransactionLogKey { transactional_id: id.into() })?;
    let value = transaction.map(|it| encode(VALUE_VERSION, &value_of(it))).transpose()?;
    Ok(Pair { key, value })
}

/// Understands one record.
pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Entry, Unreadable> {
    let mut key = Bytes::copy_from_slice(key.unwrap_or_default());
    let version = key.try_get_i16().map_err(|_| Unreadable::NoVersion)?;
    if version != KEY_VERSION {
        return Err(Unreadable::KeyVersion(version));
    }
    let key = TransactionLogKey::decode(&mut Reader::new(key), version)?;
    let transaction = value.map(|it| transaction(Bytes::copy_from_slice(it))).transpose()?;
    Ok(Entry { id: Arc::from(&*key.transactional_id), transaction })
}

/// Both begin with their version.
fn encode(version: i16, message: &impl Message) -> Result<Bytes, EncodeError> {
    let mut body = Writer::default();
    message.encode(&mut body, version)?;
    let body = body.into_bytes();
    let mut whole = BytesMut::with_capacity(size_of::<i16>() + body.len());
    whole.put_i16(version);
    whole.put_slice(&body);
    Ok(whole.freeze())
}

fn value_of(it: &Transaction) -> TransactionLogValue {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for Place { topic, partition } in &it.places {
        topics.entry(topic).or_default().push(*partition);
    }
    let schema = |(topic, partition_ids): (&Arc<str>, _)| PartitionsSchema {
        topic: (&**topic).into(),
        partition_ids,
        ..Default::default()
    };
    TransactionLogValue {
        producer_id: it.producer.id,
        previous_producer_id: it.previous_id,
        next_producer_id: it.next_id,
        producer_epoch: it.producer.epoch,
        next_producer_epoch: NO_EPOCH,
        transaction_timeout_ms: it.timeout_ms,
        transaction_status: it.state.number(),
        transaction_partitions: (it.state != State::Empty)
            .then(|| topics.into_iter().map(schema).collect()),
        transaction_last_update_timestamp_ms: it.updated_at.as_millis(),
        transaction_start_timestamp_ms: it.started_at_ms,
        client_transaction_version: it.version.level(),
        ..Default::default()
    }
}

fn transaction(mut value: Bytes) -> Result<Transaction, Unreadable> {
    let version = value.try_get_i16().map_err(|_| Unreadable::NoVersion)?;
    let mut it = TransactionLogValue::decode(&mut Reader::new(value), version)?;
    let number = it.transaction_status;
    let state = State::from_number(number).ok_or(Unreadable::State(number))?;
    if matches!(state, State::Dead | State::PrepareEpochFence) {
        return Err(Unreadable::State(number));
    }
    let producer = Producer { id: it.producer_id, epoch: it.producer_epoch };
    let protocol = Version::from_level(it.client_transaction_version);
    let listed = it.transaction_partitions.take().unwrap_or_default();
    let places = listed.into_iter().flat_map(|them| {
        let topic: Arc<str> = Arc::from(&*them.topic);
        let place = move |partition| Place { topic: Arc::clone(&topic), partition };
        them.partition_ids.into_iter().map(place).collect::<Vec<_>>()
    });
    Ok(Transaction {
        producer,
        previous_id: it.previous_producer_id,
        next_id: it.next_producer_id,
        last_epoch: last_epoch(producer, &it, protocol),
        timeout_ms: it.transaction_timeout_ms,
        state,
        places: places.collect(),
        started_at_ms: it.transaction_start_timestamp_ms,
        updated_at: Timestamp::from_millis(it.transaction_last_update_timestamp_ms),
        version: protocol,
    })
}

/// The format does not say the epoch before. A decided transaction of version 2 had the one below,
/// so that a producer may still repeat its end and its initialization; nobody else may.
fn last_epoch(producer: Producer, it: &TransactionLogValue, version: Version) -> i16 {
    let is_decided = it.transaction_status >= State::PrepareCommit.number();
    match producer.epoch {
        _ if version == Version::One || !is_decided => NO_EPOCH,
        0 if it.previous_producer_id != producer.id => EPOCH_LAST,
        epoch => epoch.saturating_sub(1),
    }
}
