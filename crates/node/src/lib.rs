//! One running node, put together from its services.
//!
//! Owns: the configuration of the whole ([`Config`]), starting the services in one visible list and
//! stopping them in reverse ([`Node`]), what the process says about its health.
//! Does not own: any logic. Each service owns its section of the configuration and its errors.
//! Reading order: [`node`] -> [`config`]. Tests embed a node through this crate.
//! How to add a service: its section in [`Config`], its start in [`Node::start`], its stop in
//! [`Node::stop`], its file in `tests/it/default_file.rs`.

pub mod config;
pub mod node;

pub use config::{Config, DEFAULT_FILE};
pub use node::{Node, StartError};
