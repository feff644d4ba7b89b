//! All messages in all versions, against a second implementation that walks the tables.
//!
//! Reading order: [`sample`] (random valid bytes from a table) -> [`round_trip`] -> [`hostile`] ->
//! [`memory`] -> [`differential`].
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop where it stands")]

mod differential;
mod hostile;
mod memory;
mod round_trip;
mod sample;
// The same model as `cargo xtask wire`, by file, so that the tool stays buildable without us.
#[allow(dead_code, unreachable_pub, reason = "the tests read tables and never print them")]
#[path = "../../../../../xtask/src/wire/table.rs"]
mod table;

use std::path::Path;
use systole_wire::catalog::{self, Entry};

/// Each message with its table.
#[expect(clippy::disallowed_methods, reason = "a test reads the tables of its own crate")]
fn messages() -> impl Iterator<Item = (&'static Entry, table::Message)> {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables");
    catalog::all().iter().map(move |entry| {
        let path = tables.join(entry.name).with_extension(table::EXTENSION);
        (entry, table::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
    })
}
