//! The pipeline from readers to the broker.
//!
//! Owns: one thread that reads and decodes, bounded queues, waiting for acknowledgements, counting.
//! Does not own: decoding (`fhir`), batching (`client`).

use super::Source;
use crate::context::Context;
use crate::delivery::Tally;
use crate::failure::{Failure, Result, code};
use crate::output::aside;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use systole_client::{Error, NewRecord, Producer};
use systole_fhir::{ChangeEvent, Options, Problem, Reader};
use systole_kit::Code;
use systole_world::{Clock, ClockExt as _};
use tokio::sync::mpsc;

/// Events and problems that may wait between the reading thread and the producer. Handed over one
/// by one: input may come slowly, and nobody should wait for the next event to see this one.
const PARTS_AHEAD_MAX: usize = 64;
/// How long a reader that waits for input is waited for after the wish to stop.
const STOPPING_MAX: Duration = Duration::from_secs(1);
/// Problems that are told one by one; further ones are only counted.
const NOTED_MAX: usize = 100;

/// What is to be done.
pub(crate) struct Job {
    pub(crate) sources: Vec<Source>,
    pub(crate) options: Options,
    pub(crate) progress: Arc<Progress>,
    /// Wait so long after each event, so that people can watch.
    pub(crate) pause: Option<Duration>,
}

/// How far it has come, for whoever shows it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) bytes: AtomicU64,
}

/// A problem as it is told: no value of the input is in it.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) input: String,
    pub(crate) place: String,
    pub(crate) code: Code,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Documents of the inputs that were read to their end.
    pub(crate) documents: u64,
    pub(crate) problems: BTreeMap<Code, u64>,
    /// Events that were sent, by type of resource.
    pub(crate) events: BTreeMap<&'static str, u64>,
    pub(crate) bytes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) noted: Vec<Noted>,
    pub(crate) first_error: Option<Error>,
    /// Every input was read to its end.
    pub(crate) finished: bool,
}

enum Part {
    Event(ChangeEvent),
    Problem(String, Problem),
    /// One input was read to its end, or up to the wish to stop.
    Done {
        documents: u64,
    },
    /// All inputs were read.
    Finished,
    Unreadable(String, std::io::Error),
}

/// Reads every source and completes when all events are acknowledged or have failed. Asked to stop,
/// it reads no further and brings what was read to its end.
pub(crate) async fn feed(job: Job, producer: &dyn Producer, cx: &Context) -> Result<Report> {
    let (sender, mut parts) = mpsc::channel(PARTS_AHEAD_MAX);
    let (clock, stop) = (Arc::clone(&cx.world.clock), cx.stop.clone());
    let (progress, pause) = (Arc::clone(&job.progress), job.pause);
    // Not a thread of the runtime: a read of standard input cannot be ended from here.
    std::thread::spawn(move || read(&job, &Surroundings { clock, stop, sender }));
    let mut report = Report::default();
    let mut tally = Tally::default();
    while let Some(part) = next(&mut parts, cx).await {
        match part {
            Part::Done { documents } => report.documents += documents,
            Part::Finished => report.finished = true,
            Part::Problem(input, problem) => note(&mut report, input, &problem, cx),
            Part::Unreadable(input, error) => {
                tally.settle(0).await;
                return Err(Failure::new(code::READ, format!("{input}: {error}")));
            }
            Part::Event(event) => {
                *report.events.entry(event.resource_type).or_default() += 1;
                tally.send(producer, record(event)).await?;
                if let Some(pause) = pause.filter(|_| !cx.stop.is_asked()) {
                    cx.world.clock.sleep(pause).await;
                }
            }
        }
    }
    tally.settle(0).await;
    report.bytes = progress.bytes.load(Ordering::Relaxed);
    report.acknowledged = tally.acknowledged;
    report.failed = tally.failed;
    report.first_error = tally.first_error;
    Ok(report)
}

/// The next part. Once asked to stop, a reader that waits for input is not waited for.
async fn next(parts: &mut mpsc::Receiver<Part>, cx: &Context) -> Option<Part> {
    tokio::select! {
        part = parts.recv() => return part,
        () = cx.stop.asked() => {}
    }
    cx.world.clock.timeout(STOPPING_MAX, parts.recv()).await.unwrap_or(None)
}

/// What the reading thread needs besides its job.
struct Surroundings {
    clock: Arc<dyn Clock>,
    stop: Stop,
    sender: mpsc::Sender<Part>,
}

impl Surroundings {
    /// `false`: nobody listens any more.
    fn tell(&self, part: Part) -> bool {
        self.sender.blocking_send(part).is_ok()
    }
}

/// On a thread of its own: reading blocks, decoding computes.
fn read(job: &Job, around: &Surroundings) {
    for source in &job.sources {
        let input = source.to_string();
        let stream = match source.open() {
            Ok(stream) => Counted { stream, progress: Arc::clone(&job.progress) },
            Err(error) => {
                around.tell(Part::Unreadable(input, error));
                return;
            }
        };
        let mut reader = Reader::new(stream, job.options.clone(), Arc::clone(&around.clock));
        if !read_one(&input, &mut reader, around) || around.stop.is_asked() {
            return;
        }
    }
    around.tell(Part::Finished);
}

fn read_one(input: &str, reader: &mut Reader<Counted>, around: &Surroundings) -> bool {
    for item in reader.by_ref() {
        let part = match item {
            Ok(event) => Part::Event(event),
            Err(problem) => Part::Problem(input.to_owned(), problem),
        };
        if !around.tell(part) {
            return false;
        }
        if around.stop.is_asked() {
            break;
        }
    }
    around.tell(Part::Done { documents: reader.summary().documents })
}

/// Counts what is read, for the progress bar.
struct Counted {
    stream: Box<dyn Read>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buf)?;
        self.progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn note(report: &mut Report, input: String, problem: &Problem, cx: &Context) {
    let code = problem.reason.code();
    *report.problems.entry(code).or_default() += 1;
    if report.noted.len() >= NOTED_MAX {
        return;
    }
    let noted =
        Noted { input, place: problem.place.to_string(), code, reason: problem.reason.to_string() };
    if !cx.out.json {
        aside(format!("{}: {}: {} [{code}]", noted.input, noted.place, noted.reason));
    }
    report.noted.push(noted);
}

fn record(event: ChangeEvent) -> NewRecord {
    let mut record = NewRecord::to(event.topic);
    record.key = event.key;
    record.value = event.value;
    for (name, value) in event.headers {
        record = record.header(name, value);
    }
    record
}
