//! The consumer: a thread that reads ahead, and the handle of its user.
//!
//! Owns: the thread, rebalances and the end of a partition. Does not own: the limit of what is read
//! ahead (`inbox`), copying (`gather`), which partition comes next (`lanes`).
//!
//! Invariants
//! - Events come in the order in which they happened: records of a partition are never seen after
//!   its revocation.
//! - A partition is given up only after the user has seen its revocation and asked for more.

use super::config::Base;
use super::context::Context;
use super::gather::Gather;
use super::inbox::{Inbox, Item};
use super::lanes::{Lanes, Source};
use super::{ANSWER_TIMEOUT, blocking, failure, list};
use crate::consumer::{DirectOptions, GroupOptions, Start};
use crate::{Answer, Error, Event, Kind, Offset, TopicPartition};
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, TopicPartitionList};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the thread waits for a record before it looks whether it should end.
/// Not whole milliseconds: rdkafka rounds what remains down to them and would spin for the last.
const POLL: Duration = Duration::from_micros(100_500);

type Native = BaseConsumer<Reading>;

pub(super) fn join(
    base: &Base,
    topics: &[&str],
    options: &GroupOptions,
    context: Context,
) -> Result<Consumer, Error> {
    let (reading, items) =
        Reading::new(context, options.fetch.prefetch_max, options.poll_interval_max);
    let native = create(&base.group(options), reading)?;
    native.subscribe(topics).map_err(|it| failure::of(&it).about(topics.join(", ")))?;
    Consumer::start(Arc::new(native), Source::Merged, items)
}

/// Blocks until the starts are known.
pub(super) fn read(
    config: &ClientConfig,
    from: &[(TopicPartition, Start)],
    options: &DirectOptions,
    context: Context,
) -> Result<Consumer, Error> {
    let (reading, items) = Reading::new(context, options.fetch.prefetch_max, Duration::ZERO);
    let native = Arc::new(create(config, reading)?);
    list::serve(&native);
    let starts = list::resolve(&native, from).map_err(|error| {
        list::serve(&native); // which may tell why
        native.context().context.explain(error)
    })?;
    let lanes = Lanes::split(&native, starts.iter().map(|(at, _)| at));
    native.assign(&list::of_offsets(&starts)?).map_err(|it| failure::of(&it))?;
    native.context().gather().positions.extend(starts);
    Consumer::start(native, Source::Lanes(lanes), items)
}

fn create(config: &ClientConfig, reading: Reading) -> Result<Native, Error> {
    Native::from_config_and_context(config, reading).map_err(|it| failure::of(&it))
}

// ---- the reading thread ----

/// What the thread and librdkafka's callbacks share. Both run on the thread, callbacks inside of
/// its polls, so the lock is never contended.
struct Reading {
    context: Context,
    inbox: Inbox,
    gather: Mutex<Gather>,
    revocation_max: Duration,
}

impl Reading {
    fn new(
        context: Context,
        prefetch_max: systole_kit::ByteSize,
        revocation_max: Duration,
    ) -> (Self, mpsc::UnboundedReceiver<Item>) {
        let (inbox, items) = Inbox::new(prefetch_max);
        (Self { context, inbox, gather: Mutex::default(), revocation_max }, items)
    }

    fn gather(&self) -> MutexGuard<'_, Gather> {
        self.gather.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Hands on what was gathered, so that what follows comes after it.
    fn hand_on(&self) {
        let batch = self.gather().take();
        if let Some((records, weight)) = batch {
            self.inbox.put(Ok(Event::Records(records)), weight);
        }
    }
    fn tell(&self, event: Result<Event, Error>) {
        self.hand_on();
        self.inbox.put(event, 0);
    }
    fn ended(&self, at: &TopicPartition) {
        let position = self.gather().positions.get(at).copied();
        if let Some(position) = position {
            self.tell(Ok(Event::Ended(at.clone(), position)));
        }
    }
}

fn run(native: &Native, mut source: Source<Reading>) {
    let reading = native.context().clone();
    while !reading.inbox.is_closed() {
        let mut wait = POLL;
        while let Some((at, polled)) = source.poll(native, wait) {
            match polled {
                Ok(message) => {
                    let added = reading.gather().add(&message);
                    if let Err(error) = added {
                        reading.tell(Err(error));
                    }
                }
                Err(KafkaError::PartitionEOF(_)) => at.into_iter().for_each(|it| reading.ended(it)),
                Err(error) => failed(&reading, &error),
            }
            if reading.gather().is_full() {
                break;
            }
            wait = Duration::ZERO;
        }
        reading.hand_on();
    }
}

/// librdkafka comes back from lost connections by itself, and its log says so.
fn failed(reading: &Reading, error: &KafkaError) {
    let error = failure::of(error);
    if error.kind() != Kind::Unreachable {
        reading.tell(Err(error));
    }
}

impl ConsumerContext for Reading {
    fn pre_rebalance(&self, native: &Native, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(revoked) = rebalance else { return };
        self.hand_on();
        let revoked = list::partitions(revoked);
        self.gather().positions.retain(|at, _| !revoked.contains(at));
        if native.assignment_lost() {
            self.inbox.put(Ok(Event::Lost(revoked)), 0);
        } else {
            self.inbox.put_and_wait(Event::Revoked(revoked), self.revocation_max);
        }
    }
    fn post_rebalance(&self, _: &Native, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(assigned) => {
                self.tell(Ok(Event::Assigned(list::partitions(assigned))));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => self.tell(Err(failure::of(error))),
        }
    }
    fn commit_callback(&self, _: Result<(), KafkaError>, _: &TopicPartitionList) {
        // Commits are made by `Consumer::commit` alone, which receives the answer itself.
    }
}

impl ClientContext for Reading {
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

impl ConsumerContext for Context {}

// ---- the user's handle ----

pub(super) struct Consumer {
    /// `None` only while it is being closed.
    native: Option<Arc<Native>>,
    reading: Arc<Reading>,
    items: mpsc::UnboundedReceiver<Item>,
    /// Who waits until the last event has been dealt with.
    dealt_with: Option<std::sync::mpsc::SyncSender<()>>,
    positions: BTreeMap<TopicPartition, Offset>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    fn start(
        native: Arc<Native>,
        source: Source<Reading>,
        items: mpsc::UnboundedReceiver<Item>,
    ) -> Result<Self, Error> {
        let reading = native.context().clone();
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn({
                let native = native.clone();
                // Dropping the last reference leaves the group, which blocks: it happens here.
                move || run(&native, source)
            })
            .map_err(|it| Error::new(Kind::Settings).about("thread").because(it.to_string()))?;
        Ok(Self {
            native: Some(native),
            reading,
            items,
            dealt_with: None,
            positions: BTreeMap::new(),
            thread: Some(thread),
        })
    }

    fn native(&self) -> Result<&Arc<Native>, Error> {
        self.native.as_ref().ok_or_else(Error::closed)
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Records(records) => {
                // From the back: only the last record of each run of one partition matters.
                for run in records.chunk_by(|a, b| a.partition == b.partition && a.topic == b.topic)
                {
                    if let Some(last) = run.last() {
                        self.positions.insert(last.topic_partition(), last.offset.next());
                    }
                }
            }
            Event::Revoked(gone) | Event::Lost(gone) => {
                self.positions.retain(|at, _| !gone.contains(at));
            }
            Event::Assigned(_) | Event::Ended(..) => {}
        }
    }

    /// Lets the thread end; it leaves the group on its way out.
    fn let_go(&mut self) {
        self.reading.inbox.close();
        self.dealt_with = None;
        self.items.close();
        while self.items.try_recv().is_ok() {} // a revocation in there is waiting for us
        self.native = None;
    }
}

impl crate::Consumer for Consumer {
    fn next(&mut self) -> Answer<'_, Event> {
        if let Some(waiting) = self.dealt_with.take() {
            let _ = waiting.send(()); // it may have given up waiting
        }
        Box::pin(async {
            let item = self.items.recv().await.ok_or_else(Error::closed)?;
            self.reading.inbox.release(item.weight);
            self.dealt_with = item.dealt_with;
            let event = item.event?;
            self.note(&event);
            Ok(event)
        })
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.native()?.pause(&list::of_partitions(partitions)).map_err(|it| failure::of(&it))
    }
    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.native()?.resume(&list::of_partitions(partitions)).map_err(|it| failure::of(&it))
    }
    fn position(&self) -> Vec<(TopicPartition, Offset)> {
        self.positions.iter().map(|(at, offset)| (at.clone(), *offset)).collect()
    }

    fn committed<'a>(
        &'a self,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<(TopicPartition, Option<Offset>)>> {
        Box::pin(async move {
            let (native, question) = (self.native()?.clone(), list::of_partitions(partitions));
            blocking(move || {
                let answer = native.committed_offsets(question, ANSWER_TIMEOUT);
                list::offsets(&answer.map_err(|it| failure::of(&it))?)
            })
            .await
        })
    }

    fn commit<'a>(&'a self, positions: &'a [(TopicPartition, Offset)]) -> Answer<'a, ()> {
        Box::pin(async move {
            if positions.is_empty() {
                return Ok(());
            }
            let (native, positions) = (self.native()?.clone(), list::of_offsets(positions)?);
            blocking(move || {
                native.commit(&positions, CommitMode::Sync).map_err(|it| failure::of(&it))
            })
            .await
        })
    }

    fn close(mut self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(async move {
            self.let_go();
            match self.thread.take() {
                Some(thread) => {
                    blocking(move || thread.join().map_err(|_| Error::new(Kind::Other))).await
                }
                None => Ok(()),
            }
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("positions", &self.positions).finish_non_exhaustive()
    }
}
