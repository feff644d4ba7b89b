//! The embedded broker, in this process, for tests.
//!
//! Owns: its life, on a runtime of its own, so that tests with runtimes of their own can share it.
//! Does not own: the other services of a node.

use crate::port;
use crate::real_kafka::Ends;
use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use systole_broker::{Broker, BrokerConfig};
use systole_telemetry::Metrics;
use systole_world::World;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A node on a free port with a data directory of its own. Dropping it stops it in order.
#[derive(Debug)]
pub struct EmbeddedNode {
    bootstrap: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl EmbeddedNode {
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(BrokerConfig::default())
    }

    /// The node that tests of this process share while at least one of them holds it.
    /// # Panics  if it does not start.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<EmbeddedNode>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let node = Arc::new(Self::start().expect("the embedded node starts"));
            *shared = Arc::downgrade(&node);
            node
        })
    }

    /// A node whose clients are sent to the near end, where a [`crate::Cable`] is to be laid.
    pub fn behind_cable() -> anyhow::Result<(Self, Ends)> {
        let [near] = port::free().map(|it| SocketAddr::from((Ipv4Addr::LOCALHOST, it)));
        let advertised = Some(near.to_string());
        let node = Self::start_with(BrokerConfig { advertised, ..BrokerConfig::default() })?;
        let far = node.bootstrap.parse()?;
        Ok((node, Ends { near, far }))
    }

    /// The directory and the port of `config` are replaced by fresh ones.
    pub fn start_with(config: BrokerConfig) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("systole-node-").tempdir()?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = BrokerConfig { dir: dir.path().join("broker"), listen, ..config };
        let (stop, stopped) = oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let thread =
            std::thread::Builder::new().name("embedded-node".to_owned()).spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
                let runtime = runtime.expect("a runtime");
                runtime.block_on(async {
                    match Broker::start(&config, &World::os(), &Metrics::default()).await {
                        Ok(broker) => {
                            let _ = started.send(Ok(broker.kafka_address())); // nobody waits
                            let _ = stopped.await; // or the handle is gone, which says the same
                            broker.stop().await;
                        }
                        Err(error) => drop(started.send(Err(error))),
                    }
                });
            })?;
        let address = address.recv().context("the node's thread ended early")??;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Self { bootstrap: address.to_string(), stop, thread, _dir: dir })
    }

    /// `host:port`
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for EmbeddedNode {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the embedded node panicked; its reason stands above");
        }
    }
}
