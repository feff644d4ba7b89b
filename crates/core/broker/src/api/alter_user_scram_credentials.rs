//! AlterUserScramCredentials, v0: sets and removes SCRAM credentials.
//!
//! The password never comes here: clients send it hashed, and of that only what a login must be
//! compared with is kept. The answer leaves when it is on disk. Ours: salts of at most 128 bytes,
//! names of at most 1 KiB, at most 100,000 credentials.

use super::{Call, Handler, Need, Reply};
use std::collections::HashMap;
use std::future::Future;
use std::ops::{Range, RangeInclusive};
use systole_catalogue::{CredentialKey, Durable};
use systole_guard::{Operation, Resource, ResourceType};
use systole_identity::scram::{Credential, Mechanism};
use systole_wire::Str;
use systole_wire::message::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use systole_wire::message::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use systole_wire::message::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct AlterUserScramCredentials;

/// Kafka's limits.
const ITERATIONS: RangeInclusive<i32> = 4096..=16384;
const SALT_BYTES: Range<usize> = 1..129;
const NAME_BYTES: Range<usize> = 1..1025;

impl Handler for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Alter, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: AlterUserScramCredentialsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let begun = begin(&call, &request);
        async move {
            let mut results = Vec::with_capacity(begun.len());
            for (user, begun) in begun {
                let (error_code, error_message) = call.finish(begun.map(Some)).await;
                results.push(AlterUserScramCredentialsResult {
                    user,
                    error_code,
                    error_message,
                    ..Default::default()
                });
            }
            Reply::Send(AlterUserScramCredentialsResponse { results, ..Default::default() })
        }
    }
}

type Change = (CredentialKey, Option<Credential>);

/// All changes of one user happen or none; one wrong user does not keep the others from changing.
fn begin(
    call: &Call,
    request: &AlterUserScramCredentialsRequest,
) -> Vec<(Str, Result<Durable, Rejected>)> {
    let allowed = call.authorize(Operation::Alter, Resource::CLUSTER);
    let deletions = request.deletions.iter().map(|it| (&it.name, delete(it)));
    let upsertions = request.upsertions.iter().map(|it| (&it.name, upsert(it)));
    let mut order = Vec::new();
    let mut by_user = HashMap::<Str, Vec<Result<Change, Rejected>>>::new();
    for (user, change) in deletions.chain(upsertions) {
        if !by_user.contains_key(user) {
            order.push(user.clone());
        }
        by_user.entry(user.clone()).or_default().push(change);
    }
    let one = |user: Str| {
        let changes = by_user.remove(&user).unwrap_or_default();
        let begun = allowed.map_err(Rejected::from).and_then(|()| {
            let changes = changes.into_iter().collect::<Result<Vec<_>, _>>()?;
            let is_twice = |(at, it): (usize, &Change)| {
                changes.iter().skip(at + 1).any(|other| other.0 == it.0)
            };
            if changes.iter().enumerate().any(is_twice) {
                let text = "A user credential cannot be altered twice in the same request";
                return Err(Rejected::new(ErrorCode::DuplicateResource, text));
            }
            call.ctx.topics.change_credentials(changes)
        });
        (user, begun)
    };
    order.into_iter().map(one).collect()
}

fn refuse<T>(text: &str) -> Result<T, Rejected> {
    Err(Rejected::new(ErrorCode::UnacceptableCredential, text))
}

fn key(name: &Str, mechanism: i8) -> Result<CredentialKey, Rejected> {
    if !NAME_BYTES.contains(&name.len()) {
        return refuse("Username must not be empty, nor longer than 1024 bytes");
    }
    let unknown = || Rejected::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    let mechanism = Mechanism::from_number(mechanism).ok_or_else(unknown)?;
    Ok(CredentialKey { user: (&**name).into(), mechanism })
}

fn delete(it: &ScramCredentialDeletion) -> Result<Change, Rejected> {
    Ok((key(&it.name, it.mechanism)?, None))
}

fn upsert(it: &ScramCredentialUpsertion) -> Result<Change, Rejected> {
    let key = key(&it.name, it.mechanism)?;
    if it.iterations < *ITERATIONS.start() {
        return refuse("Too few iterations");
    }
    let Some(iterations) =
        u32::try_from(it.iterations).ok().filter(|_| ITERATIONS.contains(&it.iterations))
    else {
        return refuse("Too many iterations");
    };
    if !SALT_BYTES.contains(&it.salt.len()) {
        return refuse("The salt must have 1 to 128 bytes");
    }
    if it.salted_password.len() != key.mechanism.hash_bytes() {
        return refuse("The salted password is not as long as the mechanism's hash");
    }
    let credential = Credential::from_salted_password(
        key.mechanism,
        &it.salted_password,
        it.salt.to_vec(),
        iterations,
    );
    Ok((key, Some(credential)))
}
