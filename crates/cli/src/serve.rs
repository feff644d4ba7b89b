//! `systole serve`: a node until it is stopped.
//!
//! Owns: options over configuration, the ready line. Does not own: starting and stopping (`node`).

use crate::context::{self, Context};
use crate::failure::{Failure, Result, chain};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use systole_client::Settings;
use systole_node::{Config, Node};
use systole_telemetry::logs;

const EXAMPLES: &str = "\
Examples:
  systole serve --data ./data
  systole serve --data /var/lib/systole --config /etc/systole.toml
  systole serve --data ./data --kafka 127.0.0.1:0 --http 127.0.0.1:0
  systole serve --cluster kafka-1:9092,kafka-2:9092

Prints one line, `ready kafka=HOST:PORT http=HOST:PORT`, when clients may come. Ctrl-C or SIGTERM
stops it in order; a second one ends it at once, and nothing that was acknowledged is lost.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory that holds everything the node keeps. Made if it does not exist.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where Kafka clients connect; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    kafka: Option<SocketAddr>,
    /// Where HTTP clients connect; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    http: Option<SocketAddr>,
    /// Configuration file; `systole config default` prints one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run over this Apache Kafka cluster instead of the embedded broker.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["data", "kafka"])]
    cluster: Option<String>,
}

/// An address of this machine. `localhost` is the loopback address without asking anyone.
fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| "not an IP address and port, such as 127.0.0.1:9092".to_owned())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result {
    let config = args.over(context::load(args.config.as_deref(), cx)?);
    logs::start(&config.logs).map_err(|it| Failure::new(it.code(), &it))?;
    let node = start(&config, cx).await?;
    let (kafka, http) = (node.kafka_address(), node.http_address());
    cx.out.either(&json!({"ready": {"kafka": kafka, "http": http}}), || {
        format!("ready kafka={kafka} http={http}")
    })?;
    cx.stop.asked().await;
    tracing::info!("stopping");
    node.stop().await;
    tracing::info!("stopped");
    Ok(())
}

pub(crate) async fn start(config: &Config, cx: &Context) -> Result<Node> {
    let started = Node::start(config, &cx.world).await;
    started.map_err(|it| Failure::new(it.code(), chain(&it)))
}

impl Args {
    /// The configuration, where an option says nothing else.
    fn over(&self, mut config: Config) -> Config {
        if let Some(data) = &self.data {
            config.keep_in(data);
        }
        config.broker.listen = self.kafka.unwrap_or(config.broker.listen);
        config.gateway.listen = self.http.unwrap_or(config.gateway.listen);
        if let Some(bootstrap) = &self.cluster {
            let mut settings = config.cluster.unwrap_or_else(|| Settings::to(""));
            settings.bootstrap.clone_from(bootstrap);
            config.cluster = Some(settings);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_address_or_localhost() {
        assert_eq!(address("localhost:0"), Ok(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert!(address("[::1]:9092").is_ok());
        assert!(address("example.org:9092").is_err() && address("9092").is_err());
    }
}
