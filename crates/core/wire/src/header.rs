//! What stands before a body: which API, which version, which question an answer belongs to.
//!
//! Owns: the header version of each API version. Header v0 of requests (without a client id) was
//! ControlledShutdown's alone and left Kafka with 4.0.
//!
//! # Source  KIP-482; KIP-511 (why the ApiVersions response keeps header v0)

pub use crate::message::{RequestHeader, ResponseHeader};

use crate::api::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::message::Message;

/// The header version of a request. Defined for versions above the known ones too: a client that
/// is newer than this Kafka asks for ApiVersions in its own newest version.
pub fn request_version(api: ApiKey, version: i16) -> i16 {
    if api.api().is_flexible(version) { 2 } else { 1 }
}

/// The header version of a response. ApiVersions stays at 0, because its reader does not know yet
/// which Kafka it talks to.
pub fn response_version(api: ApiKey, version: i16) -> i16 {
    i16::from(api != ApiKey::ApiVersions && api.api().is_flexible(version))
}

/// Key and version stand first in every header version, so that the rest can be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
}

impl Preamble {
    /// Looks at the head of a frame without consuming it.
    pub fn peek(from: &Reader) -> Result<Self, DecodeError> {
        let mut ahead = from.clone();
        let header = crate::codec::Form { version: 0, flexible: false };
        Ok(Self {
            api_key: ahead.field(header)?,
            api_version: ahead.field(header)?,
            correlation_id: ahead.field(header)?,
        })
    }
}

/// Reads the header of a request to `api`, as the preamble named it.
pub fn decode_request(
    from: &mut Reader,
    api: ApiKey,
    version: i16,
) -> Result<RequestHeader, DecodeError> {
    RequestHeader::decode(from, request_version(api, version))
}

/// Writes the header of a response.
pub fn encode_response(
    to: &mut Writer,
    api: ApiKey,
    version: i16,
    header: &ResponseHeader,
) -> Result<(), EncodeError> {
    header.encode(to, response_version(api, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flexible_versions_bring_tagged_headers() {
        assert_eq!(request_version(ApiKey::Produce, 8), 1);
        assert_eq!(request_version(ApiKey::Produce, 9), 2);
        assert_eq!(response_version(ApiKey::Produce, 8), 0);
        assert_eq!(response_version(ApiKey::Produce, 9), 1);
        assert_eq!(request_version(ApiKey::SaslHandshake, 1), 1);
    }

    #[test]
    fn api_versions_is_answered_so_that_every_client_can_read_it() {
        assert_eq!(request_version(ApiKey::ApiVersions, 3), 2);
        assert_eq!(request_version(ApiKey::ApiVersions, 99), 2);
        assert_eq!(response_version(ApiKey::ApiVersions, 3), 0);
    }

    #[test]
    fn the_client_id_keeps_its_old_length_in_flexible_headers() {
        let header = RequestHeader {
            request_api_key: 18,
            request_api_version: 4,
            correlation_id: 7,
            client_id: Some("ab".into()),
            ..RequestHeader::default()
        };
        let mut to = Writer::default();
        header.encode(&mut to, 2).unwrap();
        let bytes = to.into_bytes();
        assert_eq!(&bytes[..], [0, 18, 0, 4, 0, 0, 0, 7, 0, 2, b'a', b'b', 0]);
        let preamble = Preamble::peek(&Reader::new(bytes.clone())).unwrap();
        assert_eq!(preamble, Preamble { api_key: 18, api_version: 4, correlation_id: 7 });
        let back = decode_request(&mut Reader::new(bytes), ApiKey::ApiVersions, 4).unwrap();
        assert_eq!(back, header);
    }
}
