//! From a frame to its handler, and from the handler's answer to a frame.
//!
//! Owns: headers, versions, what becomes of a request that cannot be read. Does not own: which APIs
//! there are (`super::TABLE`), order and sockets (`server`).

use super::{Call, Handler, Need, Reply, ResponseOf, TABLE, Turn, api_versions, sasl_authenticate};
use crate::ctx::Ctx;
use crate::quota::Rest;
use crate::server::{Peer, Share};
use bytes::Bytes;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use systole_guard::quota::Key;
use systole_kit::Code;
use systole_wire::ErrorCode;
use systole_wire::header::{self, Preamble};
use systole_wire::message::{ApiVersionsResponse, Message, Request, ResponseHeader};
use systole_wire::{ApiKey, DecodeError, EncodeError, Reader, Writer};
use systole_world::Instant;

/// One row of the table.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) version_min: i16,
    pub(crate) version_max: i16,
    /// What a caller must be allowed, all or part of it, depending on the request.
    pub(crate) needs: &'static [Need],
    begin: fn(Call, i32, Reader) -> Result<Begun, DecodeError>,
}

impl Api {
    pub(super) const fn of<H: Handler>() -> Self {
        let versions = H::VERSIONS;
        Self {
            key: <H::Request as Request>::API,
            version_min: *versions.start(),
            version_max: *versions.end(),
            needs: H::NEEDS,
            begin: begin::<H>,
        }
    }
}

/// A request under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A request that has begun.
pub(crate) struct Begun {
    pub(crate) running: Running,
    /// For so long nothing more is read from the client, whose answer may yet take a while.
    pub(crate) rest: Duration,
}

impl From<Running> for Begun {
    fn from(running: Running) -> Self {
        Self { running, rest: Duration::ZERO }
    }
}

/// A request that has come to its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// For so long nothing more is read from the client.
    pub(crate) rest: Duration,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, rest: Duration::ZERO }
    }
}

/// How a request ended, as its connection sees it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The answer's frame in pieces, its length first.
    Send(Vec<Bytes>),
    Nothing,
    Close(&'static str),
}

/// A frame that is no request to this node. As Kafka does, the connection ends without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the request's header cannot be read: {0}")]
    Header(DecodeError),
    #[error("API key {0} is not served")]
    UnknownApi(i16),
    #[error("{} v{version} is not served, v{min} to v{max} are", api.name())]
    Version { api: ApiKey, version: i16, min: i16, max: i16 },
    #[error("{} was asked before the caller proved who it is", .0.name())]
    NotProven(ApiKey),
    #[error("the body of {} v{version} cannot be read: {source}", api.name())]
    Body { api: ApiKey, version: i16, source: DecodeError },
}

impl Refused {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Header(_) | Self::Body { .. } => const { Code::new(2005) },
            Self::NotProven(_) => const { Code::new(2014) },
            Self::UnknownApi(_) | Self::Version { .. } => const { Code::new(2006) },
        }
    }
}

/// Starts the request in `frame`. `share` is its place in the budget, given back with the answer.
pub(crate) fn start(
    ctx: &Arc<Ctx>,
    peer: &Arc<Peer>,
    frame: Bytes,
    share: Option<Share>,
) -> Result<Begun, Refused> {
    if peer.session.is_raw() {
        return Ok(sasl_authenticate::raw(ctx, peer, &frame).into());
    }
    let frame_bytes = frame.len();
    let mut reader = Reader::new(frame);
    let Preamble { api_key, api_version: version, correlation_id } =
        Preamble::peek(&reader).map_err(Refused::Header)?;
    let api = TABLE.iter().find(|it| it.key.number() == api_key);
    let api = api.ok_or(Refused::UnknownApi(api_key))?;
    if !peer.session.may_ask(api.key) {
        return Err(Refused::NotProven(api.key));
    }
    let (min, max) = (api.version_min, api.version_max);
    if !(min..=max).contains(&version) {
        return if api.key == ApiKey::ApiVersions {
            let running: Running = Box::pin(ready(say_which_versions(correlation_id).into()));
            Ok(running.into())
        } else {
            Err(Refused::Version { api: api.key, version, min, max })
        };
    }
    let head = header::decode_request(&mut reader, api.key, version).map_err(Refused::Header)?;
    let call = Call {
        ctx: Arc::clone(ctx),
        peer: Arc::clone(peer),
        version,
        client_id: head.client_id,
        principal: peer.session.principal(),
        needs: api.needs,
        frame_bytes,
        turn: Arc::new(Turn { rest: Rest::default(), _share: share }),
    };
    let refuse = |source| Refused::Body { api: api.key, version, source };
    (api.begin)(call, correlation_id, reader).map_err(refuse)
}

fn begin<H: Handler>(
    call: Call,
    correlation_id: i32,
    mut body: Reader,
) -> Result<Begun, DecodeError> {
    let api = H::Request::API;
    let (ctx, version, turn) = (Arc::clone(&call.ctx), call.version, Arc::clone(&call.turn));
    let started_at = ctx.world.clock.instant();
    let request = H::Request::decode(&mut body, version)?;
    let timed = call.is_timed(api).then(|| call.clone());
    let answer = H::handle(call, request);
    let mut busy = Busy { ctx: Arc::clone(&ctx), timed, spent: Duration::ZERO };
    busy.add(started_at);
    let rest = turn.rest.duration();
    let running = Box::pin(async move {
        let reply = busy.run(answer).await;
        if !matches!(reply, Reply::Nothing) {
            busy.charge();
        }
        let rest_ms = turn.rest.millis();
        let outcome = match reply {
            Reply::Send(mut response) => {
                if rest_ms > 0 {
                    response.set_throttle_time_ms(rest_ms);
                }
                encode::<H>(correlation_id, version, &response)
            }
            Reply::Nothing => Outcome::Nothing,
            Reply::Close(why) => Outcome::Close(why),
        };
        let rest = turn.rest.duration();
        let elapsed = ctx.world.clock.instant().since(started_at);
        ctx.metrics.count_request(api, elapsed, rest);
        drop(turn);
        Done { outcome, rest }
    });
    Ok(Begun { running, rest })
}

/// The time in which a request kept a thread, if it counts against a quota.
struct Busy {
    ctx: Arc<Ctx>,
    timed: Option<Call>,
    spent: Duration,
}

impl Busy {
    fn add(&mut self, since: Instant) {
        if self.timed.is_some() {
            self.spent += self.ctx.world.clock.instant().since(since);
        }
    }
    async fn run<F: Future>(&mut self, answer: F) -> F::Output {
        let mut answer = pin!(answer);
        if self.timed.is_none() {
            return answer.await;
        }
        let polled = poll_fn(|context| {
            let since = self.ctx.world.clock.instant();
            let polled = answer.as_mut().poll(context);
            self.add(since);
            polled
        });
        polled.await
    }
    fn charge(&self) {
        if let Some(call) = &self.timed {
            call.charge(Key::RequestPercentage, self.spent.as_secs_f64() * 100.0);
        }
    }
}

fn encode<H: Handler>(correlation_id: i32, version: i16, response: &ResponseOf<H>) -> Outcome {
    let api = H::Request::API;
    frame(api, version, correlation_id, response).unwrap_or_else(|error| {
        // A response of ours that the version cannot say is our mistake; the client must not wait.
        tracing::error!(api = api.name(), version, %error, "an answer could not be written");
        Outcome::Close("the answer could not be written")
    })
}

/// KIP-511: a client that is newer than this node learns in v0 which version it may ask in.
fn say_which_versions(correlation_id: i32) -> Outcome {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.number(),
        api_keys: api_versions::served().filter(|it| it.api_key == 18).collect(),
        ..Default::default()
    };
    frame(ApiKey::ApiVersions, 0, correlation_id, &response)
        .unwrap_or(Outcome::Close("the answer could not be written"))
}

fn frame(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    response: &impl Message,
) -> Result<Outcome, EncodeError> {
    let mut to = Writer::default();
    let head = ResponseHeader { correlation_id, ..Default::default() };
    header::encode_response(&mut to, api, version, &head)?;
    response.encode(&mut to, version)?;
    let limit = i32::MAX.unsigned_abs() as usize;
    let length =
        i32::try_from(to.len()).map_err(|_| EncodeError::TooLong { length: to.len(), limit })?;
    let mut parts = vec![Bytes::copy_from_slice(&length.to_be_bytes())];
    parts.extend(to.into_chunks());
    Ok(Outcome::Send(parts))
}
