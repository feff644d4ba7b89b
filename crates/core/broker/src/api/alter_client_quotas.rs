//! AlterClientQuotas, v0-1: sets and removes quotas of users, client ids and addresses.
//!
//! Each entity changes as a whole or not at all, and the answer leaves when it is on disk. Ours: an
//! `ip` is an address, names are not looked up; names of at most 1 KiB, at most 100,000 entities;
//! values that are no numbers are refused.

use super::describe_client_quotas::{CLIENT_ID, IP, USER};
use super::{Call, Handler, Need, Reply};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use systole_catalogue::Durable;
use systole_guard::quota::{Bound, Entity, Key, Name};
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::message::alter_client_quotas_request as asked;
use systole_wire::message::alter_client_quotas_response as told;
use systole_wire::message::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use systole_wire::{ErrorCode, Rejected, Str};

pub(crate) struct AlterClientQuotas;

const NAME_BYTES_MAX: usize = 1024;

impl Handler for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[(Operation::AlterConfigs, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: AlterClientQuotasRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let allowed = call.authorize(Operation::AlterConfigs, Resource::CLUSTER);
        let mut seen = BTreeMap::<Names, Result<Option<Durable>, Rejected>>::new();
        for it in &request.entries {
            let names = names(it);
            let begun = if seen.contains_key(&names) {
                refuse("Ignoring duplicate entity")
            } else {
                let changes = allowed.map_err(Rejected::from).and_then(|()| changes(&names, it));
                changes.and_then(|(entity, changes)| {
                    let topics = &call.ctx.topics;
                    let change = || topics.change_quotas(&entity, &changes).map(Some);
                    if request.validate_only { Ok(None) } else { change() }
                })
            };
            seen.insert(names, begun);
        }
        async move {
            let mut entries = Vec::with_capacity(seen.len());
            for (names, begun) in seen {
                let (error_code, error_message) = call.finish(begun).await;
                let entity = |(entity_type, entity_name)| told::EntityData {
                    entity_type,
                    entity_name,
                    ..Default::default()
                };
                entries.push(told::EntryData {
                    error_code,
                    error_message,
                    entity: names.into_iter().map(entity).collect(),
                    ..Default::default()
                });
            }
            Reply::Send(AlterClientQuotasResponse { entries, ..Default::default() })
        }
    }
}

fn refuse<T>(text: impl Into<String>) -> Result<T, Rejected> {
    Err(Rejected::new(ErrorCode::InvalidRequest, text))
}

/// Names by kind; of a kind that is named twice the last counts.
type Names = BTreeMap<Str, Option<Str>>;

fn names(entry: &asked::EntryData) -> Names {
    entry.entity.iter().map(|it| (it.entity_type.clone(), it.entity_name.clone())).collect()
}

type Changes = Vec<(Key, Option<Bound>)>;

fn changes(names: &Names, entry: &asked::EntryData) -> Result<(Entity, Changes), Rejected> {
    let mut changes = Changes::new();
    let mut keys = Vec::new();
    for op in &entry.ops {
        if keys.contains(&&*op.key) {
            return refuse(format!("Duplicate quota key {}", shown(&op.key)));
        }
        keys.push(&*op.key);
    }
    let entity = entity(names)?;
    for op in &entry.ops {
        let Some(key) = Key::from_text(&op.key).filter(|it| entity.check(*it).is_ok()) else {
            // As in Kafka, what cannot be there can be removed.
            if op.remove {
                continue;
            }
            return refuse(format!("Invalid configuration key {}", shown(&op.key)));
        };
        let bound = if op.remove { None } else { Some(Bound::new(key, op.value)) };
        match bound.transpose() {
            Ok(bound) => changes.push((key, bound)),
            Err(wrong) => return refuse(wrong.to_string()),
        }
    }
    Ok((entity, changes))
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// # Source  Kafka `ClientQuotaControlManager`
fn entity(names: &Names) -> Result<Entity, Rejected> {
    for (kind, name) in names {
        if ![USER, CLIENT_ID, IP].contains(&&**kind) {
            return refuse(format!("Unhandled client quota entity type: {}", shown(kind)));
        }
        match name.as_deref() {
            Some("") => return refuse(format!("Empty {kind} not supported")),
            Some(it) if it.len() > NAME_BYTES_MAX => {
                return refuse(format!("{kind} is longer than {NAME_BYTES_MAX} bytes"));
            }
            _ => {}
        }
    }
    let name = |it: &Option<Str>| match it {
        None => Name::Default,
        Some(it) => Name::Of((**it).into()),
    };
    match (names.get(USER), names.get(CLIENT_ID), names.get(IP)) {
        (None, None, None) => refuse("Invalid empty client quota entity"),
        (Some(user), None, None) => Ok(Entity::User(name(user))),
        (None, Some(client_id), None) => Ok(Entity::ClientId(name(client_id))),
        (Some(user), Some(client_id), None) => {
            Ok(Entity::Both { user: name(user), client_id: name(client_id) })
        }
        (None, None, Some(None)) => Ok(Entity::Address(None)),
        (None, None, Some(Some(ip))) => match ip.parse::<std::net::IpAddr>() {
            Ok(it) => Ok(Entity::Address(Some(it.to_canonical()))),
            Err(_) => refuse(format!("{} is not a valid IP.", shown(ip))),
        },
        _ => refuse(
            "Invalid quota entity combination, IP entity should not be combined with User or \
             ClientId",
        ),
    }
}
