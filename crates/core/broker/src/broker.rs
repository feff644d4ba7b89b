//! Start and stop of the node.
//!
//! Owns: the order of both. Does not own: any part that it starts.

use crate::config::BrokerConfig;
use crate::ctx::Ctx;
use crate::metric::Metrics;
use crate::server::Server;
use crate::topic::Catalogue;
use crate::topic::plan::Site;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use systole_guard::door::{self, Authentication};
use systole_kit::{Code, Problems, Remedy};
use systole_world::{World, net};
use tokio_util::sync::CancellationToken;

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the settings cannot be used:\n{0}")]
    Config(Problems),
    #[error(transparent)]
    Door(#[from] door::Refusal),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

impl StartError {
    pub fn code(&self) -> Code {
        match self {
            Self::Config(_) => const { Code::new(2001) },
            Self::Door(it) => it.code(),
            Self::Listen { .. } => const { Code::new(2009) },
        }
    }
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Config(_) | Self::Door(_) | Self::Listen { .. } => Remedy::FixConfig,
        }
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
    /// Opens the log, replays the catalogue and listens. When this returns, clients may connect.
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
        door::may_listen("kafka", config.listen, Authentication::None)?;
        let cannot_listen = |source| StartError::Listen { address: config.listen, source };
        let listener = net::listen(config.listen).map_err(cannot_listen)?;
        let site = Site { node_id: config.node_id, partitions_default: config.partitions_default };
        let ctx = Arc::new(Ctx {
            config: config.clone(),
            world: world.clone(),
            metrics: Metrics::register(metrics),
            topics: Catalogue::new(world, site),
            stopping: CancellationToken::new(),
        });
        let server = Server::start(Arc::clone(&ctx), listener).map_err(cannot_listen)?;
        Ok(Self { ctx, server })
    }

    /// The address that the Kafka listener has; with port 0 configured, the one it was given.
    pub fn kafka_address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Accepts no more, answers what is under way, and closes the log in order.
    pub async fn stop(self) {
        self.ctx.stopping.cancel();
        self.server.stop().await;
    }
}
