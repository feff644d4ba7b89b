//! One bounded GET over HTTPS.
//!
//! Owns: the request, its limits, the TLS on it. Does not own: what comes back, when to ask again.
//! Reading order: [`url`] -> [`get`] -> `roots`.
//!
//! Invariants
//! - Where bytes come from is what the configuration says: redirects are refused, not followed.
//! - Whatever the server does, an answer takes no more memory than [`Wanted::bytes_max`] and the
//!   head of an answer, and no more time than [`Wanted::wait_max`].

mod roots;
pub mod url;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use systole_world::{ClockExt as _, World, net};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
pub use url::Url;

/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What to fetch, and how much of it to bear.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub url: Url,
    /// In PEM. `None`: the authorities that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// As the server is told, `application/json`.
    pub media_type: &'static str,
    pub bytes_max: usize,
    /// From looking up the name to the last byte.
    pub wait_max: Duration,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the host cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    #[error("the certificates of authorities cannot be read: {0}")]
    Roots(#[source] io::Error),
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// A redirect too: the address in the configuration is the one that is asked.
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("there was no answer within {0:?}")]
    TooSlow(Duration),
}

/// Fetches the document once.
pub async fn get(world: &World, wanted: &Wanted) -> Result<Bytes, Error> {
    let fetched = world.clock.timeout(wanted.wait_max, fetch(world, wanted)).await;
    fetched.unwrap_or(Err(Error::TooSlow(wanted.wait_max)))
}

async fn fetch(world: &World, wanted: &Wanted) -> Result<Bytes, Error> {
    let url = &wanted.url;
    let socket = connect(url).await.map_err(Error::Unreachable)?;
    if !url.is_encrypted() {
        return ask(socket, wanted).await;
    }
    let settings = roots::client(world, wanted.ca_file.as_deref()).await.map_err(Error::Roots)?;
    let name = url.server_name().map_err(|it| Error::Tls(io::Error::other(it)))?;
    let connecting = TlsConnector::from(Arc::new(settings)).connect(name, socket);
    ask(connecting.await.map_err(Error::Tls)?, wanted).await
}

/// The first of the host's addresses that takes us; for HTTP, of those on this machine.
async fn connect(url: &Url) -> io::Result<tokio::net::TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in net::resolve(url.host(), url.port()).await? {
        if !url.is_encrypted() && !address.ip().is_loopback() {
            continue;
        }
        match net::connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask<S>(stream: S, wanted: &Wanted) -> Result<Bytes, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    let Wanted { url, media_type, bytes_max, .. } = wanted;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = url.target();
    let headers = request.headers_mut();
    headers.insert(HOST, url.authority());
    headers.insert(ACCEPT, http::HeaderValue::from_static(media_type));
    headers.insert(USER_AGENT, http::HeaderValue::from_static("systole"));
    let mut answer = pin!(async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(Error::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), *bytes_max).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(error) => Error::Http(*error),
                Err(_) => Error::TooLarge(*bytes_max),
            }
        })
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await, // what has come is at hand
    }
}
