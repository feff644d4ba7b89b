//! The HTTP door: listening, connections, routes, and stopping in order.
//!
//! Owns: the accept loop, the limits of connections, and what every handler shares. Does not own:
//! the handlers.
//!
//! To add an endpoint: a function, a line in [`routes`], and a section in `docs/http-api.md`.

use crate::config::GatewayConfig;
use crate::error::{Error, StartError, from_client};
use crate::meters::Meters;
use crate::{probes, publish, subscribe};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware, routing};
use http::header;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use systole_client::{Admin, Client, Producer, ProducerOptions};
use systole_guard::door::{self, Authentication};
use systole_kit::ByteSize;
use systole_telemetry::{Health, Metrics, health::Check};
use systole_world::{Clock, ClockExt as _, World, net};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Most headers of one request.
const HEADERS_MAX: usize = 100;
/// How many names of topics that exist are remembered.
const TOPICS_REMEMBERED_MAX: usize = 1000;
/// After an accept that failed (too many open files), the next is tried so much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the gateway stands on.
#[derive(Debug, Clone)]
pub struct Parts {
    pub client: Arc<dyn Client>,
    pub world: World,
    pub metrics: Metrics,
    pub health: Health,
}

/// A running gateway. Dropping it ends it at once; [`Gateway::stop`] ends it in order.
#[derive(Debug)]
pub struct Gateway {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    check: Check,
}

impl Gateway {
    /// Listens; the cluster is not waited for. To be called in a tokio runtime.
    pub fn start(config: &GatewayConfig, parts: Parts) -> Result<Self, StartError> {
        door::may_listen("http", config.listen, Authentication::None)?;
        let (stop, stopping) = watch::channel(false);
        let check = parts.health.check("gateway");
        let shared = Arc::new(Shared::new(config, parts, stopping)?);
        let wrong = |source| StartError::Listen { address: config.listen, source };
        let listener = net::listen(config.listen).map_err(wrong)?;
        let local_addr = listener.local_addr().map_err(wrong)?;
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        check.ready();
        Ok(Self { local_addr, shared, stop, accepting, check })
    }

    /// Where it listens, with the real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts nothing more, lets publishes finish, ends streams with a last event, and closes the
    /// producer. Takes at most `stop_timeout` for the connections.
    pub async fn stop(mut self) {
        self.check.waiting("stopping");
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::warn!(%error, "the accept loop ended out of order");
        }
        if let Err(error) = self.shared.producer.close().await {
            let code = error.code();
            tracing::warn!(%code, %error, "the gateway's producer did not close in order");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What every handler has.
pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) client: Arc<dyn Client>,
    pub(crate) producer: Arc<dyn Producer>,
    pub(crate) admin: Arc<dyn Admin>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) meters: Meters,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stopping: watch::Receiver<bool>,
    connections: Arc<Semaphore>,
    topics: Mutex<HashSet<String>>,
}

impl Shared {
    fn new(
        config: &GatewayConfig,
        parts: Parts,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        let options = ProducerOptions {
            record_max: ByteSize::new(config.record_bytes_max),
            delivery_timeout: config.publish_timeout,
            linger: Duration::ZERO, // someone waits for each answer
            ..ProducerOptions::default()
        };
        Ok(Self {
            producer: parts.client.producer(&options)?,
            admin: parts.client.admin()?,
            client: parts.client,
            clock: parts.world.clock,
            health: parts.health,
            meters: Meters::new(&parts.metrics),
            metrics: parts.metrics,
            streams: Arc::new(Semaphore::new(config.streams_max)),
            stopping,
            connections: Arc::new(Semaphore::new(config.connections_max)),
            topics: Mutex::default(),
            config: config.clone(),
        })
    }

    pub(crate) fn check_running(&self) -> Result<(), Error> {
        if *self.stopping.borrow() { Err(Error::Stopping) } else { Ok(()) }
    }

    /// Asks the cluster once per topic: a producer would wait long for one that does not exist, or
    /// make it.
    pub(crate) async fn check_topic(&self, topic: &str) -> Result<(), Error> {
        let topics = || self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics().contains(topic) {
            return Ok(());
        }
        self.admin.cluster(Some(topic)).await.map_err(from_client)?;
        let mut topics = topics();
        if topics.len() >= TOPICS_REMEMBERED_MAX {
            topics.clear();
        }
        topics.insert(topic.to_owned());
        Ok(())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/topics/{topic}/events", routing::get(subscribe::events).post(publish::events))
        .route("/health/live", routing::get(probes::live))
        .route("/health/ready", routing::get(probes::ready))
        .route("/metrics", routing::get(probes::metrics))
        .fallback(async || Error::NoRoute)
        .method_not_allowed_fallback(async || Error::Method)
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// Counts, and refuses a foreign name: a page in a browser that has its own name point to this
/// machine could otherwise read what loopback was meant to protect.
async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let host = request.headers().get(header::HOST).and_then(|it| it.to_str().ok());
    let host = request.uri().host().or_else(|| host.and_then(host_name));
    let result = match host {
        Some(host) if is_loopback_name(host) => Ok(next.run(request).await),
        _ => Err(Error::ForeignHost),
    };
    let status = result.as_ref().map_or_else(Error::status, Response::status).as_u16();
    shared.meters.answered(status);
    result
}

/// The name in a `Host` header.
fn host_name(host: &str) -> Option<&str> {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(it, _)| it),
        None => Some(host.split_once(':').map_or(host, |(it, _)| it)),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_address =
        |it: &str| it.parse::<IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback());
    host.eq_ignore_ascii_case("localhost") || is_address(bare)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let router = routes(shared.clone());
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(shared.config.head_timeout)
        .max_buf_size(shared.config.head_bytes_max)
        .max_headers(HEADERS_MAX);
    let mut stopping = shared.stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // At the limit nothing is accepted: the kernel's queue waits, and then refuses.
        let next = async {
            let permit = shared.connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            _ = stopping.wait_for(|it| *it) => break,
            next = next => next,
        };
        let (Ok(permit), Ok((stream, _))) = (permit, accepted) else {
            tracing::warn!("a connection could not be accepted");
            shared.clock.sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is gone already");
            continue;
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let open = shared.meters.connections.clone();
        connections.spawn(async move {
            open.inc();
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended out of order");
            }
            open.dec();
            drop(permit);
        });
    }
    drop(listener);
    let limit = shared.config.stop_timeout;
    if shared.clock.timeout(limit, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
    connections.shutdown().await;
}
