//! `kill -9` under load, again and again, with a ledger of what was acknowledged.
//!
//! `cargo xtask crash --rounds 200` runs the long version in release.

use crate::command::Node;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use systole_client::admin::NewTopic;
use systole_client::{
    Client, Delivery, DirectOptions, Event, NewRecord, Producer, ProducerExt as _, ProducerOptions,
    Record, Settings, Start, TopicPartition,
};
use systole_world::{Random, World, sim::SeededRandom};
use tokio::sync::{mpsc, watch};

const TOPIC: &str = "crash.ledger";
const PARTITIONS: i32 = 6;
/// Rounds of the ordinary test run; `SYSTOLE_CRASH_ROUNDS` asks for others.
const ROUNDS: u32 = 6;
/// Records on the way at once: enough to fill commit groups, few enough to stay quick.
const UNANSWERED_MAX: usize = 4_000;
/// Acknowledged records between two kills, at most.
const ACKNOWLEDGED_MAX: u64 = 12_000;
/// A node that is not ready, or acknowledges nothing, for this long has a fault.
const PATIENCE: Duration = Duration::from_mins(1);

/// A node on `data` whose address stays the same from round to round.
fn start(data: &Path, address: &str) -> Node {
    let data = data.to_str().unwrap();
    Node::start(&["serve", "--data", data, "--kafka", address, "--http", "127.0.0.1:0"])
}

/// What the broker has promised: position to number.
type Ledger = BTreeMap<(i32, i64), u64>;

/// A value that tells its number and cannot be mistaken for another one's.
fn value_of(number: u64) -> Bytes {
    let random = SeededRandom::new(number);
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + usize::try_from(number % 300).unwrap_or_default(), 0);
    random.fill(&mut bytes[8..]);
    bytes.into()
}

/// Produces numbers until told to stop; returns how many were sent.
async fn produce(
    producer: Arc<dyn Producer>,
    sent: mpsc::Sender<(u64, Delivery)>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<u64> {
    let mut number = 0;
    while !*stop.borrow() {
        let mut record = NewRecord::to(TOPIC);
        record.key = Some(Bytes::from((number % 97).to_string()));
        record.value = Some(value_of(number));
        let delivery = producer.send(record).await?;
        sent.send((number, delivery)).await?;
        number += 1;
    }
    Ok(number)
}

/// Waits for each delivery and writes it down.
async fn keep_ledger(
    mut sent: mpsc::Receiver<(u64, Delivery)>,
    acknowledged: watch::Sender<u64>,
) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::new();
    while let Some((number, delivery)) = sent.recv().await {
        let done = delivery.await.with_context(|| format!("record {number}"))?;
        if let Some(other) = ledger.insert((done.partition, done.offset.get()), number) {
            bail!("records {other} and {number} were both acknowledged at one offset");
        }
        acknowledged.send_modify(|it| *it += 1);
    }
    Ok(ledger)
}

async fn kill_rounds(
    rounds: u32,
    mut node: Node,
    data: &Path,
    mut acknowledged: watch::Receiver<u64>,
) -> anyhow::Result<Node> {
    let random = World::os().random;
    for round in 0..rounds {
        let target = *acknowledged.borrow() + 1 + random.next_u64() % ACKNOWLEDGED_MAX;
        tokio::time::timeout(PATIENCE, acknowledged.wait_for(|it| *it >= target))
            .await
            .with_context(|| format!("round {round}: no acknowledgement for {PATIENCE:?}"))??;
        let address = node.kafka.clone();
        node.stop("-KILL");
        node = start(data, &address);
    }
    Ok(node)
}

/// Every record of the topic.
async fn read_all(client: &Arc<dyn Client>) -> anyhow::Result<Vec<Record>> {
    let parts = (0..PARTITIONS).map(|it| (TopicPartition::new(TOPIC, it), Start::Beginning));
    let mut consumer = client.read(parts.collect(), &DirectOptions::default()).await?;
    let (mut records, mut ended) = (Vec::new(), 0);
    while ended < PARTITIONS {
        match tokio::time::timeout(PATIENCE, consumer.next()).await?? {
            Event::Records(some) => records.extend(some),
            Event::Ended(..) => ended += 1,
            _ => {}
        }
    }
    consumer.close().await?;
    Ok(records)
}

/// Compares the log with the ledger. Nothing lost, nothing twice, nothing changed.
fn audit(ledger: &Ledger, sent: u64, records: &[Record]) -> anyhow::Result<()> {
    let mut seen = HashMap::new();
    for record in records {
        let value = record.value.clone().context("a record without value")?;
        let number = u64::from_be_bytes(value[..8].try_into()?);
        ensure!(number < sent, "record {number} was never sent");
        ensure!(value == value_of(number), "record {number} was changed");
        let at = (record.partition, record.offset.get());
        if let Some(before) = seen.insert(number, at) {
            bail!("record {number} is there twice, at {before:?} and {at:?}");
        }
    }
    for (at, number) in ledger {
        let found = seen.get(number);
        ensure!(found == Some(at), "record {number} was acknowledged at {at:?}, is at {found:?}");
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_doubled_or_changed_by_kill_9() -> anyhow::Result<()> {
    let rounds = match std::env::var("SYSTOLE_CRASH_ROUNDS") {
        Ok(text) => text.parse().context("SYSTOLE_CRASH_ROUNDS is a number")?,
        Err(_) => ROUNDS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let data = tempfile::tempdir()?;
        let node = start(data.path(), "127.0.0.1:0");
        let settings = Settings::to(node.kafka.clone());
        let client = systole_client::connect(&settings, &World::os())?;
        client.admin()?.create_topic(&NewTopic::new(TOPIC, PARTITIONS)).await?;
        let producer = client.producer(&ProducerOptions::default())?;

        let (stop, stopped) = watch::channel(false);
        let (sender, receiver) = mpsc::channel(UNANSWERED_MAX);
        let (count, acknowledged) = watch::channel(0);
        let producing = tokio::spawn(produce(producer.clone(), sender, stopped));
        let keeping = tokio::spawn(keep_ledger(receiver, count));
        let node = kill_rounds(rounds, node, data.path(), acknowledged).await?;
        stop.send(true)?;
        let sent = producing.await??;
        let ledger = keeping.await??;
        producer.close().await?;

        let records = read_all(&client).await?;
        audit(&ledger, sent, &records)?;
        drop(node);
        let (acknowledged, read) = (ledger.len(), records.len());
        tell(&format!(
            "{rounds} kills: {sent} sent, {acknowledged} acknowledged, {read} read; 0 lost, 0 \
             doubled, 0 changed"
        ))
    })
}

/// Says what was found, and adds it to the file that `SYSTOLE_CRASH_LEDGER` names, if it does.
#[expect(clippy::print_stderr, reason = "whoever runs the long version reads it")]
fn tell(line: &str) -> anyhow::Result<()> {
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("SYSTOLE_CRASH_LEDGER") {
        let mut file = std::fs::File::options().create(true).append(true).open(path)?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}
