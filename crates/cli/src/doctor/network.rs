//! Checks of the addresses: can a node listen there, or does one answer already?
//!
//! Owns: telling a free port, our own node and a stranger apart. Does not own: opening listeners
//! for good.

use super::Finding;
use crate::context::Context;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use systole_client::Settings;
use systole_node::Config;
use systole_world::{ClockExt as _, net};

/// How long a running node has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) async fn listeners(config: &Config, cx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(if let Some(settings) = &config.cluster {
        kafka("cluster", settings, cx).await
    } else if let Some(finding) = free("kafka address", config.broker.listen) {
        finding
    } else {
        kafka("kafka address", &Settings::to(config.kafka_address()), cx).await
    });
    findings.push(free("http address", config.gateway.listen).unwrap_or_else(|| {
        let found = format!("{} is in use", config.gateway.listen);
        Finding::odd("http address", found, "fine if a node runs here; else set gateway.listen")
    }));
    findings
}

/// `None`: someone listens there already.
fn free(check: &'static str, address: SocketAddr) -> Option<Finding> {
    match net::listen(address) {
        Ok(_) => Some(Finding::good(check, format!("{address} is free"))),
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        Err(error) => {
            let cure = "choose an address of this machine, and a port above 1023";
            Some(Finding::bad(check, format!("{address}: {error}"), cure))
        }
    }
}

/// Someone is there; does it speak Kafka?
async fn kafka(check: &'static str, settings: &Settings, cx: &Context) -> Finding {
    const CURE: &str = "another program has this port, or the node hangs: choose another address";
    let bootstrap = &settings.bootstrap;
    let admin = match systole_client::connect(settings, &cx.world).and_then(|it| it.admin()) {
        Ok(admin) => admin,
        Err(error) => return Finding::bad(check, format!("{bootstrap}: {error}"), CURE),
    };
    match cx.world.clock.timeout(ANSWER_MAX, admin.cluster(None)).await {
        Ok(Ok(cluster)) => {
            let (brokers, topics) = (cluster.brokers.len(), cluster.topics.len());
            let found = format!("{bootstrap} answers: {brokers} brokers, {topics} topics");
            Finding::good(check, found)
        }
        Ok(Err(error)) => Finding::bad(check, format!("{bootstrap}: {error}"), CURE),
        Err(_) => {
            Finding::bad(check, format!("{bootstrap}: no answer within {ANSWER_MAX:?}"), CURE)
        }
    }
}
