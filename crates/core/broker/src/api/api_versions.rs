//! ApiVersions, v0-4: what this node can do.
//!
//! Ours: only features of what is served are advertised, so clients use no protocol that is not.
//! They are finalized at their highest level for good.
//! As Kafka does: a version above ours is answered in v0 with UNSUPPORTED_VERSION and the versions
//! of this API alone (`dispatch`).

use super::{Call, Handler, Need, Reply, TABLE};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::ApiKey;
use systole_wire::ErrorCode;
use systole_wire::message::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use systole_wire::message::{ApiVersionsRequest, ApiVersionsResponse};

pub(crate) struct ApiVersions;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        request: ApiVersionsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let (name, version) = (request.client_software_name, request.client_software_version);
        let legal = call.version < 3 || (is_software_word(&name) && is_software_word(&version));
        let (code, api_keys) = if legal {
            if call.version >= 3 {
                let software = (name.to_string(), version.to_string());
                // A client that asks twice keeps the name that it gave first.
                drop(call.peer.software.set(software));
            }
            (ErrorCode::None, served().collect())
        } else {
            (ErrorCode::InvalidRequest, Vec::new())
        };
        let error_code = call.code(code);
        ready(Reply::Send(ApiVersionsResponse {
            error_code,
            api_keys,
            supported_features: supported(call.version),
            finalized_features_epoch: FEATURES_EPOCH,
            finalized_features: FEATURES.map(finalized).into(),
            ..Default::default()
        }))
    }
}

/// The node's features never change.
const FEATURES_EPOCH: i64 = 0;
/// Before this version, clients do not take a feature that begins at level 0 (KAFKA-17011).
const LEVEL_0_FROM_VERSION: i16 = 4;

/// Name and highest level, as Kafka counts them.
type Feature = (&'static str, i16);

/// Groups of KIP-848; share groups of KIP-932; streams groups of KIP-1071; transactions of KIP-890.
const FEATURES: [Feature; 4] = [
    ("group.version", 1),
    ("share.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
];

fn supported(version: i16) -> Vec<SupportedFeatureKey> {
    let features = FEATURES.iter().filter(|_| version >= LEVEL_0_FROM_VERSION);
    let key = |(name, max_version): &Feature| SupportedFeatureKey {
        name: (*name).into(),
        min_version: 0,
        max_version: *max_version,
        ..Default::default()
    };
    features.map(key).collect()
}

fn finalized((name, level): Feature) -> FinalizedFeatureKey {
    FinalizedFeatureKey {
        name: name.into(),
        max_version_level: level,
        min_version_level: level,
        ..Default::default()
    }
}

/// What clients are told. Produce is listed from v0 on although it is served from v3 on: older
/// librdkafka takes a node that does not list them for one without record batches (KAFKA-18659).
pub(super) fn served() -> impl Iterator<Item = ApiVersion> {
    TABLE.iter().map(|api| ApiVersion {
        api_key: api.key.number(),
        min_version: match api.key {
            ApiKey::Produce => systole_wire::api::PRODUCE_LISTED_VERSION_MIN,
            _ => api.version_min,
        },
        max_version: api.version_max,
        ..Default::default()
    })
}

/// KIP-511: letters, digits, `-` and `.`, beginning and ending with a letter or digit.
fn is_software_word(word: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.');
    let edge = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = word.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inner)
}
