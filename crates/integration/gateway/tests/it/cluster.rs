//! The clusters in front of which the gateway is tested: ours, and Apache Kafka's.

use std::sync::OnceLock;
use systole_broker::{Broker, BrokerConfig};
use systole_telemetry::Metrics;
use systole_testkit::RealKafka;
use systole_world::World;

/// The bootstrap address of each.
pub(crate) fn clusters() -> Vec<String> {
    let kafka = RealKafka::shared().map(|it| it.bootstrap().to_owned());
    [embedded().to_owned()].into_iter().chain(kafka).collect()
}

/// The embedded broker that the tests of this process share. Each test has a runtime that ends with
/// it, so the broker has one of its own.
fn embedded() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let dir = tempfile::tempdir().unwrap();
            let config = BrokerConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                dir: dir.path().to_owned(),
                ..BrokerConfig::default()
            };
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let broker = Broker::start(&config, &World::os(), &Metrics::default()).await;
                let broker = broker.unwrap();
                tell.send(broker.kafka_address().to_string()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    })
}
