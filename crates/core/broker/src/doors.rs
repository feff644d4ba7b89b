//! The doors' keys: certificates, passwords and provider keys, read at the start and watched.
//!
//! Owns: opening all of it before anything listens, taking up changes, the way in for the node's
//! own services. Does not own: what each is (`tls`, `sasl`), sockets (`server`).

use crate::broker::StartError;
use crate::config::BrokerConfig;
use crate::ctx::Ctx;
use crate::listener::{Listener, ListenerConfig};
use crate::sasl::{OWN_USER, Sasl};
use crate::tls::{CERTIFICATE_ENDS, CERTIFICATE_KEPT, Look, Tls};
use std::net::SocketAddr;
use std::sync::Arc;
use systole_world::secret::Given;
use systole_world::{ClockExt as _, World};
use tokio::task::spawn_blocking;

/// The door that is for this process alone: SCRAM-SHA-256 on loopback, with a password that was
/// made at the start and is nowhere else.
#[derive(Debug, Clone)]
pub struct OwnAccess {
    pub address: SocketAddr,
    pub user: &'static str,
    pub password: Given,
}

impl OwnAccess {
    /// By the door at `address`.
    pub(crate) fn at(address: SocketAddr, ctx: &Ctx) -> Self {
        let password = Given(ctx.sasl.own_password().disclose().into());
        Self { address, user: OWN_USER, password }
    }
}

/// Certificates, passwords, keys.
pub(crate) async fn open_security(
    doors: Vec<ListenerConfig>,
    config: &BrokerConfig,
    world: &World,
) -> Result<(Vec<Arc<Listener>>, Sasl), StartError> {
    let (settings, world) = (config.sasl.clone(), world.clone());
    let last = doors.len().saturating_sub(1);
    let has_own = !config.listeners.is_empty();
    let opening = spawn_blocking(move || -> Result<_, StartError> {
        let mut listeners = Vec::new();
        for (at, it) in doors.into_iter().enumerate() {
            let failed = |source| StartError::Tls { listener: it.name.clone(), source };
            let tls = it.tls.as_ref().map(|it| Tls::open(it, &world)).transpose();
            listeners.push(Arc::new(Listener {
                tls: tls.map_err(failed)?.map(Arc::new),
                name: it.name.into(),
                protocol: it.protocol,
                advertised: it.advertised,
                is_own: has_own && at == last,
            }));
        }
        Ok((listeners, Sasl::open(&settings, &world)?))
    });
    opening.await?
}

/// Takes up changed certificates, and watches their ends, until the node stops.
pub(crate) async fn watch_files(ctx: Arc<Ctx>, listeners: Vec<Arc<Listener>>) {
    loop {
        for it in &listeners {
            if let Some(tls) = &it.tls {
                look_at(&ctx, &it.name, tls).await;
            }
        }
        tokio::select! {
            () = ctx.stopping.cancelled() => return,
            () = ctx.world.clock.sleep(ctx.config.reload_interval) => {}
        }
    }
}

async fn look_at(ctx: &Ctx, listener: &str, tls: &Arc<Tls>) {
    let looking = Arc::clone(tls);
    match spawn_blocking(move || looking.look()).await {
        Ok(Look::TakenUp) => tracing::info!(listener, "new certificates taken up"),
        Ok(Look::Broken(error)) => {
            let text = "changed certificates cannot be used; those at hand stay";
            tracing::warn!(code = %CERTIFICATE_KEPT, listener, %error, "{text}");
        }
        Ok(Look::Same) | Err(_) => {}
    }
    for (what, at) in tls.ends() {
        ctx.metrics.set_certificate_end(listener, what.name(), at);
    }
    if let Some((what, at)) = tls.end_to_tell() {
        let (code, file) = (CERTIFICATE_ENDS, what.name());
        let seconds = at.since(ctx.world.clock.now()).as_secs();
        match seconds / (24 * 3600) {
            _ if seconds == 0 => tracing::error!(%code, listener, file, "is out of date"),
            days_left => tracing::warn!(%code, listener, file, days_left, "will be out of date"),
        }
    }
}
