//! ListTransactions, v0-2: transactional ids by state, producer id, age (v1) and name (v2).
//!
//! Ours: the pattern of v2 is in the syntax of Rust's `regex`, which shares its ground with Kafka's
//! RE2/J.

use super::{Call, Handler, Need, Reply};
use regex::Regex;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_coordinator::transaction::Described;
use systole_guard::{Operation, Resource, ResourceType};
use systole_transaction::State;
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::list_transactions_response::TransactionState;
use systole_wire::message::{ListTransactionsRequest, ListTransactionsResponse};

pub(crate) struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::TransactionalId)];

    fn handle(
        call: Call,
        request: ListTransactionsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        ready(Reply::Send(list(&call, &request).unwrap_or_else(|code| ListTransactionsResponse {
            error_code: call.code(code),
            ..Default::default()
        })))
    }
}

fn list(
    call: &Call,
    request: &ListTransactionsRequest,
) -> Result<ListTransactionsResponse, ErrorCode> {
    let known = |it: &&Str| State::ALL.iter().any(|state| *state.name() == ***it);
    let pattern = request.transactional_id_pattern.as_deref().filter(|it| !it.is_empty());
    let pattern = pattern.map(|it| Regex::new(&format!("^(?:{it})$"))).transpose();
    let pattern = pattern.map_err(|_| ErrorCode::InvalidRegularExpression)?;
    let now_ms = call.ctx.world.clock.now().as_millis();
    let wanted = |it: &Described| {
        let states = &request.state_filters;
        let ids = &request.producer_id_filters;
        let age_ms = now_ms.saturating_sub(it.started_at_ms);
        (states.is_empty() || states.iter().any(|state| **state == *it.state.name()))
            && (ids.is_empty() || ids.contains(&it.producer.id))
            && (request.duration_filter < 0 || age_ms > request.duration_filter)
            && call.may(Operation::Describe, Resource::transactional_id(&it.id))
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&it.id))
    };
    let shown = |it: Described| TransactionState {
        transactional_id: (&*it.id).into(),
        producer_id: it.producer.id,
        transaction_state: it.state.name().into(),
        ..Default::default()
    };
    let unknown = request.state_filters.iter().filter(|it| !known(it));
    Ok(ListTransactionsResponse {
        unknown_state_filters: unknown.cloned().collect(),
        transaction_states: call.ctx.transactions.list(wanted).into_iter().map(shown).collect(),
        ..Default::default()
    })
}
