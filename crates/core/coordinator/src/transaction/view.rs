//! Transactional ids as administrators see them.
//!
//! Owns: what is shown. Does not own: the answers on the wire (`api`).

use super::coordinator::Coordinator;
use std::collections::BTreeSet;
use std::sync::Arc;
use systole_transaction::{Place, Producer, State};

/// One transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub id: Arc<str>,
    pub producer: Producer,
    pub state: State,
    pub timeout_ms: i32,
    /// -1: no transaction ever began.
    pub started_at_ms: i64,
    pub places: BTreeSet<Place>,
}

impl Coordinator {
    pub fn describe(&self, id: &str) -> Option<Described> {
        self.look(id, |it| it)
    }

    /// Every id that `wanted` accepts, in the order of ids.
    pub fn list(&self, wanted: impl Fn(&Described) -> bool) -> Vec<Described> {
        let mut ids: Vec<_> = self.0.all().iter().map(|it| Arc::clone(&it.id)).collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.describe(id)).filter(wanted).collect()
    }

    fn look<R>(&self, id: &str, show: impl FnOnce(Described) -> R) -> Option<R> {
        let described = self.enter(id, false, |slot, inner| {
            let it = inner.current()?;
            Some(Described {
                id: Arc::clone(&slot.id),
                producer: it.producer(),
                state: it.state(),
                timeout_ms: it.timeout_ms(),
                started_at_ms: it.started_at_ms(),
                places: it.places().clone(),
            })
        });
        described.flatten().map(show)
    }
}
