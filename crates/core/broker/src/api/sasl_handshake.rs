//! SaslHandshake, v0-1: which mechanism the caller proves itself by.
//!
//! Anyone may ask: it comes before anyone is known. v0: the mechanism's messages follow without
//! Kafka's headers. On a listener without SASL, and out of turn, it is ILLEGAL_SASL_STATE; a
//! mechanism that is not offered ends the connection after the answer, as in Kafka.

use super::{Call, Handler, Need, Reply};
use crate::sasl::{Mechanism, session};
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::{SaslHandshakeRequest, SaslHandshakeResponse};

pub(crate) struct SaslHandshake;

impl Handler for SaslHandshake {
    type Request = SaslHandshakeRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        request: SaslHandshakeRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let peer = &call.peer;
        let asks = peer.listener.protocol.asks_sasl();
        let offered = if asks { session::offered(&call.ctx, &peer.listener) } else { Vec::new() };
        let wanted = Mechanism::from_name(&request.mechanism).filter(|it| offered.contains(it));
        let chosen = match wanted {
            _ if !asks || !peer.session.may_begin() => Err(ErrorCode::IllegalSaslState),
            None => Err(ErrorCode::UnsupportedSaslMechanism),
            Some(it) => peer.session.choose(it, call.version == 0),
        };
        if asks && chosen.is_err() && !peer.session.is_proven() {
            peer.session.fail();
        }
        ready(Reply::Send(SaslHandshakeResponse {
            error_code: call.code(chosen.err().unwrap_or(ErrorCode::None)),
            mechanisms: offered.iter().map(|it| Str::from_static(it.name())).collect(),
        }))
    }
}
