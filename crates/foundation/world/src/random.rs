//! Randomness: ids, jitter, salts.
//!
//! Owns: the trait. Does not own: the OS version (`os`) or the seeded one (`sim`).

use std::fmt::Debug;

/// A source of random bytes. Production: the OS, fit for keys. Simulation: a seed, so that a run
/// can be repeated.
pub trait Random: Debug + Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);

    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    fn uuid(&self) -> systole_kit::Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        systole_kit::Uuid::from_random(bytes)
    }
}
