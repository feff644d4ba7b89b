//! DescribeUserScramCredentials, v0: who can log in by SCRAM, and with how many iterations.
//!
//! Ours: users of the configuration (`sasl.users`) are not shown; they are not kept here.

use super::{Call, Handler, Need, Reply};
use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_wire::Str;
use systole_wire::message::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use systole_wire::message::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DescribeUserScramCredentials;

impl Handler for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DescribeUserScramCredentialsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let mut response =
            DescribeUserScramCredentialsResponse { error_message: None, ..Default::default() };
        match call.authorize(Operation::Describe, Resource::CLUSTER) {
            Ok(()) => response.results = describe(&call, request),
            Err(denied) => {
                (response.error_code, response.error_message) = call.error(&denied.into());
            }
        }
        ready(Reply::Send(response))
    }
}

fn describe(
    call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> Vec<DescribeUserScramCredentialsResult> {
    let known = call.ctx.topics.scram_users();
    let mut asked: BTreeMap<Str, usize> = BTreeMap::new();
    let named = request.users.unwrap_or_default();
    for it in named {
        *asked.entry(it.name).or_default() += 1;
    }
    if asked.is_empty() {
        asked = known.keys().map(|it| (Str::from(&**it), 1)).collect();
    }
    let one = |(user, times): (Str, usize)| {
        let refuse = |code, text: String| {
            let (error_code, error_message) = call.error(&Rejected::new(code, text));
            let user = user.clone();
            DescribeUserScramCredentialsResult {
                user,
                error_code,
                error_message,
                ..Default::default()
            }
        };
        if times > 1 {
            let text = "Cannot describe SCRAM credentials for the same user twice in one request.";
            return refuse(ErrorCode::DuplicateResource, text.to_owned());
        }
        let Some(credentials) = known.get(&*user) else {
            let text = "Attempt to describe a user credential that does not exist.";
            return refuse(ErrorCode::ResourceNotFound, text.to_owned());
        };
        let info = |(mechanism, iterations): &(i8, i32)| CredentialInfo {
            mechanism: *mechanism,
            iterations: *iterations,
            ..Default::default()
        };
        DescribeUserScramCredentialsResult {
            error_message: None,
            credential_infos: credentials.iter().map(info).collect(),
            user,
            ..Default::default()
        }
    };
    asked.into_iter().map(one).collect()
}
