//! One follower's stream of Server-Sent Events.
//!
//! Owns: the frames, keep-alive, and when the stream ends. Does not own: where it begins
//! ([`crate::position`]) or the HTTP around it ([`crate::subscribe`]).
//!
//! Nothing runs by itself: the HTTP server asks for the next frame when the last one is on its way,
//! so a follower that does not read stops the reading behind it, and one that goes away drops
//! everything.
//!
//! # Source  WHATWG HTML, "Server-sent events". An `id` without data moves the client's last id
//! and shows no event, which lets a comment carry the cursor past records that were filtered out.

use crate::cloudevent::CloudEvent;
use crate::cursor::Cursor;
use crate::door::Shared;
use crate::filter::Filter;
use crate::format;
use crate::position::Report;
use axum::body::Body;
use bytes::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use systole_client::{Class, Consumer, Error, Event, Kind, Record};
use systole_world::{ClockExt as _, Instant};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Frames are gathered up to this size, in bytes, before they are handed to the connection.
const GATHER_BYTES: usize = 64 * 1024;
/// After an error that may pass, the consumer is asked again so much later.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a look at the topic may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// What a client is told to wait before it connects again, in milliseconds.
const RECONNECT_MILLIS: u32 = 2000;

/// What a stream is of, and where it begins.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) topic: Arc<str>,
    pub(crate) cursor: Cursor,
    pub(crate) report: Report,
    pub(crate) filter: Filter,
}

pub(crate) struct Watch {
    shared: Arc<Shared>,
    topic: Arc<str>,
    consumer: Option<Box<dyn Consumer>>,
    stopping: watch::Receiver<bool>,
    cursor: Cursor,
    filter: Filter,
    pending: VecDeque<Record>,
    /// Said before anything else.
    first: Option<String>,
    keep_alive_at: Instant,
    /// When the topic is looked at again: whether it is still there, with as many partitions.
    look_at: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    pub(crate) fn new(
        shared: Arc<Shared>,
        permit: OwnedSemaphorePermit,
        consumer: Box<dyn Consumer>,
        begin: Begin,
    ) -> Self {
        let Begin { topic, cursor, report, filter } = begin;
        let json = serde_json::to_string(&report).unwrap_or_default();
        let id = cursor.encode();
        let first =
            format!("retry: {RECONNECT_MILLIS}\nid: {id}\nevent: position\ndata: {json}\n\n");
        shared.meters.streams.inc();
        let at = shared.clock.instant().plus(shared.config.keep_alive_every);
        Self {
            stopping: shared.stopping.clone(),
            keep_alive_at: at,
            look_at: at,
            shared,
            topic,
            consumer: Some(consumer),
            cursor,
            filter,
            pending: VecDeque::new(),
            first: Some(first),
            _permit: permit,
        }
    }

    pub(crate) fn into_body(self) -> Body {
        Body::from_stream(futures_util::stream::unfold(self, |mut it| async move {
            let frame = it.frame().await?;
            Some((Ok::<_, Infallible>(frame), it))
        }))
    }

    /// The next piece of the stream; `None` at its end.
    async fn frame(&mut self) -> Option<Bytes> {
        let mut text = self.first.take().unwrap_or_default();
        while text.is_empty() {
            while let Some(record) = self.pending.pop_front() {
                self.show(&record, &mut text);
                if text.len() >= GATHER_BYTES {
                    break;
                }
            }
            if !text.is_empty() {
                break;
            }
            self.wait(&mut text).await?;
        }
        self.keep_alive_at = self.shared.clock.instant().plus(self.shared.config.keep_alive_every);
        Some(Bytes::from(text))
    }

    /// Waits until there is something to say or to show.
    async fn wait(&mut self, text: &mut String) -> Option<()> {
        self.consumer.as_ref()?;
        if self.shared.clock.instant() >= self.look_at {
            self.look(text).await;
            if !text.is_empty() {
                return Some(());
            }
        }
        let consumer = self.consumer.as_mut()?;
        let stopping = &mut self.stopping;
        let keep_alive = self.shared.clock.sleep_until(self.keep_alive_at);
        let event = tokio::select! {
            biased;
            _ = stopping.wait_for(|it| *it) => None,
            () = keep_alive => {
                let _ = write!(text, ": keep-alive\nid: {}\n\n", self.cursor.encode());
                return Some(());
            }
            event = consumer.next() => Some(event),
        };
        match event {
            None => self.end(text, "{\"reason\":\"stopping\"}").await,
            Some(Ok(Event::Records(records))) => self.pending = records.into(),
            Some(Ok(_)) => {}
            Some(Err(error)) if error.class() == Class::Retry => {
                self.shared.clock.sleep(RETRY_PAUSE).await;
            }
            Some(Err(error)) => self.end(text, &last_words(&error)).await,
        }
        Some(())
    }

    /// The consumer reads the partitions that it was given, and says nothing of a topic that is
    /// gone or has grown: then the client is to come again.
    async fn look(&mut self, text: &mut String) {
        let shared = self.shared.clone();
        let asked = shared.admin.cluster(Some(&self.topic));
        let answer = shared.clock.timeout(LOOK_MAX, asked).await;
        self.look_at = shared.clock.instant().plus(shared.config.keep_alive_every);
        match answer {
            Ok(Err(error)) if error.kind() == Kind::UnknownTopic => {
                self.end(text, &last_words(&error)).await;
            }
            Ok(Ok(cluster)) => {
                let topic = cluster.topics.iter().find(|it| *it.name == *self.topic);
                if topic.is_some_and(|it| it.partitions.len() > self.cursor.positions.len()) {
                    self.end(text, "{\"reason\":\"partitions-added\"}").await;
                }
            }
            _ => {} // the cluster has no time now; the next look will tell
        }
    }

    async fn end(&mut self, text: &mut String, reason: &str) {
        let _ = write!(text, "event: end\ndata: {reason}\n\n");
        if let Some(consumer) = self.consumer.take()
            && let Err(error) = consumer.close().await
        {
            let code = error.code();
            tracing::debug!(%code, %error, "a follower's consumer did not close in order");
        }
    }

    fn show(&mut self, record: &Record, text: &mut String) {
        if let Some(position) = self.cursor.positions.get_mut(&record.partition) {
            position.next = record.offset.next();
            position.seen_at = record.timestamp.map(|(it, _)| it);
        }
        let event = format::from_record(record);
        if !self.filter.matches(event.get("type"), event.get("subject")) {
            return;
        }
        self.shared.meters.sent.inc();
        let _ = writeln!(text, "id: {}", self.cursor.encode());
        write_data(text, &event);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.meters.streams.dec();
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// A line of `data` for each line of the JSON; the client puts the line breaks back.
fn write_data(text: &mut String, event: &CloudEvent) {
    let json = format::write_structured(event);
    for line in json.split(['\n', '\r']) {
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
}

fn last_words(error: &Error) -> String {
    let reason = match error.kind() {
        Kind::UnknownTopic => "topic-deleted",
        Kind::OffsetOutOfRange => "position-lost",
        _ => "error",
    };
    format!("{{\"reason\":\"{reason}\",\"code\":\"{}\"}}", error.code())
}
