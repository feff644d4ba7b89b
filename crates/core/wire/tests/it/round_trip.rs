//! What was decoded encodes to the same bytes.

use crate::messages;
use crate::sample::{Dice, Taste, sample};
use bytes::Bytes;
use systole_wire::EncodeError;
use systole_wire::catalog::RecodeError;

const SAMPLES: u64 = 40;
const TASTE: Taste = Taste { unknown_tags: true, length_max: 12 };

#[test]
fn every_message_in_every_version_comes_back_byte_for_byte() {
    for (entry, message) in messages() {
        assert_eq!(entry.versions, message.versions.first..=message.versions.last);
        for version in entry.versions.clone() {
            assert_eq!(entry.is_flexible(version), message.is_flexible(version), "{}", entry.name);
            for seed in 0..SAMPLES {
                let dice = &mut Dice(seed);
                let frame = Bytes::from(sample(&message, version, dice, TASTE));
                let back = (entry.recode)(frame.clone(), version, version);
                assert_eq!(back, Ok(frame), "{} v{version} seed {seed}", entry.name);
            }
        }
    }
}

/// A value goes from one version to another whole, or is refused with the field that is in the way.
#[test]
fn another_version_carries_the_value_or_says_why_not() {
    for (entry, message) in messages() {
        for from in entry.versions.clone() {
            for to in entry.versions.clone() {
                let dice = &mut Dice(u64::from(from.unsigned_abs()) << 8);
                let frame = Bytes::from(sample(&message, from, dice, TASTE));
                match (entry.recode)(frame, from, to) {
                    Ok(there) => assert!((entry.recode)(there, to, to).is_ok()),
                    Err(RecodeError::Encode(
                        EncodeError::FieldNotInVersion { version, .. }
                        | EncodeError::Null { version, .. },
                    )) => assert_eq!(version, to),
                    Err(other) => panic!("{} v{from} to v{to}: {other}", entry.name),
                }
            }
        }
    }
}
