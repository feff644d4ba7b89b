//! What one connection has proved so far.
//!
//! Owns: the states from "nobody" to "this user until then" and back into a new proof. Does not
//! own: the mechanisms' messages (`identity`), answers (`api::sasl_handshake`,
//! `api::sasl_authenticate`), closing (`server::connection`).
//!
//! Until a connection has proved who is there, it may ask ApiVersions, SaslHandshake and
//! SaslAuthenticate, one at a time.

use super::{Mechanism, OWN_PRINCIPAL};
use crate::ctx::Ctx;
use crate::listener::Listener;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use systole_guard::Principal;
use systole_identity::scram::{self, Exchange, First};
use systole_identity::{plain, token};
use systole_wire::ApiKey;
use systole_wire::ErrorCode;
use systole_world::Instant;

/// What a client sends to say that it has understood the refusal of its token.
const UNDERSTOOD: &[u8] = b"\x01";
/// The refusal of a token. RFC 7628, section 3.2.2.
const TOKEN_REFUSED: &[u8] = br#"{"status":"invalid_token"}"#;

#[derive(Debug)]
pub(crate) struct Session {
    is_proven: AtomicBool,
    is_failed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    proven: Option<Proven>,
    stage: Stage,
    principal: Arc<Principal>,
}

#[derive(Debug, Clone, Copy)]
struct Proven {
    mechanism: Option<Mechanism>,
    expires_at: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// The mechanism is agreed. Raw: what follows are its messages without Kafka's headers.
    Chosen {
        mechanism: Mechanism,
        is_raw: bool,
    },
    Challenged {
        mechanism: Mechanism,
        is_raw: bool,
        exchange: Box<Exchange>,
    },
    /// The client has yet to say that it understood the refusal of its token.
    TokenRefused {
        is_raw: bool,
    },
}

/// What follows from a client's message.
#[derive(Debug)]
pub(crate) enum Step {
    /// The mechanism goes on with this.
    Challenge(Bytes),
    /// The proof holds; how long, if not for ever.
    Proven(Bytes, Option<Duration>),
    /// A token to be checked, which may take reading keys; then [`Session::end_token`].
    Token(String),
    Failed,
    /// No mechanism was agreed.
    OutOfPlace,
}

impl Session {
    /// Of a connection to a listener that asks nobody.
    pub(crate) fn anonymous() -> Self {
        let it = Self::unproven();
        it.prove(Principal::anonymous(), Proven { mechanism: None, expires_at: None });
        it
    }
    pub(crate) fn unproven() -> Self {
        let principal = Arc::new(Principal::anonymous());
        Self {
            is_proven: AtomicBool::new(false),
            is_failed: AtomicBool::new(false),
            state: Mutex::new(State { proven: None, stage: Stage::Idle, principal }),
        }
    }

    /// The caller showed a certificate, or none was asked for.
    pub(crate) fn prove_by_certificate(&self, user: Option<&str>) {
        let principal = user.map_or_else(Principal::anonymous, Principal::user);
        self.prove(principal, Proven { mechanism: None, expires_at: None });
    }

    pub(crate) fn principal(&self) -> Arc<Principal> {
        Arc::clone(&self.lock().principal)
    }
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Acquire)
    }
    /// The connection ends once its last answer has left.
    pub(crate) fn is_failed(&self) -> bool {
        self.is_failed.load(Ordering::Acquire)
    }
    pub(crate) fn fail(&self) {
        self.is_failed.store(true, Ordering::Release);
    }
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.lock().proven.and_then(|it| it.expires_at)
    }
    /// What anyone may ask, and the rest.
    pub(crate) fn may_ask(&self, api: ApiKey) -> bool {
        const FIRST: [ApiKey; 3] =
            [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];
        self.is_proven() || FIRST.contains(&api)
    }
    /// The next frame is a message of the mechanism alone (SaslHandshake v0).
    pub(crate) fn is_raw(&self) -> bool {
        !self.is_proven() && self.lock().stage.is_raw()
    }

    /// Whether a proof may begin now: the first one, or one anew where it ends some time.
    pub(crate) fn may_begin(&self) -> bool {
        let state = self.lock();
        state
            .proven
            .map_or_else(|| matches!(state.stage, Stage::Idle), |it| it.expires_at.is_some())
    }

    /// Agrees on a mechanism. Whoever has proved who they are may begin anew only if that ends, and
    /// with the same mechanism.
    pub(crate) fn choose(&self, mechanism: Mechanism, is_raw: bool) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        let may = match state.proven {
            None => matches!(state.stage, Stage::Idle),
            Some(it) => it.expires_at.is_some() && it.mechanism == Some(mechanism),
        };
        if !may {
            return Err(ErrorCode::IllegalSaslState);
        }
        state.stage = Stage::Chosen { mechanism, is_raw };
        Ok(())
    }

    /// Takes a message of the mechanism.
    pub(crate) fn step(&self, ctx: &Ctx, listener: &Listener, message: &[u8]) -> Step {
        let stage = std::mem::replace(&mut self.lock().stage, Stage::Idle);
        match stage {
            Stage::Idle => Step::OutOfPlace,
            Stage::Chosen { mechanism: Mechanism::Plain, .. } => self.plain(ctx, listener, message),
            Stage::Chosen { mechanism: Mechanism::OauthBearer, is_raw } => {
                let read = token::read_bearer(message);
                // Kept for what follows the check.
                self.lock().stage = Stage::TokenRefused { is_raw };
                read.map_or(Step::Failed, |it| Step::Token(it.to_owned()))
            }
            Stage::Chosen { mechanism, is_raw } => {
                let Ok(first) = First::read(message) else { return Step::Failed };
                let whose = (&*first.user, listener.is_own);
                let Some(scram) = scram_of(mechanism) else { return Step::Failed };
                let credential = ctx.sasl.credential(ctx, scram, whose);
                let mut random = [0; 24];
                ctx.world.random.fill(&mut random);
                let exchange = Box::new(Exchange::begin(scram, first, credential, random));
                let challenge = Bytes::copy_from_slice(exchange.challenge().as_bytes());
                self.lock().stage = Stage::Challenged { mechanism, is_raw, exchange };
                Step::Challenge(challenge)
            }
            Stage::Challenged { mechanism, exchange, .. } => match exchange.finish(message) {
                Ok((user, answer)) => {
                    let principal = principal_of(listener, &user);
                    self.end(ctx, (principal, mechanism), None, answer.into())
                }
                Err(failed) => failed.into(),
            },
            Stage::TokenRefused { .. } if message == UNDERSTOOD => Step::Failed,
            Stage::TokenRefused { .. } => Step::Failed,
        }
    }

    fn plain(&self, ctx: &Ctx, listener: &Listener, message: &[u8]) -> Step {
        let Ok(claim) = plain::read(message) else { return Step::Failed };
        if listener.is_own || !ctx.sasl.has_password(claim) {
            return Step::Failed;
        }
        let principal = principal_of(listener, claim.user);
        self.end(ctx, (principal, Mechanism::Plain), None, Bytes::new())
    }

    /// What a token's check has found.
    pub(crate) fn end_token(
        &self,
        ctx: &Ctx,
        found: Result<token::Proven, token::Refused>,
    ) -> Step {
        let Ok(token::Proven { user, expires_at }) = found else {
            return Step::Challenge(Bytes::from_static(TOKEN_REFUSED));
        };
        let left = expires_at.since(ctx.world.clock.now());
        self.lock().stage = Stage::Idle;
        let who = (Principal::user(&user), Mechanism::OauthBearer);
        self.end(ctx, who, Some(left), Bytes::new())
    }

    fn end(
        &self,
        ctx: &Ctx,
        (principal, mechanism): (Principal, Mechanism),
        left: Option<Duration>,
        answer: Bytes,
    ) -> Step {
        if self.is_proven() && *self.lock().principal != principal {
            return Step::Failed; // as in Kafka, a connection stays with its user
        }
        let allowed = ctx.config.sasl.reauthenticate_after;
        let lifetime = [left, allowed].into_iter().flatten().min();
        let expires_at = lifetime.map(|it| ctx.world.clock.instant().plus(it));
        self.prove(principal, Proven { mechanism: Some(mechanism), expires_at });
        Step::Proven(answer, lifetime)
    }

    fn prove(&self, principal: Principal, proven: Proven) {
        let mut state = self.lock();
        state.principal = Arc::new(principal);
        state.proven = Some(proven);
        self.is_proven.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    const fn is_raw(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Chosen { is_raw, .. }
            | Self::Challenged { is_raw, .. }
            | Self::TokenRefused { is_raw } => *is_raw,
        }
    }
}

const fn scram_of(mechanism: Mechanism) -> Option<scram::Mechanism> {
    match mechanism {
        Mechanism::ScramSha256 => Some(scram::Mechanism::Sha256),
        Mechanism::ScramSha512 => Some(scram::Mechanism::Sha512),
        Mechanism::Plain | Mechanism::OauthBearer => None,
    }
}

fn principal_of(listener: &Listener, user: &str) -> Principal {
    if listener.is_own {
        Principal::parse(OWN_PRINCIPAL).unwrap_or_else(|_| Principal::anonymous())
    } else {
        Principal::user(user)
    }
}

/// What a listener offers.
pub(crate) fn offered(ctx: &Ctx, listener: &Listener) -> Vec<Mechanism> {
    if listener.is_own {
        return vec![Mechanism::ScramSha256];
    }
    ctx.config.sasl.mechanisms.iter().copied().collect()
}
