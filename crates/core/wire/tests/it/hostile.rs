//! Bytes of ill will: an error or a value, never a panic.

use crate::messages;
use crate::sample::{Dice, Taste, sample};
use bytes::Bytes;
use systole_wire::message::MetadataRequest;
use systole_wire::{DecodeError, Message as _, Reader};

#[test]
fn a_metadata_body_that_claims_two_billion_topics_is_refused() {
    let mut from = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
    let refusal = MetadataRequest::decode(&mut from, 1).unwrap_err();
    assert_eq!(refusal, DecodeError::ArrayTooLong { at: 4, claimed: 0x7fff_ffff, possible: 0 });
}

#[test]
fn truncated_messages_are_errors() {
    for (entry, message) in messages() {
        for version in entry.versions.clone() {
            let taste = Taste { unknown_tags: true, length_max: 4 };
            let frame = Bytes::from(sample(&message, version, &mut Dice(7), taste));
            for end in 0..frame.len() {
                let result = (entry.decode)(frame.slice(..end), version);
                assert!(result.is_err(), "{} v{version} cut at {end}", entry.name);
            }
        }
    }
}

#[test]
fn random_bytes_and_flipped_bits_never_panic() {
    for (entry, message) in messages() {
        let dice = &mut Dice(11);
        for version in entry.versions.clone() {
            for _ in 0..50 {
                let length = dice.below(64);
                let _ = (entry.decode)(Bytes::from(dice.bytes(length)), version);
                let taste = Taste { unknown_tags: true, length_max: 4 };
                let mut frame = sample(&message, version, dice, taste);
                if !frame.is_empty() {
                    let at = dice.below(frame.len());
                    frame[at] ^= 1 << dice.below(8);
                }
                let _ = (entry.decode)(Bytes::from(frame), version);
            }
        }
    }
}

#[test]
fn an_unknown_version_is_named() {
    for (entry, _) in messages() {
        let version = entry.versions.end() + 1;
        let refusal = (entry.decode)(Bytes::new(), version).unwrap_err();
        let message = entry.name;
        assert_eq!(refusal, DecodeError::UnsupportedVersion { message, version });
    }
}
