//! Administration.
//!
//! Owns: turning each question into librdkafka's calls. Does not own: what the answers mean.
//!
//! `rdkafka` serves an administrator's callbacks nowhere, so OAUTHBEARER cannot get its token
//! there: with it, questions work and changes of topics are [`Kind::Unsupported`]. It has no
//! IncrementalAlterConfigs, so changes are merged with what is set and written as a whole. And it
//! drops the error of a resource from answers about configurations, so that a refusal looks like
//! success: nothing is believed here that does not show when it is read again.

use super::config::Base;
use super::context::Context;
use super::{ANSWER_TIMEOUT, blocking, failure, list};
use crate::admin::{Broker, Cluster, Config, ConfigOf, ConfigSource, Group, Groups, Member};
use crate::admin::{NewTopic, Partition, Topic, Topics};
use crate::{Admin, Answer, Error, Kind, Offset, Start, TopicPartition};
use bytes::Buf as _;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::admin::{ConfigSource as NativeSource, TopicReplication};
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{groups, metadata};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use systole_world::{Clock, ClockExt as _};

/// A change of configuration that was accepted is visible within this.
const CHANGE_VISIBLE: Duration = Duration::from_secs(3);
/// Between two looks for it.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Administrator {
    base: Base,
    /// `None` with OAUTHBEARER.
    changes: Option<AdminClient<Context>>,
    /// A consumer without group: what asks and does not change anything goes through it.
    questions: Arc<BaseConsumer<Context>>,
    context: Arc<dyn Fn() -> Context + Send + Sync>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator")
            .field("bootstrap", &self.base.bootstrap())
            .finish_non_exhaustive()
    }
}

impl Administrator {
    pub(super) fn new(
        base: &Base,
        clock: &Arc<dyn Clock>,
        context: impl Fn() -> Context + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mut quiet = base.plain();
        quiet.set_log_level(RDKafkaLogLevel::Emerg); // nobody serves its lines
        let changes = match base.token() {
            Some(_) => None,
            None => Some(
                AdminClient::from_config_and_context(&quiet, context())
                    .map_err(|it| failure::of(&it))?,
            ),
        };
        let questions = BaseConsumer::from_config_and_context(&base.plain(), context())
            .map_err(|it| failure::of(&it))?;
        let (questions, context) = (Arc::new(questions), Arc::new(context));
        Ok(Self { base: base.clone(), changes, questions, context, clock: clock.clone() })
    }

    fn changes(&self) -> Result<&AdminClient<Context>, Error> {
        let why = "changes by an administrator with OAUTHBEARER";
        self.changes.as_ref().ok_or_else(|| Error::new(Kind::Unsupported).because(why))
    }

    /// Asks on a thread that may block, then serves what librdkafka has logged meanwhile.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Context>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let questions = self.questions.clone();
        blocking(move || {
            list::serve(&questions);
            let answer = question(&questions);
            list::serve(&questions);
            answer.map_err(|it| questions.context().explain(it))
        })
        .await
    }

    /// The client for changes hears of no refusal, the one for questions does.
    async fn told<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        if done.as_ref().is_err_and(|it| it.kind() == Kind::Unreachable) {
            self.ask(|_| Ok(())).await?; // listens to what it has to say
        }
        done.map_err(|it| self.questions.context().explain(it))
    }

    /// Does something as an outsider of a group: a consumer that never joins it.
    async fn outside<T: Send + 'static>(
        &self,
        group: &str,
        work: impl FnOnce(&BaseConsumer<Context>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (config, context) = (self.base.outsider(group), self.context.clone());
        let about = group.to_owned();
        blocking(move || {
            let consumer = BaseConsumer::from_config_and_context(&config, context())
                .map_err(|it| failure::of(&it))?;
            list::serve(&consumer);
            let done = work(&consumer);
            list::serve(&consumer);
            done.map_err(|it| consumer.context().explain(it).about(about))
        })
        .await
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_TIMEOUT))
        .operation_timeout(Some(ANSWER_TIMEOUT))
}

/// The one result of a request about one thing.
fn one<T>(
    about: &str,
    results: KafkaResult<Vec<Result<T, (String, RDKafkaErrorCode)>>>,
) -> Result<(), Error> {
    let results = results.map_err(|it| failure::of(&it).about(about))?;
    for result in results {
        result.map_err(|(_, code)| failure::of_code(code).about(about))?;
    }
    Ok(())
}

impl Admin for Administrator {
    fn cluster<'a>(&'a self, topic: Option<&'a str>) -> Answer<'a, Cluster> {
        let topic = topic.map(str::to_owned);
        Box::pin(self.ask(move |it| {
            let failed = |error| failure::of(&error).about("metadata");
            let found = it.fetch_metadata(topic.as_deref(), ANSWER_TIMEOUT).map_err(failed)?;
            let id = it.client().fetch_cluster_id(ANSWER_TIMEOUT);
            cluster(id, &found)
        }))
    }
}

fn cluster(id: Option<String>, found: &metadata::Metadata) -> Result<Cluster, Error> {
    let broker = |it: &metadata::MetadataBroker| Broker {
        id: it.id(),
        host: it.host().to_owned(),
        port: u16::try_from(it.port()).unwrap_or_default(),
    };
    let mut topics = Vec::with_capacity(found.topics().len());
    for it in found.topics() {
        if let Some(error) = it.error() {
            return Err(failure::of_code(error.into()).about(it.name()));
        }
        let mut partitions: Vec<_> = it.partitions().iter().map(partition).collect();
        partitions.sort_by_key(|it| it.id);
        topics.push(Topic { name: it.name().to_owned(), partitions });
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut brokers: Vec<_> = found.brokers().iter().map(broker).collect();
    brokers.sort_by_key(|it| it.id);
    Ok(Cluster { id, brokers, topics })
}

fn partition(it: &metadata::MetadataPartition) -> Partition {
    Partition {
        id: it.id(),
        leader: (it.leader() >= 0).then_some(it.leader()),
        replicas: it.replicas().to_vec(),
        in_sync: it.isr().to_vec(),
    }
}

impl Topics for Administrator {
    fn create_topic<'a>(&'a self, topic: &'a NewTopic) -> Answer<'a, ()> {
        Box::pin(async {
            let replication = TopicReplication::Fixed(topic.replication.unwrap_or(-1));
            let mut new = rdkafka::admin::NewTopic::new(&topic.name, topic.partitions, replication);
            new.config = topic.configs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            self.told(one(&topic.name, self.changes()?.create_topics([&new], &options()).await))
                .await
        })
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let done = self.changes()?.delete_topics(&[topic], &options()).await;
            self.told(one(topic, done)).await
        })
    }

    fn grow_topic<'a>(&'a self, topic: &'a str, count: usize) -> Answer<'a, ()> {
        Box::pin(async move {
            let new = NewPartitions::new(topic, count);
            self.told(one(topic, self.changes()?.create_partitions([&new], &options()).await)).await
        })
    }

    fn configs<'a>(&'a self, of: ConfigOf<'a>) -> Answer<'a, BTreeMap<String, Config>> {
        Box::pin(async move {
            let (specifier, about) = match of {
                ConfigOf::Topic(name) => (ResourceSpecifier::Topic(name), name.to_owned()),
                ConfigOf::Broker(id) => (ResourceSpecifier::Broker(id), format!("broker {id}")),
            };
            let found = self.changes()?.describe_configs([&specifier], &options()).await;
            let mut configs = BTreeMap::new();
            for resource in found.map_err(|it| failure::of(&it).about(&*about))? {
                let resource = resource.map_err(|it| failure::of_code(it).about(&*about))?;
                configs
                    .extend(resource.entries.into_iter().map(|it| (it.name.clone(), config(it))));
            }
            if configs.is_empty() {
                if let ConfigOf::Topic(name) = of {
                    self.cluster(Some(name)).await?;
                }
                return Err(Error::new(Kind::Denied).about(about)); // it exists, and yet has none
            }
            Ok(configs)
        })
    }

    fn alter_configs<'a>(
        &'a self,
        topic: &'a str,
        changes: &'a [(&'a str, Option<&'a str>)],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let before = self.configs(ConfigOf::Topic(topic)).await?;
            let mut after: BTreeMap<&str, &str> = BTreeMap::new();
            for (name, it) in &before {
                if let (ConfigSource::Topic, Some(value)) = (it.source, &it.value) {
                    after.insert(name, value);
                }
            }
            for (name, value) in changes {
                match value {
                    Some(value) => drop(after.insert(name, value)),
                    None => drop(after.remove(name)),
                }
            }
            let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
            change.entries.extend(after);
            let results = self.changes()?.alter_configs([&change], &options()).await;
            for result in results.map_err(|it| failure::of(&it).about(topic))? {
                result.map_err(|(_, code)| failure::of_code(code).about(topic))?;
            }
            let deadline = self.clock.instant().plus(CHANGE_VISIBLE);
            while !shows(&self.configs(ConfigOf::Topic(topic)).await?, changes) {
                if self.clock.instant() >= deadline {
                    return Err(Error::new(Kind::Invalid).about(topic).because("not applied"));
                }
                self.clock.sleep(CHANGE_PAUSE).await;
            }
            Ok(())
        })
    }

    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> Answer<'a, ()> {
        Box::pin(async {
            let list = list::of_offsets(before)?;
            let done = self.changes()?.delete_records(&list, &options()).await;
            list::offsets(&done.map_err(|it| failure::of(&it))?)?;
            Ok(())
        })
    }

    fn offsets<'a>(
        &'a self,
        of: &'a [(TopicPartition, Start)],
    ) -> Answer<'a, Vec<(TopicPartition, Offset)>> {
        let of = of.to_vec();
        Box::pin(self.ask(move |it| list::resolve(it, &of)))
    }
}

fn shows(configs: &BTreeMap<String, Config>, changes: &[(&str, Option<&str>)]) -> bool {
    changes.iter().all(|(name, value)| {
        let set = configs.get(*name).filter(|it| it.source == ConfigSource::Topic);
        set.and_then(|it| it.value.as_deref()) == *value
    })
}

fn config(entry: rdkafka::admin::ConfigEntry) -> Config {
    Config {
        value: entry.value,
        source: match entry.source {
            NativeSource::DynamicTopic => ConfigSource::Topic,
            NativeSource::DynamicBroker
            | NativeSource::DynamicDefaultBroker
            | NativeSource::StaticBroker => ConfigSource::Broker,
            NativeSource::Default => ConfigSource::Default,
            NativeSource::Unknown => ConfigSource::Unknown,
        },
        read_only: entry.is_read_only,
        sensitive: entry.is_sensitive,
    }
}

impl Groups for Administrator {
    fn groups(&self) -> Answer<'_, Vec<Group>> {
        Box::pin(self.ask(|it| {
            let failed = |error| failure::of(&error).about("list groups");
            let found = it.fetch_group_list(None, ANSWER_TIMEOUT).map_err(failed)?;
            let mut all: Vec<_> = found.groups().iter().map(group).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(all)
        }))
    }

    fn group<'a>(&'a self, name: &'a str) -> Answer<'a, Group> {
        let name = name.to_owned();
        Box::pin(self.ask(move |it| {
            let failed = |error| failure::of(&error).about(name.as_str());
            let found = it.fetch_group_list(Some(&name), ANSWER_TIMEOUT).map_err(failed)?;
            let unknown = || Error::new(Kind::UnknownGroup).about(name.as_str());
            found.groups().first().map(group).ok_or_else(unknown)
        }))
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let done = self.changes()?.delete_groups(&[group], &options()).await;
            self.told(one(group, done)).await
        })
    }

    fn group_offsets<'a>(
        &'a self,
        group: &'a str,
        of: &'a [TopicPartition],
    ) -> Answer<'a, Vec<(TopicPartition, Option<Offset>)>> {
        let question = list::of_partitions(of);
        Box::pin(self.outside(group, move |it| {
            let answer = it.committed_offsets(question, ANSWER_TIMEOUT);
            list::offsets(&answer.map_err(|it| failure::of(&it))?)
        }))
    }

    fn set_group_offsets<'a>(
        &'a self,
        group: &'a str,
        to: &'a [(TopicPartition, Offset)],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let positions = list::of_offsets(to)?;
            let commit = move |it: &BaseConsumer<Context>| {
                it.commit(&positions, CommitMode::Sync).map_err(|it| failure::of(&it))
            };
            self.outside(group, commit).await
        })
    }
}

fn group(it: &groups::GroupInfo) -> Group {
    let member = |it: &groups::GroupMemberInfo| Member {
        id: it.id().to_owned(),
        client_id: it.client_id().to_owned(),
        host: it.client_host().trim_start_matches('/').parse().ok(), // Java prints `/127.0.0.1`
        assigned: it.assignment().and_then(assignment).unwrap_or_default(),
    };
    let mut members: Vec<_> = it.members().iter().map(member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Group {
        name: it.name().to_owned(),
        state: it.state().to_owned(),
        protocol_type: it.protocol_type().to_owned(),
        protocol: it.protocol().to_owned(),
        members,
    }
}

/// A member's assignment: version, then topics, each with its partitions.
/// # Source  Kafka `ConsumerProtocolAssignment`, version 0 and later
fn assignment(mut bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut all = Vec::new();
    let _version = bytes.try_get_i16().ok()?;
    for _ in 0..bytes.try_get_i32().ok()? {
        let len = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let (name, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        let topic: Arc<str> = std::str::from_utf8(name).ok()?.into();
        for _ in 0..bytes.try_get_i32().ok()? {
            all.push(TopicPartition::new(topic.clone(), bytes.try_get_i32().ok()?));
        }
    }
    all.sort();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_a_torn_one_is_not() {
        let bytes = b"\0\x03\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x05\0\0\0\x02\xff\xff\xff\xff";
        let expected = vec![TopicPartition::new("t", 2), TopicPartition::new("t", 5)];
        assert_eq!(assignment(bytes), Some(expected));
        for len in 0..bytes.len() - 4 {
            assert_eq!(assignment(&bytes[..len]), None, "{len} bytes");
        }
    }
}
