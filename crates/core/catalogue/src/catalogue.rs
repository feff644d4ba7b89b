//! The topics of this node: opening the catalogue, and asking it.
//!
//! Owns: the way from the journal to the state and the partitions of the log, and the order of
//! changes. Does not own: the changes (`change`), rules (`plan`), the state (`state`).

use crate::fact::Fact;
use crate::journal::{self, Journal, JournalError, Replayed};
use crate::plan::Site;
use crate::setting::Overrides;
use crate::state::{State, Topic};
use std::collections::HashSet;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use systole_group::consumer::{self, Topics};
use systole_guard::{AccessList, Policy};
use systole_kit::Uuid;
use systole_log::{Log, Ticket};
use systole_wire::Str;
use systole_wire::{ErrorCode, Rejected};
use systole_world::World;

/// Ready once a change is on disk.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), Rejected>> + Send>>;

/// All topics. Shared; reading takes a read lock for one look-up.
#[derive(Debug)]
pub struct Catalogue {
    pub(crate) site: Site,
    pub(crate) world: World,
    pub(crate) journal: Journal,
    state: RwLock<State>,
    /// Held from the check of a change until it took effect.
    pub(crate) turn: Mutex<()>,
}

impl Catalogue {
    /// Replays the journal and makes the log hold exactly the partitions of its topics: what a
    /// crash left half made is made, what it left half deleted is deleted. Blocks on file IO.
    pub fn open(
        log: &Log,
        world: &World,
        site: Site,
        policy: Policy,
    ) -> Result<Opened, JournalError> {
        let (journal, replayed) = Journal::open(log)?;
        let mut state = State { access: AccessList::new(policy), ..State::default() };
        replayed.facts.iter().for_each(|it| state.apply(it));
        if replayed.damaged {
            // What was lost may have spoken for ids; this is further than it can have gone.
            state.producer_ids_end = state.producer_ids_end.saturating_add(PRODUCER_IDS_GAP);
        }
        let mut ticket = Ticket::NONE;
        if state.cluster_id.is_zero() {
            let fact = Fact::Cluster(world.random.uuid());
            state.apply(&fact);
            ticket = journal.append(&[fact], world.clock.now())?;
        }
        ticket = ticket.and(match_partitions(log, &state, replayed.damaged)?);
        let (world, state) = (world.clone(), RwLock::new(state));
        let catalogue = Self { site, world, journal, state, turn: Mutex::default() };
        Ok(Opened { catalogue, replayed, ticket })
    }

    /// The node as plans see it.
    pub fn site(&self) -> Site {
        self.site
    }
    pub fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().by_name.get(name).cloned()
    }
    pub fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().by_id.get(&id).cloned()
    }
    /// Every topic, in the order of names.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.read().by_name.values().cloned().collect()
    }
    /// The id that this data directory was given when it was made.
    pub fn cluster_id(&self) -> Str {
        self.read().cluster_id.to_string().into()
    }
    /// Dynamic settings by broker names: this node's, and those of all nodes.
    pub fn broker_overrides(&self) -> (Overrides, Overrides) {
        let state = self.read();
        (state.broker.clone(), state.broker_default.clone())
    }

    /// The rules in force. Held for one decision: a change waits for it.
    pub fn access(&self) -> MappedAccess<'_> {
        MappedAccess(self.read())
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access lists inside the catalogue, while they are read.
#[derive(Debug)]
pub struct MappedAccess<'a>(RwLockReadGuard<'a, State>);

impl Deref for MappedAccess<'_> {
    type Target = AccessList;

    fn deref(&self) -> &AccessList {
        &self.0.access
    }
}

impl Topics for Catalogue {
    fn version(&self) -> u64 {
        self.read().version
    }
    fn by_name(&self, name: &str) -> Option<consumer::Topic> {
        let topic = self.by_name(name)?;
        Some(consumer::Topic { id: topic.id, partition_count: topic.partition_count })
    }
    fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.by_id(id).map(|it| Arc::clone(&it.name))
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.read().by_name.keys().cloned().collect()
    }
}

/// A catalogue whose first changes are on their way to the disk.
#[derive(Debug)]
pub struct Opened {
    catalogue: Catalogue,
    replayed: Replayed,
    ticket: Ticket,
}

impl Opened {
    /// Waits for the disk, and writes the journal anew if most of it is outdated.
    pub async fn settle(self) -> Result<Catalogue, JournalError> {
        let Self { catalogue, replayed, ticket } = self;
        catalogue.journal.log().done(ticket).await?;
        let holding = catalogue.read().facts();
        if !replayed.damaged && replayed.facts.len() > holding.len() + journal::OUTDATED_MAX {
            catalogue.journal.rewrite(&holding, catalogue.world.clock.now()).await?;
        }
        Ok(catalogue)
    }
}

fn match_partitions(log: &Log, state: &State, damaged: bool) -> Result<Ticket, JournalError> {
    let mut ticket = Ticket::NONE;
    let mut known = HashSet::from([journal::PARTITION]);
    for topic in state.by_name.values() {
        for id in topic.partitions() {
            ticket = ticket.and(log.create(id, topic.partition_config())?.1);
            known.insert(id);
        }
    }
    let orphans = log.partitions().into_iter().map(|it| it.id()).filter(|it| !known.contains(it));
    for id in orphans {
        if damaged {
            let code = DAMAGED_CATALOGUE;
            tracing::error!(%code, partition = %id, "kept, though no topic is known for it");
        } else {
            tracing::info!(partition = %id, "removed: its topic was deleted");
            ticket = ticket.and(log.delete(id)?);
        }
    }
    Ok(ticket)
}

/// Part of the catalogue's journal is damaged: topics or settings may be missing.
pub(crate) const DAMAGED_CATALOGUE: systole_kit::Code = systole_kit::Code::new(2010);

/// Producer ids that are left out after damage.
const PRODUCER_IDS_GAP: i64 = 1 << 40;

/// The answer for a topic that is not there.
pub fn unknown(name: &str) -> Rejected {
    let shown: String = name.chars().take(249).collect();
    let text = format!("This server does not host the topic {shown}.");
    Rejected::new(ErrorCode::UnknownTopicOrPartition, text)
}
