//! Quotas at work: what a request takes is counted, and who took too much rests.
//!
//! Owns: the meters of this node, and how long a request's client must rest. Does not own: which
//! quota is whose and how long a rest is (`guard::quota`), where quotas are kept (`catalogue`),
//! muting a connection (`server`).
//!
//! As in Kafka since KIP-219 an answer leaves at once, says in `throttle_time_ms` how long its
//! client should rest, and for that time nothing is read from the connection. Who has no quota pays
//! one look-up.
//!
//! Ours: nothing is counted at the door of the node's own services. A fetch is counted by its
//! records, and with a quota of request time alone keeps them.

mod config;

use crate::api::Call;
use crate::ctx::Ctx;
pub use config::QuotaConfig;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use systole_guard::quota::meter::Meters;
use systole_guard::quota::{Key, Limit};
use systole_wire::{ApiKey, ErrorCode, Rejected};
use systole_world::Instant;

/// Spoken between parts of a cluster: Kafka never makes them wait for their time.
const EXEMPT: [ApiKey; 1] = [ApiKey::WriteTxnMarkers];

/// The meters of all quotas.
#[derive(Debug)]
pub(crate) struct Gauges(Mutex<Meters>);

impl Gauges {
    pub(crate) fn new(config: &QuotaConfig, now: Instant) -> Self {
        Self(Mutex::new(Meters::new(config.cuts(), now)))
    }

    fn with<T>(&self, then: impl FnOnce(&mut Meters) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a connection from `address`.
    ///
    /// # Errors  There were too many lately; it should not be served, and be closed after that
    /// time. It was not counted.
    pub(crate) fn connect(&self, ctx: &Ctx, address: IpAddr) -> Result<(), Duration> {
        let address = address.to_canonical();
        let limit = ctx.topics.quotas().address_limit(Key::ConnectionCreationRate, address);
        let Some(limit) = limit else { return Ok(()) };
        let now = ctx.world.clock.instant();
        self.with(|meters| match meters.charge(limit, 1.0, now) {
            Duration::ZERO => Ok(()),
            delay => {
                meters.refund(limit, 1.0, now);
                Err(delay)
            }
        })
    }
}

/// How long the client of a request must rest: the longest that anything said.
#[derive(Debug, Default)]
pub(crate) struct Rest(AtomicU64);

impl Rest {
    fn no_less_than(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_max(millis.min(REST_MS_MAX), Ordering::Relaxed);
    }
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
    /// In milliseconds, as `throttle_time_ms` says it.
    pub(crate) fn millis(&self) -> i32 {
        i32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i32::MAX)
    }
}

/// What `throttle_time_ms` can say: 24 days.
const REST_MS_MAX: u64 = i32::MAX as u64;

impl Call {
    /// Counts what the request took; the client rests if that was too much, and the answer says how
    /// long.
    pub(crate) fn charge(&self, key: Key, amount: f64) -> Duration {
        let rest = self.meter(key, |meters, limit, now| meters.charge(limit, amount, now));
        let rest = rest.unwrap_or_default();
        self.turn.rest.no_less_than(rest);
        rest
    }
    /// Takes back what was charged: the client does not get it.
    pub(crate) fn refund(&self, key: Key, amount: f64) {
        self.meter(key, |meters, limit, now| meters.refund(limit, amount, now));
    }
    /// The most that the client can take at once without having to rest. `None`: no quota.
    pub(crate) fn at_once_max(&self, key: Key) -> Option<f64> {
        self.meter(key, |meters, limit, _| meters.at_once_max(limit))
    }

    /// Counts partitions that are to be made or deleted (KIP-599). Clients that ask in
    /// `strict_from` or later are refused while too many were; those of earlier versions rest.
    pub(crate) fn count_mutations(
        &self,
        partitions: i32,
        strict_from: i16,
    ) -> Result<(), Rejected> {
        let (tokens, is_strict) = (f64::from(partitions), self.version >= strict_from);
        let taken = self.meter(Key::ControllerMutationRate, |meters, limit, now| {
            if is_strict {
                return meters.take(limit, tokens, now);
            }
            self.turn.rest.no_less_than(meters.take_anyway(limit, tokens, now));
            Ok(())
        });
        taken.unwrap_or(Ok(())).map_err(|rest| {
            self.turn.rest.no_less_than(rest);
            let text = "The throttling quota has been exceeded.";
            Rejected::new(ErrorCode::ThrottlingQuotaExceeded, text)
        })
    }

    /// Whether the time that the request takes is counted.
    pub(crate) fn is_timed(&self, api: ApiKey) -> bool {
        let may_be = self.peer.session.is_proven() && !EXEMPT.contains(&api);
        may_be && self.has_quota(Key::RequestPercentage)
    }
    pub(crate) fn has_quota(&self, key: Key) -> bool {
        !self.peer.listener.is_own
            && self.ctx.topics.quotas().limit(key, self.user(), self.client()).is_some()
    }

    fn meter<T>(
        &self,
        key: Key,
        then: impl FnOnce(&mut Meters, Limit<'_>, Instant) -> T,
    ) -> Option<T> {
        if self.peer.listener.is_own {
            return None;
        }
        let limit = self.ctx.topics.quotas().limit(key, self.user(), self.client())?;
        let now = self.ctx.world.clock.instant();
        Some(self.ctx.gauges.with(|meters| then(meters, limit, now)))
    }
    fn user(&self) -> &str {
        self.principal.name()
    }
    fn client(&self) -> &str {
        self.client_id.as_deref().unwrap_or_default()
    }
}
