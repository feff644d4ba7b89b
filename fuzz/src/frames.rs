//! Requests as a socket delivers them.
//!
//! Owns: putting a head before a body. Does not own: which requests are worth sending.

use bytes::Bytes;
use systole_wire::header::{RequestHeader, request_version};
use systole_wire::{ApiKey, Message as _, Request, Writer, catalog};

/// Head and body, without the length in front.
pub(crate) fn of<R: Request>(version: i16, request: &R) -> Vec<u8> {
    let mut body = Writer::default();
    match request.encode(&mut body, version) {
        Ok(()) => with_head(R::API, version, &body.into_bytes()),
        Err(error) => panic!("a seed cannot be written: {error}"),
    }
}

/// Every request in every version, with nothing in it.
pub(crate) fn empty() -> impl Iterator<Item = Vec<u8>> {
    let requests = catalog::all().iter().filter(|it| it.kind == "request");
    requests.flat_map(|it| {
        let api = it.key.and_then(ApiKey::from_wire);
        let one = move |version| Some(with_head(api?, version, &(it.empty)(version).ok()?));
        it.versions.clone().filter_map(one)
    })
}

/// With the length in front, as it goes over the wire.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len()).unwrap_or(i32::MAX).to_be_bytes();
    [&length, body].concat()
}

fn with_head(api: ApiKey, version: i16, body: &Bytes) -> Vec<u8> {
    let head = RequestHeader {
        request_api_key: api.number(),
        request_api_version: version,
        correlation_id: 7,
        client_id: Some("fuzz".into()),
        ..Default::default()
    };
    let mut to = Writer::default();
    match head.encode(&mut to, request_version(api, version)) {
        Ok(()) => [&to.into_bytes()[..], body].concat(),
        Err(error) => panic!("a head cannot be written: {error}"),
    }
}
