//! `systole ingest`: files of a healthcare format become events.
//!
//! Owns: which files, progress, the summary, the exit code. Does not own: the format (`fhir`) or
//! the pipeline from reader to broker ([`feed`]).

pub(crate) mod feed;
mod source;

pub(crate) use source::{Source, find};

use crate::context::{Context, Reach};
use crate::failure::{Exit, Failure, Result};
use feed::{Job, Progress, Report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use systole_client::ProducerOptions;
use systole_fhir::{Format, Options};
use systole_kit::ByteSize;
use systole_world::ClockExt as _;

/// How often the progress bar moves.
const REDRAW: Duration = Duration::from_millis(200);
/// `ce_source` when nobody says. Names of files may name patients, so they are not used.
const SOURCE: &str = "urn:systole:ingest:fhir";

const EXAMPLES: &str = "\
Examples:
  systole ingest fhir bundle.json more/*.json
  systole ingest fhir export/ --source https://ehr.example/fhir
  zcat Patient.ndjson.gz | systole ingest fhir -

Every resource becomes one event on `clinical.<resource>`, keyed by its patient. Bad entries are
reported with their place and skipped. Exit code 0: all good; 2: some were bad; 1: it failed.";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// FHIR R4 bundles and resources, JSON or NDJSON.
    Fhir(Args),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files, directories (their `.json` and `.ndjson` files), or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the data come from, as a URI: the `ce_source` of every event.
    #[arg(long, value_name = "URI", default_value = SOURCE)]
    source: String,
    /// How documents are told apart.
    #[arg(long, value_enum, default_value = "auto")]
    format: InputFormat,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InputFormat {
    /// Looks at the first line.
    Auto,
    Json,
    Ndjson,
}

impl From<InputFormat> for Format {
    fn from(it: InputFormat) -> Self {
        match it {
            InputFormat::Auto => Self::Auto,
            InputFormat::Json => Self::Json,
            InputFormat::Ndjson => Self::Ndjson,
        }
    }
}

pub(crate) async fn run(command: Command, cx: &Context) -> Result {
    let Command::Fhir(args) = command;
    let sources = find(&args.paths, cx)?;
    let producer = args.reach.client(cx).await?.producer(&ProducerOptions::default())?;
    let mut options = options(cx);
    options.source = args.source;
    options.format = args.format.into();
    let progress = Arc::new(Progress::default());
    let total = sources.iter().map(Source::size).sum::<Option<u64>>();
    let job = Job { sources, options, progress: Arc::clone(&progress), pause: None };
    let bar = bar(total, cx);
    let start = cx.world.clock.instant();
    let report = {
        let feeding = feed::feed(job, producer.as_ref(), cx);
        tokio::pin!(feeding);
        loop {
            tokio::select! {
                report = &mut feeding => break report,
                () = cx.world.clock.sleep(REDRAW) => {
                    bar.set_position(progress.bytes.load(Ordering::Relaxed));
                }
            }
        }
    };
    bar.finish_and_clear();
    producer.close().await?;
    finish(&report?, cx.world.clock.instant().since(start), cx)
}

/// The options of an ingest that nobody changed.
pub(crate) fn options(cx: &Context) -> Options {
    Options {
        source: SOURCE.to_owned(),
        ingest: cx.world.random.uuid(),
        format: Format::Auto,
        limits: systole_fhir::Limits::default(),
    }
}

fn bar(total: Option<u64>, cx: &Context) -> ProgressBar {
    const KNOWN: &str = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    const UNKNOWN: &str = "{spinner} {bytes}  {bytes_per_sec}";
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    let template = if total.is_some() { KNOWN } else { UNKNOWN };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if cx.out.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar // draws on standard error, and only on a terminal
}

/// The summary, and what the exit code says.
pub(crate) fn finish(report: &Report, took: Duration, cx: &Context) -> Result {
    let problems_total: u64 = report.problems.values().sum();
    let events_total: u64 = report.events.values().sum();
    let rate = ByteSize::new(per_second(report.bytes, took));
    let problem = |it: &feed::Noted| {
        let feed::Noted { input, place, code, reason } = it;
        json!({"input": input, "place": place, "code": code.to_string(), "reason": reason})
    };
    let value = json!({
        "events": report.events, "events_total": events_total,
        "acknowledged": report.acknowledged, "failed": report.failed,
        "problems_total": problems_total,
        "problems": report.noted.iter().map(problem).collect::<Vec<Value>>(),
        "documents": report.documents, "bytes": report.bytes,
        "seconds": took.as_secs_f64(), "finished": report.finished,
    });
    cx.out.either(&value, || {
        let rows: Vec<Vec<String>> = report
            .events
            .iter()
            .map(|(name, count)| vec![(*name).into(), count.to_string()])
            .collect();
        let table = cx.out.table(&["RESOURCE", "EVENTS"], &rows);
        let codes = report.problems.iter().map(|(code, count)| format!("{count} of {code}"));
        let codes = codes.collect::<Vec<_>>().join(", ");
        let problems = if codes.is_empty() {
            "no problems".to_owned()
        } else {
            format!("problems: {codes} (systole explain CODE)")
        };
        let stopped = if report.finished { "" } else { "\nstopped before the end of the input" };
        format!(
            "{table}\n{} acknowledged of {} events from {} documents, {problems}\n\
             {} in {:.1} s, {rate}/s{stopped}",
            report.acknowledged,
            events_total,
            report.documents,
            ByteSize::new(report.bytes),
            took.as_secs_f64(),
        )
    })?;
    match &report.first_error {
        Some(error) if report.acknowledged == 0 => Err(Failure::from(error.clone())),
        None if problems_total == 0 && report.finished => Ok(()),
        None if report.acknowledged == 0 && problems_total > 0 => Err(Failure::Said(Exit::Failed)),
        _ => Err(Failure::Said(Exit::Partly)),
    }
}

fn per_second(bytes: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / millis
}
