//! `POST /v1/topics/{topic}/events`: publish one event or a batch.
//!
//! Owns: reading the body within its limits, and the answer. Does not own: the forms of an event
//! ([`crate::format`]).

use crate::cloudevent::{CloudEvent, Fault, Invalid};
use crate::door::Shared;
use crate::error::{Error, client_status, json, remedy_name};
use crate::format;
use crate::topic;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use systole_client::Delivered;
use systole_world::ClockExt as _;

/// What the client may take beyond the delivery time-out that it was given, before it is not waited
/// for any more.
const GRACE: Duration = Duration::from_secs(5);

/// Answered when every record is durable, or has failed for good.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    topic::check(&topic)?;
    shared.check_running()?;
    let (head, body) = request.into_parts();
    let form = Form::of(&head.headers)?;
    let body = read_body(&shared, &head.headers, body).await?;
    let mut events = read_events(form, &head.headers, body, shared.config.batch_events_max)?;
    shared.check_topic(&topic).await?;

    let now = shared.clock.now();
    let recorded_at = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    for event in &mut events {
        event.set_default("recordedtime", || format!("{recorded_at:.3}"));
    }
    let records = events.iter().map(|it| format::to_record(it, &topic)).collect();
    let limit = shared.config.publish_timeout;
    let start = shared.clock.instant();
    let sent = shared.clock.timeout(limit + GRACE, shared.producer.send_all(records)).await;
    let seconds = limit.as_secs();
    let results = sent.map_err(|_| Error::PublishTimeout { seconds })??;
    shared.meters.publish.observe(shared.clock.instant().since(start).as_secs_f64());
    Ok(answer(&shared, &events, results))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Structured,
    Batch,
    Binary,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        match content_type.map(format::essence).as_deref() {
            Some(format::STRUCTURED) => Ok(Self::Structured),
            Some(format::BATCH) => Ok(Self::Batch),
            _ if format::is_binary(headers) => Ok(Self::Binary),
            _ => Err(Error::NoEvent),
        }
    }
}

async fn read_body(shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let limit_bytes = shared.config.body_bytes_max;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    if announced.and_then(|it| it.parse().ok()).is_some_and(|it: usize| it > limit_bytes) {
        return Err(Error::BodyTooLarge { limit_bytes });
    }
    let whole = Limited::new(body, limit_bytes).collect();
    let limit = shared.config.body_timeout;
    match shared.clock.timeout(limit, whole).await {
        Err(_) => Err(Error::BodyTimeout { seconds: limit.as_secs() }),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Error::BodyTooLarge { limit_bytes })
        }
        Ok(Err(_)) => Err(Error::BodyCut),
    }
}

/// All events, or everything that is wrong with any of them.
fn read_events(
    form: Form,
    headers: &HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<Vec<CloudEvent>, Error> {
    let read: Vec<Result<CloudEvent, Fault>> = match form {
        Form::Binary => vec![format::read_binary(headers, body)],
        Form::Structured => vec![format::read_structured(&body)],
        Form::Batch => {
            let events = format::split_batch(&body).ok_or(Error::NotJson("expected an array"))?;
            if events.len() > limit {
                return Err(Error::TooManyEvents { limit });
            }
            events.into_iter().map(format::read_structured).collect()
        }
    };
    let (mut events, mut invalid) = (Vec::new(), Vec::new());
    for (at, event) in read.into_iter().enumerate() {
        match event {
            Ok(event) => events.push(event),
            Err((attribute, reason)) => invalid.push(Invalid { event: at, attribute, reason }),
        }
    }
    if invalid.is_empty() { Ok(events) } else { Err(Error::InvalidEvents(invalid)) }
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Receipt<'a> {
    id: &'a str,
    #[serde(flatten)]
    fate: Fate,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Fate {
    Written { partition: i32, offset: i64 },
    Failed { status: u16, code: String, remedy: &'static str, detail: String },
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    results: Vec<Receipt<'a>>,
}

/// 201: all written. 207: some. Otherwise the status of the first failure.
fn answer(
    shared: &Shared,
    events: &[CloudEvent],
    results: Vec<Result<Delivered, systole_client::Error>>,
) -> Response {
    let (mut written, mut failed) = (0, None);
    let fate = |result: Result<Delivered, systole_client::Error>| match result {
        Ok(it) => {
            written += 1;
            Fate::Written { partition: it.partition, offset: it.offset.get() }
        }
        Err(error) => {
            let status = client_status(error.kind());
            failed.get_or_insert(status);
            Fate::Failed {
                status: status.as_u16(),
                code: error.code().to_string(),
                remedy: remedy_name(error.remedy()),
                detail: error.to_string(),
            }
        }
    };
    let fates: Vec<_> = results.into_iter().map(fate).collect();
    let receipts = events.iter().zip(fates);
    let results =
        receipts.map(|(event, fate)| Receipt { id: event.get("id").unwrap_or_default(), fate });
    let body = json(&Answer { results: results.collect() });
    shared.meters.published.inc_by(written);
    let status = match failed {
        None => StatusCode::CREATED,
        Some(_) if written > 0 => StatusCode::MULTI_STATUS,
        Some(status) => status,
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
