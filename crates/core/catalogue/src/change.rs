//! Changes to the catalogue.
//!
//! Owns: the steps of each change. Does not own: rules (`plan`).
//!
//! A change is checked, written to the journal, carried out in the log, and seen by others, in one
//! step without waiting; the future that it returns tells when all of it is on disk. Answer a
//! client after that. Journal and partitions share one write-ahead log, so a crash keeps a
//! beginning of these steps, and [`Catalogue::open`] completes it: a topic that the journal names
//! gets its partitions, and partitions without a topic go.

use crate::catalogue::{Catalogue, Durable, unknown};
use crate::fact::{Fact, TopicFact};
use crate::journal::JournalError;
use crate::plan::{self, NewTopic};
use crate::setting::Overrides;
use crate::state::Topic;
use std::sync::{Arc, MutexGuard, PoisonError};
use systole_guard::Rule;
use systole_guard::acl::Filter;
use systole_log::{AppendError, Ticket};
use systole_wire::{ErrorCode, Rejected};

/// The catalogue's own name; no topic may have it.
const OWN_NAME: &str = "__cluster_metadata";

/// Rules that there may be.
const RULES_MAX: usize = 100_000;

/// Whose settings are changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Topic(String),
    /// This node.
    Broker,
    /// All nodes, of which there is one.
    BrokerDefault,
}

impl Catalogue {
    /// Checks what [`Catalogue::create`] checks; how many partitions and which settings there
    /// would be.
    pub fn check_create(&self, wanted: &NewTopic) -> Result<(i32, Overrides), Rejected> {
        plan::check_name(&wanted.name)?;
        if wanted.name == OWN_NAME {
            let text = format!("Creation of internal topic {OWN_NAME} is prohibited.");
            return Err(Rejected::new(ErrorCode::InvalidRequest, text));
        }
        self.read().check_free(&wanted.name)?;
        let partition_count = plan::partition_count(wanted, self.site)?;
        Ok((partition_count, plan::new_configs(&wanted.configs)?))
    }

    /// Adds a topic. Its partitions may be used at once.
    pub fn create(&self, wanted: &NewTopic) -> Result<(Arc<Topic>, Durable), Rejected> {
        let _turn = self.take_turn();
        let (partition_count, overrides) = self.check_create(wanted)?;
        let (id, name) = (self.world.random.uuid(), wanted.name.clone());
        self.put(TopicFact { id, name, partition_count, overrides })
    }

    /// Speaks for the next `count` producer ids and gives the first of them. Use them once they are
    /// durably spoken for: no id is ever given twice.
    pub fn reserve_producer_ids(&self, count: i64) -> Result<(i64, Durable), Rejected> {
        let _turn = self.take_turn();
        let first = self.read().producer_ids_end;
        let used_up =
            || Rejected::new(ErrorCode::UnknownServerError, "all producer ids are used up");
        let fact = Fact::ProducerIds(first.checked_add(count).ok_or_else(used_up)?);
        let ticket = self.note(std::slice::from_ref(&fact))?;
        self.write().apply(&fact);
        Ok((first, self.durable(ticket)))
    }

    /// Removes a topic and its records.
    pub fn delete(&self, topic: &Topic) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let current = self.by_id(topic.id).ok_or_else(|| unknown(&topic.name))?;
        let fact = Fact::TopicDeleted(topic.id);
        let mut ticket = self.note(std::slice::from_ref(&fact))?;
        self.write().apply(&fact);
        for id in current.partitions() {
            match self.journal.log().delete(id) {
                Ok(deleted) => ticket = ticket.and(deleted),
                // The journal says that it is gone; the next start removes it.
                Err(error) => tracing::warn!(%error, partition = %id, "not removed yet"),
            }
        }
        Ok(self.durable(ticket))
    }

    /// How many partitions `name` would have after [`Catalogue::grow`].
    pub fn check_grow(
        &self,
        name: &str,
        wanted: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<TopicFact, Rejected> {
        let topic = self.by_name(name).ok_or_else(|| unknown(name))?;
        let count = plan::grown_count(topic.partition_count, wanted, assignments, self.site)?;
        Ok(TopicFact { partition_count: count, ..topic.fact() })
    }

    /// Gives a topic more partitions.
    pub fn grow(
        &self,
        name: &str,
        wanted: i32,
        assignments: Option<&[Vec<i32>]>,
    ) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let fact = self.check_grow(name, wanted, assignments)?;
        self.put(fact).map(|(_, durable)| durable)
    }

    /// Replaces the settings of `scope` by what `edit` makes of them.
    pub fn alter(
        &self,
        scope: &Scope,
        edit: impl FnOnce(Overrides) -> Result<Overrides, Rejected>,
    ) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let fact = match scope {
            Scope::Topic(name) => {
                let topic = self.by_name(name).ok_or_else(|| unknown(name))?;
                let overrides = edit(topic.overrides.clone())?;
                return self.put(TopicFact { overrides, ..topic.fact() }).map(|it| it.1);
            }
            Scope::Broker => Fact::Broker(edit(self.broker_overrides().0)?),
            Scope::BrokerDefault => Fact::BrokerDefault(edit(self.broker_overrides().1)?),
        };
        let ticket = self.note(std::slice::from_ref(&fact))?;
        self.write().apply(&fact);
        for topic in self.all() {
            self.configure(&topic);
        }
        Ok(self.durable(ticket))
    }

    /// Adds a rule to the access lists; one that is there already stays as it is.
    pub fn add_rule(&self, rule: Rule) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        let (is_there, count) = {
            let access = self.access();
            (access.contains(&rule), access.rules().count())
        };
        if is_there {
            return self.state_all(&[]);
        }
        if count >= RULES_MAX {
            let text = format!("There are {RULES_MAX} rules already.");
            return Err(Rejected::new(ErrorCode::InvalidRequest, text));
        }
        self.state_all(&[Fact::Access(rule)])
    }

    /// Removes the rules that `filter` selects from the access lists.
    pub fn remove_rules(&self, filter: &Filter) -> Result<(Vec<Rule>, Durable), Rejected> {
        let _turn = self.take_turn();
        let rules = self.access().select(filter);
        let facts: Vec<_> = rules.iter().cloned().map(Fact::AccessRemoved).collect();
        Ok((rules, self.state_all(&facts)?))
    }

    /// Writes facts of which the log holds nothing else. The caller has the turn.
    pub(crate) fn state_all(&self, facts: &[Fact]) -> Result<Durable, Rejected> {
        if facts.is_empty() {
            return Ok(self.durable(Ticket::NONE));
        }
        let ticket = self.note(facts)?;
        let mut state = self.write();
        for it in facts {
            state.apply(it);
        }
        drop(state);
        Ok(self.durable(ticket))
    }

    /// The settings that `edit` would start from.
    pub fn overrides(&self, scope: &Scope) -> Result<Overrides, Rejected> {
        match scope {
            Scope::Topic(name) => {
                self.by_name(name).map(|it| it.overrides.clone()).ok_or_else(|| unknown(name))
            }
            Scope::Broker => Ok(self.broker_overrides().0),
            Scope::BrokerDefault => Ok(self.broker_overrides().1),
        }
    }

    /// Writes a new or changed topic, and makes the partitions that it lacks.
    fn put(&self, it: TopicFact) -> Result<(Arc<Topic>, Durable), Rejected> {
        let before = self.by_id(it.id).map_or(0, |it| it.partition_count);
        let topic = Arc::new(Topic::new(&it, &self.read().broker_in_force()));
        let fact = Fact::Topic(it);
        let mut ticket = self.note(std::slice::from_ref(&fact))?;
        for partition in topic.partitions().filter(|it| it.index >= before) {
            let created = self.journal.log().create(partition, topic.partition_config());
            ticket = ticket.and(created.map_err(|error| storage(&error))?.1);
        }
        self.write().apply(&fact);
        self.configure(&topic);
        Ok((topic, self.durable(ticket)))
    }

    fn configure(&self, topic: &Topic) {
        let config = topic.partition_config();
        let partitions = topic.partitions().filter_map(|it| self.journal.log().partition(it));
        partitions.for_each(|it| it.configure(config));
    }

    fn note(&self, facts: &[Fact]) -> Result<Ticket, Rejected> {
        self.journal.append(facts, self.world.clock.now()).map_err(|error| match error {
            JournalError::Append(error) => storage(&error),
            other => Rejected::new(ErrorCode::UnknownServerError, other.to_string()),
        })
    }
    fn durable(&self, ticket: Ticket) -> Durable {
        let log = self.journal.log().clone();
        Box::pin(async move { log.done(ticket).await.map_err(|error| storage(&error)) })
    }
    pub(crate) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn storage(error: &AppendError) -> Rejected {
    Rejected::new(ErrorCode::KafkaStorageError, error.to_string())
}
