//! A stream of bytes into a connection of a broker: frames, dispatch, every API.
//!
//! Holds: nothing panics, and the node serves the next client whatever the one before has sent.

use crate::frames::{framed, of};
use crate::record_batch::batch;
use crate::{decode_request, frames};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;
use systole_broker::{Broker, BrokerConfig};
use systole_telemetry::Metrics;
use systole_wire::compression::Codec;
use systole_wire::message::create_topics_request::CreatableTopic;
use systole_wire::message::join_group_request::JoinGroupRequestProtocol;
use systole_wire::message::metadata_request::MetadataRequestTopic;
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::{
    ApiVersionsRequest, CreateTopicsRequest, InitProducerIdRequest, JoinGroupRequest,
    MetadataRequest, ProduceRequest,
};
use systole_world::World;

/// How long an input waits for one more answer: some requests may be answered late, and say so.
const ANSWER_WAIT: Duration = Duration::from_millis(10);
/// How long the next client may wait. Far beyond what a node needs.
const NEXT_WAIT: Duration = Duration::from_mins(1);

struct Node {
    address: SocketAddr,
    _broker: Broker,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

pub fn run(data: &[u8]) {
    static NODE: OnceLock<Node> = OnceLock::new();
    let node = NODE.get_or_init(|| Node::start().unwrap_or_else(|it| panic!("no node: {it:#}")));
    // The node may have closed its end already; that is an answer too.
    let _ = exchange(node.address, data);
    if let Err(error) = is_served(node.address) {
        panic!("the next client is not served: {error}");
    }
}

/// What a client would say, and every request with nothing in it.
pub fn seeds() -> Vec<Vec<u8>> {
    let hello = framed(&of(3, &ApiVersionsRequest::default()));
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let metadata = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let new = CreatableTopic {
        name: "u".into(),
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    let create = CreateTopicsRequest { topics: vec![new], ..Default::default() };
    let records = Some(batch(Codec::Lz4, 5).into());
    let partition = PartitionProduceData { index: 0, records, ..Default::default() };
    let data = TopicProduceData {
        name: "t".into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    let produce = ProduceRequest { acks: -1, topic_data: vec![data], ..Default::default() };
    let protocol = JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let talk = [
        hello,
        framed(&of(9, &metadata)),
        framed(&of(7, &create)),
        framed(&of(9, &produce)),
        framed(&of(4, &InitProducerIdRequest::default())),
        framed(&of(5, &join)),
    ];
    let mut all = vec![talk.concat()];
    all.extend(talk);
    all.extend(frames::empty().map(|it| framed(&it)));
    all.extend(
        decode_request::seeds().chunks(5).map(|it| it.iter().flat_map(|it| framed(it)).collect()),
    );
    all
}

impl Node {
    fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("systole-fuzz-").tempdir()?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config =
            BrokerConfig { dir: dir.path().join("broker"), listen, ..BrokerConfig::default() };
        let runtime = tokio::runtime::Runtime::new()?;
        let start = async { Broker::start(&config, &World::os(), &Metrics::default()).await };
        let broker = runtime.block_on(start)?;
        Ok(Self { address: broker.kafka_address(), _broker: broker, _runtime: runtime, _dir: dir })
    }
}

fn exchange(to: SocketAddr, data: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(NEXT_WAIT))?;
    stream.write_all(data)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answers = [0; 16 * 1024];
    while stream.read(&mut answers)? > 0 {}
    Ok(())
}

fn is_served(at: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(NEXT_WAIT))?;
    stream.write_all(&framed(&of(0, &ApiVersionsRequest::default())))?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    if answer[4..] == 7_i32.to_be_bytes() {
        Ok(())
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}
