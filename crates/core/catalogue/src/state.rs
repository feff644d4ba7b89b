//! The catalogue in memory: what the facts of the journal add up to.
//!
//! Owns: applying facts and looking things up. Does not own: rules, the journal, locks.

use crate::credential::CredentialKey;
use crate::fact::{Fact, TopicFact};
use crate::name;
use crate::setting::{Overrides, Settings};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use systole_guard::AccessList;
use systole_guard::quota::Quotas;
use systole_identity::scram::Credential;
use systole_kit::Uuid;
use systole_log::{PartitionConfig, PartitionId};
use systole_wire::{ErrorCode, Rejected};

/// Topics that Kafka calls internal: made and used by the node; clients may read them.
const INTERNAL_NAMES: &[&str] =
    &["__consumer_offsets", "__share_group_state", "__transaction_state"];

/// Does the node keep its own there?
pub fn is_internal(name: &str) -> bool {
    INTERNAL_NAMES.contains(&name)
}

/// One topic, as it was at one moment: a change makes a new value and leaves this one as it is.
#[derive(Debug)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    pub partition_count: i32,
    /// What was set for this topic alone, by Kafka's names.
    pub overrides: Overrides,
    /// All settings in force.
    pub settings: Settings,
}

impl Topic {
    pub(crate) fn new(fact: &TopicFact, broker: &Overrides) -> Self {
        Self {
            name: fact.name.as_str().into(),
            id: fact.id,
            partition_count: fact.partition_count,
            settings: Settings::new(&fact.overrides, broker),
            overrides: fact.overrides.clone(),
        }
    }
    pub(crate) fn fact(&self) -> TopicFact {
        TopicFact {
            id: self.id,
            name: self.name.to_string(),
            partition_count: self.partition_count,
            overrides: self.overrides.clone(),
        }
    }
    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }
    /// Where a partition's records are in the log; `None` if the topic has no such partition.
    pub fn partition(&self, index: i32) -> Option<PartitionId> {
        let exists = (0..self.partition_count).contains(&index);
        exists.then_some(PartitionId { topic: self.id, index })
    }
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        let topic = self.id;
        (0..self.partition_count).map(move |index| PartitionId { topic, index })
    }
    /// What the log must know.
    pub(crate) fn partition_config(&self) -> PartitionConfig {
        PartitionConfig::from(&self.settings)
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cluster_id: Uuid,
    pub(crate) by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    pub(crate) by_id: HashMap<Uuid, Arc<Topic>>,
    /// Dynamic settings of this node and of all nodes, by broker names.
    pub(crate) broker: Overrides,
    pub(crate) broker_default: Overrides,
    pub(crate) access: AccessList,
    pub(crate) quotas: Quotas,
    pub(crate) credentials: BTreeMap<CredentialKey, Credential>,
    /// The first producer id that nobody has.
    pub(crate) producer_ids_end: i64,
    /// Grows with each change of a topic since the start.
    pub(crate) version: u64,
}

impl State {
    pub(crate) fn apply(&mut self, fact: &Fact) {
        self.version += 1;
        match fact {
            Fact::Cluster(id) => self.cluster_id = *id,
            Fact::ProducerIds(end) => self.producer_ids_end = *end,
            Fact::Topic(it) => self.put(Topic::new(it, &self.broker_in_force())),
            Fact::TopicDeleted(id) => self.remove(*id),
            Fact::Access(rule) => {
                self.access.insert(rule.clone());
            }
            Fact::Credential(key, it) => {
                self.credentials.insert(key.clone(), it.clone());
            }
            Fact::CredentialRemoved(key) => {
                self.credentials.remove(key);
            }
            Fact::Quotas(entity, values) => self.quotas.put(entity, values.clone()),
            Fact::AccessRemoved(rule) => {
                self.access.remove(rule);
            }
            Fact::Broker(overrides) => {
                self.broker.clone_from(overrides);
                self.refresh();
            }
            Fact::BrokerDefault(overrides) => {
                self.broker_default.clone_from(overrides);
                self.refresh();
            }
        }
    }

    /// The fewest facts that say all this.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let topics = self.by_name.values().map(|it| Fact::Topic(it.fact()));
        let mut facts = vec![Fact::Cluster(self.cluster_id)];
        facts.push(Fact::BrokerDefault(self.broker_default.clone()));
        facts.push(Fact::Broker(self.broker.clone()));
        facts.push(Fact::ProducerIds(self.producer_ids_end));
        facts.extend(topics);
        let credentials = self.credentials.iter();
        facts.extend(credentials.map(|(key, it)| Fact::Credential(key.clone(), it.clone())));
        facts.extend(self.access.rules().cloned().map(Fact::Access));
        let quotas = self.quotas.all();
        facts.extend(quotas.map(|(entity, it)| Fact::Quotas(entity.clone(), it.clone())));
        facts
    }

    /// The node's defaults for topics: its own settings over those of all nodes.
    pub(crate) fn broker_in_force(&self) -> Overrides {
        let mut both = self.broker_default.clone();
        both.extend(self.broker.clone());
        both
    }

    /// Whether a new topic may have this name.
    pub(crate) fn check_free(&self, wanted: &str) -> Result<(), Rejected> {
        if self.by_name.contains_key(wanted) {
            let text = format!("Topic '{wanted}' already exists.");
            return Err(Rejected::new(ErrorCode::TopicAlreadyExists, text));
        }
        let flat = name::without_dots(wanted);
        if flat.contains('_')
            && let Some(other) = self.by_name.keys().find(|it| name::without_dots(it) == flat)
        {
            let text = format!("Topic '{wanted}' collides with existing topic: {other}");
            return Err(Rejected::new(ErrorCode::InvalidTopic, text));
        }
        Ok(())
    }

    fn put(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(Arc::clone(&topic.name), topic);
    }
    fn remove(&mut self, id: Uuid) {
        if let Some(topic) = self.by_id.remove(&id) {
            self.by_name.remove(&topic.name);
        }
    }
    /// The node's defaults changed: so may every topic's settings.
    fn refresh(&mut self) {
        let broker = self.broker_in_force();
        let topics: Vec<_> = self.by_name.values().map(|it| it.fact()).collect();
        for topic in topics {
            self.put(Topic::new(&topic, &broker));
        }
    }
}
