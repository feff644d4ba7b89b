//! The producer: a thread that hands out results, and a queue that waits instead of failing.
//!
//! Owns: the thread and the conversion of records. Does not own: the queue's limit (`flow`).

use super::config::Base;
use super::context::Context;
use super::flow::{Batch, Flow, Reply, Ticket};
use super::{blocking, failure};
use crate::producer::Refused;
use crate::{Answer, Delivered, Delivery, Error, Kind, NewRecord, Offset, ProducerOptions};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use systole_kit::Timestamp;
use tokio::sync::oneshot;

/// How long the thread waits for results before it looks whether it should end.
/// Not whole milliseconds: rdkafka rounds what remains down to them and would spin for the last.
const POLL: Duration = Duration::from_micros(100_500);

pub(super) struct Producer {
    native: Arc<BaseProducer<Deliveries>>,
    flow: Arc<Flow>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    record_bytes_max: u64,
}

/// Callbacks of a producer.
struct Deliveries {
    context: Context,
    flow: Arc<Flow>,
}

impl Producer {
    pub(super) fn start(
        base: &Base,
        options: &ProducerOptions,
        context: Context,
    ) -> Result<Self, Error> {
        // So that any record fits into a queue that is half empty: waiting always ends.
        let queue_min = options.record_max.bytes().saturating_mul(2).saturating_add(1024);
        if options.queue_max.bytes() < queue_min {
            let why = format!("must be at least {queue_min} bytes, twice `record_max`");
            return Err(Error::new(Kind::Settings).about("queue_max").because(why));
        }
        let flow = Arc::new(Flow::new(options.queue_max));
        let deliveries = Deliveries { context, flow: flow.clone() };
        let native = BaseProducer::from_config_and_context(&base.producer(options), deliveries)
            .map_err(|it| failure::of(&it))?;
        let native = Arc::new(native);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn({
                let (native, flow, stop) = (native.clone(), flow.clone(), stop.clone());
                // Ends once told to and nothing is under way: each record ends by its timeout.
                move || {
                    while !(stop.load(Ordering::Acquire) && flow.is_idle()) {
                        native.poll(POLL);
                    }
                }
            })
            .map_err(|it| Error::new(Kind::Settings).about("thread").because(it.to_string()))?;
        Ok(Self {
            native,
            flow,
            stop,
            thread: Mutex::new(Some(thread)),
            record_bytes_max: options.record_max.bytes(),
        })
    }

    /// Hands the record to librdkafka, which copies it. On refusal the reply is not used.
    fn enqueue(&self, record: NewRecord, reply: Reply) -> Result<(), (Refused, Reply)> {
        if self.flow.is_closed() {
            return Err((Refused::Failed(Error::closed()), reply));
        }
        let size_bytes = record.size_bytes();
        if u64::try_from(size_bytes).is_ok_and(|it| it > self.record_bytes_max) {
            let why = format!("{size_bytes} bytes, the limit is {}", self.record_bytes_max);
            let error = Error::new(Kind::TooLarge).about(&*record.topic).because(why);
            return Err((Refused::Failed(error), reply));
        }
        let weight = Flow::weight(&record);
        if !self.flow.enter(weight) {
            return Err((Refused::Full(Box::new(record)), reply));
        }
        let native = BaseRecord::<[u8], [u8], Box<Ticket>> {
            topic: &record.topic,
            partition: record.partition,
            payload: record.value.as_deref(),
            key: record.key.as_deref(),
            timestamp: record.timestamp.map(Timestamp::as_millis),
            headers: headers(&record),
            delivery_opaque: Box::new(Ticket { weight, reply }),
        };
        match self.native.send(native) {
            Ok(()) => Ok(()),
            Err((error, back)) => {
                let reply = back.delivery_opaque.reply;
                self.flow.leave(weight);
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                let refused = if error == full {
                    Refused::Full(Box::new(record.clone()))
                } else {
                    Refused::Failed(failure::of(&error).about(&*record.topic))
                };
                Err((refused, reply))
            }
        }
    }
}

fn headers(record: &NewRecord) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let all = OwnedHeaders::new_with_capacity(record.headers.len());
    let add = |all: OwnedHeaders, it: &crate::Header| {
        all.insert(Header { key: &it.name, value: it.value.as_deref() })
    };
    Some(record.headers.iter().fold(all, add))
}

impl crate::Producer for Producer {
    fn try_send(&self, record: NewRecord) -> Result<Delivery, Refused> {
        let (to, outcome) = oneshot::channel();
        match self.enqueue(record, Reply::One(to)) {
            Ok(()) => Ok(Delivery::new(outcome)),
            Err((refused, _)) => Err(refused),
        }
    }

    fn room(&self) -> Answer<'_, ()> {
        Box::pin(self.flow.wait_for_room())
    }

    fn send_all(&self, records: Vec<NewRecord>) -> Answer<'_, Vec<Result<Delivered, Error>>> {
        Box::pin(async move {
            if records.is_empty() {
                return Ok(Vec::new());
            }
            let (batch, finished) = Batch::new(records.len());
            for (at, mut record) in records.into_iter().enumerate() {
                let mut reply = Reply::Part(batch.clone(), at);
                while let Err((refused, back)) = self.enqueue(record, reply) {
                    match refused {
                        Refused::Full(again) => {
                            self.flow.wait_for_room().await?;
                            (record, reply) = (*again, back);
                        }
                        Refused::Failed(error) => {
                            batch.set(at, Err(error));
                            break;
                        }
                    }
                }
            }
            finished.await.map_err(|_| Error::closed())?;
            Ok(batch.take())
        })
    }

    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.flow.wait_until_idle().await;
            Ok(())
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.flow.close();
            self.flow.wait_until_idle().await;
            self.stop.store(true, Ordering::Release);
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let ended = move || thread.join().map_err(|_| Error::new(Kind::Other));
                blocking(ended).await?;
            }
            self.flow.losses()
        })
    }
}

impl Drop for Producer {
    /// Without [`crate::Producer::close`] the thread goes on until nothing is under way.
    fn drop(&mut self) {
        self.flow.close();
        self.stop.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("closed", &self.flow.is_closed()).finish_non_exhaustive()
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.context.log(level, facility, text);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
    fn generate_oauth_token(
        &self,
        config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let outcome = match result {
            Ok(message) => Ok(Delivered {
                partition: message.partition(),
                offset: Offset::new(message.offset()).unwrap_or_default(),
                timestamp: message.timestamp().to_millis().map(Timestamp::from_millis),
            }),
            Err((error, message)) => {
                Err(self.context.explain(failure::of(error)).about(message.topic()))
            }
        };
        self.flow.finish(*ticket, outcome);
    }
}
