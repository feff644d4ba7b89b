//! FHIR R4 to change events, streaming.
//!
//! Owns: reading bundles, bare resources and NDJSON from any byte stream in bounded memory, which
//! event each entry becomes, whose patient it is about, and what is said about bad input.
//! Does not own: sending (`client`), schemas (`canon`), FHIRPath, validation against profiles.
//! Reading order: [`Reader`] -> [`ChangeEvent`] -> `draft` -> `patients` -> [`resource_type`] ->
//! `entry` -> `json` -> `input`. Form of the events: `docs/formats/fhir-events.md`.
//!
//! Invariants
//! - A value is the resource byte for byte: no decimal, member order or white space is touched.
//! - Any input gives events and problems, never a panic; how it is cut into reads changes nothing.
//! - A problem says where and why, with numbers and element names, never with a value.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod draft;
mod entry;
pub mod event;
mod input;
mod json;
mod patients;
pub mod problem;
mod reader;
mod reference;
pub mod resource_type;
mod samples;
mod summary;

pub use event::ChangeEvent;
pub use problem::{Place, Problem, Reason};
pub use reader::{Format, Limits, Options, Reader};
pub use samples::{Sample, samples};
pub use summary::Summary;
