//! `GET /v1/topics/{topic}/events`: follow a topic as Server-Sent Events.
//!
//! Owns: what the request says. Does not own: the stream ([`crate::watch`]).

use crate::cloudevent;
use crate::cursor::Cursor;
use crate::door::Shared;
use crate::error::{Error, from_client};
use crate::filter::{Filter, Pattern};
use crate::position::{self, Places, Wish};
use crate::topic;
use crate::watch::{Begin, Watch};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use serde::Deserialize;
use std::sync::Arc;
use systole_client::consumer::Fetch;
use systole_client::{DirectOptions, Start, TopicPartition};
use systole_kit::{ByteSize, Timestamp};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    from: Option<String>,
    cursor: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
    subject: Option<String>,
}

const LAST_EVENT_ID: &str = "last-event-id";

/// Never ends by itself; see [`crate::watch`] for how it does.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    query: Result<Query<Question>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    topic::check(&topic)?;
    let query = query
        .map_err(|_| Error::Query("the query takes from, cursor, type and subject, each once"))?;
    let Question { from, cursor, type_, subject } = query.0;
    let filter = Filter {
        type_: type_.map(Pattern::parse).transpose()?,
        subject: subject.map(Pattern::parse).transpose()?,
    };
    let last_id = headers.get(LAST_EVENT_ID).map(|it| it.to_str());
    let last_id = last_id.transpose().map_err(|_| Error::Cursor("is not text"))?;
    // A client that connects again sends the id by itself, with the query of its first time.
    let wish = match last_id.filter(|it| !it.is_empty()).or(cursor.as_deref()) {
        Some(text) => Wish::Resume(Cursor::decode(text)?),
        None => parse_from(from.as_deref())?,
    };
    shared.check_running()?;
    let permit = shared.streams.clone().try_acquire_owned();
    let limit = shared.config.streams_max;
    let permit = permit.map_err(|_| Error::TooManyStreams { limit })?;
    let places = Places { client: &*shared.client, admin: &*shared.admin, clock: &*shared.clock };
    let opening = position::open(&places, &topic, wish).await?;
    let topic: Arc<str> = topic.into();
    let starts = opening.cursor.positions.iter().map(|(partition, position)| {
        (TopicPartition::new(topic.clone(), *partition), Start::At(position.next))
    });
    let prefetch_max = ByteSize::new(shared.config.stream_buffer_bytes);
    let fetch = Fetch { prefetch_max, ..Fetch::default() };
    let options = DirectOptions { fetch, ..DirectOptions::default() };
    let consumer = shared.client.read(starts.collect(), &options).await.map_err(from_client)?;
    let begin = Begin { topic, cursor: opening.cursor, report: opening.report, filter };
    let watch = Watch::new(shared, permit, consumer, begin);
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, watch.into_body()).into_response())
}

fn parse_from(from: Option<&str>) -> Result<Wish, Error> {
    let wrong = || Error::Query("from is now, earliest or an RFC 3339 time with its offset");
    match from {
        None | Some("now") => Ok(Wish::Now),
        Some("earliest") => Ok(Wish::Earliest),
        Some(time) if cloudevent::is_rfc3339(time) => {
            let at = time.parse::<jiff::Timestamp>().map_err(|_| wrong())?;
            Ok(Wish::Time(Timestamp::from_millis(at.as_millisecond())))
        }
        Some(_) => Err(wrong()),
    }
}
