//! SaslAuthenticate, v0-2: the messages of the mechanism that SaslHandshake agreed on.
//!
//! Anyone may ask: it is the proof. v1+: how long the proof is good for (KIP-368). A failed proof
//! is SASL_AUTHENTICATION_FAILED, held back for `sasl.failure_delay`, without a reason and alike
//! for users who are there and users who are not; then the connection ends. Ours: the text of a
//! failure does not name the mechanism.

use super::{Call, Handler, Need, Outcome, Reply, Running};
use crate::ctx::Ctx;
use crate::sasl::session::Step;
use crate::server::Peer;
use bytes::Bytes;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Code;
use systole_wire::message::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use systole_wire::{ErrorCode, Rejected};
use systole_world::ClockExt as _;

pub(crate) struct SaslAuthenticate;

/// Someone did not prove who they are.
const NOT_PROVEN: Code = Code::new(2013);

impl Handler for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const NEEDS: &'static [Need] = &[];

    fn handle(
        call: Call,
        request: SaslAuthenticateRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let step = call.peer.session.step(&call.ctx, &call.peer.listener, &request.auth_bytes);
        drop(request);
        async move {
            let answer = match finish(&call.ctx, &call.peer, step).await {
                Ok((auth_bytes, lifetime)) => SaslAuthenticateResponse {
                    error_message: None,
                    auth_bytes,
                    session_lifetime_ms: millis(lifetime),
                    ..Default::default()
                },
                Err(rejected) => {
                    let (error_code, error_message) = call.error(&rejected);
                    SaslAuthenticateResponse { error_code, error_message, ..Default::default() }
                }
            };
            Reply::Send(answer)
        }
    }
}

/// 0: the proof is good as long as the connection.
fn millis(lifetime: Option<Duration>) -> i64 {
    lifetime.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX).max(1))
}

async fn finish(
    ctx: &Arc<Ctx>,
    peer: &Peer,
    step: Step,
) -> Result<(Bytes, Option<Duration>), Rejected> {
    let step = match step {
        Step::Token(token) => {
            let found = ctx.sasl.check_token(ctx, &token).await;
            if let Err(why) = found {
                tracing::debug!(address = %peer.address, %why, "a token was refused");
            }
            peer.session.end_token(ctx, found)
        }
        step => step,
    };
    match step {
        Step::Challenge(bytes) => Ok((bytes, None)),
        Step::Proven(bytes, lifetime) => {
            ctx.metrics.proven.inc();
            Ok((bytes, lifetime))
        }
        Step::Failed | Step::Token(_) => {
            ctx.metrics.not_proven.inc();
            ctx.sasl.failed.say(ctx, |hidden| {
                let (code, address, listener) = (NOT_PROVEN, peer.address, &*peer.listener.name);
                tracing::warn!(%code, %address, listener, hidden, "authentication failed");
            });
            ctx.world.clock.sleep(ctx.config.sasl.failure_delay).await;
            peer.session.fail();
            let text = "Authentication failed: invalid credentials.";
            Err(Rejected::new(ErrorCode::SaslAuthenticationFailed, text))
        }
        Step::OutOfPlace => {
            let text = "SaslHandshake comes first, and has agreed on no mechanism.";
            if peer.listener.protocol.asks_sasl() && !peer.session.is_proven() {
                peer.session.fail();
            }
            Err(Rejected::new(ErrorCode::IllegalSaslState, text))
        }
    }
}

/// A message of the mechanism without Kafka's headers, after SaslHandshake v0. A failure ends the
/// connection without an answer.
pub(super) fn raw(ctx: &Arc<Ctx>, peer: &Arc<Peer>, message: &Bytes) -> Running {
    let step = peer.session.step(ctx, &peer.listener, message);
    let (ctx, peer) = (Arc::clone(ctx), Arc::clone(peer));
    Box::pin(async move {
        let Ok((answer, _)) = finish(&ctx, &peer, step).await else {
            return Outcome::Close("authentication failed").into();
        };
        let length = i32::try_from(answer.len()).unwrap_or(0).to_be_bytes();
        Outcome::Send(vec![Bytes::copy_from_slice(&length), answer]).into()
    })
}
