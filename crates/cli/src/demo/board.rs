//! What has been seen flowing: per topic how much, per patient the last event.
//!
//! Owns: counting and rates. Does not own: drawing. A patient is a number here, in the order of
//! appearance: the screen of a demo may be seen by anyone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use systole_client::Record;
use systole_kit::Timestamp;
use systole_world::Instant;

/// Over how long a rate is an average.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// Arrivals that are remembered for rates; above it, rates are of the last so many.
const ARRIVALS_MAX: usize = 100_000;
/// Patients that are told apart; events of further ones are counted with their topic only.
const PATIENTS_MAX: usize = 10_000;

/// How the key of an event about a patient begins.
const PATIENT: &[u8] = b"Patient/";

#[derive(Debug, Default)]
pub(crate) struct Board {
    topics: BTreeMap<String, u64>,
    arrivals: VecDeque<(Instant, String)>,
    patients: Vec<Patient>,
    /// Which number a key has.
    numbers: HashMap<Vec<u8>, usize>,
    /// What keeps the follower from following, in words.
    pub(crate) trouble: Option<String>,
}

/// The last that was seen of one patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) number: usize,
    pub(crate) events: u64,
    pub(crate) last_kind: String,
    pub(crate) last_at: Option<Timestamp>,
    seen: Instant,
}

/// One line about a topic.
#[derive(Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) topic: String,
    pub(crate) events: u64,
    pub(crate) per_second: f64,
}

impl Board {
    pub(crate) fn note(&mut self, record: &Record, now: Instant) {
        let topic = record.topic.to_string();
        *self.topics.entry(topic.clone()).or_default() += 1;
        self.arrivals.push_back((now, topic));
        if self.arrivals.len() > ARRIVALS_MAX {
            self.arrivals.pop_front();
        }
        let Some(key) = record.key.as_ref().filter(|it| it.starts_with(PATIENT)) else { return };
        let next = self.patients.len();
        if next >= PATIENTS_MAX && !self.numbers.contains_key(key.as_ref()) {
            return;
        }
        let number = *self.numbers.entry(key.to_vec()).or_insert(next);
        let kind = record.header("ce_type").map(|it| String::from_utf8_lossy(it).into_owned());
        let last_kind = kind.as_deref().map(short).unwrap_or_default();
        let last_at = record.timestamp.map(|(it, _)| it);
        let events = self.patients.get(number).map_or(1, |it| it.events + 1);
        let patient = Patient { number: number + 1, events, last_kind, last_at, seen: now };
        match self.patients.get_mut(number) {
            Some(it) => *it = patient,
            None => self.patients.push(patient),
        }
    }
    pub(crate) fn events_total(&self) -> u64 {
        self.topics.values().sum()
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    pub(crate) fn flows(&mut self, now: Instant) -> Vec<Flow> {
        while self.arrivals.front().is_some_and(|(at, _)| now.since(*at) > RATE_WINDOW) {
            self.arrivals.pop_front();
        }
        let mut recent: HashMap<&str, u64> = HashMap::new();
        for (_, topic) in &self.arrivals {
            *recent.entry(topic).or_default() += 1;
        }
        let flow = |(topic, events): (&String, &u64)| Flow {
            topic: topic.clone(),
            events: *events,
            per_second: recent.get(topic.as_str()).copied().unwrap_or(0) as f64
                / RATE_WINDOW.as_secs_f64(),
        };
        self.topics.iter().map(flow).collect()
    }
    /// Those of whom something was heard last, first.
    pub(crate) fn patients(&self) -> Vec<&Patient> {
        let mut patients: Vec<_> = self.patients.iter().collect();
        patients.sort_by_key(|it| (std::cmp::Reverse(it.seen), it.number));
        patients
    }
}

/// `observation created` of `health.systole.clinical.observation.created.v1`.
fn short(kind: &str) -> String {
    let without_version = kind.rsplit_once(".v").map_or(kind, |(it, _)| it);
    let words: Vec<&str> = without_version.split('.').collect();
    words.get(words.len().saturating_sub(2)..).unwrap_or_default().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use systole_client::{Header, Offset};

    fn record(topic: &str, key: &'static str) -> Record {
        Record {
            topic: topic.into(),
            partition: 0,
            offset: Offset::ZERO,
            timestamp: None,
            key: Some(key.into()),
            value: None,
            headers: vec![Header::new("ce_type", "health.systole.clinical.visit.ended.v1")],
        }
    }

    #[test]
    fn topics_have_rates_and_patients_have_numbers_and_no_names() {
        let at = |millis| Instant::from_start(Duration::from_millis(millis));
        let mut board = Board::default();
        for (topic, key, millis) in
            [("a", "Patient/x", 0), ("a", "Patient/y", 4000), ("b", "Patient/x", 6000)]
        {
            board.note(&record(topic, key), at(millis));
        }
        let flows = board.flows(at(6000));
        let flows: String = flows
            .iter()
            .map(|it| format!("{} {} {:.1}\n", it.topic, it.events, it.per_second))
            .collect();
        let patient = |it: &&Patient| format!("{} {} {}\n", it.number, it.events, it.last_kind);
        let patients: String = board.patients().iter().map(patient).collect();
        expect![[r"
            a 2 0.2
            b 1 0.2
            1 2 visit ended
            2 1 visit ended
        "]]
        .assert_eq(&(flows + &patients));
    }
}
