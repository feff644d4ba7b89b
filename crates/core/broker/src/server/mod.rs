//! The Kafka listener: accepts connections and gives each a task.
//!
//! Owns: the accept loop, the limits on connections, and what is said about closed ones. Does not
//! own: one connection's work ([`connection`]), what requests mean (`api`).
//! Reading order: [`Server::start`] -> [`connection`] -> [`frame`] -> [`outbox`] -> [`limit`] ->
//! [`lobby`].

mod connection;
mod frame;
mod limit;
mod lobby;
mod outbox;
mod seldom;
mod stream;

use crate::api;
use crate::ctx::Ctx;
use crate::listener::Listener;
use crate::sasl::session::Session;
use connection::{Closed, Connection};
pub(crate) use limit::Share;
use limit::{Budget, Full, Seat, Seats};
use lobby::{Lobby, Place};
pub(crate) use seldom::Seldom;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use stream::Stream;
use systole_kit::Code;
use systole_telemetry::metrics::Gauge;
use systole_world::ClockExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// The same kind of refusal is logged once in this time, with the number of those not shown.
pub(crate) const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The operating system gave no connection: most often there are no more file handles.
const NOT_ACCEPTED: Code = Code::new(2008);
/// More connections are proving who they are than may.
pub(crate) const CROWDED: Code = Code::new(2042);
/// How long accepting rests when the machine has no more file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are kept unserved because their address opened too many; those above are
/// closed at once.
const HELD_MAX: usize = 1000;
/// How long a stop waits for requests under way.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Our own address as this client reached it: what it is told to connect to, unless another
    /// address is configured.
    pub(crate) local: SocketAddr,
    /// The client library, as told by ApiVersions v3+: name and version.
    pub(crate) software: OnceLock<(String, String)>,
    /// The door that it came through.
    pub(crate) listener: Arc<Listener>,
    /// What it has proved.
    pub(crate) session: Session,
}

/// The listeners at work.
#[derive(Debug)]
pub(crate) struct Server {
    addresses: Vec<SocketAddr>,
    tasks: TaskTracker,
    ctx: Arc<Ctx>,
}

impl Server {
    /// Serves what the listeners accept until [`Server::stop`].
    pub(crate) fn start(
        ctx: Arc<Ctx>,
        listeners: Vec<(TcpListener, Arc<Listener>)>,
    ) -> io::Result<Self> {
        let tasks = TaskTracker::new();
        let seats = Seats::new(connections_max(&ctx), &ctx.config);
        let held = Arc::new(Semaphore::new(HELD_MAX));
        let budget = Budget::new(ctx.config.requests_in_flight_bytes_max);
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let lobby = || Lobby::new(ctx.config.connections_unproven_max, processors);
        let (strangers, own) = (lobby(), lobby());
        let failed = Arc::new(Seldom::new(REFUSAL_LOG_INTERVAL));
        let addresses = listeners.iter().map(|it| it.0.local_addr()).collect::<Result<_, _>>()?;
        for (socket, listener) in listeners {
            let door = Door {
                // Strangers must not keep the node from itself.
                lobby: Arc::clone(if listener.is_own { &own } else { &strangers }),
                listener,
                seats: Arc::clone(&seats),
                held: Arc::clone(&held),
                budget: budget.clone(),
                refused: Seldom::new(REFUSAL_LOG_INTERVAL),
                failed: Arc::clone(&failed),
                tasks: tasks.clone(),
                ctx: Arc::clone(&ctx),
            };
            tasks.spawn(door.accept_from(socket));
        }
        Ok(Self { addresses, tasks, ctx })
    }

    /// Runs `task` beside the connections; it must end once `stopping` is cancelled, and a stop
    /// waits for it.
    pub(crate) fn attach(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// In the order of the listeners.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no more, reads no more, and waits until what is under way has been answered. The
    /// token `stopping` of [`Ctx`] must have been cancelled.
    pub(crate) async fn stop(self) {
        self.tasks.close();
        if self.ctx.world.clock.timeout(STOP_WAIT_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                "requests were still under way after {STOP_WAIT_MAX:?}; their clients get no answer"
            );
        }
    }
}

/// Says so if there are fewer than someone asked for.
fn connections_max(ctx: &Ctx) -> usize {
    let possible = ctx.config.connections();
    if let Some(wanted) = ctx.config.connections_max.filter(|it| *it > possible) {
        let text = "fewer connections than configured, because of the limit on open files";
        tracing::warn!(code = %NOT_ACCEPTED, wanted, possible, "{text}");
    }
    possible
}

/// What the accept loop needs.
struct Door {
    listener: Arc<Listener>,
    seats: Arc<Seats>,
    held: Arc<Semaphore>,
    lobby: Arc<Lobby>,
    budget: Budget,
    refused: Seldom,
    failed: Arc<Seldom>,
    tasks: TaskTracker,
    ctx: Arc<Ctx>,
}

impl Door {
    async fn accept_from(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.ctx.stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address),
                Err(error) => {
                    self.refused.say(&self.ctx, |hidden| {
                        let code = NOT_ACCEPTED;
                        tracing::warn!(%code, %error, hidden, "a connection was not accepted");
                    });
                    self.ctx.world.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        if !self.listener.is_own
            && let Err(delay) = self.ctx.gauges.connect(&self.ctx, address.ip())
        {
            self.hold(stream, delay);
            return;
        }
        let seat = match self.seats.take(address.ip()) {
            Ok(seat) => seat,
            Err(full) => {
                self.ctx.metrics.connections_refused.inc();
                self.refused.say(&self.ctx, |hidden| {
                    tracing::warn!(code = %Full::CODE, %address, hidden, "refused: {full}");
                });
                return;
            }
        };
        // Requests are small and someone waits for the answer.
        let local = stream.set_nodelay(true).and_then(|()| stream.local_addr());
        let Ok(local) = local else { return }; // gone before it was served
        let (stream, session) = match &self.listener.tls {
            Some(tls) => match tls.accept() {
                Ok(tls) => (Stream::tls(stream, tls), Session::unproven()),
                Err(_) => return, // settings that were checked at the start
            },
            None if self.listener.protocol.asks_sasl() => {
                (Stream::Plain(stream), Session::unproven())
            }
            None => (Stream::Plain(stream), Session::anonymous()),
        };
        let place = if session.is_proven() { None } else { self.place_for(address) };
        if place.is_none() && !session.is_proven() {
            return;
        }
        let (listener, software) = (Arc::clone(&self.listener), OnceLock::new());
        let peer = Peer { address, local, software, listener, session };
        let connection = Connection::new(stream, peer, Arc::clone(&self.ctx), self.budget.clone())
            .in_place(place);
        let (ctx, failed) = (Arc::clone(&self.ctx), Arc::clone(&self.failed));
        let open = Open::new(seat, &ctx.metrics.connections_open);
        self.tasks.spawn(async move {
            let closed = connection.run().await;
            drop(open);
            api::take_back(&ctx, &ctx.share_sessions.disconnected((address, local)));
            report(&ctx, &failed, address, &closed);
        });
    }
}

impl Door {
    /// Keeps a connection of an address that opened too many unserved until it is closed: so its
    /// client cannot try again at once. As in Kafka.
    fn hold(&self, stream: TcpStream, delay: Duration) {
        self.ctx.metrics.connections_throttled.inc();
        let Ok(place) = Arc::clone(&self.held).try_acquire_owned() else { return };
        let ctx = Arc::clone(&self.ctx);
        self.tasks.spawn(async move {
            tokio::select! {
                () = ctx.world.clock.sleep(delay) => {}
                () = ctx.stopping.cancelled() => {}
            }
            drop((stream, place));
        });
    }

    /// A place for one that must prove who it is; `None`: there is none, and this was told.
    fn place_for(&self, address: SocketAddr) -> Option<Place> {
        let entered = self.lobby.enter();
        if entered.as_ref().is_none_or(|(_, crowded)| *crowded) {
            self.ctx.metrics.connections_crowded_out.inc();
        }
        if entered.is_none() {
            self.refused.say(&self.ctx, |hidden| {
                let text = "refused: too many others are proving who they are";
                tracing::warn!(code = %CROWDED, %address, hidden, "{text}");
            });
        }
        entered.map(|(place, _)| place)
    }
}

/// A connection as it is counted, until it is dropped: by its end, or by a panic.
struct Open {
    _seat: Seat,
    count: Gauge,
}

impl Open {
    fn new(seat: Seat, count: &Gauge) -> Self {
        count.inc();
        Self { _seat: seat, count: count.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.dec();
    }
}

/// Ordinary ends are for debugging only; a peer that does not speak the protocol is worth a line.
fn report(ctx: &Ctx, failed: &Seldom, address: SocketAddr, closed: &Closed) {
    match closed {
        Closed::ByClient
        | Closed::Stopping
        | Closed::Idle(_)
        | Closed::ProofExpired
        | Closed::AuthenticationFailed // told when it failed
        | Closed::Socket(_) => {
            tracing::debug!(%address, "connection closed: {closed}");
        }
        Closed::Unanswerable(_) => tracing::debug!(%address, "connection closed: {closed}"),
        Closed::HalfRequest(_)
        | Closed::Frame(_)
        | Closed::Request(_)
        | Closed::NotProven(_)
        | Closed::Crowded
        | Closed::Tls(_) => {
            ctx.metrics.connections_broken.inc();
            failed.say(ctx, |hidden| {
                let code = closed.code().map(|it| it.to_string()).unwrap_or_default();
                tracing::warn!(code, %address, hidden, "connection closed: {closed}");
            });
        }
    }
}
