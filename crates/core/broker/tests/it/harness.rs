//! A node of one's own, and a client that sends any request in any version.
//!
//! [`Harness::start`] -> [`Harness::client`] -> [`Client::call`]. [`Harness::restart`] stops in
//! order and starts again on the same directory.

use bytes::Bytes;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use systole_broker::{Broker, BrokerConfig};
use systole_telemetry::Metrics;
use systole_wire::header::{self, RequestHeader};
use systole_wire::message::{Message, Request};
use systole_wire::{Reader, Writer};
use systole_world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a test waits at most for something that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Harness {
    pub(crate) broker: Option<Broker>,
    pub(crate) config: BrokerConfig,
    pub(crate) world: World,
    pub(crate) metrics: Metrics,
    dir: tempfile::TempDir,
    /// Directories that must stay as long as the node.
    pub(crate) kept: Vec<tempfile::TempDir>,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }
    pub(crate) async fn start_with(adjust: impl FnOnce(&mut BrokerConfig)) -> Self {
        Self::start_in(World::os(), adjust).await
    }
    pub(crate) async fn start_in(world: World, adjust: impl FnOnce(&mut BrokerConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = BrokerConfig {
            dir: dir.path().join("broker"),
            listen: "127.0.0.1:0".parse().unwrap(),
            ..BrokerConfig::default()
        };
        adjust(&mut config);
        let metrics = Metrics::default();
        let broker = Broker::start(&config, &world, &metrics).await.unwrap();
        Self { broker: Some(broker), config, world, metrics, dir, kept: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.broker.as_ref().unwrap().kafka_address()
    }
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// Stops in order and starts again with the same data.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }
    pub(crate) async fn stop(&mut self) {
        self.broker.take().unwrap().stop().await;
    }
    /// Goes on with the files as they are at this moment, as after a `kill -9`.
    pub(crate) async fn crash(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&self.config.dir, &copy.path().join("broker"));
        self.stop().await;
        self.config.dir = copy.path().join("broker");
        self.dir = copy;
        self.start_again().await;
    }
    pub(crate) async fn start_again(&mut self) {
        self.metrics = Metrics::default();
        let broker = Broker::start(&self.config, &self.world, &self.metrics).await;
        self.broker = Some(broker.unwrap());
    }

    /// The value of a metric, as it is shown: `connections_broken_total`.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let text = self.metrics.text();
        let line = text.lines().find_map(|it| it.strip_prefix(&format!("systole_broker_{name} ")));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{text}")).parse().unwrap()
    }
    /// Waits until a metric has a value.
    pub(crate) async fn until_metric(&self, name: &str, holds: impl Fn(i64) -> bool) {
        eventually(|| holds(self.metric(name)), || format!("{name} is {}", self.metric(name)))
            .await;
    }
}

/// Looks every 2 ms whether the condition has come about; tells the state if it does not.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool, state: impl Fn() -> String) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?}: {}", state());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The files of a running node, all as they were at one moment: a file that was renamed or removed
/// while others were copied would make a picture that no `kill -9` leaves.
fn copy_dir(from: &Path, to: &Path) {
    let names = |dir: &Path| {
        let mut all = Vec::new();
        list(dir, &mut all);
        all
    };
    for _ in 0..1_000 {
        let before = names(from);
        let copied = before.iter().all(|path| {
            let target = to.join(path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            path.is_dir() || std::fs::copy(path, target).is_ok()
        });
        if copied && names(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
    panic!("the files of the node never rest");
}

/// Every path below a directory, in order; what vanishes meanwhile is left out.
fn list(dir: &Path, all: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|it| it.path()).collect();
    entries.sort();
    for path in entries {
        all.push(path.clone());
        list(&path, all);
    }
}

/// One connection. `call` sends and waits; `send` and `receive` do it apart, for pipelines.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, next_correlation_id: 100 }
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        let id = self.send(version, &request).await;
        self.receive::<R>(version, id).await
    }

    /// Sends a request and gives its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.stream.write_all(&frame_of(version, id, request)).await.unwrap();
        id
    }

    /// The next answer, which must be the one to `correlation_id`.
    pub(crate) async fn receive<R: Request>(
        &mut self,
        version: i16,
        correlation_id: i32,
    ) -> R::Response {
        let mut reader = Reader::new(self.receive_frame().await.expect("an answer"));
        let head_version = header::response_version(R::API, version);
        let head = header::ResponseHeader::decode(&mut reader, head_version).unwrap();
        assert_eq!(head.correlation_id, correlation_id, "answers leave in order");
        let response = R::Response::decode(&mut reader, version).unwrap();
        reader.expect_end().unwrap();
        response
    }

    /// The next frame without its length; `None` if the node closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or an end")
    }
}

/// A request as it goes over the wire.
pub(crate) fn frame_of<R: Request>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    let mut to = Writer::default();
    let head = RequestHeader {
        request_api_key: R::KEY,
        request_api_version: version,
        correlation_id,
        client_id: Some("it".into()),
        ..Default::default()
    };
    head.encode(&mut to, header::request_version(R::API, version)).unwrap();
    request.encode(&mut to, version).unwrap();
    let body = to.into_bytes();
    let length = i32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &body[..]].concat().into()
}
