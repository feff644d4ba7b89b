//! Ctrl-C and SIGTERM: the first stops in order, the second ends the process.
//!
//! Owns: the signals. Does not own: what stopping means (each command waits for [`Stop`] and closes
//! what it opened).

use crate::failure::{Exit, Failure, Result, code};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Completes once someone asked the process to stop. Clones are the same wish.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// Listens for signals from now on.
    pub(crate) fn on_signals() -> Result<Self> {
        let cannot = |error| Failure::new(code::SIGNAL, error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let stop = Self::default();
        let asked = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if asked.is_asked() {
                    // The order to stop was not enough; what is acknowledged is on disk anyway.
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                asked.ask();
            }
        });
        Ok(stop)
    }
    pub(crate) fn ask(&self) {
        self.0.cancel();
    }
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }
    pub(crate) async fn asked(&self) {
        self.0.cancelled().await;
    }
}
