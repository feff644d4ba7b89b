//! The node as its users meet it.
#![allow(clippy::disallowed_methods)] // reads the sources of other crates
#![allow(clippy::unwrap_used)] // a test that cannot go on says so by failing

mod default_file;
