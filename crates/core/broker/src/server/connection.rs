//! One client's connection: requests in, answers out, both in order, many under way at once.
//!
//! Owns: the loop that reads, starts, collects and writes. Does not own: what a request does
//! (`api`), how many connections there are (`limit`).
//! Reading order: [`Connection::run`] -> [`Connection::start_requests`] -> [`Closed`].
//!
//! One task per connection. Reading pauses when too many requests are under way, when the node has
//! no budget for another frame, when the log has no room for another append, and when the client
//! does not take its answers.

use super::Peer;
use super::frame::{FrameError, Frames, UNPROVEN_FRAME_BYTES_MAX};
use super::limit::{Budget, Share};
use super::lobby::{Place, Turn};
use super::outbox::Outbox;
use super::stream::Stream;
use crate::api::{self, Begun, Done, Outcome, Refused, Running};
use crate::ctx::Ctx;
use bytes::Bytes;
use futures_util::future::FutureExt as _;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Code;
use systole_wire::ApiKey;
use systole_world::Instant;
use systole_world::clock::Sleep;

/// A frame may take the time-out for started frames plus a second for every 64 KiB that came of it:
/// whoever announces much and sends little holds a place in the budget no longer than others.
const FRAME_BYTES_PER_SECOND_MIN: u64 = 64 * 1024;

/// The API key that a Produce request begins with.
const PRODUCE_KEY: [u8; 2] = ApiKey::Produce.number().to_be_bytes();

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("the client left")]
    ByClient,
    #[error("the node stops")]
    Stopping,
    #[error("nothing was heard for {0:?}")]
    Idle(Duration),
    #[error("the rest of a request did not come within {0:?}")]
    HalfRequest(Duration),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] Refused),
    #[error("the request failed and expects no answer: {0}")]
    Unanswerable(&'static str),
    #[error("the peer did not prove who it is within {0:?}")]
    NotProven(Duration),
    #[error("others came to prove who they are, and this peer had been silent longest")]
    Crowded,
    #[error("the proof of who the peer is has run out")]
    ProofExpired,
    #[error("authentication failed")]
    AuthenticationFailed,
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
}

impl Closed {
    /// `None`: an ordinary end.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::ByClient
            | Self::Stopping
            | Self::Idle(_)
            | Self::Unanswerable(_)
            | Self::ProofExpired
            | Self::Socket(_) => None,
            Self::HalfRequest(_) => Some(const { Code::new(2007) }),
            Self::AuthenticationFailed | Self::NotProven(_) => Some(const { Code::new(2013) }),
            Self::Crowded => Some(super::CROWDED),
            Self::Tls(_) => Some(const { Code::new(2019) }),
            Self::Frame(error) => Some(error.code()),
            Self::Request(refused) => Some(refused.code()),
        }
    }
}

pub(crate) struct Connection {
    stream: Stream,
    peer: Arc<Peer>,
    ctx: Arc<Ctx>,
    budget: Budget,
    frames: Frames,
    /// The place in the budget of the frame that is coming in.
    share: Option<Share>,
    /// A whole request for which the budget, or the log behind a Produce, has no room yet.
    held: Option<Bytes>,
    waiting: Option<Pin<Box<dyn Future<Output = Waited> + Send>>>,
    frame_due_at: Option<(Instant, Duration)>,
    /// Until then the peer must have proved who it is, or prove it again.
    proof_due_at: Option<Instant>,
    is_proven: bool,
    /// Its client took more than its quota: until then nothing is read (KIP-219).
    rests_until: Option<Instant>,
    /// Until it is proven.
    place: Option<Place>,
    running: FuturesOrdered<Running>,
    out: Outbox,
    heard_at: Instant,
    stopping: bool,
}

/// What reading was paused for.
enum Waited {
    Share(Option<Share>),
    Room,
    Turn(Option<Turn>),
}

enum Event {
    Answer(Done),
    Writable,
    Readable,
    Waited(Waited),
    Alarm,
    Leave,
    Stop,
}

impl Connection {
    pub(crate) fn new(stream: Stream, peer: Peer, ctx: Arc<Ctx>, budget: Budget) -> Self {
        let now = ctx.world.clock.instant();
        Self {
            stream,
            peer: Arc::new(peer),
            budget,
            frames: Frames::new(UNPROVEN_FRAME_BYTES_MAX),
            share: None,
            held: None,
            waiting: None,
            frame_due_at: None,
            proof_due_at: Some(now.plus(ctx.config.authentication_wait_max)),
            is_proven: false,
            rests_until: None,
            place: None,
            running: FuturesOrdered::new(),
            out: Outbox::default(),
            heard_at: now,
            stopping: false,
            ctx,
        }
    }

    /// Keeps the place until the peer has proved who it is.
    pub(crate) fn in_place(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(mut self) -> Closed {
        let closed = self.serve().await;
        self.stream.say_goodbye();
        closed
    }

    async fn serve(&mut self) -> Closed {
        let ctx = Arc::clone(&self.ctx);
        self.look_for_proof();
        let mut stop = pin!(ctx.stopping.cancelled());
        let mut alarm = Alarm::at(&ctx, self.due_at());
        loop {
            match self.step(stop.as_mut(), &mut alarm).await {
                Ok(()) if self.stopping && self.is_done() => return Closed::Stopping,
                Ok(()) if self.peer.session.is_failed() && self.is_done() => {
                    return Closed::AuthenticationFailed;
                }
                Ok(()) => alarm.no_later_than(&ctx, self.due_at()),
                Err(closed) => return closed,
            }
        }
    }

    async fn step(
        &mut self,
        stop: Pin<&mut impl Future<Output = ()>>,
        alarm: &mut Alarm,
    ) -> Result<(), Closed> {
        let wants_answers = !self.running.is_empty() && !self.out.is_full();
        let wants_bytes = self.wants_bytes();
        let has_bytes = !self.out.is_empty() || self.stream.wants_write();
        let event = tokio::select! {
            biased;
            Some(done) = self.running.next(), if wants_answers => Event::Answer(done),
            ready = self.stream.writable(), if has_bytes => {
                ready?;
                Event::Writable
            }
            Some(waited) = async { Some(self.waiting.as_mut()?.await) },
                if self.waiting.is_some() => Event::Waited(waited),
            ready = self.stream.readable(), if wants_bytes => {
                ready?;
                Event::Readable
            }
            () = stop, if !self.stopping => Event::Stop,
            Some(()) = must_leave(self.place.as_ref()) => Event::Leave,
            () = &mut alarm.sleep => Event::Alarm,
        };
        match event {
            Event::Answer(done) => self.collect(done)?,
            Event::Writable => self.write()?,
            Event::Readable => self.read_in_turn()?,
            Event::Waited(waited) => self.go_on(waited)?,
            Event::Leave => return Err(Closed::Crowded),
            Event::Stop => self.stopping = true,
            Event::Alarm => {
                self.check_time()?;
                alarm.set(&self.ctx, self.due_at());
            }
        }
        self.start_requests()?;
        if let Some(place) = &self.place {
            place.set_owed(self.waiting.is_none() && self.running.is_empty());
        }
        Ok(())
    }

    /// What reading was paused for is there.
    fn go_on(&mut self, waited: Waited) -> Result<(), Closed> {
        self.waiting = None;
        match waited {
            Waited::Share(share) => {
                self.share = share;
                if self.held.is_none() {
                    self.expect_frame();
                }
                Ok(())
            }
            Waited::Room => Ok(()),
            Waited::Turn(_turn) => self.read(),
        }
    }

    fn is_done(&self) -> bool {
        self.running.is_empty() && self.out.is_empty() && !self.stream.wants_write()
    }

    /// One thing at a time until the peer has proved who it is.
    fn wants_bytes(&self) -> bool {
        !self.stopping
            && (self.is_proven || self.running.is_empty() && !self.peer.session.is_failed())
            && self.waiting.is_none()
            && self.rests_until.is_none()
            && !self.out.is_full()
            && self.running.len() < self.ctx.config.requests_in_flight_max
    }

    /// Queues this answer and those right behind it that are ready too, then writes them together.
    fn collect(&mut self, first: Done) -> Result<(), Closed> {
        let mut next = Some(first);
        while let Some(Done { outcome, rest }) = next {
            self.rest(rest);
            match outcome {
                Outcome::Send(parts) => parts.into_iter().for_each(|it| self.out.push(it)),
                Outcome::Nothing => {}
                Outcome::Close(why) => return Err(Closed::Unanswerable(why)),
            }
            next = if self.out.is_full() {
                None
            } else {
                self.running.next().now_or_never().flatten()
            };
        }
        self.look_for_proof();
        self.write()
    }

    /// Whether the peer has proved who it is since the last look, and how long that holds.
    fn look_for_proof(&mut self) {
        let Peer { session, listener, .. } = &*self.peer;
        if !session.is_proven()
            && !listener.protocol.asks_sasl()
            && let (Some(tls), Some(connection)) = (&listener.tls, self.stream.secured())
        {
            match tls.user(connection) {
                Ok(user) => session.prove_by_certificate(user.as_deref()),
                Err(_) => session.fail(),
            }
        }
        if session.is_proven() {
            self.place = None;
        }
        if session.is_proven() && (!self.is_proven || listener.protocol.asks_sasl()) {
            self.is_proven = true;
            self.proof_due_at = session.expires_at();
            self.frames.raise(self.ctx.config.request_bytes_max);
        }
    }

    fn write(&mut self) -> Result<(), Closed> {
        self.stream.push()?;
        let written = self.out.write_to(&mut self.stream)?;
        if written > 0 {
            self.heard_at = self.ctx.world.clock.instant();
            self.ctx.metrics.bytes_out.inc_by(written as u64);
        }
        Ok(())
    }

    /// A step of a handshake costs so much that it waits until few others compute one.
    fn read_in_turn(&mut self) -> Result<(), Closed> {
        let Some(place) = self.place.as_ref().filter(|_| self.stream.is_handshaking()) else {
            return self.read();
        };
        if let Some(_turn) = place.try_turn() {
            return self.read();
        }
        self.waiting = Some(Box::pin(place.turn().map(Waited::Turn)));
        Ok(())
    }

    fn read(&mut self) -> Result<(), Closed> {
        match self.stream.try_read_buf(self.frames.room()) {
            Ok(0) => Err(Closed::ByClient),
            Ok(n) => {
                self.heard_at = self.ctx.world.clock.instant();
                if !self.is_proven {
                    self.look_for_proof();
                }
                self.ctx.metrics.bytes_in.inc_by(n as u64);
                if let Some((due_at, wait)) = &mut self.frame_due_at {
                    let earned = n as u64 * 1_000_000 / FRAME_BYTES_PER_SECOND_MIN;
                    let earned = Duration::from_micros(earned);
                    (*due_at, *wait) = (due_at.plus(earned), *wait + earned);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.frames.release_if_empty();
                if !self.is_proven {
                    self.look_for_proof();
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Closed::Tls(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts every request that has wholly arrived, in order, as far as the limits allow.
    fn start_requests(&mut self) -> Result<(), Closed> {
        while self.wants_bytes() {
            if let Some(frame) = self.held.take() {
                self.start_or_hold(frame)?;
                continue;
            }
            let Some(announced) = self.frames.announced()? else {
                if self.frames.is_partial() && self.frame_due_at.is_none() {
                    self.expect_frame();
                }
                return Ok(());
            };
            let is_small = Budget::is_small(announced);
            if !is_small && !self.has_share(announced) {
                return Ok(());
            }
            let Some(frame) = self.frames.take()? else {
                if self.frame_due_at.is_none() {
                    self.expect_frame();
                }
                return Ok(());
            };
            self.frame_due_at = None;
            if is_small && !self.has_share(announced) {
                self.held = Some(frame);
                return Ok(());
            }
            self.start_or_hold(frame)?;
        }
        Ok(())
    }

    /// Takes a place in the budget for the frame, or begins to wait for one.
    fn has_share(&mut self, frame_bytes: u32) -> bool {
        if self.share.is_none() {
            self.share = self.budget.try_take(frame_bytes);
        }
        if self.share.is_none() {
            self.ctx.metrics.reading_paused.inc();
            self.frame_due_at = None;
            let taking = self.budget.clone().take(frame_bytes);
            self.waiting = Some(Box::pin(taking.map(Waited::Share)));
        }
        self.share.is_some()
    }

    /// An append for which the log has no room waits, and what follows it on this connection too:
    /// so a slow disk slows producers down instead of failing them.
    fn start_or_hold(&mut self, frame: Bytes) -> Result<(), Closed> {
        if frame.starts_with(&PRODUCE_KEY) && self.ctx.log.room().now_or_never().is_none() {
            self.ctx.metrics.reading_paused.inc();
            let log = self.ctx.log.clone();
            self.waiting = Some(Box::pin(async move {
                log.room().await;
                Waited::Room
            }));
            self.held = Some(frame);
            return Ok(());
        }
        let Begun { running, rest } = api::start(&self.ctx, &self.peer, frame, self.share.take())?;
        self.running.push_back(running);
        self.rest(rest);
        Ok(())
    }

    fn rest(&mut self, rest: Duration) {
        if !rest.is_zero() {
            let until = self.ctx.world.clock.instant().plus(rest);
            self.rests_until = self.rests_until.max(Some(until));
        }
    }

    /// From now on the rest of the frame is owed.
    fn expect_frame(&mut self) {
        let wait = self.ctx.config.frame_wait_max;
        self.frame_due_at = Some((self.ctx.world.clock.instant().plus(wait), wait));
    }

    /// When the connection must be looked at again, should nothing happen until then.
    fn due_at(&self) -> Instant {
        let idle_at = self.heard_at.plus(self.ctx.config.connections_idle_max);
        let frame_at = self.frame_due_at.map(|it| it.0);
        [frame_at, self.proof_due_at, self.rests_until]
            .into_iter()
            .flatten()
            .fold(idle_at, Instant::min)
    }

    fn check_time(&mut self) -> Result<(), Closed> {
        let now = self.ctx.world.clock.instant();
        if self.rests_until.is_some_and(|it| it <= now) {
            self.rests_until = None;
            self.heard_at = now;
        }
        if let Some((due_at, wait)) = self.frame_due_at
            && due_at <= now
        {
            if self.wants_bytes() {
                return Err(Closed::HalfRequest(wait));
            }
            self.expect_frame(); // it is we who do not read
        }
        if self.proof_due_at.is_some_and(|it| it <= now) {
            return Err(if self.is_proven {
                Closed::ProofExpired
            } else {
                Closed::NotProven(self.ctx.config.authentication_wait_max)
            });
        }
        if self.due_at() <= now {
            let ours_to_act =
                self.waiting.is_some() || self.rests_until.is_some() || !self.running.is_empty();
            if !self.out.is_empty() || !ours_to_act {
                return Err(Closed::Idle(self.ctx.config.connections_idle_max));
            }
            self.heard_at = now; // it is we who keep the client waiting
        }
        Ok(())
    }
}

/// Pending for ever unless the connection has a place that it must leave.
async fn must_leave(place: Option<&Place>) -> Option<()> {
    place?.must_leave().await;
    Some(())
}

/// A sleep that is only made anew when it would ring too late.
struct Alarm {
    at: Instant,
    sleep: Sleep,
}

impl Alarm {
    fn at(ctx: &Ctx, at: Instant) -> Self {
        Self { at, sleep: ctx.world.clock.sleep_until(at) }
    }
    fn set(&mut self, ctx: &Ctx, at: Instant) {
        *self = Self::at(ctx, at);
    }
    fn no_later_than(&mut self, ctx: &Ctx, at: Instant) {
        if at < self.at {
            self.set(ctx, at);
        }
    }
}
