//! The crate from outside: text in, events and problems out.
#![allow(clippy::disallowed_methods)] // tests read the reference data from files
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may stop at once and say why
#![allow(clippy::format_push_string, clippy::format_collect)] // shown text, not hot code
#![allow(clippy::needless_raw_string_hashes)] // expect-test writes them

mod bad_input;
mod entries;
mod properties;
mod sample_patients;
mod synthea;

use std::fmt::Write;
use std::io::Read;
use std::sync::Arc;
use systole_fhir::{ChangeEvent, Format, Limits, Options, Problem, Reader, Summary};
use systole_kit::{Timestamp, Uuid};
use systole_world::sim::HandClock;

pub(crate) fn options() -> Options {
    Options {
        source: "urn:systole:test".to_owned(),
        ingest: Uuid::from_bytes([7; 16]),
        format: Format::Auto,
        limits: Limits::default(),
    }
}

pub(crate) fn reader<R: Read>(source: R, options: Options) -> Reader<R> {
    let clock = HandClock::starting_at(Timestamp::from_millis(1_800_000_000_000));
    Reader::new(source, options, Arc::new(clock))
}

pub(crate) fn read_all(
    source: impl Read,
    options: Options,
) -> (Vec<Result<ChangeEvent, Problem>>, Summary) {
    let mut reader = reader(source, options);
    let items = reader.by_ref().collect();
    (items, reader.summary())
}

/// One line per item: `topic key verb value` or the problem.
pub(crate) fn outline(input: &[u8], options: Options) -> String {
    let mut shown = String::new();
    for item in read_all(input, options).0 {
        match item {
            Ok(event) => writeln!(shown, "{}", line(&event)),
            Err(problem) => writeln!(shown, "[{}] {problem}", problem.reason.code()),
        }
        .unwrap();
    }
    shown
}

fn line(event: &ChangeEvent) -> String {
    let text = |it: Option<&bytes::Bytes>| {
        it.map_or("-".to_owned(), |it| String::from_utf8(it.to_vec()).unwrap())
    };
    let type_ = text(event.header("ce_type"));
    let verb = type_.rsplit('.').nth(1).unwrap().to_owned();
    format!("{verb} {} {}", text(event.key.as_ref()), text(event.value.as_ref()))
}
