//! Time: what o'clock it is, how long something took, and waiting.
//!
//! Owns: the trait and timeouts on top of it. Does not own: the OS version (`os`) or the one turned
//! by hand (`sim`).

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
pub use systole_kit::Instant;
use systole_kit::Timestamp;

pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The only door to time. Production: the OS. Tests and the simulator: a clock they turn by hand.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Calendar time; may step back when the machine's clock is set.
    fn now(&self) -> Timestamp;
    /// Monotonic time, for durations and deadlines.
    fn instant(&self) -> Instant;
    /// Completes once the monotonic clock has reached `until`. Dropping it costs nothing.
    fn sleep_until(&self, until: Instant) -> Sleep;
}

/// The time ran out before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not ready within {0:?}")]
pub struct Elapsed(pub Duration);

/// What every clock can do through its three primitives.
pub trait ClockExt: Clock {
    fn sleep(&self, how_long: Duration) -> Sleep {
        self.sleep_until(self.instant().plus(how_long))
    }
    /// `future`, or [`Elapsed`] if it is not ready within `limit`. The future is dropped then.
    fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> {
        let sleep = self.sleep(limit);
        async move {
            tokio::select! {
                biased;
                output = future => Ok(output),
                () = sleep => Err(Elapsed(limit)),
            }
        }
    }
}
impl<C: Clock + ?Sized> ClockExt for C {}
