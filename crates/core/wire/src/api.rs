//! Which APIs there are, in which versions: what an ApiVersions response lists.
//!
//! Owns: lookup by key. Does not own: which of them a broker serves.

pub use crate::generated::api_key::ApiKey;

use crate::generated::api_key::APIS;
use std::ops::RangeInclusive;

/// Produce is listed from this version on although it is read from v3 on only: librdkafka takes a
/// broker that does not list the old versions for one without message format v2 (KAFKA-18659).
pub const PRODUCE_LISTED_VERSION_MIN: i16 = 0;

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Api {
    pub key: ApiKey,
    pub name: &'static str,
    /// All versions that are read and written.
    pub versions: RangeInclusive<i16>,
    /// The first flexible version, if any is.
    pub flexible_from: Option<i16>,
    /// The last version may still change in a later Kafka and is not listed to clients.
    pub latest_unstable: bool,
}

impl Api {
    /// All APIs, ascending by key.
    pub fn all() -> &'static [Self] {
        APIS
    }
    /// The versions that clients are told of.
    pub fn stable_versions(&self) -> RangeInclusive<i16> {
        let last = *self.versions.end() - i16::from(self.latest_unstable);
        *self.versions.start()..=last
    }
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|it| version >= it)
    }
}

impl ApiKey {
    /// `None`: an API that no broker answers, or one of a later Kafka.
    pub fn from_wire(key: i16) -> Option<Self> {
        let index = APIS.binary_search_by_key(&key, |it| it.key.number()).ok()?;
        APIS.get(index).map(|it| it.key)
    }
    /// The number on the wire.
    pub const fn number(self) -> i16 {
        self as i16
    }
    /// The table's row.
    #[expect(clippy::expect_used, reason = "the enum and the table come from one loop")]
    pub fn api(self) -> &'static Api {
        let index = APIS.binary_search_by_key(&self, |it| it.key).ok();
        index.and_then(|it| APIS.get(it)).expect("each variant has its row")
    }
    pub fn name(self) -> &'static str {
        self.api().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_finds_its_row() {
        for api in Api::all() {
            assert_eq!(ApiKey::from_wire(api.key.number()), Some(api.key));
            assert_eq!(api.key.name(), api.name);
        }
        assert_eq!(ApiKey::from_wire(-1), None);
        assert_eq!(ApiKey::from_wire(7), None, "ControlledShutdown went with Kafka 4.0");
    }

    #[test]
    fn an_unstable_version_is_not_told() {
        assert_eq!(ApiKey::InitProducerId.api().stable_versions(), 0..=5);
        assert_eq!(ApiKey::Fetch.api().stable_versions(), 4..=18);
    }
}
