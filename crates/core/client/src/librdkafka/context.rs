//! What librdkafka calls back, for every kind of client.
//!
//! Owns: its log lines on their way into `tracing`, a few at a time; tokens. Does not own:
//! deliveries (`flow`) and rebalances (`consumer`).

use super::{failure, token};
use crate::Kind;
use crate::settings::SecretRef;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use systole_world::{Clock, Disk, Instant, World};

/// Of one facility, so many lines are let through in one window.
const LINES_MAX: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);
/// A broker that refuses us does so at each attempt to connect; librdkafka repeats the same news
/// only now and then.
const REFUSAL_RECENT: Duration = Duration::from_mins(3);
/// librdkafka has about 50 facilities.
const FACILITIES_MAX: usize = 100;

pub(super) struct Context {
    gate: Gate,
    /// When a broker last refused who we are, or we refused it.
    refused: Mutex<Option<Instant>>,
    token: Option<SecretRef>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
}

impl Context {
    pub(super) fn new(world: &World, token: Option<SecretRef>) -> Self {
        let clock = world.clock.clone();
        Self {
            gate: Gate::default(),
            refused: Mutex::default(),
            token,
            disk: world.disk.clone(),
            clock,
        }
    }

    /// Who is refused cannot reach anything, and calls then only time out: says why.
    pub(super) fn explain(&self, error: crate::Error) -> crate::Error {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = |at| self.clock.instant().since(at) < REFUSAL_RECENT;
        if error.kind() == Kind::Unreachable && refused.is_some_and(recently) {
            return error.of_kind(Kind::Unauthenticated);
        }
        error
    }

    fn line(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let Some(held_back) = self.gate.pass(facility, self.clock.instant()) else { return };
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(facility, held_back, "{text}"),
            RDKafkaLogLevel::Warning => tracing::warn!(facility, held_back, "{text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(facility, held_back, "{text}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(facility, held_back, "{text}"),
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.line(level, facility, text);
    }
    /// Errors of connections. librdkafka goes on by itself; those that need someone are returned by
    /// the call that they concern.
    fn error(&self, error: KafkaError, reason: &str) {
        if !matches!(error, KafkaError::Global(rdkafka::types::RDKafkaErrorCode::PartitionEOF)) {
            let error = failure::of(&error);
            if error.kind() == Kind::Unauthenticated {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                *refused = Some(self.clock.instant());
            }
            self.line(RDKafkaLogLevel::Warning, "error", &format!("{error}: {reason}"));
        }
    }
    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let at = self.token.as_ref().ok_or("no token is configured")?;
        Ok(token::parse(at.read(&*self.disk)?, self.clock.now())?)
    }
}

/// Lets some lines of each facility through and counts the others.
#[derive(Default)]
struct Gate {
    seen: Mutex<HashMap<String, Seen>>,
}

struct Seen {
    since: Instant,
    passed: u32,
    held_back: u32,
}

impl Gate {
    /// `Some`: let it through, and say that so many like it were held back before.
    fn pass(&self, facility: &str, now: Instant) -> Option<u32> {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(facility) && all.len() >= FACILITIES_MAX {
            return None;
        }
        let fresh = || Seen { since: now, passed: 0, held_back: 0 };
        let seen = all.entry(facility.to_owned()).or_insert_with(fresh);
        if now.since(seen.since) >= WINDOW {
            let held_back = seen.held_back;
            *seen = Seen { passed: 1, ..fresh() };
            return Some(held_back);
        }
        if seen.passed >= LINES_MAX {
            seen.held_back += 1;
            return None;
        }
        seen.passed += 1;
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::types::RDKafkaErrorCode;
    use systole_kit::Timestamp;
    use systole_world::sim::HandClock;

    #[test]
    fn who_was_just_refused_hears_that_instead_of_a_timeout() {
        let clock = Arc::new(HandClock::starting_at(Timestamp::from_millis(0)));
        let world = World { clock: clock.clone(), ..World::os() };
        let context = Context::new(&world, None);
        let explained = || context.explain(crate::Error::new(Kind::Unreachable)).kind();
        assert_eq!(explained(), Kind::Unreachable);
        context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "refused");
        assert_eq!(explained(), Kind::Unauthenticated);
        clock.turn(REFUSAL_RECENT);
        assert_eq!(explained(), Kind::Unreachable);
    }

    #[test]
    fn noise_of_one_facility_is_held_back_and_counted() {
        let gate = Gate::default();
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let passed = (0..100).filter(|_| gate.pass("FAIL", at(1)).is_some()).count();
        assert_eq!(passed, 5);
        assert_eq!(gate.pass("OTHER", at(1)), Some(0));
        assert_eq!(gate.pass("FAIL", at(12)), Some(95));
    }
}
