//! DescribeClientQuotas, v0-1: which quotas were set for whom.
//!
//! Ours: in the order of entities.

use super::{Call, Handler, Need, Reply};
use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::quota::{Entity, Name, Values};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::describe_client_quotas_request::ComponentData;
use systole_wire::message::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use systole_wire::message::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use systole_wire::{ErrorCode, Rejected, Str};

pub(crate) struct DescribeClientQuotas;

/// Kinds of entities.
pub(super) const USER: &str = "user";
pub(super) const CLIENT_ID: &str = "client-id";
pub(super) const IP: &str = "ip";

impl Handler for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[(Operation::DescribeConfigs, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DescribeClientQuotasRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let allowed = call.authorize(Operation::DescribeConfigs, Resource::CLUSTER);
        let filter = allowed.map_err(Rejected::from).and_then(|()| filter(&request.components));
        let mut response =
            DescribeClientQuotasResponse { error_message: None, ..Default::default() };
        match filter {
            Ok(filter) => {
                let quotas = call.ctx.topics.quotas();
                let entries = quotas.all().filter_map(|(entity, values)| {
                    let names = names(entity);
                    let is_wanted = matches(&names, &filter, request.strict);
                    is_wanted.then(|| entry(names, values))
                });
                response.entries = Some(entries.collect());
            }
            Err(rejected) => {
                (response.error_code, response.error_message) = call.error(&rejected);
                response.entries = None;
            }
        }
        ready(Reply::Send(response))
    }
}

/// What the entity must be, by kind.
enum Match {
    /// Of this name, or the default.
    Exactly(Option<Str>),
    /// Of any name.
    Any,
}

fn filter(components: &[ComponentData]) -> Result<BTreeMap<&str, Match>, Rejected> {
    let refuse = |text: String| Err(Rejected::new(ErrorCode::InvalidRequest, text));
    let mut filter = BTreeMap::new();
    for it in components {
        let kind = &*it.entity_type;
        if kind.is_empty() {
            return refuse("Invalid empty entity type.".to_owned());
        }
        if filter.contains_key(kind) {
            return refuse(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let text = format!("Unsupported entity type {kind}");
            return Err(Rejected::new(ErrorCode::UnsupportedVersion, text));
        }
        let is_wanted = match (it.match_type, &it.r#match) {
            (0, Some(name)) => Match::Exactly(Some(name.clone())),
            (1, None) => Match::Exactly(None),
            (2, None) => Match::Any,
            (0, None) => {
                let text = "Request specified MATCH_TYPE_EXACT, but set match string to null.";
                return refuse(text.to_owned());
            }
            (kind @ (1 | 2), Some(_)) => {
                let kind = if kind == 1 { "DEFAULT" } else { "SPECIFIED" };
                return refuse(format!(
                    "Request specified MATCH_TYPE_{kind}, but also specified a match string."
                ));
            }
            (other, _) => return refuse(format!("Unknown match type {other}")),
        };
        filter.insert(kind, is_wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        let text = "Invalid entity filter component combination. IP filter component should not \
                    be used with user or clientId filter component.";
        return refuse(text.to_owned());
    }
    Ok(filter)
}

type Names = Vec<(&'static str, Option<Str>)>;

fn names(entity: &Entity) -> Names {
    let name = |it: &Name| match it {
        Name::Default => None,
        Name::Of(it) => Some(Str::from(&**it)),
    };
    match entity {
        Entity::User(user) => vec![(USER, name(user))],
        Entity::ClientId(client_id) => vec![(CLIENT_ID, name(client_id))],
        Entity::Both { user, client_id } => {
            vec![(CLIENT_ID, name(client_id)), (USER, name(user))]
        }
        Entity::Address(it) => vec![(IP, it.map(|it| it.to_string().into()))],
    }
}

fn matches(names: &Names, filter: &BTreeMap<&str, Match>, strict: bool) -> bool {
    let found = filter.iter().filter(|(kind, wanted)| {
        let name = names.iter().find(|(it, _)| it == *kind).map(|it| &it.1);
        match wanted {
            Match::Any => name.is_some(),
            Match::Exactly(wanted) => name == Some(wanted),
        }
    });
    found.count() == filter.len() && (!strict || names.len() == filter.len())
}

fn entry(names: Names, values: &Values) -> EntryData {
    let entity = |(kind, entity_name)| EntityData {
        entity_type: Str::from_static(kind),
        entity_name,
        ..Default::default()
    };
    let value = |(key, bound): (&systole_guard::quota::Key, &systole_guard::quota::Bound)| {
        let key = Str::from_static(key.text());
        ValueData { key, value: bound.value(), ..Default::default() }
    };
    EntryData {
        entity: names.into_iter().map(entity).collect(),
        values: values.iter().map(value).collect(),
        ..Default::default()
    }
}
