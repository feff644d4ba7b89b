//! The seams to everything that a program cannot control: time, randomness, files, sockets.
//!
//! Owns: the traits [`Clock`], [`Random`], [`Disk`] and [`File`], the functions of [`net`], their
//! OS versions, and (in [`sim`]) versions that a test turns by hand. The only crate that names
//! system time, files and sockets; clippy refuses them elsewhere.
//! Does not own: policy. Nothing here retries, logs or decides.
//! Reading order: [`clock`] -> [`random`] -> [`disk`] -> [`net`] -> [`sim`].
#![allow(clippy::disallowed_methods)] // this crate is what the others are told to use instead

pub mod clock;
pub mod disk;
pub mod net;
pub mod os;
pub mod random;
pub mod secret;
pub mod sim;
pub mod space;

pub use clock::{Clock, ClockExt, Elapsed, Instant};
pub use disk::{DIRECT_BYTES, Disk, File, Open};
pub use random::Random;
pub use secret::SecretRef;

use std::sync::Arc;

/// Everything a service may ask of its surroundings, handed down from `main`.
#[derive(Debug, Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub disk: Arc<dyn Disk>,
}

impl World {
    /// The operating system's clock, randomness and files.
    pub fn os() -> Self {
        Self {
            clock: Arc::new(os::OsClock::default()),
            random: Arc::new(os::OsRandom),
            disk: Arc::new(os::OsDisk),
        }
    }
}
