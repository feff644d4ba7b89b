//! The streaming reader: documents, bundles, entries, one after the other.
//!
//! Owns: the walk through the input and what happens behind a fault. Does not own: the parts.
//!
//! A document is a Bundle, whose entries are read one by one, or a bare resource, which is read
//! whole. Behind a fault *inside* a well-bracketed entry reading goes on with the next entry. Where
//! the structure itself is broken, the rest of the document is lost: in NDJSON reading goes on with
//! the next line, otherwise it ends.

use crate::draft::{self, Draft, Shared};
use crate::entry::{self, Entry};
use crate::event::ChangeEvent;
use crate::input::{self, Input, Stop};
use crate::json::{Fault, Parser};
use crate::patients::{Held, Patients, Resolution};
use crate::problem::{Place, Problem, Reason};
use crate::summary::Summary;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use systole_kit::{ByteSize, Timestamp, Uuid};
use systole_world::Clock;

/// How documents are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// NDJSON if the first document ends on the line on which it began, otherwise JSON.
    #[default]
    Auto,
    /// JSON values, one behind the other.
    Json,
    /// One document per line.
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest entry of a bundle, bare resource, or other member of a bundle.
    pub entry_bytes_max: ByteSize,
    /// How much of one bundle may wait for patients that come behind them.
    pub held_bytes_max: ByteSize,
    /// How much is kept of the full URLs and patient identifiers of one bundle.
    pub full_urls_bytes_max: ByteSize,
}

impl Default for Limits {
    /// 16 MiB is what FHIR servers commonly accept for one resource; the others keep one reader
    /// under 200 MiB at worst.
    fn default() -> Self {
        Self {
            entry_bytes_max: ByteSize::mib(16),
            held_bytes_max: ByteSize::mib(64),
            full_urls_bytes_max: ByteSize::mib(64),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    /// `ce_source` of every event: a URI reference that names where the input came from.
    pub source: String,
    /// Drawn once per ingest; every document's `ce_correlationid` follows from it.
    pub ingest: Uuid,
    pub format: Format,
    pub limits: Limits,
}

/// Reads change events from a byte stream: an iterator, each item an event or a problem.
///
/// Events of one bundle come in the order of its entries, except that an entry whose patient stands
/// behind it comes just before that patient. Memory is bounded by [`Limits`], whatever the input.
pub struct Reader<R> {
    input: Input<R>,
    options: Options,
    clock: Arc<dyn Clock>,
    state: State,
    shared: Shared,
    patients: Patients,
    ready: VecDeque<Result<ChangeEvent, Problem>>,
    summary: Summary,
    /// The time that was last printed, with its print.
    recorded: (Timestamp, Bytes),
    /// Line on which the document began.
    document_line: u64,
}

#[derive(Debug)]
enum State {
    BeforeDocument,
    /// In a Bundle, before a member or its end. Holds the names of the members so far.
    Members(Vec<String>),
    /// In `Bundle.entry`, before the entry of this index or the end.
    Entries(Vec<String>, u64),
    AfterDocument,
    Ended,
}

impl<R: Read> Reader<R> {
    pub fn new(source: R, options: Options, clock: Arc<dyn Clock>) -> Self {
        let mut input = Input::new(source);
        input.line_is_value = options.format == Format::Ndjson;
        let source = Bytes::from(options.source.clone());
        Self {
            input,
            options,
            clock,
            state: State::BeforeDocument,
            shared: Shared { source, correlation_id: Bytes::new() },
            patients: Patients::default(),
            ready: VecDeque::new(),
            summary: Summary::default(),
            recorded: (Timestamp::default(), Bytes::new()),
            document_line: 1,
        }
    }

    /// Counts of what was given out so far.
    pub fn summary(&self) -> Summary {
        Summary { bytes: self.input.offset(), ..self.summary.clone() }
    }

    fn step(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let root = match state {
            State::Members(_) | State::Entries(..) => "Bundle",
            _ => "",
        };
        let next = match state {
            State::BeforeDocument => self.begin_document(),
            State::Members(seen) => self.member(seen),
            State::Entries(seen, index) => self.entry(seen, index),
            State::AfterDocument => self.end_document(),
            State::Ended => return,
        };
        self.state = match next {
            Ok(state) => state,
            Err(lost) => self.abandon(lost, root),
        };
    }

    fn begin_document(&mut self) -> Result<State, Lost> {
        if self.input.offset() == 0 {
            self.check_encoding()?;
        }
        match self.input.peek()? {
            None => return Ok(State::Ended),
            Some(b'\n') => {
                self.input.consume(1);
                return Ok(State::BeforeDocument);
            }
            Some(_) => {}
        }
        self.summary.documents += 1;
        self.document_line = self.input.line();
        let ingest = self.options.ingest.to_string();
        let number = self.summary.documents.to_string();
        self.shared.correlation_id = Bytes::from(draft::hash_id(&[&ingest, &number], b""));
        match self.input.peek()? {
            Some(b'{') if self.is_bundle()? => {
                self.input.consume(1);
                Ok(State::Members(Vec::new()))
            }
            Some(b'{') => self.bare_resource(),
            _ => {
                let expected = "a JSON object: a FHIR Bundle or resource";
                Err(Lost::new(Reason::WrongKind { expected }))
            }
        }
    }

    /// Skips a UTF-8 byte order mark, which RFC 8259 lets a reader ignore; refuses UTF-16.
    fn check_encoding(&mut self) -> Result<(), Lost> {
        const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
        while self.input.pending().len() < UTF8_MARK.len() && self.input.fill()? {}
        match self.input.pending() {
            [0xef, 0xbb, 0xbf, ..] => self.input.consume(UTF8_MARK.len()),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
                return Err(Lost::new(Reason::NotUtf8));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_bundle(&mut self) -> Result<bool, Lost> {
        loop {
            let most = self.options.limits.entry_bytes_max.bytes();
            match input::is_bundle(self.input.pending()) {
                Some(answer) => return Ok(answer),
                None if self.input.pending().len() as u64 > most => return Ok(false),
                None if !self.input.fill()? => return Ok(false), // its fault is found later
                None => {}
            }
        }
    }

    fn bare_resource(&mut self) -> Result<State, Lost> {
        let place = self.place(0, "Resource".to_owned(), None);
        self.item(place, entry::read_bare)?;
        Ok(State::AfterDocument)
    }

    /// One member of the Bundle, or its end.
    fn member(&mut self, mut seen: Vec<String>) -> Result<State, Lost> {
        match self.input.peek()? {
            Some(b'}') => {
                self.input.consume(1);
                return Ok(State::AfterDocument);
            }
            Some(b',') if !seen.is_empty() => self.input.consume(1),
            Some(_) if seen.is_empty() => {}
            other => return Err(unexpected(other, "expected a comma or } after a member")),
        }
        let name = self.member_name()?;
        if seen.contains(&name) {
            return Err(Lost::new(Reason::DuplicateMember));
        }
        if seen.len() >= BUNDLE_MEMBERS_MAX {
            let expected = "a FHIR Bundle, which has fewer members";
            return Err(Lost::new(Reason::WrongKind { expected }));
        }
        let is_entry = name == "entry";
        seen.push(name);
        match self.input.peek()? {
            Some(b'[') if is_entry => {
                self.input.consume(1);
                Ok(State::Entries(seen, 0))
            }
            Some(_) if is_entry => {
                let expected = "Bundle.entry to be an array";
                Err(Lost::new(Reason::WrongKind { expected }))
            }
            _ => {
                let len = self.input.value(self.options.limits.entry_bytes_max)?;
                Parser::new(self.pending(len)).skip()?;
                self.input.consume(len);
                Ok(State::Members(seen))
            }
        }
    }

    /// The name and the colon behind it.
    fn member_name(&mut self) -> Result<String, Lost> {
        match self.input.peek()? {
            Some(b'"') => {}
            other => return Err(unexpected(other, "expected a member name in quotes")),
        }
        let len = self.input.value(self.options.limits.entry_bytes_max)?;
        let name = Parser::new(self.pending(len)).string()?.into_owned();
        self.input.consume(len);
        match self.input.peek()? {
            Some(b':') => self.input.consume(1),
            other => return Err(unexpected(other, "expected a colon after a member name")),
        }
        Ok(name)
    }

    /// One entry, or the end of them.
    fn entry(&mut self, seen: Vec<String>, index: u64) -> Result<State, Lost> {
        match self.input.peek()? {
            Some(b']') => {
                self.input.consume(1);
                return Ok(State::Members(seen));
            }
            Some(b',') if index > 0 => {
                self.input.consume(1);
                self.input.peek()?;
            }
            Some(_) if index == 0 => {}
            other => return Err(unexpected(other, "expected a comma or ] after an item")),
        }
        self.summary.entries += 1;
        let place = self.place(0, format!("Bundle.entry[{index}]"), Some(index));
        self.item(place, entry::read)?;
        Ok(State::Entries(seen, index + 1))
    }

    /// Reads one value and does with it what is to be done.
    fn item(&mut self, place: Place, read: ReadEntry) -> Result<(), Lost> {
        match self.input.value(self.options.limits.entry_bytes_max) {
            Ok(len) => {
                let text = self.input.pending().get(..len).unwrap_or_default();
                match read(text) {
                    Err(fault) => {
                        let problem = problem_in(&place, fault, text);
                        self.report(problem);
                    }
                    Ok(entry) => {
                        let draft = Draft::of(&entry);
                        let own = draft.as_ref().ok().and_then(|it| it.as_ref()?.own.as_deref());
                        let limits = &self.options.limits;
                        let released = self.patients.learn(&entry, own, limits);
                        self.admit(draft, released, place);
                    }
                }
                self.input.consume(len);
                Ok(())
            }
            Err(stop) if stop.in_step => {
                self.report(Problem { place, reason: stop.reason });
                Ok(())
            }
            Err(stop) => {
                // The strict reader knows better what is wrong, unless the source itself failed.
                let text = self.pending(stop.at);
                let fault = match stop.reason {
                    Reason::Syntax(_) => read(self.input.pending()).err(),
                    Reason::Truncated => read(text).err(),
                    _ => None,
                };
                let here = Fault { at: stop.at, path: String::new(), reason: stop.reason };
                let problem = problem_in(&place, fault.unwrap_or(here), self.input.pending());
                Err(Lost { at: 0, reason: problem.reason, place: Some(problem.place) })
            }
        }
    }

    fn admit(
        &mut self,
        draft: Result<Option<Draft>, Reason>,
        released: Result<Vec<Held>, Reason>,
        mut place: Place,
    ) {
        let learnt = released.map(|released| {
            for held in released {
                self.settle(held.draft, held.place);
            }
        });
        match (draft, learnt) {
            (Ok(None), _) => self.summary.without_change += 1,
            (Ok(Some(draft)), Ok(())) => self.settle(draft, place),
            (Err(reason), _) | (_, Err(reason)) => {
                if matches!(reason, Reason::UnsupportedRequest(_)) {
                    place.path.push_str(".request");
                }
                self.report(Problem { place, reason });
            }
        }
    }

    fn settle(&mut self, draft: Draft, place: Place) {
        match self.patients.resolve(&draft) {
            Resolution::Patient(patient) => self.emit(draft, Some(patient)),
            Resolution::None => self.emit(draft, None),
            Resolution::Waits(full_url) => {
                let refused = place.clone();
                if let Err(reason) =
                    self.patients.hold(full_url, draft, place, &self.options.limits)
                {
                    self.report(Problem { place: refused, reason });
                }
            }
        }
    }

    fn emit(&mut self, draft: Draft, patient: Option<String>) {
        let now = self.clock.now();
        if self.recorded.0 != now || self.recorded.1.is_empty() {
            let shown = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
            self.recorded = (now, Bytes::from(format!("{shown:.3}")));
        }
        let event = draft.event(patient, &self.shared, self.recorded.1.clone());
        *self.summary.events.entry(event.resource_type).or_default() += 1;
        self.ready.push_back(Ok(event));
    }

    fn report(&mut self, problem: Problem) {
        *self.summary.problems.entry(problem.reason.code()).or_default() += 1;
        self.ready.push_back(Err(problem));
    }

    /// Lets go of everything that one document made the reader remember.
    fn forget_document(&mut self) {
        for held in self.patients.end() {
            match self.patients.resolve_at_end(&held.draft) {
                Ok(patient) => self.emit(held.draft, patient),
                Err(reason) => {
                    let mut place = held.place;
                    place.path.push_str(if place.entry.is_some() { ".resource" } else { "" });
                    if let Some(element) = held.draft.kind.patient_paths.first() {
                        place.path = format!("{}.{element}", place.path);
                    }
                    self.report(Problem { place, reason });
                }
            }
        }
        self.patients = Patients::default();
    }

    fn end_document(&mut self) -> Result<State, Lost> {
        self.forget_document();
        if self.options.format == Format::Auto && self.summary.documents == 1 {
            self.input.line_is_value = self.input.line() == self.document_line;
        }
        if !self.input.line_is_value {
            return Ok(State::BeforeDocument);
        }
        match self.input.peek()? {
            None | Some(b'\n') => Ok(State::BeforeDocument),
            Some(_) => {
                let reason = Reason::Syntax("something follows the document on its line");
                Err(Lost::new(reason))
            }
        }
    }

    /// What to do when the rest of the document cannot be read.
    fn abandon(&mut self, lost: Lost, root: &str) -> State {
        let is_source = matches!(lost.reason, Reason::Read(_));
        let place = match lost.place {
            Some(place) => place,
            None => self.place(lost.at, root.to_owned(), None),
        };
        self.report(Problem { place, reason: lost.reason });
        self.forget_document();
        if is_source || !self.input.line_is_value || self.input.skip_line().is_err() {
            return State::Ended;
        }
        State::BeforeDocument
    }

    fn pending(&self, len: usize) -> &[u8] {
        self.input.pending().get(..len).unwrap_or_default()
    }

    /// The place `at` bytes ahead.
    fn place(&self, at: usize, path: String, entry: Option<u64>) -> Place {
        Place {
            document: self.summary.documents.saturating_sub(1),
            entry,
            path,
            line: self.input.line() + count_lines(self.pending(at)),
            byte: self.input.offset() + at as u64,
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<ChangeEvent, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if matches!(self.state, State::Ended) {
                return None;
            }
            self.step();
        }
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("input", &self.input).finish_non_exhaustive()
    }
}

/// More members than any Bundle of R4 has, with room for extensions of primitives.
const BUNDLE_MEMBERS_MAX: usize = 32;

type ReadEntry = for<'a> fn(&'a [u8]) -> Result<Entry<'a>, Fault>;

/// The rest of the document cannot be read.
struct Lost {
    /// Bytes ahead of what was consumed; only used without a place.
    at: usize,
    reason: Reason,
    place: Option<Place>,
}

impl Lost {
    fn new(reason: Reason) -> Self {
        Self { at: 0, reason, place: None }
    }
}
impl From<Stop> for Lost {
    fn from(it: Stop) -> Self {
        Self { at: it.at, ..Self::new(it.reason) }
    }
}
impl From<Fault> for Lost {
    fn from(it: Fault) -> Self {
        Self { at: it.at, ..Self::new(it.reason) }
    }
}

fn unexpected(byte: Option<u8>, rule: &'static str) -> Lost {
    Lost::new(match byte {
        None | Some(b'\n') => Reason::Truncated,
        Some(_) => Reason::Syntax(rule),
    })
}

/// A fault inside `text`, which begins at `place`.
fn problem_in(place: &Place, fault: Fault, text: &[u8]) -> Problem {
    let before = text.get(..fault.at).unwrap_or_default();
    Problem {
        place: Place {
            path: format!("{}{}", place.path, fault.path),
            line: place.line + count_lines(before),
            byte: place.byte + fault.at as u64,
            ..*place
        },
        reason: fault.reason,
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
