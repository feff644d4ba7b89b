//! The binary `systole` as a user or a script meets it.
#![allow(clippy::disallowed_methods)] // starts processes and reads the clock for deadlines
#![allow(clippy::unwrap_used)] // a test that cannot go on says so by failing

mod canary;
mod command;
mod crash;
mod demo;
mod help;
mod hostile;
mod node;
