//! A plain HTTP client for the tests: one connection per request.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Nothing here takes so long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

pub(crate) async fn send(at: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = TcpStream::connect(at).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = tokio::time::timeout(DEADLINE, sender.send_request(request)).await;
    response.expect("an answer in time").unwrap()
}

pub(crate) async fn ask(at: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let response = send(at, request).await;
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map_or(String::new(), |it| it.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, content_type, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub(crate) fn get(at: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    request(at, ("GET", path), &[], "")
}

pub(crate) fn request(
    at: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", at.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// A follower: reads one Server-Sent Event after the other.
pub(crate) struct Follower {
    body: Incoming,
    read: String,
}

/// The fields of one event; `data` with its lines joined.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sse {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Sse {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

impl Follower {
    pub(crate) async fn open(at: SocketAddr, topic: &str, query: &str, last_id: &str) -> Self {
        let path = format!("/v1/topics/{topic}/events{query}");
        let headers: &[_] = if last_id.is_empty() { &[] } else { &[("last-event-id", last_id)] };
        let response = send(at, request(at, ("GET", &path), headers, "")).await;
        let status = response.status();
        let mut it = Self { body: response.into_body(), read: String::new() };
        if status != 200 {
            let said = it.body.collect().await.unwrap().to_bytes();
            panic!("{status}: {said:?}");
        }
        it.read.clear();
        it
    }

    /// The next event with data; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Sse> {
        loop {
            while let Some(end) = self.read.find("\n\n") {
                let text: String = self.read.drain(..end + 2).collect();
                let mut event = Sse::default();
                let mut data = Vec::new();
                for line in text.lines() {
                    match line.split_once(": ") {
                        Some(("id", it)) => it.clone_into(&mut event.id),
                        Some(("event", it)) => it.clone_into(&mut event.event),
                        Some(("data", it)) => data.push(it),
                        _ => {}
                    }
                }
                event.data = data.join("\n");
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await;
            let frame = frame.expect("an event in time")?.unwrap();
            let bytes = frame.into_data().unwrap();
            self.read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}
