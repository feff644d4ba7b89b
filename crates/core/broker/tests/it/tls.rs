//! TLS on the Kafka listener: what it lets in, whom it sees, and certificates that change.

use crate::frames::api_versions;
use crate::harness::{Harness, PATIENCE, frame_of};
use crate::login::{listener, sasl_node};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use systole_broker::{Broker, BrokerConfig, ClientAuth, Protocol, TlsConfig};
use systole_telemetry::Metrics;
use systole_wire::message::{ApiVersionsRequest, MetadataRequest};
use systole_wire::message::{Message as _, MetadataResponse, Request};
use systole_wire::{Reader, header};
use systole_world::World;

/// An authority and what it signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
    /// Certificate and key of `name`, in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        self.sign_with(name, |_| {})
    }
    fn sign_with(
        &self,
        name: &str,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

impl Authority {
    /// A list with these serial numbers on it, to be followed by the next in the year given.
    fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = |it: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*it),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

pub(crate) fn write_server(dir: &Path, authority: &Authority) {
    let (certificate, key) = authority.sign("node");
    std::fs::write(dir.join("node.key"), key).unwrap();
    std::fs::write(dir.join("node.crt"), certificate).unwrap();
    std::fs::write(dir.join("ca.crt"), &authority.pem).unwrap();
}

pub(crate) fn tls(dir: &Path, client_auth: ClientAuth) -> TlsConfig {
    TlsConfig {
        certificate_file: dir.join("node.crt"),
        key_file: dir.join("node.key"),
        client_ca_file: Some(dir.join("ca.crt")),
        client_crl_file: None,
        client_auth,
        principal_rules: vec!["RULE:CN=(.*)/$1/L".to_owned()],
    }
}

fn with_tls(config: &mut BrokerConfig, dir: &Path, client_auth: ClientAuth) {
    let mut door = listener(Protocol::Ssl);
    door.tls = Some(tls(dir, client_auth));
    config.listeners = vec![door];
    config.access.enforce = Some(true);
    config.access.super_users = ["User:alice".to_owned()].into();
}

pub(crate) async fn node(client_auth: ClientAuth) -> (Harness, Authority, tempfile::TempDir) {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let harness = Harness::start_with(|it| with_tls(it, dir.path(), client_auth)).await;
    (harness, authority, dir)
}

/// How a client comes: whom it trusts, which certificate it shows, which versions it speaks.
pub(crate) struct Coming {
    trusts: String,
    shows: Option<(String, String)>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
}

impl Coming {
    pub(crate) fn to(authority: &Authority) -> Self {
        Self { trusts: authority.pem.clone(), shows: None, versions: rustls::ALL_VERSIONS }
    }
    fn as_user(authority: &Authority, name: &str) -> Self {
        Self { shows: Some(authority.sign(name)), ..Self::to(authority) }
    }

    fn connect(&self, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        Self::connect_by(&self.config(), address)
    }
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match &self.shows {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        })
    }
    pub(crate) fn connect_by(
        config: &Arc<ClientConfig>,
        address: SocketAddr,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(tls, socket)
    }
}

static OLD: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static NEW: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Sends requests, then reads their answers; `Err` if the connection ends before.
pub(crate) fn call<R: Request>(
    stream: &mut Connection,
    version: i16,
    requests: &[R],
) -> std::io::Result<Vec<R::Response>> {
    for (at, request) in requests.iter().enumerate() {
        stream.write_all(&frame_of(version, i32::try_from(at).unwrap(), request))?;
    }
    let mut answers = Vec::new();
    for _ in requests {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut frame)?;
        let mut reader = Reader::new(Bytes::from(frame));
        let head_version = header::response_version(R::API, version);
        header::ResponseHeader::decode(&mut reader, head_version).unwrap();
        answers.push(R::Response::decode(&mut reader, version).unwrap());
    }
    Ok(answers)
}

/// Runs what blocks beside the node.
pub(crate) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn versions_over(coming: Coming, address: SocketAddr) -> std::io::Result<usize> {
    beside(move || {
        let answers = call(&mut coming.connect(address), 3, &[api_versions()])?;
        Ok(answers[0].api_keys.len())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_tls_are_spoken_and_many_requests_pass_in_order() {
    let (harness, authority, _dir) = node(ClientAuth::None).await;
    let address = harness.address();
    for versions in [&OLD, &NEW] {
        let coming = Coming { versions, ..Coming::to(&authority) };
        let count = beside(move || {
            // Larger than a record of TLS, so that they are cut on the way.
            let software = "x".repeat(20_000);
            let request = ApiVersionsRequest {
                client_software_name: software.as_str().into(),
                client_software_version: "1".into(),
                ..Default::default()
            };
            call(&mut coming.connect(address), 3, &vec![request; 100]).unwrap().len()
        })
        .await;
        assert_eq!(count, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_a_caller_names_it() {
    let (harness, authority, _dir) = node(ClientAuth::Required).await;
    let address = harness.address();
    let everything = || MetadataRequest {
        topics: None,
        include_cluster_authorized_operations: true,
        ..Default::default()
    };
    for (name, may_all) in [("Alice", true), ("bob", false)] {
        let coming = Coming::as_user(&authority, name);
        let answer: MetadataResponse = beside(move || {
            call(&mut coming.connect(address), 9, &[everything()]).unwrap().remove(0)
        })
        .await;
        assert_eq!(answer.cluster_authorized_operations != 0, may_all, "{name}");
    }
    let stranger =
        Coming { trusts: authority.pem.clone(), ..Coming::as_user(&Authority::new(), "alice") };
    assert!(versions_over(stranger, address).await.is_err(), "of an unknown authority");
    assert!(versions_over(Coming::to(&authority), address).await.is_err(), "without one");
    harness.until_metric("connections_broken_total", |it| it == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_may_be_shown_need_not_be() {
    let (harness, authority, _dir) = node(ClientAuth::Requested).await;
    assert!(versions_over(Coming::to(&authority), harness.address()).await.is_ok());
    let stranger =
        Coming { trusts: authority.pem.clone(), ..Coming::as_user(&Authority::new(), "alice") };
    assert!(versions_over(stranger, harness.address()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_is_closed() {
    let (harness, _authority, _dir) = node(ClientAuth::None).await;
    let mut client = harness.client().await;
    client.send(3, &api_versions()).await;
    // What comes back is TLS's own alert.
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest);
    tokio::time::timeout(PATIENCE, read).await.unwrap().ok();
    assert_eq!(rest.first().copied().unwrap_or(21), 21, "an alert or nothing");
    harness.until_metric("connections_broken_total", |it| it == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let (dir, first) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &first);
    let harness = Harness::start_with(|it| {
        with_tls(it, dir.path(), ClientAuth::None);
        it.reload_interval = Duration::from_secs(1);
    })
    .await;
    let address = harness.address();
    let coming = Coming::to(&first);
    let mut old = beside(move || coming.connect(address)).await;
    old = beside(move || {
        call(&mut old, 3, &[api_versions()]).unwrap();
        old
    })
    .await;
    let second = Authority::new();
    write_server(dir.path(), &second);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while versions_over(Coming::to(&second), address).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate is not taken up");
    }
    assert!(versions_over(Coming::to(&first), address).await.is_err(), "the old one is gone");
    std::fs::write(dir.path().join("node.key"), "no key").unwrap();
    beside(move || call(&mut old, 3, &[api_versions()]).unwrap()).await;
    let text = || harness.metrics.text();
    assert!(versions_over(Coming::to(&second), address).await.is_ok(), "{}", text());
}

const FAR: i32 = 2124;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_is_refused_and_so_is_everyone_once_the_list_is_out_of_date() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let list = dir.path().join("revoked.pem");
    std::fs::write(&list, authority.revoke(&[], FAR)).unwrap();
    let harness = Harness::start_with(|it| {
        with_tls(it, dir.path(), ClientAuth::Required);
        it.listeners[0].tls.as_mut().unwrap().client_crl_file = Some(list.clone());
        it.reload_interval = Duration::from_secs(1);
    })
    .await;
    let address = harness.address();
    let numbered = |serial: u64| {
        authority.sign_with("alice", |it| it.serial_number = Some(SerialNumber::from(serial)))
    };
    let (alice, other) = (numbered(7), numbered(8));
    let coming =
        |shows: &(String, String)| Coming { shows: Some(shows.clone()), ..Coming::to(&authority) };
    let first = coming(&alice);
    let mut open = beside(move || {
        let mut stream = first.connect(address);
        call(&mut stream, 3, &[api_versions()]).unwrap();
        stream
    })
    .await;
    std::fs::write(&list, authority.revoke(&[7], FAR)).unwrap();
    until(async || versions_over(coming(&alice), address).await.is_err(), "revoked").await;
    assert!(versions_over(coming(&other), address).await.is_ok(), "another number");
    beside(move || call(&mut open, 3, &[api_versions()]).unwrap()).await;
    std::fs::write(&list, "no list").unwrap();
    assert!(versions_over(coming(&alice), address).await.is_err(), "the list at hand stays");
    std::fs::write(&list, authority.revoke(&[], 2025)).unwrap();
    until(async || versions_over(coming(&other), address).await.is_err(), "out of date").await;
    assert!(versions_over(coming(&alice), address).await.is_err());
    std::fs::write(&list, Authority::new().revoke(&[], FAR)).unwrap();
    until(async || end_of(&harness, "client_crl_file") > 4_000_000_000, "another's list").await;
    assert!(versions_over(coming(&other), address).await.is_err(), "it says nothing of her");
    std::fs::write(&list, authority.revoke(&[], FAR)).unwrap();
    until(async || versions_over(coming(&alice), address).await.is_ok(), "good again").await;
}

/// Waits for what comes of a look at the files.
async fn until(mut holds: impl AsyncFnMut() -> bool, what: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "waited for: {what}");
    }
}

/// What the metric says of a file.
fn end_of(harness: &Harness, file: &str) -> i64 {
    let text = harness.metrics.text();
    let name =
        format!("systole_broker_certificate_expires_at{{listener=\"clients\",file=\"{file}\"}} ");
    let line = text.lines().find_map(|it| it.strip_prefix(&*name)).unwrap_or("0");
    line.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ran_out_is_refused_and_every_connection_is_judged_anew() {
    let (harness, authority, _dir) = node(ClientAuth::Required).await;
    let address = harness.address();
    let over = authority.sign_with("alice", |it| it.not_after = date_time_ymd(2024, 1, 1));
    let coming = Coming { shows: Some(over), ..Coming::to(&authority) };
    assert!(versions_over(coming, address).await.is_err());
    for versions in [&OLD, &NEW] {
        let coming = Coming { versions, ..Coming::as_user(&authority, "alice") };
        let resumed = beside(move || {
            let config = coming.config();
            (0..2).any(|_| {
                let mut stream = Coming::connect_by(&config, address);
                call(&mut stream, 3, &[api_versions()]).unwrap();
                stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
            })
        })
        .await;
        assert!(!resumed, "a session would pass by clock and lists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_each_certificate_is_a_metric() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let ends_in = |year| authority.sign_with("node", |it| it.not_after = date_time_ymd(year, 1, 1));
    let (certificate, key) = ends_in(2050);
    std::fs::write(dir.path().join("node.crt"), certificate).unwrap();
    std::fs::write(dir.path().join("node.key"), key).unwrap();
    let harness = Harness::start_with(|it| with_tls(it, dir.path(), ClientAuth::Required)).await;
    until(async || end_of(&harness, "certificate_file") == 2_524_608_000, "the node's").await;
    assert!(end_of(&harness, "client_ca_file") > 4_000_000_000, "the authority's");
}

#[tokio::test(flavor = "multi_thread")]
async fn sasl_under_tls_names_the_user_and_not_the_certificate() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let harness = sasl_node(|it| {
        it.listeners[0].protocol = Protocol::SaslSsl;
        it.listeners[0].tls = Some(tls(dir.path(), ClientAuth::None));
    })
    .await;
    let (address, coming) = (harness.address(), Coming::to(&authority));
    let answered = beside(move || {
        let mut stream = coming.connect(address);
        let handshake = systole_wire::message::SaslHandshakeRequest { mechanism: "PLAIN".into() };
        assert_eq!(call(&mut stream, 1, &[handshake]).unwrap()[0].error_code, 0);
        let auth_bytes = format!("\0admin\0{}", crate::login::PASSWORD).into();
        let proof =
            systole_wire::message::SaslAuthenticateRequest { auth_bytes, ..Default::default() };
        assert_eq!(call(&mut stream, 2, &[proof]).unwrap()[0].error_code, 0);
        let request = MetadataRequest {
            topics: None,
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        call(&mut stream, 9, &[request]).unwrap().remove(0)
    })
    .await;
    assert_ne!(answered.cluster_authorized_operations, 0, "admin is a super user");
}

async fn start(adjust: impl FnOnce(&mut BrokerConfig)) -> u16 {
    let dir = tempfile::tempdir().unwrap();
    let mut config = BrokerConfig { dir: dir.path().join("broker"), ..BrokerConfig::default() };
    adjust(&mut config);
    let started = Broker::start(&config, &World::os(), &Metrics::default()).await;
    started.unwrap_err().code().number()
}

#[tokio::test]
async fn a_node_whose_doors_cannot_be_kept_does_not_start() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let network: SocketAddr = "0.0.0.0:0".parse().unwrap();
    for asks_too_little in [ClientAuth::None, ClientAuth::Requested] {
        let code = start(|it| {
            with_tls(it, dir.path(), asks_too_little);
            it.listeners[0].address = network;
        });
        assert_eq!(code.await, 1101, "{asks_too_little:?}");
    }
    let plain = start(|it| {
        crate::login::with_sasl(it, dir.path());
        it.listeners[0].address = network;
    });
    assert_eq!(plain.await, 2001, "passwords would travel readable");
    let no_tls = start(|it| it.listeners = vec![listener(Protocol::Ssl)]);
    assert_eq!(no_tls.await, 2001);
    let no_password = start(|it| {
        crate::login::with_sasl(it, dir.path());
        std::fs::remove_file(dir.path().join("password")).unwrap();
    });
    assert_eq!(no_password.await, 2015);
    std::fs::write(dir.path().join("node.crt"), "no certificate").unwrap();
    let broken = start(|it| with_tls(it, dir.path(), ClientAuth::None));
    assert_eq!(broken.await, 2020);
}
