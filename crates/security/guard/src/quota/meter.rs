//! Who took how much of which quota.
//!
//! Owns: the meters, and when one that nobody uses is forgotten. Does not own: the quotas.
//!
//! Meters live in two generations. When the young one is full or an hour old it becomes the old
//! one, and what was not asked for since the last turn is gone. So memory has a limit whatever
//! names clients give themselves, and no meter is looked for among many.

use super::bucket::Bucket;
use super::rate::{Rate, Windows};
use super::{Key, Limit, Sharers};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use systole_kit::Instant;

/// Meters of one generation. Each takes about half a KiB and the names of its client.
pub const METERS_MAX: usize = 10_000;
/// A meter that was not used for so long is forgotten within the same time again. Kafka: an hour.
const IDLE_MAX: Duration = Duration::from_hours(1);

/// Windows of rates, and those of changes to topics (`controller.quota.window.*`).
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    pub rates: Windows,
    pub mutations: Windows,
}

#[derive(Debug)]
pub struct Meters {
    cuts: Cuts,
    young: HashMap<Id, Meter>,
    old: HashMap<Id, Meter>,
    turned_at: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Id(Key, Who);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    User(Box<str>),
    ClientId(Box<str>),
    Both(Box<str>, Box<str>),
    Address(IpAddr),
}

impl From<Sharers<'_>> for Who {
    fn from(it: Sharers<'_>) -> Self {
        match it {
            Sharers::User(user) => Self::User(user.into()),
            Sharers::ClientId(client_id) => Self::ClientId(client_id.into()),
            Sharers::Both(user, client_id) => Self::Both(user.into(), client_id.into()),
            Sharers::Address(it) => Self::Address(it),
        }
    }
}

#[derive(Debug, Default)]
struct Meter {
    rate: Rate,
    bucket: Bucket,
}

impl Meters {
    pub fn new(cuts: Cuts, now: Instant) -> Self {
        Self { cuts, young: HashMap::new(), old: HashMap::new(), turned_at: now }
    }

    /// Counts `amount` of a rate; how long whoever took it must rest. Request time and connections
    /// cost no more than one window.
    pub fn charge(&mut self, limit: Limit<'_>, amount: f64, now: Instant) -> Duration {
        let windows = self.cuts.rates;
        let meter = &mut self.meter(limit, now).rate;
        meter.add(windows, amount, now);
        let delay = meter.delay(windows, limit.bound.value(), now);
        match limit.key {
            Key::RequestPercentage | Key::ConnectionCreationRate => delay.min(windows.length),
            _ => delay,
        }
    }

    /// Takes back what was charged and not taken in the end.
    pub fn refund(&mut self, limit: Limit<'_>, amount: f64, now: Instant) {
        let windows = self.cuts.rates;
        self.meter(limit, now).rate.add(windows, -amount, now);
    }

    /// What can be taken at once after a rest without having to wait.
    pub fn at_once_max(&self, limit: Limit<'_>) -> f64 {
        limit.bound.value() * self.cuts.rates.full_seconds()
    }

    /// Takes tokens.
    ///
    /// # Errors  There are none, and it takes that long until there are some; nothing was taken.
    pub fn take(&mut self, limit: Limit<'_>, tokens: f64, now: Instant) -> Result<(), Duration> {
        let (windows, bound) = (self.cuts.mutations, limit.bound.value());
        let bucket = &mut self.meter(limit, now).bucket;
        match bucket.delay(windows, bound, now) {
            Duration::ZERO => {
                bucket.take(tokens);
                Ok(())
            }
            delay => Err(delay),
        }
    }

    /// Takes tokens that may not be there; how long whoever took them must rest.
    pub fn take_anyway(&mut self, limit: Limit<'_>, tokens: f64, now: Instant) -> Duration {
        let (windows, bound) = (self.cuts.mutations, limit.bound.value());
        let bucket = &mut self.meter(limit, now).bucket;
        bucket.delay(windows, bound, now);
        bucket.take(tokens);
        bucket.delay(windows, bound, now)
    }

    fn meter(&mut self, limit: Limit<'_>, now: Instant) -> &mut Meter {
        let id = Id(limit.key, limit.sharers.into());
        let is_known = self.young.contains_key(&id);
        if now.since(self.turned_at) >= IDLE_MAX || !is_known && self.young.len() >= METERS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.turned_at = now;
        }
        let old = &mut self.old;
        self.young.entry(id).or_insert_with_key(|id| old.remove(id).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Bound;

    const CUT: Windows = Windows { count: 11, length: Duration::from_secs(1) };

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }
    fn limit(user: &str) -> Limit<'_> {
        let key = Key::ProducerByteRate;
        Limit { key, bound: Bound::new(key, 100.0).unwrap(), sharers: Sharers::User(user) }
    }
    fn meters() -> Meters {
        Meters::new(Cuts { rates: CUT, mutations: CUT }, at(0))
    }

    #[test]
    fn each_user_has_a_meter_and_each_key_another() {
        let mut meters = meters();
        assert_eq!(meters.charge(limit("a"), 2000.0, at(0)), Duration::from_secs(10));
        assert_eq!(meters.charge(limit("b"), 1000.0, at(0)), Duration::ZERO);
        let of_requests = Limit { key: Key::RequestPercentage, ..limit("a") };
        assert_eq!(meters.charge(of_requests, 1000.0, at(0)), Duration::ZERO);
        assert_eq!(meters.charge(of_requests, 9000.0, at(0)), CUT.length, "no more than a window");
        meters.refund(limit("a"), 2000.0, at(0));
        assert_eq!(meters.charge(limit("a"), 1000.0, at(0)), Duration::ZERO);
    }

    #[test]
    fn however_many_names_there_are_meters_are_few_and_those_in_use_stay() {
        let mut meters = meters();
        meters.charge(limit("a"), 2000.0, at(0));
        for n in 0..3 * METERS_MAX {
            meters.charge(limit(&format!("stranger {n}")), 1.0, at(1));
            meters.charge(limit("a"), 0.0, at(1));
            assert!(meters.young.len() + meters.old.len() <= 2 * METERS_MAX);
        }
        assert!(meters.charge(limit("a"), 1.0, at(1)) > Duration::ZERO);
    }

    #[test]
    fn a_meter_that_nobody_uses_is_forgotten() {
        let mut meters = meters();
        meters.charge(limit("a"), 1.0, at(0));
        for hour in 1..=2 {
            meters.charge(limit("b"), 1.0, at(hour * 3600));
        }
        assert_eq!(meters.young.len() + meters.old.len(), 1);
    }

    #[test]
    fn strict_takers_wait_and_others_pay_afterwards() {
        let mut meters = meters();
        assert_eq!(meters.take(limit("a"), 1200.0, at(0)), Ok(()));
        assert_eq!(meters.take(limit("a"), 1.0, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(meters.take_anyway(limit("a"), 100.0, at(0)), Duration::from_secs(2));
        assert_eq!(meters.take(limit("a"), 1.0, at(2)), Ok(()));
    }
}
