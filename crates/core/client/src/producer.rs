//! Writing records.
//!
//! Owns: the trait, its options, and waiting for room. Does not own: the queue (`librdkafka`).

use crate::{Answer, Error, NewRecord, Offset};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use systole_kit::{ByteSize, Timestamp};
use tokio::sync::oneshot;

/// Writes records: acknowledged by all replicas, without duplicates or reordering on retry
/// (idempotent, KIP-98). Cloned by `Arc`; every task may send.
pub trait Producer: Debug + Send + Sync {
    /// Puts the record into the queue, or gives it back when there is no room. Never waits.
    fn try_send(&self, record: NewRecord) -> Result<Delivery, Refused>;
    /// Completes when it is worth trying again after [`Refused::Full`].
    fn room(&self) -> Answer<'_, ()>;
    /// Sends many records, waiting for room, and completes when all are acknowledged. One result
    /// per record, in their order. Costs less per record than as many sends.
    fn send_all(&self, records: Vec<NewRecord>) -> Answer<'_, Vec<Result<Delivered, Error>>>;
    /// Completes when no record is under way: each was acknowledged or has failed for good. Others
    /// who go on sending prolong it.
    fn flush(&self) -> Answer<'_, ()>;
    /// Refuses further records, waits for those under way, and ends the threads and connections.
    /// # Errors  [`crate::Kind::Undelivered`] if records failed whose [`Delivery`] was dropped.
    fn close(&self) -> Answer<'_, ()>;
}

/// What every producer can do through its primitives.
pub trait ProducerExt: Producer {
    /// Sends one record, waiting for room in the queue. The outer future completes when the record
    /// is in the queue, the [`Delivery`] when it is acknowledged; dropping the latter does not take
    /// the record back.
    fn send(&self, mut record: NewRecord) -> impl Future<Output = Result<Delivery, Error>> + Send {
        async move {
            loop {
                match self.try_send(record) {
                    Ok(delivery) => return Ok(delivery),
                    Err(Refused::Failed(error)) => return Err(error),
                    Err(Refused::Full(back)) => {
                        self.room().await?;
                        record = *back;
                    }
                }
            }
        }
    }
}
impl<P: Producer + ?Sized> ProducerExt for P {}

/// Why a record did not enter the queue.
#[derive(Debug)]
pub enum Refused {
    /// No room; here is the record again.
    Full(Box<NewRecord>),
    Failed(Error),
}

/// Where an acknowledged record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    pub partition: i32,
    pub offset: Offset,
    /// The record's own time, or the broker's if the topic says so.
    pub timestamp: Option<Timestamp>,
}

/// Completes when the record is acknowledged, or has failed for good.
#[derive(Debug)]
#[must_use = "a record that failed is reported here and nowhere else"]
pub struct Delivery(oneshot::Receiver<Result<Delivered, Error>>);

impl Delivery {
    /// For implementations: the sender gives the one result.
    pub fn new(from: oneshot::Receiver<Result<Delivered, Error>>) -> Self {
        Self(from)
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|it| it.unwrap_or_else(|_| Err(Error::closed())))
    }
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    #[default]
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Kafka's name, as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// How a producer writes. The defaults suit everyone who wants what was promised.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    pub codec: Codec,
    /// How long a batch waits for company.
    pub linger: Duration,
    /// Largest batch, in bytes before compression. Brokers take 1,048,588 by default, framing
    /// included.
    pub batch_max: ByteSize,
    /// Largest record that is sent; the broker has its own limit.
    pub record_max: ByteSize,
    /// Records under way, in bytes (with 128 bytes per record for bookkeeping). Then senders wait.
    pub queue_max: ByteSize,
    /// When a record that could not be written is given up.
    pub delivery_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            codec: Codec::default(),
            linger: Duration::from_millis(5),
            batch_max: ByteSize::new(1_000_000),
            record_max: ByteSize::new(1_000_000),
            queue_max: ByteSize::mib(64),
            delivery_timeout: Duration::from_mins(2),
        }
    }
}
