//! What every request can reach.
//!
//! Owns: the one list of the node's parts. Does not own: any of them.

use crate::config::BrokerConfig;
use crate::fetch_budget::FetchBudget;
use crate::fetch_session::FetchSessions;
use crate::metric::Metrics;
use crate::quota::Gauges;
use crate::sasl::Sasl;
use crate::server::Seldom;
use crate::share_session::ShareSessions;
use std::sync::Arc;
use systole_catalogue::Catalogue;
use systole_coordinator::ProducerIds;
use systole_coordinator::group::Coordinator;
use systole_coordinator::share::Shares;
use systole_coordinator::transaction;
use systole_log::Log;
use systole_world::World;
use tokio_util::sync::CancellationToken;

/// The node as its APIs see it. One per node, shared by all connections.
#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) config: BrokerConfig,
    pub(crate) world: World,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) gauges: Gauges,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) fetch_budget: FetchBudget,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) topics: Arc<Catalogue>,
    pub(crate) groups: Coordinator,
    pub(crate) shares: Shares,
    pub(crate) share_sessions: ShareSessions,
    pub(crate) sasl: Sasl,
    /// Whether access lists are asked.
    pub(crate) enforces_access: bool,
    pub(crate) transactions: transaction::Coordinator,
    /// Refusals of access lists in the log.
    pub(crate) denials: Seldom,
    /// Cancelled when the node begins to stop: whatever waits for something that may never come
    /// (new records, other members) answers at once with what it has.
    pub(crate) stopping: CancellationToken,
}
