//! `systole demo`: a node, sample patients, and what flows.
//!
//! Owns: the order of the show. Does not own: the node (`node`), the pipeline (`ingest::feed`),
//! what is seen ([`board`], filled by [`follow`]), how it is drawn ([`view`]) and how to join in
//! ([`invitation`]).

mod board;
mod follow;
mod invitation;
mod view;

use crate::context::{self, Context};
use crate::failure::{Failure, Result, code};
use crate::ingest::feed::{self, Job, Progress, Report};
use crate::ingest::{self, Source};
use crate::serve;
use board::Board;
use invitation::Invitation;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use systole_client::admin::NewTopic;
use systole_client::{Client, Kind, ProducerOptions, Settings};
use systole_node::Node;

/// Between two events of the show, so that eyes can follow.
const PAUSE: Duration = Duration::from_millis(60);

const EXAMPLES: &str = "\
Examples:
  systole demo                          sample patients, until you stop it
  systole demo --from ~/bundles         your own FHIR bundles
  systole demo --data ./demo-data       keep what was written
  systole demo --once --json            for scripts: ends after the ingest with a summary

Everything stays on this machine: the node listens on loopback only.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Keep the data here. Without it: a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// FHIR files or directories instead of the bundled samples.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from: Vec<PathBuf>,
    /// End after the ingest.
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result {
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(std::env::temp_dir().join(format!("systole-demo-{}", cx.world.random.uuid()))),
    };
    let done = show(&args, temporary.clone().or(args.data.clone()).unwrap_or_default(), cx).await;
    if let Some(dir) = temporary.filter(|it| cx.world.disk.exists(it).unwrap_or(false)) {
        let removed = cx.world.disk.remove_dir_all(&dir);
        removed.map_err(|it| Failure::new(code::DATA, format!("{}: {it}", dir.display())))?;
    }
    done
}

async fn show(args: &Args, data: PathBuf, cx: &Context) -> Result {
    let mut config = context::load(None, cx)?;
    config.cluster = None;
    config.keep_in(&data);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (config.broker.listen, config.gateway.listen) = (any, any);
    let sources = match args.from.as_slice() {
        [] => samples(),
        paths => ingest::find(paths, cx)?,
    };
    let node = serve::start(&config, cx).await?;
    let done = with_node(args, (&node, sources), cx).await;
    node.stop().await;
    done
}

fn samples() -> Vec<Source> {
    let source = |it: &systole_fhir::Sample| Source::Text { name: it.name, text: it.bundle };
    systole_fhir::samples().iter().map(source).collect()
}

async fn with_node(args: &Args, (node, sources): (&Node, Vec<Source>), cx: &Context) -> Result {
    let invitation = Invitation { kafka: node.kafka_address(), http: node.http_address() };
    let client = systole_client::connect(&Settings::to(invitation.kafka.clone()), &cx.world)?;
    match client.admin()?.create_topic(&NewTopic::new(invitation::GUESTS, 1)).await {
        Err(error) if error.kind() != Kind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    if args.once {
        let start = cx.world.clock.instant();
        let report = ingest_all(sources, client.as_ref(), (None, cx)).await?;
        return ingest::finish(&report, cx.world.clock.instant().since(start), cx);
    }
    let board = Arc::new(Mutex::new(Board::default()));
    let following = follow::start(Arc::clone(&client), (Arc::clone(&board), cx));
    if cx.out.terminal && !cx.out.json {
        live(sources, client.as_ref(), (&invitation, &board, cx)).await?;
    } else {
        plain(sources, client.as_ref(), (&invitation, cx)).await?;
    }
    cx.stop.ask(); // ends the follower too
    // A follower that fell over has said so on the board.
    let _ended = following.await;
    Ok(())
}

async fn ingest_all(
    sources: Vec<Source>,
    client: &dyn Client,
    (pause, cx): (Option<Duration>, &Context),
) -> Result<Report> {
    let producer = client.producer(&ProducerOptions::default())?;
    let progress = Arc::new(Progress::default());
    let job = Job { sources, options: ingest::options(cx), progress, pause };
    let report = feed::feed(job, producer.as_ref(), cx).await?;
    producer.close().await?;
    Ok(report)
}

/// The calm view, until someone has seen enough.
async fn live(
    sources: Vec<Source>,
    client: &dyn Client,
    (invitation, board, cx): (&Invitation, &Mutex<Board>, &Context),
) -> Result {
    let feeding = ingest_all(sources, client, (Some(PAUSE), cx));
    let viewing = view::run(invitation, board, cx);
    let (fed, viewed) = tokio::join!(feeding, viewing);
    fed?;
    viewed
}

/// The same for a file, a pipe or a program.
async fn plain(
    sources: Vec<Source>,
    client: &dyn Client,
    (invitation, cx): (&Invitation, &Context),
) -> Result {
    let (kafka, http) = (&invitation.kafka, invitation.http);
    cx.out.either(&json!({"ready": {"kafka": kafka, "http": http}}), || {
        format!("ready kafka={kafka} http={http}")
    })?;
    let start = cx.world.clock.instant();
    let report = ingest_all(sources, client, (None, cx)).await?;
    // The node stays, whatever was wrong with the input; the summary said it.
    let _exit = ingest::finish(&report, cx.world.clock.instant().since(start), cx);
    cx.out.either(&json!({"join_in": invitation.lines()}), || invitation.text())?;
    cx.stop.asked().await;
    Ok(())
}
