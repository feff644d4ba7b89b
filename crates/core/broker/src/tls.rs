//! TLS of one listener: its certificates, and who the caller's certificate names.
//!
//! Owns: reading the files, taking them up again when they change, the settings of the TLS library.
//! Does not own: bytes of a connection (`server::stream`), names and their rules (`identity`).
//!
//! TLS 1.2 and 1.3 with the library's own choice of ciphers, and no early data. A changed
//! certificate holds for new connections; one that cannot be used is told once, and the one before
//! stays. Where callers show certificates no session is remembered: each connection is judged by
//! the clock and the lists of revoked certificates of its own moment. As in Kafka, it then lasts as
//! long as it lasts, even if the certificate ends or is revoked meanwhile.

use crate::listener::{ClientAuth, TlsConfig};
use crate::sasl::read_file;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use systole_identity::mapping::{NotARule, Rules};
use systole_identity::{NotProven, certificate};
use systole_kit::{Code, Timestamp};
use systole_world::{Clock, Disk, World};

/// Largest file of certificates or keys, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Largest file of revoked certificates, in bytes: a hundred thousand of them have 4 MiB.
const REVOKED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Plaintext that waits to be encrypted for one connection, in bytes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Sessions that one listener remembers, so that their callers come back without a new proof.
const SESSIONS_MAX: usize = 1024;
pub(crate) const CERTIFICATE_KEPT: Code = Code::new(2018);
pub(crate) const CERTIFICATE_ENDS: Code = Code::new(2041);
/// So long before its end a certificate is told to the log.
const END_TOLD_BEFORE: Duration = Duration::from_hours(14 * 24);

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
    #[error("the authorities of callers, or their revoked certificates, cannot be used: {0}")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsConfig,
    rules: Rules,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    current: RwLock<Current>,
    told: Mutex<Told>,
}

/// What the log knows already.
#[derive(Debug, Default)]
struct Told {
    /// Files that cannot be used: their digest, or why they could not be read.
    broken: Vec<u8>,
    /// The file whose end it was told, and whether that was over.
    end: Option<(What, bool)>,
}

/// What has an end. The words are labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Certificate,
    ClientAuthority,
    RevokedList,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate_file",
            Self::ClientAuthority => "client_ca_file",
            Self::RevokedList => "client_crl_file",
        }
    }
}

/// What came of looking at the files again.
#[derive(Debug)]
pub(crate) enum Look {
    Same,
    TakenUp,
    /// Told for the first time.
    Broken(TlsError),
}

#[derive(Debug)]
struct Current {
    /// Of all files together, so that a change is noticed and no key is kept twice.
    digest: Vec<u8>,
    config: Arc<ServerConfig>,
    /// The first end in each file.
    ends: Vec<(What, Timestamp)>,
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
            current: RwLock::new(Current {
                digest: files.digest(),
                config: Arc::new(config),
                ends: files.ends(),
            }),
            told: Mutex::default(),
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

    /// Takes up changed files. Blocks on file IO.
    pub(crate) fn look(&self) -> Look {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, found) = match Files::read(&self.settings, &*self.disk) {
            Ok(files) => (files.digest(), Ok(files)),
            Err(error) => (error.to_string().into_bytes(), Err(error)),
        };
        if self.current.read().unwrap_or_else(PoisonError::into_inner).digest == state {
            told.broken.clear();
            return Look::Same;
        }
        if told.broken == state {
            return Look::Same;
        }
        let made = found.and_then(|files| {
            let config = Arc::new(files.config(&self.settings, &self.clock)?);
            Ok(Current { digest: state.clone(), config, ends: files.ends() })
        });
        match made {
            Ok(current) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
                *told = Told::default();
                Look::TakenUp
            }
            Err(error) => {
                told.broken = state;
                Look::Broken(error)
            }
        }
    }

    /// When the first certificate of each file ends, and the first list of revoked ones.
    pub(crate) fn ends(&self) -> Vec<(What, Timestamp)> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).ends.clone()
    }

    /// The file that ends first, if that is soon or over and the log does not know yet.
    pub(crate) fn end_to_tell(&self) -> Option<(What, Timestamp)> {
        let (what, at) = self.ends().into_iter().min_by_key(|it| it.1)?;
        let now = self.clock.now();
        let end = Some((what, at <= now));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if at > now.plus(END_TOLD_BEFORE) || told.end == end {
            return None;
        }
        told.end = end;
        Some((what, at))
    }
}

/// What the files hold, unread.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<(PathBuf, Vec<u8>)>,
    revoked: Option<(PathBuf, Vec<u8>)>,
}

impl Files {
    fn read(settings: &TlsConfig, disk: &dyn Disk) -> Result<Self, TlsError> {
        let read_up_to = |path: &Path, max| {
            let failed = |source| TlsError::Read { path: path.to_owned(), source };
            read_file(disk, path, max).map_err(failed)
        };
        let read = |path: &Path| read_up_to(path, FILE_BYTES_MAX);
        let client_ca = match &settings.client_ca_file {
            Some(path) => Some((path.clone(), read(path)?)),
            None => None,
        };
        let revoked = match &settings.client_crl_file {
            Some(path) => Some((path.clone(), read_up_to(path, REVOKED_BYTES_MAX)?)),
            None => None,
        };
        Ok(Self {
            certificate: read(&settings.certificate_file)?,
            key: read(&settings.key_file)?,
            client_ca,
            revoked,
        })
    }

    fn digest(&self) -> Vec<u8> {
        let mut context = ::aws_lc_rs::digest::Context::new(&::aws_lc_rs::digest::SHA256);
        let of = |it: &Option<(PathBuf, Vec<u8>)>| it.as_ref().map(|it| it.1.clone());
        let (client_ca, revoked) = (of(&self.client_ca), of(&self.revoked));
        let optional = [client_ca.unwrap_or_default(), revoked.unwrap_or_default()];
        for it in [&self.certificate, &self.key].into_iter().chain(&optional) {
            context.update(&(it.len() as u64).to_be_bytes());
            context.update(it);
        }
        context.finish().as_ref().to_vec()
    }

    fn ends(&self) -> Vec<(What, Timestamp)> {
        let of = |pem: &[u8]| -> Option<Timestamp> {
            let read = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
            read.filter_map(|it| certificate::not_after(&it).ok()).min()
        };
        let client_ca = self.client_ca.as_ref().and_then(|it| of(&it.1));
        let revoked = self.revoked.as_ref().and_then(|(_, pem)| {
            let lists = CertificateRevocationListDer::pem_slice_iter(pem).filter_map(Result::ok);
            lists.filter_map(|it| certificate::next_update(&it).ok()).min()
        });
        let found = [
            (What::Certificate, of(&self.certificate)),
            (What::ClientAuthority, client_ca),
            (What::RevokedList, revoked),
        ];
        found.into_iter().filter_map(|(what, at)| Some((what, at?))).collect()
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
        let verifier = self.verifier(settings, &provider)?;
        let sees_certificates = verifier.is_some();
        let mut config = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        }
        .with_single_cert(chain, key)?;
        if sees_certificates {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS_MAX);
        }
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
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let Some((path, pem)) = &self.revoked {
            builder = builder.with_crls(lists(path, pem)?).enforce_revocation_expiration();
        }
        Ok(Some(match settings.client_auth {
            ClientAuth::Required => builder.build()?,
            ClientAuth::None | ClientAuth::Requested => builder.allow_unauthenticated().build()?,
        }))
    }
}

fn content(path: &Path, what: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), what }
}

fn lists(path: &Path, pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|_| content(path, "list of revoked certificates"))?;
    if read.is_empty() { Err(content(path, "list of revoked certificates")) } else { Ok(read) }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|_| content(path, "certificate"))?;
    if read.is_empty() { Err(content(path, "certificate")) } else { Ok(read) }
}
