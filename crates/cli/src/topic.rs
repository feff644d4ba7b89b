//! `systole topic`: list, create, describe, delete.
//!
//! Owns: what is shown of a topic. Does not own: what a topic may be called or hold (the broker).

use crate::context::{Context, Reach};
use crate::failure::Result;
use crate::produce::pair;
use serde_json::json;
use std::collections::BTreeMap;
use systole_client::admin::{Admin, ConfigOf, ConfigSource, NewTopic, Topic};
use systole_client::{Kind, Start};

const EXAMPLES: &str = "\
Examples:
  systole topic list
  systole topic create clinical.observation --partitions 6 --set retention.ms=604800000
  systole topic describe clinical.observation --json
  systole topic delete clinical.observation --cluster kafka.example:9092";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All topics with their number of records.
    List(List),
    /// Makes a topic.
    Create(Create),
    /// Partitions, offsets and configuration of a topic.
    Describe(Named),
    /// Deletes a topic and its records.
    Delete(Named),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Create {
    topic: String,
    /// How many partitions; without it, the broker's default.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many copies; without it, the broker's default.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    replication: Option<i32>,
    /// A configuration of the topic, by Kafka's name.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Named {
    topic: String,
    #[command(flatten)]
    reach: Reach,
}

/// Kafka's "the broker's default".
const DEFAULT_PARTITIONS: i32 = -1;

pub(crate) async fn run(command: Command, cx: &Context) -> Result {
    match command {
        Command::List(it) => list(&it, cx).await,
        Command::Create(it) => create(it, cx).await,
        Command::Describe(it) => describe(&it, cx).await,
        Command::Delete(it) => {
            it.reach.client(cx).await?.admin()?.delete_topic(&it.topic).await?;
            cx.out.either(&json!({"deleted": it.topic}), || format!("deleted {}", it.topic))
        }
    }
}

/// One line of the list.
#[derive(serde::Serialize)]
struct Listed {
    topic: String,
    partitions: usize,
    records: i64,
}

async fn list(args: &List, cx: &Context) -> Result {
    let admin = args.reach.client(cx).await?.admin()?;
    let topics = admin.cluster(None).await?.topics;
    let mut rows = Vec::new();
    for topic in &topics {
        let records = match extent(admin.as_ref(), topic).await {
            Ok(extent) => extent.values().map(|(first, end)| end.saturating_sub(*first)).sum(),
            Err(error) if error.kind() == Kind::UnknownTopic => continue, // deleted meanwhile
            Err(error) => return Err(error.into()),
        };
        let partitions = topic.partitions.len();
        rows.push(Listed { topic: topic.name.clone(), partitions, records });
    }
    cx.out.either(&rows, || {
        let cells = rows
            .iter()
            .map(|it| vec![it.topic.clone(), it.partitions.to_string(), it.records.to_string()]);
        cx.out.table(&["TOPIC", "PARTITIONS", "RECORDS"], &cells.collect::<Vec<_>>())
    })
}

/// First and end offset by partition.
pub(crate) async fn extent(
    admin: &dyn Admin,
    topic: &Topic,
) -> std::result::Result<BTreeMap<i32, (i64, i64)>, systole_client::Error> {
    let at = |start| topic.topic_partitions().map(move |it| (it, start)).collect::<Vec<_>>();
    let (first, end) = (at(Start::Beginning), at(Start::End));
    // One question per partition and request: Kafka refuses a partition that is named twice.
    let (first, end) = (admin.offsets(&first).await?, admin.offsets(&end).await?);
    let mut extent: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for (partition, offset) in first {
        extent.entry(partition.partition).or_default().0 = offset.get();
    }
    for (partition, offset) in end {
        extent.entry(partition.partition).or_default().1 = offset.get();
    }
    Ok(extent)
}

async fn create(args: Create, cx: &Context) -> Result {
    let partitions = args.partitions.unwrap_or(DEFAULT_PARTITIONS);
    let mut topic = NewTopic::new(args.topic, partitions);
    topic.replication = args.replication;
    topic.configs = args.set.into_iter().collect();
    args.reach.client(cx).await?.admin()?.create_topic(&topic).await?;
    cx.out.either(&json!({"created": topic.name}), || format!("created {}", topic.name))
}

async fn describe(args: &Named, cx: &Context) -> Result {
    let admin = args.reach.client(cx).await?.admin()?;
    let cluster = admin.cluster(Some(&args.topic)).await?;
    for topic in &cluster.topics {
        let extent = extent(admin.as_ref(), topic).await?;
        let configs = admin.configs(ConfigOf::Topic(&topic.name)).await?;
        let changed: BTreeMap<_, _> = configs
            .iter()
            .filter(|(_, it)| it.source == ConfigSource::Topic)
            .map(|(name, it)| (name.clone(), it.value.clone().unwrap_or_default()))
            .collect();
        let row = |it: &systole_client::admin::Partition| {
            let (first, end) = extent.get(&it.id).copied().unwrap_or_default();
            (it.id, it.leader, it.replicas.clone(), it.in_sync.clone(), first, end)
        };
        let rows: Vec<_> = topic.partitions.iter().map(row).collect();
        let value = json!({
            "topic": topic.name,
            "partitions": rows.iter().map(|(id, leader, replicas, in_sync, first, end)| json!({
                "partition": id, "leader": leader, "replicas": replicas, "in_sync": in_sync,
                "first_offset": first, "end_offset": end,
            })).collect::<Vec<_>>(),
            "configs": changed,
        });
        cx.out.either(&value, || {
            let cells = rows.iter().map(|(id, leader, replicas, in_sync, first, end)| {
                let leader = leader.map_or_else(|| "none".to_owned(), |it| it.to_string());
                let (replicas, in_sync) = (ids(replicas), ids(in_sync));
                vec![id.to_string(), leader, replicas, in_sync, first.to_string(), end.to_string()]
            });
            let titles = ["PARTITION", "LEADER", "REPLICAS", "IN SYNC", "FIRST", "END"];
            let table = cx.out.table(&titles, &cells.collect::<Vec<_>>());
            let configs = changed.iter().map(|(name, value)| format!("\n{name} = {value}"));
            format!("{}\n{table}{}", cx.out.bold(&topic.name), configs.collect::<String>())
        })?;
    }
    Ok(())
}

fn ids(list: &[i32]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
