//! `systole produce`: records from the command line or from standard input.
//!
//! Owns: reading lines and counting what was acknowledged. Does not own: the JSON form (`record`).

use crate::context::{Context, Reach};
use crate::delivery::Tally;
use crate::failure::{Exit, Failure, Result, code};
use crate::output::aside;
use crate::record::Json;
use serde_json::json;
use std::io::BufRead as _;
use systole_client::{NewRecord, Producer, ProducerOptions};

/// Lines read ahead of the producer.
const LINES_AHEAD_MAX: usize = 1024;

const EXAMPLES: &str = "\
Examples:
  systole produce pa.case --key case-17 --value '{\"status\":\"pended\"}'
  systole produce notes < lines.txt
  systole consume old.topic --json | systole produce new.topic --format json

Ends when every record is acknowledged, that is, on disk.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    topic: String,
    /// Value of one record. Without it, each line of standard input is a record.
    #[arg(long, value_name = "TEXT")]
    value: Option<String>,
    /// Key of every record; records of one key keep their order.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// A header of every record.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    header: Vec<(String, String)>,
    /// Write to this partition instead of the key's.
    #[arg(long, value_name = "NUMBER")]
    partition: Option<i32>,
    /// What a line of standard input is: a value, or a record as `consume --json` prints it.
    #[arg(long, value_enum, default_value = "text", conflicts_with = "value")]
    format: Format,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn pair(text: &str) -> std::result::Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result {
    let producer = args.reach.client(cx).await?.producer(&ProducerOptions::default())?;
    let mut tally = Tally::default();
    let read = match &args.value {
        Some(value) => {
            let record = args.decorate(NewRecord::to(args.topic.as_str()).value(value.clone()));
            tally.send(producer.as_ref(), record).await
        }
        None => from_input(&args, producer.as_ref(), (cx, &mut tally)).await,
    };
    tally.settle(0).await; // what was sent is waited for, whatever stopped the reading
    producer.close().await?;
    report(tally, &args.topic, cx)?;
    read
}

impl Args {
    /// What the options say about every record.
    fn decorate(&self, mut record: NewRecord) -> NewRecord {
        record.partition = record.partition.or(self.partition);
        record.key = record.key.or_else(|| self.key.clone().map(Into::into));
        for (name, value) in &self.header {
            record = record.header(name.as_str(), value.clone());
        }
        record
    }
    fn record(&self, number: u64, line: String) -> Result<NewRecord> {
        let wrong =
            |why: &str| Failure::new(code::RECORD, format!("line {number} is no record: {why}"));
        let record = match self.format {
            Format::Text => NewRecord::to(self.topic.as_str()).value(line),
            // The parser's message may quote the line, so only the position is told.
            Format::Json => serde_json::from_str::<Json>(&line)
                .map_err(|it| wrong(&format!("unexpected at column {}", it.column())))?
                .into_record(&self.topic)
                .map_err(wrong)?,
        };
        Ok(self.decorate(record))
    }
}

/// Standard input can only be read by blocking, so a thread of its own does.
async fn from_input(
    args: &Args,
    producer: &dyn Producer,
    (cx, tally): (&Context, &mut Tally),
) -> Result {
    let (sender, mut lines) = tokio::sync::mpsc::channel(LINES_AHEAD_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    let mut number = 0;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = cx.stop.asked() => None,
        };
        let Some(line) = line else { return Ok(()) };
        number += 1;
        let line = line.map_err(|it| Failure::new(code::READ, format!("line {number}: {it}")))?;
        tally.send(producer, args.record(number, line)?).await?;
    }
}

fn report(tally: Tally, topic: &str, cx: &Context) -> Result {
    let Tally { acknowledged, failed, last, first_error, .. } = tally;
    let place = last.map(|it| format!("{topic}-{}@{}", it.partition, it.offset.get()));
    let value = json!({"acknowledged": acknowledged, "failed": failed, "last": place});
    cx.out.either(&value, || {
        let last = place.map(|it| format!(", the last at {it}")).unwrap_or_default();
        format!("{acknowledged} acknowledged, {failed} failed{last}")
    })?;
    match first_error {
        None => Ok(()),
        Some(error) if acknowledged == 0 => Err(error.into()),
        Some(error) => {
            let failure = Failure::from(error);
            if let Some(text) = failure.shown(cx.out.json) {
                aside(text);
            }
            Err(Failure::Said(Exit::Partly))
        }
    }
}
