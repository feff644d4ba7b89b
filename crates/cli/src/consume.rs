//! `systole consume`: records of topics, as they are or as they come.
//!
//! Owns: where to begin, when to end. Does not own: how a record looks (`record`).

use crate::context::{Context, Reach};
use crate::failure::{Failure, Result};
use crate::output::aside;
use crate::record::{self, Json, Part, Shown};
use std::collections::HashSet;
use systole_client::{Client, DirectOptions, Event, Offset, Record, Start};
use systole_client::{TopicPartition, consumer::Reset};
use systole_kit::Timestamp;

const EXAMPLES: &str = "\
Examples:
  systole consume clinical.observation --from beginning --show value
  systole consume clinical.patient clinical.encounter --follow
  systole consume clinical.observation --from 15m --json | jq .value
  systole consume pa.case --partition 0 --from 1200 --max 10 --pretty

On a terminal only place, time and event type are shown, since a record may hold patient data;
`--show` asks for more. Into a pipe or a file everything is written.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Topics to read.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to begin: `beginning`, `end`, an offset, a time (RFC 3339) or an age (`15m`, `2h`).
    #[arg(long, value_name = "WHERE", default_value = "beginning")]
    from: From,
    /// Go on with what is written from now on, until stopped.
    #[arg(long, short)]
    follow: bool,
    /// Only this partition.
    #[arg(long, value_name = "NUMBER")]
    partition: Option<i32>,
    /// End after so many records.
    #[arg(long, value_name = "COUNT")]
    max: Option<u64>,
    /// Parts to show, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    show: Vec<Part>,
    /// Show values, JSON over several lines.
    #[arg(long)]
    pretty: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Where to begin, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Beginning,
    End,
    Offset(Offset),
    Time(Timestamp),
    Age(std::time::Duration),
}

impl std::str::FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if let Some(offset) = text.parse::<i64>().ok().and_then(Offset::new) {
            return Ok(Self::Offset(offset));
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::Time(Timestamp::from_millis(time.as_millisecond())));
        }
        let age = || text.parse::<jiff::SignedDuration>().ok()?.try_into().ok();
        match text {
            "beginning" | "earliest" => Ok(Self::Beginning),
            "end" | "latest" => Ok(Self::End),
            _ => age().map(Self::Age).ok_or("not `beginning`, `end`, an offset, a time or an age"),
        }
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result {
    let shown = Shown::new(&args.show, args.pretty, cx.out);
    let client = args.reach.client(cx).await?;
    let from = starts(&args, client.as_ref(), cx).await?;
    let mut open: HashSet<TopicPartition> = from.iter().map(|(it, _)| it.clone()).collect();
    let options = DirectOptions { reset: Reset::Earliest, ..DirectOptions::default() };
    let mut reader = client.read(from, &options).await?;
    let mut left = args.max.unwrap_or(u64::MAX);
    if shown.is_nothing() && !cx.out.json {
        aside(cx.out.dim("contents are not shown; --show key,value,headers shows them"));
    }
    while left > 0 && (args.follow || !open.is_empty()) {
        let event = tokio::select! {
            event = reader.next() => event,
            () = cx.stop.asked() => break,
        };
        match event {
            Ok(Event::Records(records)) => {
                for record in records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    print(record, shown, cx)?;
                    left -= 1;
                }
            }
            Ok(Event::Ended(partition, _)) => drop(open.remove(&partition)),
            Ok(_) => {}
            Err(error) if error.class() == systole_client::Class::Retry && args.follow => {
                tracing::warn!(code = %error.code(), %error, "reading goes on");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reader.close().await?)
}

fn print(record: &Record, shown: Shown, cx: &Context) -> Result {
    if cx.out.json {
        cx.out.value(&Json::of(record, shown))
    } else {
        cx.out.line(record::lines(record, shown, cx.out))
    }
}

/// Every partition that was asked for, and where to begin in it.
async fn starts(
    args: &Args,
    client: &dyn Client,
    cx: &Context,
) -> Result<Vec<(TopicPartition, Start)>> {
    let start = match args.from {
        From::Beginning => Start::Beginning,
        From::End => Start::End,
        From::Offset(offset) => Start::At(offset),
        From::Time(time) => Start::Time(time),
        From::Age(age) => Start::Time(cx.world.clock.now().minus(age)),
    };
    let admin = client.admin()?;
    let mut starts = Vec::new();
    for topic in &args.topics {
        let cluster = admin.cluster(Some(topic)).await?;
        for partition in
            cluster.topics.iter().flat_map(systole_client::admin::Topic::topic_partitions)
        {
            if args.partition.is_none_or(|it| it == partition.partition) {
                starts.push((partition, start));
            }
        }
    }
    if starts.is_empty() {
        return Err(Failure::usage("none of these topics has such a partition"));
    }
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_start_is_a_word_an_offset_a_time_or_an_age() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("1200".parse(), Ok(From::Offset(Offset::new(1200).unwrap())));
        assert_eq!("15m".parse(), Ok(From::Age(Duration::from_mins(15))));
        assert_eq!(
            "2026-01-01T00:00:00Z".parse(),
            Ok(From::Time(Timestamp::from_millis(1_767_225_600_000)))
        );
        for wrong in ["-5", "yesterday", "", "-2h"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
