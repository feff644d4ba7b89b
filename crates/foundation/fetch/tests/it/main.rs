//! A document over HTTPS, from servers good and bad.
#![allow(clippy::disallowed_methods)] // tests open their own sockets
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end here

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use systole_fetch::{Error, Url, Wanted, get};
use systole_world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An HTTPS server on this machine whose certificate is for `name`.
struct Site {
    port: u16,
    dir: tempfile::TempDir,
}

impl Site {
    async fn open(name: &str, answer: String) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(dir.path().join("ca.crt"), pem).unwrap();
        let authority = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        });
        Self { port, dir }
    }

    fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }
    async fn get(&self, ca_file: Option<PathBuf>) -> Result<String, Error> {
        let url = Url::read(&format!("https://localhost:{}/keys?v=1", self.port)).unwrap();
        let (bytes_max, wait_max) = (1000, Duration::from_mins(1));
        let wanted = Wanted { url, ca_file, media_type: "application/json", bytes_max, wait_max };
        let bytes = get(&World::os(), &wanted).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_document_comes_from_a_server_that_the_named_authority_vouches_for() {
    let site = Site::open("localhost", "HTTP/1.1 200 OK\r\n\r\n{}".into()).await;
    assert_eq!(site.get(Some(site.ca_file())).await.unwrap(), "{}");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let site = Site::open("localhost", chunked.into()).await;
    assert_eq!(site.get(Some(site.ca_file())).await.unwrap(), "{}");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_no_request() {
    let site = Site::open("localhost", "HTTP/1.1 200 OK\r\n\r\n{}".into()).await;
    let other = Site::open("other.example", "HTTP/1.1 200 OK\r\n\r\n{}".into()).await;
    let by_another = site.get(Some(other.ca_file())).await;
    assert!(matches!(by_another, Err(Error::Tls(_))), "another authority");
    let of_another = other.get(Some(other.ca_file())).await;
    assert!(matches!(of_another, Err(Error::Tls(_))), "another name");
    let absent = site.dir.path().join("absent.crt");
    assert!(matches!(site.get(Some(absent)).await, Err(Error::Roots(_))));
    let empty = site.dir.path().join("empty.crt");
    std::fs::write(&empty, "nothing").unwrap();
    assert!(matches!(site.get(Some(empty)).await, Err(Error::Roots(_))));
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_leads_elsewhere_is_refused() {
    let large = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
    let site = Site::open("localhost", large).await;
    assert!(matches!(site.get(Some(site.ca_file())).await, Err(Error::TooLarge(1000))));
    let redirect = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://elsewhere/\r\n\r\n";
    let site = Site::open("localhost", redirect.into()).await;
    let refused = site.get(Some(site.ca_file())).await.unwrap_err();
    assert_eq!(refused.to_string(), "the server answered 301 Moved Permanently");
}
