//! `systole group`: list, describe.
//!
//! Owns: what is shown of a consumer group. Does not own: groups (the broker).

use crate::context::{Context, Reach};
use crate::failure::Result;
use crate::topic::extent;
use serde_json::{Value, json};
use systole_client::admin::{Admin, Group};

const EXAMPLES: &str = "\
Examples:
  systole group list
  systole group describe billing
  systole group describe billing --json | jq '.partitions[] | select(.lag > 0)'";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All groups with their state.
    List(List),
    /// Members, positions and lag of a group.
    Describe(Describe),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Describe {
    group: String,
    #[command(flatten)]
    reach: Reach,
}

pub(crate) async fn run(command: Command, cx: &Context) -> Result {
    match command {
        Command::List(it) => list(&it, cx).await,
        Command::Describe(it) => describe(&it, cx).await,
    }
}

async fn list(args: &List, cx: &Context) -> Result {
    let groups = args.reach.client(cx).await?.admin()?.groups().await?;
    let value =
        |it: &Group| json!({"group": it.name, "state": it.state, "members": it.members.len()});
    let values: Vec<Value> = groups.iter().map(value).collect();
    cx.out.either(&values, || {
        let row =
            |it: &Group| vec![it.name.clone(), it.state.clone(), it.members.len().to_string()];
        cx.out.table(&["GROUP", "STATE", "MEMBERS"], &groups.iter().map(row).collect::<Vec<_>>())
    })
}

/// One partition in which the group has a position.
struct Position {
    topic: String,
    partition: i32,
    committed: i64,
    end: i64,
    /// The client that reads it now.
    member: Option<String>,
}

impl Position {
    fn lag(&self) -> i64 {
        (self.end - self.committed).max(0)
    }
}

async fn describe(args: &Describe, cx: &Context) -> Result {
    let admin = args.reach.client(cx).await?.admin()?;
    let group = admin.group(&args.group).await?;
    let positions = positions(&group, admin.as_ref()).await?;
    let value = json!({
        "group": group.name, "state": group.state, "protocol": group.protocol,
        "members": group.members.iter().map(|it| json!({
            "id": it.id, "client": it.client_id, "host": it.host, "partitions": it.assigned.len(),
        })).collect::<Vec<_>>(),
        "partitions": positions.iter().map(|it| json!({
            "topic": it.topic, "partition": it.partition, "committed": it.committed,
            "end": it.end, "lag": it.lag(), "member": it.member,
        })).collect::<Vec<_>>(),
    });
    cx.out.either(&value, || {
        let row = |it: &Position| {
            let numbers = [it.partition.into(), it.committed, it.end, it.lag()];
            let member = it.member.clone().unwrap_or_else(|| "nobody".to_owned());
            let cells = numbers.iter().map(i64::to_string);
            [it.topic.clone()].into_iter().chain(cells).chain([member]).collect()
        };
        let titles = ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "READ BY"];
        let table = cx.out.table(&titles, &positions.iter().map(row).collect::<Vec<_>>());
        let members = group.members.len();
        format!("{}  {}, {members} members\n{table}", cx.out.bold(&group.name), group.state)
    })
}

async fn positions(group: &Group, admin: &dyn Admin) -> Result<Vec<Position>> {
    let mut positions = Vec::new();
    for topic in admin.cluster(None).await?.topics {
        let of: Vec<_> = topic.topic_partitions().collect();
        let committed = admin.group_offsets(&group.name, &of).await?;
        if committed.iter().all(|(_, offset)| offset.is_none()) {
            continue;
        }
        let extent = extent(admin, &topic).await?;
        for (at, offset) in committed {
            let Some(offset) = offset else { continue };
            let member = group.members.iter().find(|it| it.assigned.contains(&at));
            positions.push(Position {
                topic: topic.name.clone(),
                partition: at.partition,
                committed: offset.get(),
                end: extent.get(&at.partition).map_or(0, |(_, end)| *end),
                member: member.map(|it| it.client_id.clone()),
            });
        }
    }
    Ok(positions)
}
