//! The keys of the identity provider, from a URL or a file.
//!
//! Owns: when they are read, how long they count, what an operator is told. Does not own: the way
//! to a URL (`fetch`), what a key proves (`identity`).
//! Reading order: [`Provider::check`] -> [`Provider::watch`] -> [`Provider::read`].
//!
//! Invariants
//! - One read at a time, and none more often than every [`UNKNOWN_KEY_INTERVAL_MIN`] because of a
//!   token: whoever makes keys up cannot make us ask the provider.
//! - Keys at hand count until newer ones are here, or until they are too old.

use super::{OauthConfig, SaslError, read_file};
use crate::ctx::Ctx;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use systole_fetch::{Url, Wanted};
use systole_identity::token::{Algorithm, Expected, Keys, NotKeys, Proven, Refused};
use systole_kit::Code;
use systole_world::{ClockExt as _, Disk, Instant, World};
use tokio::sync::Mutex;

/// An unknown key makes us read the keys again no more often than this.
const UNKNOWN_KEY_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Largest set of keys, in bytes.
const KEYS_BYTES_MAX: usize = 1024 * 1024;
/// How long the provider may take to answer. Callers wait for it, and may wait ten seconds.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(5);
/// Newer keys were not read, those at hand stay.
const KEYS_KEPT: Code = Code::new(2017);
/// There are no keys that count.
const NO_KEYS: Code = Code::new(2040);

#[derive(Debug)]
pub(crate) struct Provider {
    source: Source,
    expected: Expected,
    algorithms: Vec<Algorithm>,
    interval: Duration,
    age_max: Duration,
    known: RwLock<Known>,
    /// Reads that have ended, well or not.
    reads: AtomicU64,
    turn: Mutex<Turn>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url(Wanted),
}

/// The keys that were read last, and when.
#[derive(Debug, Default)]
struct Known {
    keys: Option<Arc<Keys>>,
    read_at: Option<Instant>,
}

/// Held while keys are read.
#[derive(Debug, Default)]
struct Turn {
    tried_at: Option<Instant>,
    /// What the log was told last: the same trouble is told once.
    told: Option<String>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Fetch(#[from] systole_fetch::Error),
    #[error(transparent)]
    Content(#[from] NotKeys),
    #[error("the URL cannot be used: {0}")]
    Url(#[from] systole_fetch::url::NotAUrl),
}

impl Provider {
    /// A file must be good; a URL need not answer yet: its provider may start after this node.
    /// Blocks on file IO.
    pub(crate) fn open(settings: &OauthConfig, world: &World) -> Result<Self, SaslError> {
        let failed = |place: String| move |source| SaslError::Keys { path: place, source };
        let algorithms: Vec<_> = settings.algorithms.iter().copied().collect();
        let mut known = Known::default();
        let (source, interval) = match (&settings.keys_url, &settings.keys_file) {
            (Some(text), _) => {
                let url = Url::read(text).map_err(KeysError::from);
                let wanted = Wanted {
                    url: url.map_err(failed(text.clone()))?,
                    ca_file: settings.keys_ca_file.clone(),
                    media_type: "application/json",
                    bytes_max: KEYS_BYTES_MAX,
                    wait_max: FETCH_WAIT_MAX,
                };
                (Source::Url(wanted), settings.keys_refresh_interval)
            }
            (None, path) => {
                let path = path.clone().unwrap_or_default();
                let keys = read_keys_file(&path, &algorithms, &*world.disk);
                known.keys = Some(Arc::new(keys.map_err(failed(path.display().to_string()))?));
                known.read_at = Some(world.clock.instant());
                (Source::File(path), Duration::ZERO)
            }
        };
        let turn = Turn { tried_at: known.read_at, told: None };
        Ok(Self {
            source,
            expected: Expected {
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                user_claim: settings.user_claim.clone(),
                skew: settings.clock_skew,
            },
            algorithms,
            interval,
            age_max: settings.keys_age_max,
            known: RwLock::new(known),
            reads: AtomicU64::new(0),
            turn: Mutex::new(turn),
        })
    }

    /// Checks a token; a key that is not known makes us look for newer keys.
    pub(crate) async fn check(&self, ctx: &Ctx, token: &str) -> Result<Proven, Refused> {
        let reads = self.reads.load(Ordering::Acquire);
        let first = self.check_now(ctx, token);
        if first != Err(Refused::UnknownKey) || !self.look_again(ctx, reads).await {
            return first;
        }
        self.check_now(ctx, token)
    }

    fn check_now(&self, ctx: &Ctx, token: &str) -> Result<Proven, Refused> {
        let keys = self.counting(ctx.world.clock.instant()).ok_or(Refused::UnknownKey)?;
        self.expected.check(&keys, token, ctx.world.clock.now())
    }

    /// The keys at hand, unless they are too old.
    fn counting(&self, now: Instant) -> Option<Arc<Keys>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let counts = known.read_at.is_some_and(|it| now < it.plus(self.age_max));
        known.keys.clone().filter(|_| counts)
    }

    /// Reads the keys again for someone who may be making keys up; whether they were read since
    /// there had been `reads` of them.
    async fn look_again(&self, ctx: &Ctx, reads: u64) -> bool {
        let mut turn = self.turn.lock().await; // waits for a read that is under way
        if self.reads.load(Ordering::Acquire) != reads {
            return true;
        }
        let now = ctx.world.clock.instant();
        if turn.tried_at.is_some_and(|it| now < it.plus(UNKNOWN_KEY_INTERVAL_MIN)) {
            return false;
        }
        self.read(ctx, &mut turn).await;
        true
    }

    /// Follows the keys until the node stops.
    pub(crate) async fn watch(&self, ctx: &Ctx) {
        let interval = self.interval.max(ctx.config.reload_interval);
        let following = async {
            loop {
                let now = ctx.world.clock.instant();
                let read_at = self.known.read().unwrap_or_else(PoisonError::into_inner).read_at;
                let mut turn = self.turn.lock().await;
                if read_at.is_none_or(|it| it.plus(interval) <= now) {
                    self.read(ctx, &mut turn).await;
                }
                drop(turn);
                ctx.world.clock.sleep(ctx.config.reload_interval).await;
            }
        };
        tokio::select! {
            () = ctx.stopping.cancelled() => {}
            () = following => {}
        }
    }

    /// Reads the keys; those at hand stay if that fails.
    async fn read(&self, ctx: &Ctx, turn: &mut Turn) {
        turn.tried_at = Some(ctx.world.clock.instant());
        let read = self.source.read(ctx, &self.algorithms).await;
        let now = ctx.world.clock.instant();
        match read {
            Ok(keys) => {
                let known = Known { keys: Some(Arc::new(keys)), read_at: Some(now) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
                let seconds = ctx.world.clock.now().as_millis() / 1000;
                ctx.metrics.token_keys_read_at.set(seconds);
                if turn.told.take().is_some() {
                    tracing::info!(from = %self.source, "the provider's keys are read again");
                }
            }
            Err(error) => {
                ctx.metrics.token_keys_failed.inc();
                self.tell(&error, turn, now);
            }
        }
        self.reads.fetch_add(1, Ordering::AcqRel);
    }

    fn tell(&self, error: &KeysError, turn: &mut Turn, now: Instant) {
        let has_keys = self.counting(now).is_some();
        let trouble = format!("{has_keys} {error}");
        if turn.told.as_ref() == Some(&trouble) {
            return;
        }
        turn.told = Some(trouble);
        let from = &self.source;
        if has_keys {
            let text = "the provider's keys were not read anew; those at hand stay";
            tracing::warn!(code = %KEYS_KEPT, %from, %error, "{text}");
        } else {
            let text = "there are no keys of the provider that count: every token is refused";
            tracing::error!(code = %NO_KEYS, %from, %error, "{text}");
        }
    }
}

impl Source {
    async fn read(&self, ctx: &Ctx, algorithms: &[Algorithm]) -> Result<Keys, KeysError> {
        match self {
            Self::Url(wanted) => {
                let bytes = systole_fetch::get(&ctx.world, wanted).await?;
                Ok(Keys::read(&bytes, algorithms)?)
            }
            Self::File(path) => {
                let (path, disk) = (path.clone(), Arc::clone(&ctx.world.disk));
                let algorithms = algorithms.to_vec();
                let reading = move || read_keys_file(&path, &algorithms, &*disk);
                let read = tokio::task::spawn_blocking(reading).await;
                read.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped).into()))
            }
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(wanted) => write!(f, "{}", wanted.url),
        }
    }
}

fn read_keys_file(
    path: &std::path::Path,
    algorithms: &[Algorithm],
    disk: &dyn Disk,
) -> Result<Keys, KeysError> {
    let bytes = read_file(disk, path, KEYS_BYTES_MAX)?;
    Ok(Keys::read(&bytes, algorithms)?)
}
