//! Start and stop of the node.
//!
//! Owns: the order of both, and the round of maintenance between them. Does not own: any part that
//! it starts.

use crate::config::BrokerConfig;
use crate::ctx::Ctx;
use crate::doors::{OwnAccess, open_security, watch_files};
use crate::metric::Metrics;
use crate::sasl::Sasl;
use crate::server::{REFUSAL_LOG_INTERVAL, Seldom, Server};
use crate::{fetch_budget, fetch_session, share_session};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use systole_catalogue::plan::Site;
use systole_catalogue::{Catalogue, JournalError};
use systole_coordinator::ProducerIds;
use systole_coordinator::group::{Coordinator, Store};
use systole_coordinator::share::{self, Shares};
use systole_coordinator::transaction::{self, Parts};
use systole_guard::door;
use systole_kit::{Code, Problems, Remedy};
use systole_log::{AppendError, Log, OpenError, Options, RecoveryReport, Status};
use systole_telemetry::health::{Check, State};
use systole_transaction::Stop;
use systole_world::{ClockExt as _, World, net};
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// The log's place inside the node's directory.
const LOG_DIR: &str = "log";

/// How old what the health check says may be.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
const DISK_FULL: &str = "the disk is full; appends may be refused";

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the settings cannot be used:\n{0}")]
    Config(Problems),
    #[error(transparent)]
    Door(#[from] door::Refusal),
    #[error("TLS of the listener `{listener}`: {source}")]
    Tls { listener: String, source: crate::tls::TlsError },
    #[error(transparent)]
    Sasl(#[from] crate::sasl::SaslError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("the catalogue of topics cannot be used: {0}")]
    Catalogue(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("what the last stop left of transactions cannot be finished: the log takes no appends")]
    Transactions,
    #[error("a step of the start panicked: {0}")]
    Panicked(#[from] JoinError),
}

impl StartError {
    pub fn code(&self) -> Code {
        match self {
            Self::Config(_) => const { Code::new(2001) },
            Self::Door(it) => it.code(),
            Self::Listen { .. } => const { Code::new(2009) },
            Self::Tls { .. } => const { Code::new(2020) },
            Self::Sasl(it) => it.code(),
            Self::Log(it) => it.code(),
            Self::Catalogue(_) => const { Code::new(2011) },
            Self::Panicked(_) => const { Code::new(2012) },
            Self::Transactions => const { Code::new(2022) },
        }
    }
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Config(_) | Self::Listen { .. } | Self::Tls { .. } | Self::Sasl(_) => {
                Remedy::FixConfig
            }
            Self::Door(it) => it.remedy(),
            Self::Log(it) => it.remedy(),
            Self::Catalogue(_) | Self::Transactions | Self::Panicked(_) => Remedy::Operator,
        }
    }
}

impl From<JournalError> for StartError {
    fn from(error: JournalError) -> Self {
        Self::Catalogue(Box::new(error))
    }
}

/// A running node. Dropping it without [`Broker::stop`] is a crash: nothing acknowledged is lost,
/// and the next start recovers.
#[derive(Debug)]
pub struct Broker {
    ctx: Arc<Ctx>,
    server: Server,
}

impl Broker {
    /// Opens the log, replays the catalogue and the groups, and listens. When this returns, clients
    /// may connect.
    ///
    /// # Errors  [`StartError`]; nothing is left running.
    pub async fn start(
        config: &BrokerConfig,
        world: &World,
        metrics: &systole_telemetry::Metrics,
    ) -> Result<Self, StartError> {
        let mut problems = Problems::default();
        config.check(&mut problems);
        problems.into_result().map_err(StartError::Config)?;
        let doors = config.doors();
        for it in &doors {
            door::may_listen("kafka", it.address, it.authentication())?;
        }
        // Before the log is opened: an address in use is found without touching the data.
        let mut sockets = Vec::new();
        for it in &doors {
            let cannot_listen = |source| StartError::Listen { address: it.address, source };
            sockets.push(net::listen(it.address).map_err(cannot_listen)?);
        }
        let (listeners, sasl) = open_security(doors, config, world).await?;
        let Opened { log, topics, groups, shares, transactions } = open(config, world).await?;
        let ctx = Arc::new(Ctx {
            config: config.clone(),
            world: world.clone(),
            metrics: Metrics::register(metrics),
            log,
            topics,
            gauges: crate::quota::Gauges::new(&config.quotas, world.clock.instant()),
            fetch_sessions: fetch_session::FetchSessions::default(),
            fetch_budget: fetch_budget::FetchBudget::default(),
            producer_ids: ProducerIds::default(),
            groups,
            shares,
            share_sessions: share_session::ShareSessions::new(config.share_groups.sessions_max),
            sasl,
            enforces_access: config.enforces_access(),
            transactions,
            denials: Seldom::new(REFUSAL_LOG_INTERVAL),
            stopping: CancellationToken::new(),
        });
        let cannot_listen = |source| StartError::Listen { address: config.listen, source };
        let doors = sockets.into_iter().zip(listeners.iter().cloned()).collect();
        let server = Server::start(Arc::clone(&ctx), doors).map_err(cannot_listen)?;
        server.attach(watch_files(Arc::clone(&ctx), listeners));
        server.attach(Sasl::watch_keys(Arc::clone(&ctx)));
        server.attach(maintain(Arc::clone(&ctx)));
        server.attach(crate::lag::watch(Arc::clone(&ctx)));
        server.attach(ctx.groups.clone().run(ctx.stopping.clone()));
        server.attach(ctx.shares.clone().run(ctx.stopping.clone()));
        server.attach(ctx.transactions.clone().run(ctx.stopping.clone()));
        Ok(Self { ctx, server })
    }

    /// The address of the first listener; with port 0 configured, the one it was given.
    pub fn kafka_address(&self) -> SocketAddr {
        self.addresses().first().copied().unwrap_or(self.ctx.config.listen)
    }
    /// The addresses of all configured listeners, in their order.
    pub fn addresses(&self) -> &[SocketAddr] {
        let count = self.ctx.config.listeners.len().max(1);
        self.server.addresses().get(..count).unwrap_or_default()
    }
    /// How the node's own services reach it where callers must prove who they are. `None`: through
    /// [`Broker::kafka_address`], like anyone.
    pub fn own_access(&self) -> Option<OwnAccess> {
        if self.ctx.config.listeners.is_empty() {
            return None;
        }
        let address = *self.server.addresses().last()?;
        Some(OwnAccess::at(address, &self.ctx))
    }

    /// Says through `check` from now on whether the node can do all of its work.
    pub fn report_to(&self, check: Check) {
        check.set(health(&self.ctx.log.status()));
        self.server.attach(tell_health(Arc::clone(&self.ctx), check));
    }

    /// Accepts no more, answers what is under way, and closes the log, so that the next start has
    /// nothing to recover.
    pub async fn stop(self) {
        let Self { ctx, server } = self;
        ctx.stopping.cancel();
        server.stop().await;
        let log = ctx.log.clone();
        if spawn_blocking(move || log.close()).await.is_err() {
            tracing::error!("the log was not closed in order; the next start recovers it");
        }
    }
}

struct Opened {
    log: Log,
    topics: Arc<Catalogue>,
    groups: Coordinator,
    shares: Shares,
    transactions: transaction::Coordinator,
}

async fn open(config: &BrokerConfig, world: &World) -> Result<Opened, StartError> {
    let site = Site { node_id: config.node_id, partitions_default: config.partitions_default };
    let policy = config.access.policy();
    let (dir, at) = (config.dir.join(LOG_DIR), world.clone());
    let opening = spawn_blocking(move || -> Result<_, StartError> {
        let (log, report) = Log::open(&at, &dir, Options::default())?;
        tell(&report);
        let opened = Catalogue::open(&log, &at, site, policy)?;
        let stop = if report.clean { Stop::Clean } else { Stop::Unclean };
        Ok((log, opened, stop))
    });
    let (log, opened, stop) = opening.await??;
    let topics = Arc::new(opened.settle().await?);
    let states = share::Store::new(&log, &topics, &config.share_groups);
    let (at, settings) = (world.clone(), config.share_groups.clone());
    let shares = spawn_blocking(move || Shares::open(&at, &settings, states)).await?;
    let store = Store::new(&log, &topics, &config.groups);
    let (at, settings, kept) = (world.clone(), config.groups.clone(), shares.clone());
    let groups = spawn_blocking(move || Coordinator::open(&at, &settings, store, kept)).await?;
    let (at, settings) = (world.clone(), config.transactions.clone());
    let parts =
        Parts { log: log.clone(), topics: Arc::clone(&topics), groups: groups.clone(), stop };
    let opening = spawn_blocking(move || transaction::Coordinator::open(&at, &settings, parts));
    let (transactions, ticket) = opening.await?.map_err(|_| StartError::Transactions)?;
    log.done(ticket).await.map_err(|_| StartError::Transactions)?;
    Ok(Opened { log, topics, groups, shares, transactions })
}

fn tell(report: &RecoveryReport) {
    let RecoveryReport { partitions, wal_bytes, batches_replayed, took, .. } = report;
    tracing::info!(partitions, wal_bytes, batches_replayed, ?took, "log opened");
}

/// Reading goes on in every state.
fn health(status: &Status) -> State {
    match status.refusing {
        Some(AppendError::DiskFailed) => {
            State::Failed("the disk of the log failed; appends are refused until a restart")
        }
        Some(AppendError::DiskFull) => State::Waiting(DISK_FULL),
        _ if status.disk_full => State::Waiting(DISK_FULL),
        _ => State::Ready,
    }
}

async fn tell_health(ctx: Arc<Ctx>, check: Check) {
    loop {
        tokio::select! {
            () = ctx.stopping.cancelled() => return,
            () = ctx.world.clock.sleep(HEALTH_INTERVAL) => {}
        }
        check.set(health(&ctx.log.status()));
    }
}

/// Retention, expired producers, overdue syncs, compaction: now and then until the node stops.
async fn maintain(ctx: Arc<Ctx>) {
    loop {
        tokio::select! {
            () = ctx.stopping.cancelled() => return,
            () = ctx.world.clock.sleep(ctx.config.maintenance_interval) => {}
        }
        let status = ctx.log.status();
        ctx.metrics.damaged.set(i64::try_from(status.damage.len()).unwrap_or(i64::MAX));
        let uncompactable = i64::try_from(status.uncompactable).unwrap_or(i64::MAX);
        ctx.metrics.partitions_uncompactable.set(uncompactable);
        ctx.metrics.log_in_trouble.set(i64::from(health(&status) != State::Ready));
        let (log, now) = (ctx.log.clone(), ctx.world.clock.now());
        let stopping = ctx.stopping.clone();
        let round = move || {
            log.maintain(now);
            while log.compact(now, &|| !stopping.is_cancelled()) {}
        };
        if spawn_blocking(round).await.is_err() {
            tracing::error!("a round of maintenance failed; the next one tries again");
        }
        ctx.metrics.maintenance_rounds.inc();
    }
}
