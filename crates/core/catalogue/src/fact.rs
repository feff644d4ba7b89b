//! What the journal of the catalogue says, and how it lies in record batches.
//!
//! Owns: the facts and their bytes (`docs/formats/cluster-metadata.md`). Does not own: where the
//! batches are kept (`journal`), what follows from a fact (`catalogue`).
//!
//! Each fact is a record of its own and states one thing whole, under a key of that thing. So the
//! last record of a key counts, replaying twice does no harm, and compaction may drop the others.

use crate::access;
use crate::credential::{self, CredentialKey};
use crate::quota;
use crate::setting::Overrides;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use systole_guard::Rule;
use systole_guard::quota::{Entity, Values};
use systole_identity::scram::Credential;
use systole_kit::{Timestamp, Uuid};
use systole_wire::record::{self, BatchBuilder, BatchOptions, NewRecord, RecordSet};

/// Records of a batch may decompress to this many bytes. The journal's own are not compressed.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
const CLUSTER_KEY: &str = "cluster";
const BROKER_KEY: &str = "broker";
const BROKER_DEFAULT_KEY: &str = "broker-default";
const PRODUCER_IDS_KEY: &str = "producer-ids";
const TOPIC_KEY_PREFIX: &str = "topic/";
const CREDENTIAL_KEY_PREFIX: &str = "scram/";
const ACCESS_KEY_PREFIX: &str = "access/";
const QUOTA_KEY_PREFIX: &str = "quota/";

/// One thing that is so from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// This data directory belongs to the cluster of that id.
    Cluster(Uuid),
    Topic(TopicFact),
    TopicDeleted(Uuid),
    /// The dynamic settings of this node.
    Broker(Overrides),
    /// The dynamic settings of all nodes, of which there is one.
    BrokerDefault(Overrides),
    /// Producer ids below this one are spoken for.
    ProducerIds(i64),
    Access(Rule),
    AccessRemoved(Rule),
    Credential(CredentialKey, Credential),
    CredentialRemoved(CredentialKey),
    /// All quotas of an entity; none removes it.
    Quotas(Entity, Values),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFact {
    pub id: Uuid,
    pub name: String,
    pub partition_count: i32,
    pub overrides: Overrides,
}

/// The value of a topic's record. The id is in the key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicValue {
    name: String,
    partitions: i32,
    configs: Overrides,
}
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterValue {
    id: String,
}
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokerValue {
    configs: Overrides,
}
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProducerIdsValue {
    end: i64,
}

/// The journal holds something that this version did not write.
#[derive(Debug, thiserror::Error)]
pub enum FactError {
    #[error("a batch cannot be read: {0}")]
    Batch(#[from] record::Error),
    #[error("the record at offset {offset} has an unknown key or value")]
    Unknown { offset: i64 },
}

impl Fact {
    fn key(&self) -> String {
        match self {
            Self::Cluster(_) => CLUSTER_KEY.to_owned(),
            Self::Broker(_) => BROKER_KEY.to_owned(),
            Self::BrokerDefault(_) => BROKER_DEFAULT_KEY.to_owned(),
            Self::ProducerIds(_) => PRODUCER_IDS_KEY.to_owned(),
            Self::Access(rule) | Self::AccessRemoved(rule) => {
                format!("{ACCESS_KEY_PREFIX}{}", access::write(rule))
            }
            Self::Credential(key, _) | Self::CredentialRemoved(key) => {
                format!("{CREDENTIAL_KEY_PREFIX}{}", credential::write_key(key))
            }
            Self::Quotas(entity, _) => format!("{QUOTA_KEY_PREFIX}{}", quota::write_key(entity)),
            Self::Topic(TopicFact { id, .. }) | Self::TopicDeleted(id) => {
                format!("{TOPIC_KEY_PREFIX}{id}")
            }
        }
    }
    fn value(&self) -> serde_json::Result<Option<Vec<u8>>> {
        match self {
            Self::Cluster(id) => serde_json::to_vec(&ClusterValue { id: id.to_string() }),
            Self::Broker(configs) | Self::BrokerDefault(configs) => {
                serde_json::to_vec(&BrokerValue { configs: configs.clone() })
            }
            Self::ProducerIds(end) => serde_json::to_vec(&ProducerIdsValue { end: *end }),
            Self::Access(_) => Ok(b"{}".to_vec()),
            Self::Credential(_, it) => serde_json::to_vec(&credential::Value::of(it)),
            Self::Quotas(_, values) if values.is_empty() => return Ok(None),
            Self::Quotas(_, values) => quota::write_value(values),
            Self::TopicDeleted(_) | Self::AccessRemoved(_) | Self::CredentialRemoved(_) => {
                return Ok(None);
            }
            Self::Topic(it) => serde_json::to_vec(&TopicValue {
                name: it.name.clone(),
                partitions: it.partition_count,
                configs: it.overrides.clone(),
            }),
        }
        .map(Some)
    }
    fn read(key: &[u8], value: Option<&[u8]>) -> Option<Self> {
        let key = str::from_utf8(key).ok()?;
        match (key, value) {
            (CLUSTER_KEY, Some(value)) => {
                let value: ClusterValue = serde_json::from_slice(value).ok()?;
                Some(Self::Cluster(value.id.parse().ok()?))
            }
            (BROKER_KEY | BROKER_DEFAULT_KEY, Some(value)) => {
                let BrokerValue { configs } = serde_json::from_slice(value).ok()?;
                let own = key == BROKER_KEY;
                Some(if own { Self::Broker(configs) } else { Self::BrokerDefault(configs) })
            }
            (PRODUCER_IDS_KEY, Some(value)) => {
                let ProducerIdsValue { end } = serde_json::from_slice(value).ok()?;
                Some(Self::ProducerIds(end))
            }
            (_, value) if key.starts_with(CREDENTIAL_KEY_PREFIX) => {
                let key = credential::read_key(key.strip_prefix(CREDENTIAL_KEY_PREFIX)?)?;
                let Some(value) = value else { return Some(Self::CredentialRemoved(key)) };
                let value: credential::Value = serde_json::from_slice(value).ok()?;
                Some(Self::Credential(key, value.read()?))
            }
            (_, value) if key.starts_with(ACCESS_KEY_PREFIX) => {
                let rule = access::read(key.strip_prefix(ACCESS_KEY_PREFIX)?)?;
                match value {
                    None => Some(Self::AccessRemoved(rule)),
                    Some(b"{}") => Some(Self::Access(rule)),
                    Some(_) => None,
                }
            }
            (_, value) if key.starts_with(QUOTA_KEY_PREFIX) => {
                let entity = quota::read_key(key.strip_prefix(QUOTA_KEY_PREFIX)?)?;
                let values = value.map_or(Some(Values::new()), quota::read_value)?;
                Some(Self::Quotas(entity, values))
            }
            (_, value) => {
                let id: Uuid = key.strip_prefix(TOPIC_KEY_PREFIX)?.parse().ok()?;
                let Some(value) = value else { return Some(Self::TopicDeleted(id)) };
                let it: TopicValue = serde_json::from_slice(value).ok()?;
                let (name, partition_count) = (it.name, it.partitions);
                Some(Self::Topic(TopicFact { id, name, partition_count, overrides: it.configs }))
            }
        }
    }
}

/// One batch with `facts` in order. They hold together or not at all.
pub(crate) fn encode(facts: &[Fact], now: Timestamp) -> Result<Bytes, record::Error> {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    for fact in facts {
        let key = fact.key();
        // Maps with text keys and plain values always have a JSON form.
        let value = fact.value().unwrap_or_default();
        batch.push(&NewRecord {
            timestamp: now.as_millis(),
            key: Some(key.as_bytes()),
            value: value.as_deref(),
            ..NewRecord::default()
        });
    }
    batch.build()
}

/// The facts of one batch.
pub(crate) fn decode(batch: &[u8]) -> Result<Vec<Fact>, FactError> {
    let records = RecordSet::open(batch, BATCH_BYTES_MAX)?;
    let mut facts = Vec::new();
    for record in &records {
        let record = record?;
        let unknown = FactError::Unknown { offset: record.offset };
        facts.push(Fact::read(record.key.unwrap_or_default(), record.value).ok_or(unknown)?);
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use systole_guard::quota::{Bound, Key, Name};
    use systole_guard::{Operation, PatternType, Permission, ResourceType};
    use systole_identity::scram::Mechanism;

    #[test]
    fn facts_survive_their_bytes() {
        let overrides = Overrides::from([("retention.ms".to_owned(), "5".to_owned())]);
        let id = Uuid::from_bytes([7; 16]);
        let name = "clinical.observation".to_owned();
        let facts = [
            Fact::Cluster(Uuid::from_bytes([1; 16])),
            Fact::Topic(TopicFact { id, name, partition_count: 3, overrides: overrides.clone() }),
            Fact::TopicDeleted(id),
            Fact::Broker(overrides.clone()),
            Fact::BrokerDefault(overrides),
            Fact::ProducerIds(3000),
            Fact::Access(rule()),
            Fact::AccessRemoved(rule()),
            Fact::Credential(alice(), secret()),
            Fact::CredentialRemoved(alice()),
            Fact::Quotas(Entity::User(Name::Default), quotas()),
            Fact::Quotas(everyones_tool(), quotas()),
            Fact::Quotas(everyones_tool(), Values::new()),
            Fact::Quotas(Entity::ClientId(Name::Of("tool".into())), Values::new()),
            Fact::Quotas(Entity::Address(None), Values::new()),
            Fact::Quotas(Entity::Address(Some([10, 0, 0, 1].into())), Values::new()),
        ];
        let batch = encode(&facts, Timestamp::from_millis(9)).unwrap();
        assert_eq!(decode(&batch).unwrap(), facts);
    }

    fn alice() -> CredentialKey {
        CredentialKey { user: "al\"ice".into(), mechanism: Mechanism::Sha512 }
    }
    fn secret() -> Credential {
        let (salt, server_key) = (vec![1, 2, 3], vec![8; 64]);
        Credential { salt, stored_key: vec![7; 64], server_key, iterations: 4096 }
    }

    fn everyones_tool() -> Entity {
        Entity::Both { user: Name::Default, client_id: Name::Of("to\"ol".into()) }
    }
    fn quotas() -> Values {
        let bound = |key, value| (key, Bound::new(key, value).unwrap());
        Values::from([bound(Key::ProducerByteRate, 1024.0), bound(Key::RequestPercentage, 12.5)])
    }

    #[test]
    fn the_format_of_quotas_is_stable() {
        let fact = Fact::Quotas(everyones_tool(), quotas());
        let value = String::from_utf8(fact.value().unwrap().unwrap()).unwrap();
        expect![[r#"
            quota/{"client-id":"to\"ol","user":null}
            {"producer_byte_rate":1024.0,"request_percentage":12.5}
        "#]]
        .assert_eq(&format!("{}\n{value}\n", fact.key()));
    }

    fn rule() -> Rule {
        Rule {
            resource: ResourceType::Topic,
            pattern: PatternType::Prefixed,
            name: "clinical.\"/".into(),
            principal: "User:CN=a,O=b".into(),
            host: "*".into(),
            operation: Operation::Read,
            permission: Permission::Allow,
        }
    }

    #[test]
    fn the_format_of_a_rule_is_stable() {
        expect![[
            r#"access/["TOPIC","PREFIXED","clinical.\"/","User:CN=a,O=b","*","READ","ALLOW"]"#
        ]]
        .assert_eq(&Fact::Access(rule()).key());
    }

    /// The bytes are a format: this may grow, and may not change.
    #[test]
    fn the_format_of_a_topic_is_stable() {
        let fact = Fact::Topic(TopicFact {
            id: Uuid::from_bytes([7; 16]),
            name: "t".into(),
            partition_count: 3,
            overrides: Overrides::from([("retention.ms".to_owned(), "5".to_owned())]),
        });
        let value = String::from_utf8(fact.value().unwrap().unwrap()).unwrap();
        expect![[r#"
            topic/BwcHBwcHBwcHBwcHBwcHBw
            {"name":"t","partitions":3,"configs":{"retention.ms":"5"}}
        "#]]
        .assert_eq(&format!("{}\n{value}\n", fact.key()));
    }

    #[test]
    fn a_fact_of_a_later_version_is_an_error_and_not_skipped() {
        assert_eq!(Fact::read(b"feature/x", Some(b"{}")), None);
        assert_eq!(Fact::read(b"cluster", Some(br#"{"id":"BwcHBwcHBwcHBwcHBwcHBw","x":1}"#)), None);
    }
}
