//! Who is meant by a reference inside one bundle, and the drafts that wait to learn it.
//!
//! Owns: the full URLs and identifiers seen so far, and the held drafts. Does not own: reading.
//!
//! A reference may point forward, and standard input cannot be read twice. So a draft whose patient
//! is an entry that has not come is held; it is released when that entry comes, before that entry's
//! own event, or refused when the bundle ends without it. Both memories are bounded by [`Limits`].

use crate::Limits;
use crate::draft::Draft;
use crate::entry::Entry;
use crate::problem::{Place, Reason};
use crate::reference::{Candidate, Identity};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct Patients {
    /// Full URL → `Patient/<id>`, or `None` for what is not a patient. Only those that do not say
    /// it themselves.
    by_full_url: HashMap<String, Option<String>>,
    /// `Patient?identifier=…` → `Patient/<id>`.
    by_identifier: HashMap<String, String>,
    /// Full URL that has not come → who waits for it.
    waiting: HashMap<String, Vec<Held>>,
    known_bytes: u64,
    held_bytes: u64,
    held_count: u64,
}

/// A draft that waits for its patient.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) draft: Draft,
    pub(crate) place: Place,
    /// Place in the order of arrival.
    order: u64,
}

#[derive(Debug)]
pub(crate) enum Resolution {
    Patient(String),
    /// The resource is not about one patient.
    None,
    /// An entry that has not come, by its full URL.
    Waits(String),
}

impl Patients {
    /// Learns the entry's names; gives back the drafts that waited for them, in order of arrival.
    pub(crate) fn learn(
        &mut self,
        entry: &Entry<'_>,
        own: Option<&str>,
        limits: &Limits,
    ) -> Result<Vec<Held>, Reason> {
        let Some(resource) = &entry.resource else { return Ok(Vec::new()) };
        let patient = own.filter(|_| resource.kind.name == "Patient");
        if let Some(patient) = patient {
            for identifier in &resource.identifiers {
                self.take_room(identifier.len() + patient.len(), limits)?;
                self.by_identifier.insert(identifier.clone(), patient.to_owned());
            }
        }
        let Some(full_url) = entry.full_url.as_deref() else { return Ok(Vec::new()) };
        if Identity::of_url(full_url).is_none() {
            self.take_room(full_url.len() + patient.map_or(0, str::len), limits)?;
            self.by_full_url.insert(full_url.to_owned(), patient.map(str::to_owned));
        }
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        let released = self.waiting.remove(full_url).unwrap_or_default();
        self.held_bytes -= released.iter().map(|it| it.draft.bytes()).sum::<u64>();
        Ok(released)
    }

    /// The first candidate that is a patient. A draft that is still `Waits` is to be held.
    pub(crate) fn resolve(&self, draft: &Draft) -> Resolution {
        for candidate in &draft.candidates {
            match self.look_up(candidate) {
                Resolution::None => {}
                found => return found,
            }
        }
        Resolution::None
    }

    fn look_up(&self, candidate: &Candidate) -> Resolution {
        match candidate {
            Candidate::Patient(it) => Resolution::Patient(it.clone()),
            Candidate::ByIdentifier(it) => {
                Resolution::Patient(self.by_identifier.get(it).unwrap_or(it).clone())
            }
            Candidate::InBundle(it) => match self.by_full_url.get(it) {
                Some(Some(patient)) => Resolution::Patient(patient.clone()),
                Some(None) => Resolution::None,
                None => Resolution::Waits(it.clone()),
            },
        }
    }

    /// As [`Self::resolve`] when nothing more can come: what is not in the bundle is passed over.
    pub(crate) fn resolve_at_end(&self, draft: &Draft) -> Result<Option<String>, Reason> {
        let mut is_open = false;
        for candidate in &draft.candidates {
            match self.look_up(candidate) {
                Resolution::Patient(it) => return Ok(Some(it)),
                Resolution::None => {}
                Resolution::Waits(_) => is_open = true,
            }
        }
        if is_open { Err(Reason::UnresolvedPatient) } else { Ok(None) }
    }

    pub(crate) fn hold(
        &mut self,
        full_url: String,
        draft: Draft,
        place: Place,
        limits: &Limits,
    ) -> Result<(), Reason> {
        let bytes = draft.bytes();
        if self.held_bytes + bytes > limits.held_bytes_max.bytes() {
            return Err(Reason::TooMuchHeld { limit: limits.held_bytes_max });
        }
        self.held_bytes += bytes;
        self.held_count += 1;
        let held = Held { draft, place, order: self.held_count };
        self.waiting.entry(full_url).or_default().push(held);
        Ok(())
    }

    /// Ends the bundle: everything that still waits, in order of arrival, and no memory of it.
    pub(crate) fn end(&mut self) -> Vec<Held> {
        self.held_bytes = 0;
        let mut rest: Vec<_> = self.waiting.drain().flat_map(|(_, held)| held).collect();
        rest.sort_by_key(|it| it.order);
        rest
    }

    fn take_room(&mut self, text_bytes: usize, limits: &Limits) -> Result<(), Reason> {
        /// What one row of a map costs beside its text, roughly.
        const ROW_BYTES: usize = 96;
        self.known_bytes += (text_bytes + ROW_BYTES) as u64;
        if self.known_bytes <= limits.full_urls_bytes_max.bytes() {
            Ok(())
        } else {
            Err(Reason::TooManyFullUrls { limit: limits.full_urls_bytes_max })
        }
    }
}
