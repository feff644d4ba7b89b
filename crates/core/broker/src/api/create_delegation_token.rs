//! CreateDelegationToken, v1-3: there are no delegation tokens.
//!
//! Everyone is told so, as by a Kafka without `delegation.token.secret.key` (`call.no_tokens`).

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::message::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};

pub(crate) struct CreateDelegationToken;

impl Handler for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        _: CreateDelegationTokenRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let error_code = call.no_tokens();
        ready(Reply::Send(CreateDelegationTokenResponse { error_code, ..Default::default() }))
    }
}
