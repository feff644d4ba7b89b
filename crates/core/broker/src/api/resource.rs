//! Settings as the configuration APIs see them: of topics, and of this node.
//!
//! Owns: which resources have settings, the value in force of each with where it comes from, and
//! the edits that clients ask for. Does not own: the settings of topics (`catalogue::config`).

use super::Call;
use crate::config::BrokerConfig;
use crate::ctx::Ctx;
use systole_catalogue::config::{self, Definition, Kind};
use systole_catalogue::{Durable, Overrides, Scope, plan};
use systole_guard::quota::rate::Windows;
use systole_guard::{Operation, Resource};
use systole_wire::{ErrorCode, Rejected};

/// Kafka's numbers for kinds of resources.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// Kafka's numbers for where a value comes from.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 2;
const OF_ALL_BROKERS: i8 = 3;
const OF_FILE: i8 = 4;
const DEFAULT: i8 = 5;

/// One setting with its value in force, and the values that it stands before.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
    pub(crate) read_only: bool,
    /// Name, value, source: the first is in force.
    pub(crate) synonyms: Vec<(&'static str, String, i8)>,
    default: &'static str,
}

impl Entry {
    pub(crate) fn value(&self) -> &str {
        self.synonyms.first().map_or(self.default, |it| it.1.as_str())
    }
    pub(crate) fn source(&self) -> i8 {
        self.synonyms.first().map_or(DEFAULT, |it| it.2)
    }
}

/// Whose settings a client means, if it may do this to them.
pub(crate) fn scope(
    call: &Call,
    operation: Operation,
    kind: i8,
    name: &str,
) -> Result<Scope, Rejected> {
    match kind {
        TOPIC => call.authorize(operation, Resource::topic(name))?,
        BROKER | LOGGER | CLIENT_METRICS => call.authorize(operation, Resource::CLUSTER)?,
        GROUP => call.authorize(operation, Resource::group(name))?,
        _ => {}
    }
    let refuse = |text: String| Err(Rejected::new(ErrorCode::InvalidRequest, text));
    let node_id = call.ctx.config.node_id;
    match kind {
        TOPIC if name.is_empty() => refuse("Default topic resources are not allowed.".to_owned()),
        TOPIC => plan::check_name(name).map(|()| Scope::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(Scope::BrokerDefault),
        BROKER if name.parse() == Ok(node_id) => Ok(Scope::Broker),
        BROKER => refuse(format!("Unexpected broker id, expected {node_id} or an empty string.")),
        _ => refuse(format!("Resources of type {kind} have no settings here.")),
    }
}

/// Whose settings a client wants changed, by Kafka's number and name of the resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) kind: i8,
    pub(crate) name: &'a str,
    /// Says whether it could be done, and does not.
    pub(crate) only_check: bool,
}

/// Makes of the settings of a resource what `edit` makes of them, as a whole or not at all.
pub(crate) fn alter(
    call: &Call,
    asked: Asked<'_>,
    edit: impl FnOnce(&Scope, Overrides) -> Result<Overrides, Rejected>,
) -> Result<Option<Durable>, Rejected> {
    let scope = scope(call, Operation::AlterConfigs, asked.kind, asked.name)?;
    let topics = &call.ctx.topics;
    if asked.only_check {
        return edit(&scope, topics.overrides(&scope)?).map(|_| None);
    }
    topics.alter(&scope, |before| edit(&scope, before)).map(Some)
}

/// Everything that `scope` shows.
pub(crate) fn describe(ctx: &Ctx, scope: &Scope) -> Result<Vec<Entry>, Rejected> {
    match scope {
        Scope::Topic(_) => Ok(of_topic(ctx, &ctx.topics.overrides(scope)?)),
        Scope::Broker => Ok(of_broker(ctx)),
        Scope::BrokerDefault => Ok(of_all_brokers(ctx)),
    }
}

/// The settings of a topic with these overrides.
pub(crate) fn of_topic(ctx: &Ctx, overrides: &Overrides) -> Vec<Entry> {
    let (own, all) = ctx.topics.broker_overrides();
    let entry = |it: &'static Definition| {
        let mut synonyms = broker_synonyms(it, &own, &all);
        if let Some(value) = overrides.get(it.name) {
            synonyms.insert(0, (it.name, value.clone(), OF_TOPIC));
        }
        Entry { synonyms, ..entry_of(it, it.name) }
    };
    config::DEFINITIONS.iter().map(entry).collect()
}

fn of_broker(ctx: &Ctx) -> Vec<Entry> {
    let (own, all) = ctx.topics.broker_overrides();
    let dynamic = dynamic_definitions().map(|it| {
        let synonyms = broker_synonyms(it, &own, &all);
        Entry { synonyms, ..entry_of(it, it.broker_name) }
    });
    let mut entries: Vec<_> = dynamic.chain(fixed(&ctx.config)).collect();
    entries.sort_by_key(|it| it.name);
    entries
}

/// Kafka shows of all brokers together only what was set.
fn of_all_brokers(ctx: &Ctx) -> Vec<Entry> {
    let (_, all) = ctx.topics.broker_overrides();
    let entry = |it: &'static Definition| {
        let value = all.get(it.broker_name)?;
        let synonyms = vec![(it.broker_name, value.clone(), OF_ALL_BROKERS)];
        Some(Entry { synonyms, ..entry_of(it, it.broker_name) })
    };
    dynamic_definitions().filter_map(entry).collect()
}

fn dynamic_definitions() -> impl Iterator<Item = &'static Definition> {
    config::DEFINITIONS.iter().filter(|it| !it.broker_name.is_empty())
}

fn entry_of(it: &Definition, name: &'static str) -> Entry {
    let (kind, doc, default) = (it.kind, it.doc, it.default);
    Entry { name, kind, doc, default, read_only: false, synonyms: Vec::new() }
}

fn broker_synonyms(
    it: &'static Definition,
    own: &Overrides,
    all: &Overrides,
) -> Vec<(&'static str, String, i8)> {
    let name = it.broker_name;
    let set = |from: &Overrides, source| from.get(name).map(|value| (name, value.clone(), source));
    let default = (!name.is_empty()).then(|| (name, it.default.to_owned(), DEFAULT));
    [set(own, OF_BROKER), set(all, OF_ALL_BROKERS), default].into_iter().flatten().collect()
}

/// Settings that are read at start, under the names that Kafka has for them.
fn fixed(it: &BrokerConfig) -> impl Iterator<Item = Entry> {
    let millis = it.connections_idle_max.as_millis();
    let doors = it.doors();
    let shown = doors.iter().take(it.listeners.len().max(1));
    let shown = shown.map(|it| format!("{}://{}", it.protocol.name(), it.address));
    let listeners = shown.collect::<Vec<_>>().join(",");
    let dir = it.dir.display().to_string();
    let overrides = it.connections_per_address_overrides.iter();
    let overrides = overrides.map(|(address, max)| format!("{address}:{max}"));
    let overrides = overrides.collect::<Vec<_>>().join(",");
    let cuts = it.quotas.cuts();
    let seconds = |it: Windows| it.length.as_secs().to_string();
    [
        ("auto.create.topics.enable", it.auto_create_topics.to_string(), Kind::Boolean),
        ("broker.id", it.node_id.to_string(), Kind::Int),
        ("connections.max.idle.ms", millis.to_string(), Kind::Long),
        ("controller.quota.window.num", cuts.mutations.count.to_string(), Kind::Int),
        ("controller.quota.window.size.seconds", seconds(cuts.mutations), Kind::Int),
        ("default.replication.factor", "1".to_owned(), Kind::Int),
        ("delete.topic.enable", "true".to_owned(), Kind::Boolean),
        ("listeners", listeners, Kind::List),
        ("log.dirs", dir, Kind::String),
        ("max.connections", it.connections().to_string(), Kind::Int),
        ("max.connections.per.ip", it.connections_per_address_max.to_string(), Kind::Int),
        ("max.connections.per.ip.overrides", overrides, Kind::String),
        ("node.id", it.node_id.to_string(), Kind::Int),
        ("num.partitions", it.partitions_default.to_string(), Kind::Int),
        ("quota.window.num", cuts.rates.count.to_string(), Kind::Int),
        ("quota.window.size.seconds", seconds(cuts.rates), Kind::Int),
        ("socket.request.max.bytes", it.request_bytes_max.to_string(), Kind::Int),
    ]
    .into_iter()
    .map(|(name, value, kind)| Entry {
        name,
        kind,
        doc: "Read from the node's configuration at its start.",
        read_only: true,
        synonyms: vec![(name, value, OF_FILE)],
        default: "",
    })
}

/// What a client wants to do with one setting.
#[derive(Debug)]
pub(crate) enum Edit<'a> {
    Set(&'a str),
    Delete,
    Append(&'a str),
    Subtract(&'a str),
}

/// Applies one edit to the overrides of `scope`.
pub(crate) fn edit(
    scope: &Scope,
    overrides: &mut Overrides,
    name: &str,
    edit: &Edit<'_>,
) -> Result<(), Rejected> {
    let definition = match scope {
        Scope::Topic(_) => config::of_topic(name),
        Scope::Broker | Scope::BrokerDefault => config::of_broker(name),
    };
    let shown: String = name.chars().take(100).collect();
    let Some(definition) = definition else {
        return Err(match scope {
            Scope::Topic(_) => plan::illegal(&config::ConfigError::Unknown(shown)),
            _ => Rejected::new(
                ErrorCode::InvalidRequest,
                format!("Cannot update these configs dynamically: {shown}"),
            ),
        });
    };
    let is_list = definition.kind == Kind::List;
    if matches!(edit, Edit::Append(_) | Edit::Subtract(_)) && !is_list {
        let text = format!("Can't APPEND to or SUBTRACT from {name}: its type is not LIST.");
        return Err(Rejected::new(ErrorCode::InvalidConfig, text));
    }
    let current = overrides.get(name).map_or(definition.default, String::as_str);
    let value = match *edit {
        Edit::Delete => {
            overrides.remove(name);
            return Ok(());
        }
        Edit::Set(value) => value.to_owned(),
        Edit::Append(more) => {
            let mut parts: Vec<_> = config::split_list(current).collect();
            parts.extend(
                config::split_list(more)
                    .filter(|it| !config::split_list(current).any(|other| other == *it)),
            );
            parts.join(",")
        }
        Edit::Subtract(less) => {
            let kept = |it: &&str| !config::split_list(less).any(|other| other == *it);
            config::split_list(current).filter(kept).collect::<Vec<_>>().join(",")
        }
    };
    definition.check(&value).map_err(|error| match scope {
        Scope::Topic(_) => plan::illegal(&error),
        Scope::Broker | Scope::BrokerDefault => {
            Rejected::new(ErrorCode::InvalidRequest, format!("{name}: {error}"))
        }
    })?;
    overrides.insert(name.to_owned(), value);
    Ok(())
}
