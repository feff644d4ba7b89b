//! TLS of one listener: its certificates, and who the caller's certificate names.
//!
//! Owns: reading the files, taking them up again when they change, the settings of the TLS library.
//! Does not own: bytes of a connection (`server::stream`), names and their rules (`identity`).
//!
//! TLS 1.2 and 1.3 with the library's own choice of ciphers, and no early data. A changed
//! certificate holds for new connections; one that cannot be used is told, and the one before
//! stays.

use crate::listener::{ClientAuth, TlsConfig};
use crate::sasl::read_file;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use systole_identity::mapping::{NotARule, Rules};
use systole_identity::{NotProven, certificate};
use systole_kit::Code;
use systole_world::{Clock, Disk, World};

/// Largest file of certificates or keys, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Plaintext that waits to be encrypted for one connection, in bytes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Sessions that one listener remembers, so that their callers come back without a new proof.
const SESSIONS_MAX: usize = 1024;
pub(crate) const CERTIFICATE_KEPT: Code = Code::new(2018);

/// What keeps a listener's TLS from working.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no usable {what}", path = path.display())]
    Content { path: PathBuf, what: &'static str },
    #[error(transparent)]
    Rules(#[from] NotARule),
    #[error("certificate and key cannot be used: {0}")]
    Refused(#[from] rustls::Error),
    #[error("the authorities of callers cannot be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsConfig,
    rules: Rules,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    /// Of all files together, so that a change is noticed and no key is kept twice.
    digest: Vec<u8>,
    config: Arc<ServerConfig>,
}

/// Certificates are judged by the clock that was handed in.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

impl Tls {
    /// Blocks on file IO.
    pub(crate) fn open(settings: &TlsConfig, world: &World) -> Result<Self, TlsError> {
        let files = Files::read(settings, &*world.disk)?;
        let config = files.config(settings, &world.clock)?;
        Ok(Self {
            rules: settings.rules()?,
            settings: settings.clone(),
            disk: Arc::clone(&world.disk),
            clock: Arc::clone(&world.clock),
            current: RwLock::new(Current { digest: files.digest(), config: Arc::new(config) }),
        })
    }

    /// The server's side of a new connection.
    pub(crate) fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let mut connection = ServerConnection::new(Arc::clone(&current.config))?;
        connection.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        Ok(connection)
    }

    /// The user whom the caller's certificate names. `None`: it showed none, and need not.
    pub(crate) fn user(&self, connection: &ServerConnection) -> Result<Option<String>, NotProven> {
        let Some(shown) = connection.peer_certificates().and_then(|it| it.first()) else {
            return Ok(None);
        };
        let name = certificate::subject(shown)?;
        self.rules.apply(&name).map(Some).ok_or(NotProven)
    }

    /// Takes up changed files; whether there were any. Blocks on file IO.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.settings, &*self.disk)?;
        let digest = files.digest();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).digest == digest {
            return Ok(false);
        }
        let config = Arc::new(files.config(&self.settings, &self.clock)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { digest, config };
        Ok(true)
    }
}

/// What the files hold, unread.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<(PathBuf, Vec<u8>)>,
}

impl Files {
    fn read(settings: &TlsConfig, disk: &dyn Disk) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            let failed = |source| TlsError::Read { path: path.to_owned(), source };
            read_file(disk, path, FILE_BYTES_MAX).map_err(failed)
        };
        let client_ca = match &settings.client_ca_file {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        Ok(Self {
            certificate: read(&settings.certificate_file)?,
            key: read(&settings.key_file)?,
            client_ca,
        })
    }

    fn digest(&self) -> Vec<u8> {
        let mut context = ::aws_lc_rs::digest::Context::new(&::aws_lc_rs::digest::SHA256);
        let client_ca = self.client_ca.as_ref().map_or(&[][..], |it| it.1.as_slice());
        for it in [self.certificate.as_slice(), &self.key, client_ca] {
            context.update(&(it.len() as u64).to_be_bytes());
            context.update(it);
        }
        context.finish().as_ref().to_vec()
    }

    fn config(
        &self,
        settings: &TlsConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&settings.certificate_file, &self.certificate)?;
        let no_key = |_| content(&settings.key_file, "private key");
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(no_key)?;
        let time = Arc::new(Time(Arc::clone(clock)));
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), time)
            .with_protocol_versions(&[&TLS13, &TLS12])?;
        let mut config = match self.verifier(settings, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        }
        .with_single_cert(chain, key)?;
        config.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS_MAX);
        Ok(config)
    }

    fn verifier(
        &self,
        settings: &TlsConfig,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>, TlsError> {
        let Some((path, pem)) = &self.client_ca else { return Ok(None) };
        if settings.client_auth == ClientAuth::None {
            return Ok(None);
        }
        let mut roots = RootCertStore::empty();
        for it in certificates(path, pem)? {
            roots.add(it)?;
        }
        let provider = Arc::clone(provider);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(Some(match settings.client_auth {
            ClientAuth::Required => builder.build()?,
            ClientAuth::None | ClientAuth::Requested => builder.allow_unauthenticated().build()?,
        }))
    }
}

fn content(path: &Path, what: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), what }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|_| content(path, "certificate"))?;
    if read.is_empty() { Err(content(path, "certificate")) } else { Ok(read) }
}
