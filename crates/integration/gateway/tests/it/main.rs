//! The gateway over HTTP, in front of a Kafka cluster or of none.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at once
#![allow(clippy::print_stdout)] // and says why it is skipped
#![allow(clippy::format_push_string, clippy::needless_raw_string_hashes)] // shown text
#![allow(clippy::disallowed_methods)] // the clients here are the world outside

mod cluster;
mod door;
mod follow;
mod http;
mod publish;
mod refuse;

pub(crate) use cluster::clusters;

use std::sync::Arc;
use systole_client::admin::NewTopic;
use systole_client::{Client, Settings};
use systole_gateway::{Gateway, GatewayConfig, Parts};
use systole_telemetry::{Health, Metrics};
use systole_world::World;

/// An address where nobody listens: the client makes no connection until it is used.
const NOBODY: &str = "127.0.0.1:1";

pub(crate) fn config() -> GatewayConfig {
    GatewayConfig { listen: "127.0.0.1:0".parse().unwrap(), ..GatewayConfig::default() }
}

pub(crate) struct Node {
    pub(crate) gateway: Gateway,
    pub(crate) client: Arc<dyn Client>,
    pub(crate) metrics: Metrics,
}

pub(crate) async fn start(bootstrap: &str, config: GatewayConfig) -> Node {
    let world = World::os();
    let settings = Settings { bootstrap: bootstrap.to_owned(), ..Settings::default() };
    let client = systole_client::connect(&settings, &world).unwrap();
    let metrics = Metrics::default();
    let parts = Parts {
        client: client.clone(),
        world,
        metrics: metrics.clone(),
        health: Health::default(),
    };
    Node { gateway: Gateway::start(&config, parts).unwrap(), client, metrics }
}

/// A gateway that has no cluster: for what is decided before one is asked.
pub(crate) async fn alone(config: GatewayConfig) -> Node {
    start(NOBODY, config).await
}

impl Node {
    /// A new topic of a name that nobody else has.
    pub(crate) async fn topic(&self, partitions: i32) -> String {
        let random = World::os().random.next_u64();
        let name = format!("gateway-test.{random:016x}");
        self.create(&name, partitions).await;
        name
    }
    /// With records kept for ever: some tests write old ones.
    pub(crate) async fn create(&self, name: &str, partitions: i32) {
        let admin = self.client.admin().unwrap();
        let topic = NewTopic::new(name, partitions).config("retention.ms", "-1");
        admin.create_topic(&topic).await.unwrap();
        self.sees(name, partitions).await;
    }
    /// A cluster may answer that a topic was made before all of it knows the topic.
    pub(crate) async fn sees(&self, name: &str, partitions: i32) {
        let admin = self.client.admin().unwrap();
        let look = async {
            loop {
                if let Ok(cluster) = admin.cluster(Some(name)).await
                    && let Some(topic) = cluster.topics.first()
                    && topic.partitions.len() == usize::try_from(partitions).unwrap()
                    && topic.partitions.iter().all(|it| it.leader.is_some())
                {
                    return;
                }
            }
        };
        tokio::time::timeout(http::DEADLINE, look).await.expect("the topic is there");
    }
}
