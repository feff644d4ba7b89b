//! What every command is given, and how it finds the cluster.
//!
//! Owns: the common options. Does not own: settings of a node (`systole_node::Config`).

use crate::failure::{Failure, Result, code};
use crate::output::Output;
use crate::stop::Stop;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use systole_client::{Client, Settings};
use systole_node::Config;
use systole_world::{World, net};

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) world: World,
    pub(crate) stop: Stop,
}

/// Which cluster a command talks to.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Reach {
    /// Brokers, `HOST:PORT,HOST:PORT`. Without it: the section `cluster` of the configuration, or
    /// the node that it describes.
    #[arg(long, value_name = "HOST:PORT", env = "SYSTOLE_CLUSTER")]
    cluster: Option<String>,
    /// Configuration file; its section `cluster` may hold TLS and SASL settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Reach {
    pub(crate) async fn client(&self, cx: &Context) -> Result<Arc<dyn Client>> {
        let settings = self.settings(cx)?;
        refuse_if_nobody_listens(&settings.bootstrap).await?;
        Ok(systole_client::connect(&settings, &cx.world)?)
    }
    fn settings(&self, cx: &Context) -> Result<Settings> {
        let config = load(self.config.as_deref(), cx)?;
        let node = config.kafka_address();
        let mut settings = config.cluster.unwrap_or_else(|| Settings::to(node));
        if let Some(bootstrap) = &self.cluster {
            settings.bootstrap.clone_from(bootstrap);
        }
        Ok(settings)
    }
}

/// A client would go on trying for its whole patience, since a cluster may come back. A port of
/// this machine at which nobody listens is a node that was not started, and is told at once.
async fn refuse_if_nobody_listens(bootstrap: &str) -> Result {
    let text = bootstrap.trim().replace("localhost:", "127.0.0.1:");
    let Ok(address) = text.parse::<SocketAddr>() else { return Ok(()) };
    if !address.ip().is_loopback() {
        return Ok(());
    }
    match net::connect(address).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Err(Failure::new(code::NOBODY, format!("nobody listens at {address}")))
        }
        _ => Ok(()), // whatever else is wrong the client finds and tells
    }
}

/// The configuration from the file, if there is one, and the environment.
pub(crate) fn load(file: Option<&std::path::Path>, cx: &Context) -> Result<Config> {
    Config::load(file, std::env::vars(), cx.world.disk.as_ref())
        .map_err(|it| Failure::new(it.code(), crate::failure::chain(&it)))
}
