//! A door of the node, as the connections that came through it know it.
//!
//! Owns: what all connections of a listener share. Does not own: accepting (`server`), settings
//! ([`config`]).

pub(crate) mod config;

use crate::tls::Tls;
pub use config::{ClientAuth, ListenerConfig, Protocol, TlsConfig};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: Box<str>,
    pub(crate) protocol: Protocol,
    pub(crate) advertised: Option<String>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// For the node's own services and nobody else.
    pub(crate) is_own: bool,
}
