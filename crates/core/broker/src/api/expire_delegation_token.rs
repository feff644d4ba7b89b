//! ExpireDelegationToken, v1-2: there are no delegation tokens.
//!
//! Everyone is told so, as by a Kafka without `delegation.token.secret.key` (`call.no_tokens`).

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::message::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

pub(crate) struct ExpireDelegationToken;

impl Handler for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        _: ExpireDelegationTokenRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let error_code = call.no_tokens();
        ready(Reply::Send(ExpireDelegationTokenResponse { error_code, ..Default::default() }))
    }
}
