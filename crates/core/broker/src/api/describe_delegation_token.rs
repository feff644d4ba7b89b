//! DescribeDelegationToken, v1-3: there are no delegation tokens.
//!
//! Everyone is told so, as by a Kafka without `delegation.token.secret.key` (`call.no_tokens`).

use super::{Call, Handler, Need, Reply};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::message::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

pub(crate) struct DescribeDelegationToken;

impl Handler for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        _: DescribeDelegationTokenRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let error_code = call.no_tokens();
        ready(Reply::Send(DescribeDelegationTokenResponse { error_code, ..Default::default() }))
    }
}
