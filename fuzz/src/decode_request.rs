//! A frame without its length: header and body of any request in any version.
//!
//! Holds: no panic; what decodes also encodes, and its encoding is stable. Memory is held by
//! libFuzzer's own limits (`-malloc_limit_mb`, `-rss_limit_mb`) and by `wire`'s own tests.

use crate::frames;
use bytes::Bytes;
use systole_wire::header::{self, Preamble};
use systole_wire::{ApiKey, Reader, catalog};

pub fn run(data: &[u8]) {
    let mut from = Reader::new(Bytes::copy_from_slice(data));
    let Ok(preamble) = Preamble::peek(&from) else { return };
    let Some(api) = ApiKey::from_wire(preamble.api_key) else { return };
    let version = preamble.api_version;
    if header::decode_request(&mut from, api, version).is_err() {
        return;
    }
    let entry = catalog::request(api);
    match (entry.recode)(from.rest(), version, version) {
        Err(catalog::RecodeError::Decode(_)) => {}
        Err(catalog::RecodeError::Encode(why)) => panic!("{}: decoded, but {why}", entry.name),
        Ok(once) => assert_eq!((entry.recode)(once.clone(), version, version), Ok(once)),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    frames::empty().collect()
}
