//! The topics of this node, and changes to them.
//!
//! Owns: the state in memory and the order of changes. Does not own: rules (`plan`), values
//! (`setting`).
//!
//! A change is checked and takes effect at once, in one step that others see whole; the future that
//! it returns tells when it is on disk. Answer a client after that.

use super::name;
use super::plan::{self, NewTopic, Site};
use super::setting::{Overrides, Settings};
use crate::code::{ErrorCode, Rejected};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use systole_kit::Uuid;
use systole_wire::Str;
use systole_world::World;

/// Ready once a change is on disk.
pub(crate) type Durable = Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send>>;

/// One topic, as it was at one moment: a change makes a new value and leaves this one as it is.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partition_count: i32,
    /// What was set for this topic alone, by Kafka's names.
    pub(crate) overrides: Overrides,
    /// All settings in force.
    pub(crate) settings: Settings,
}

impl Topic {
    /// Made and used by the node itself; clients may read it.
    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL_NAMES.contains(&&*self.name)
    }
}

/// Topics that Kafka calls internal.
pub(crate) const INTERNAL_NAMES: &[&str] = &["__consumer_offsets", "__transaction_state"];
/// The catalogue's own partition; no topic may have its name.
const OWN_NAME: &str = "__cluster_metadata";

/// All topics. Shared; reading takes a read lock for one look-up.
#[derive(Debug)]
pub(crate) struct Catalogue {
    site: Site,
    world: World,
    cluster_id: Str,
    state: RwLock<State>,
    /// Held from the check of a change until it took effect.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
    /// Dynamic settings of the node, by their broker names.
    broker: Overrides,
}

impl Catalogue {
    pub(crate) fn new(world: &World, site: Site) -> Self {
        let cluster_id = world.random.uuid().to_string().into();
        let world = world.clone();
        Self { site, world, cluster_id, state: RwLock::default(), turn: Mutex::default() }
    }

    /// The id that this data directory was given when it was made.
    pub(crate) fn cluster_id(&self) -> Str {
        self.cluster_id.clone()
    }
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().by_name.get(name).cloned()
    }
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().by_id.get(&id).cloned()
    }
    /// Every topic, in the order of names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.read().by_name.values().cloned().collect()
    }
    /// Dynamic settings of the node, by their broker names.
    pub(crate) fn broker_overrides(&self) -> Overrides {
        self.read().broker.clone()
    }

    /// Checks what [`Catalogue::create`] would check, and how many partitions there would be.
    pub(crate) fn check_create(&self, wanted: &NewTopic) -> Result<(i32, Overrides), Rejected> {
        plan::check_name(&wanted.name)?;
        if wanted.name == OWN_NAME {
            let text = format!("Creation of internal topic {OWN_NAME} is prohibited.");
            return Err(Rejected::new(ErrorCode::InvalidRequest, text));
        }
        self.read().check_free(&wanted.name)?;
        let configs = plan::new_configs(&wanted.configs)?;
        Ok((plan::partition_count(wanted, self.site)?, configs))
    }

    /// Adds a topic.
    pub(crate) fn create(&self, wanted: &NewTopic) -> Result<(Arc<Topic>, Durable), Rejected> {
        let _turn = self.take_turn();
        let (partition_count, overrides) = self.check_create(wanted)?;
        let settings = Settings::new(&overrides, &self.read().broker);
        let topic = Arc::new(Topic {
            name: wanted.name.as_str().into(),
            id: self.world.random.uuid(),
            partition_count,
            overrides,
            settings,
        });
        self.write().put(Arc::clone(&topic));
        Ok((topic, Box::pin(async { Ok(()) })))
    }

    /// Removes a topic and its records.
    pub(crate) fn delete(&self, topic: &Topic) -> Result<Durable, Rejected> {
        let _turn = self.take_turn();
        self.write().remove(topic.id).ok_or_else(|| unknown(&topic.name))?;
        Ok(Box::pin(async { Ok(()) }))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer for a topic that is not there.
pub(crate) fn unknown(name: &str) -> Rejected {
    let text = format!("This server does not host the topic {name}.");
    Rejected::new(ErrorCode::UnknownTopicOrPartition, text)
}

impl State {
    fn check_free(&self, wanted: &str) -> Result<(), Rejected> {
        if self.by_name.contains_key(wanted) {
            let text = format!("Topic '{wanted}' already exists.");
            return Err(Rejected::new(ErrorCode::TopicAlreadyExists, text));
        }
        let flat = name::without_dots(wanted);
        let may_collide = wanted.contains(['.', '_']);
        if may_collide
            && let Some(other) = self.by_name.keys().find(|it| name::without_dots(it) == flat)
        {
            let text = format!("Topic '{wanted}' collides with existing topic: {other}");
            return Err(Rejected::new(ErrorCode::InvalidTopic, text));
        }
        Ok(())
    }
    fn put(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(Arc::clone(&topic.name), topic);
    }
    fn remove(&mut self, id: Uuid) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(&topic.name)
    }
}
