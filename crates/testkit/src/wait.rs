//! Waiting for something to become true.
//!
//! Owns: the deadline and what is said when it passes. Does not own: conditions.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine of two cores; nothing waits so long unless it is broken.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` gives something.
/// # Panics  when [`DEADLINE`] has passed, with `what`.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// [`until`], for tests without a runtime.
/// # Panics  as [`until`].
pub fn blocking_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// The future's output.
/// # Panics  when [`DEADLINE`] has passed, with `what`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let output = tokio::time::timeout(DEADLINE, future).await;
    output.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}
