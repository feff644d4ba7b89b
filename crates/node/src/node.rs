//! Start and stop.
//!
//! Owns: the order of the services, and the one line that knows whether the broker is embedded.
//! Does not own: what a service does.

use crate::config::Config;
use std::net::SocketAddr;
use systole_broker::Broker;
use systole_client::Settings;
use systole_client::settings::{Mechanism, Sasl, SecretRef};
use systole_gateway::{Gateway, Parts};
use systole_kit::{Code, Problems, Remedy};
use systole_telemetry::{Health, Metrics};
use systole_world::{World, os};

/// Why the node did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the configuration cannot be used:\n{0}")]
    Config(Problems),
    #[error("the embedded broker did not start")]
    Broker(#[from] systole_broker::StartError),
    #[error("the Kafka client did not start")]
    Client(#[from] systole_client::Error),
    #[error("the HTTP gateway did not start")]
    Gateway(#[from] systole_gateway::StartError),
}

impl StartError {
    pub fn code(&self) -> Code {
        match self {
            Self::Config(_) => Code::new(1001),
            Self::Broker(it) => it.code(),
            Self::Client(it) => it.code(),
            Self::Gateway(it) => it.code(),
        }
    }
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Config(_) => Remedy::FixConfig,
            Self::Broker(it) => it.remedy(),
            Self::Client(it) => it.remedy(),
            Self::Gateway(it) => it.remedy(),
        }
    }
}

/// How the node's own services reach the embedded broker: by a door of their own where callers must
/// prove who they are.
fn own_settings(broker: &Broker) -> Settings {
    let Some(own) = broker.own_access() else {
        return Settings::to(broker.kafka_address().to_string());
    };
    let sasl = Sasl {
        mechanism: Mechanism::ScramSha256,
        user: Some(own.user.to_owned()),
        secret: SecretRef::Given(own.password),
    };
    Settings { sasl: Some(sasl), ..Settings::to(own.address.to_string()) }
}

/// A running node. Dropping it without [`Node::stop`] is a crash: nothing acknowledged is lost.
#[derive(Debug)]
pub struct Node {
    kafka: String,
    broker: Option<Broker>,
    gateway: Gateway,
}

impl Node {
    /// Starts everything, lowest layer first. When this returns, clients may come.
    ///
    /// # Errors  [`StartError`]; what had been started is stopped again.
    pub async fn start(config: &Config, world: &World) -> Result<Self, StartError> {
        let mut problems = Problems::default();
        config.check(&mut problems);
        problems.into_result().map_err(StartError::Config)?;
        os::raise_file_handles_max();
        let (metrics, health) = (Metrics::default(), Health::default());
        let (broker, settings) = match &config.cluster {
            None => {
                let check = health.check("broker");
                let broker = Broker::start(&config.broker, world, &metrics).await?;
                broker.report_to(check);
                let settings = own_settings(&broker);
                (Some(broker), settings)
            }
            Some(cluster) => (None, cluster.clone()), // all that knows the difference
        };
        let embedded = broker.as_ref().map(|it| it.kafka_address().to_string());
        let kafka = embedded.unwrap_or_else(|| settings.bootstrap.clone());
        let parts = systole_client::connect(&settings, world)
            .map(|client| Parts { client, world: world.clone(), metrics, health })
            .map_err(StartError::from);
        let gateway = match parts {
            Ok(parts) => Gateway::start(&config.gateway, parts).map_err(StartError::from),
            Err(error) => Err(error),
        };
        match gateway {
            Ok(gateway) => Ok(Self { kafka, broker, gateway }),
            Err(error) => {
                if let Some(broker) = broker {
                    broker.stop().await;
                }
                Err(error)
            }
        }
    }

    /// Where Kafka clients connect: the embedded broker, or the cluster.
    pub fn kafka_address(&self) -> String {
        self.kafka.clone()
    }
    /// Where HTTP clients connect.
    pub fn http_address(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Stops in reverse: first those who ask, then those who answer.
    pub async fn stop(self) {
        self.gateway.stop().await;
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}
