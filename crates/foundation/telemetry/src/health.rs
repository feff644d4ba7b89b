//! Is the process alive, and is it ready for work?
//!
//! Owns: one named check per service and what they mean together. Does not own: the doors that
//! answer (`gateway`). Reasons are texts of the code, so none can carry patient data.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a service says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet able to work.
    Starting,
    Ready,
    /// Cannot work for now and expects to again; traffic should go elsewhere.
    Waiting(&'static str),
    /// Cannot work any more; only a restart helps.
    Failed(&'static str),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Waiting(why) => write!(f, "waiting: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// The checks of one process. Clones see the same checks.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

impl Health {
    /// A check that stands at [`State::Starting`] until its owner says otherwise. Asking for a name
    /// again starts it anew.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { health: self.clone(), name };
        check.set(State::Starting);
        check
    }
    /// Nothing has failed for good. A process that is not live should be restarted.
    pub fn is_live(&self) -> bool {
        self.report().iter().all(|(_, state)| !matches!(state, State::Failed(_)))
    }
    /// Every check is ready, and there is one.
    pub fn is_ready(&self) -> bool {
        let report = self.report();
        !report.is_empty() && report.iter().all(|(_, state)| *state == State::Ready)
    }
    /// Every check, by name.
    pub fn report(&self) -> Vec<(&'static str, State)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.iter().map(|(name, state)| (*name, *state)).collect()
    }
}

/// Through which one service speaks. When the last word of a service was `Ready` and it drops its
/// check, it has gone: the check fails.
#[derive(Debug)]
pub struct Check {
    health: Health,
    name: &'static str,
}

impl Check {
    pub fn set(&self, state: State) {
        let mut checks = self.health.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(self.name, state);
    }
    pub fn ready(&self) {
        self.set(State::Ready);
    }
    pub fn waiting(&self, why: &'static str) {
        self.set(State::Waiting(why));
    }
    pub fn failed(&self, why: &'static str) {
        self.set(State::Failed(why));
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        let mut checks = self.health.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = checks.get_mut(self.name).filter(|it| !matches!(it, State::Failed(_)))
        {
            *state = State::Failed("stopped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn shown(health: &Health) -> String {
        let list =
            health.report().iter().map(|(name, it)| format!("{name}={it} ")).collect::<String>();
        format!("{list}live={} ready={}", health.is_live(), health.is_ready())
    }

    #[test]
    fn ready_means_every_service_is() {
        let health = Health::default();
        expect!["live=true ready=false"].assert_eq(&shown(&health));
        let (broker, gateway) = (health.check("broker"), health.check("gateway"));
        broker.ready();
        expect!["broker=ready gateway=starting live=true ready=false"].assert_eq(&shown(&health));
        gateway.ready();
        expect!["broker=ready gateway=ready live=true ready=true"].assert_eq(&shown(&health));
        gateway.waiting("the broker does not answer");
        expect!["broker=ready gateway=waiting: the broker does not answer live=true ready=false"]
            .assert_eq(&shown(&health));
    }

    #[test]
    fn a_service_that_goes_away_is_a_failure_and_keeps_its_reason() {
        let health = Health::default();
        let (broker, gateway) = (health.check("broker"), health.check("gateway"));
        broker.ready();
        drop(broker);
        gateway.failed("fsync failed");
        drop(gateway);
        expect!["broker=failed: stopped gateway=failed: fsync failed live=false ready=false"]
            .assert_eq(&shown(&health));
    }
}
