//! Where a follower stands, as a text that it gives back to go on.
//!
//! Owns: the form. Does not own: what is done with a position ([`crate::position`]).
//!
//! Form, in URL-safe base64: one byte version; CRC-32C of the cluster's id and of the topic's name;
//! the number of partitions; for each, by rising number: the distance to the one before, the next
//! offset, and the time of the record before it (0: none was seen); CRC-32C of all that. Numbers
//! are LEB128. The texts say nothing about what was read.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use systole_client::Offset;
use systole_kit::Timestamp;

const VERSION: u8 = 1;
/// Longest text that is read, in bytes: room for some thousand partitions.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One position per partition of a topic of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) scope: Scope,
    pub(crate) positions: BTreeMap<i32, Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The first record not seen.
    pub(crate) next: Offset,
    /// When the record before it was written: another time there means another topic.
    pub(crate) seen_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    cluster: u32,
    topic: u32,
}

impl Scope {
    pub(crate) fn new(cluster_id: Option<&str>, topic: &str) -> Self {
        let cluster = crc32c::crc32c(cluster_id.unwrap_or_default().as_bytes());
        Self { cluster, topic: crc32c::crc32c(topic.as_bytes()) }
    }
    pub(crate) fn is_topic_of(self, other: Self) -> bool {
        self.topic == other.topic
    }
}

impl Cursor {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.scope.cluster.to_be_bytes());
        bytes.extend(self.scope.topic.to_be_bytes());
        write(&mut bytes, self.positions.len() as u64);
        let mut before = 0;
        for (partition, position) in &self.positions {
            write(&mut bytes, u64::from(partition.abs_diff(before)));
            write(&mut bytes, position.next.get().unsigned_abs());
            write(&mut bytes, position.seen_at.map_or(0, |it| zigzag(it.as_millis()) + 1));
            before = *partition;
        }
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Error> {
        let damaged = || Error::Cursor("is damaged; give back the whole id of an event");
        if text.len() > TEXT_BYTES_MAX {
            return Err(damaged());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32c::crc32c(body) != u32::from_be_bytes(*sum) {
            return Err(damaged());
        }
        match body.split_first() {
            Some((&VERSION, rest)) => Self::decode_v1(rest).ok_or_else(damaged),
            _ => Err(Error::Cursor("is from another version of this gateway")),
        }
    }

    fn decode_v1(bytes: &[u8]) -> Option<Self> {
        let (cluster, rest) = bytes.split_first_chunk::<4>()?;
        let (topic, mut rest) = rest.split_first_chunk::<4>()?;
        let scope =
            Scope { cluster: u32::from_be_bytes(*cluster), topic: u32::from_be_bytes(*topic) };
        let count = read(&mut rest)?;
        let (mut positions, mut partition) = (BTreeMap::new(), 0_i32);
        for _ in 0..count {
            let distance = i32::try_from(read(&mut rest)?).ok()?;
            partition = partition.checked_add(distance)?;
            let next = Offset::new(i64::try_from(read(&mut rest)?).ok()?)?;
            let seen_at = read(&mut rest)?.checked_sub(1).map(unzigzag).map(Timestamp::from_millis);
            positions.insert(partition, Position { next, seen_at });
        }
        (rest.is_empty() && positions.len() as u64 == count).then_some(Self { scope, positions })
    }
}

fn zigzag(it: i64) -> u64 {
    (it.unsigned_abs() << 1) - u64::from(it < 0)
}
fn unzigzag(it: u64) -> i64 {
    let half = i64::try_from(it >> 1).unwrap_or(i64::MAX);
    if it & 1 == 1 { -half - 1 } else { half }
}

fn write(bytes: &mut Vec<u8>, mut it: u64) {
    loop {
        let low = (it & 0x7f).to_le_bytes()[0];
        it >>= 7;
        if it == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut it = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        it |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(it);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 63 bits hold any offset and any time until the year 73,000,000.
    fn any_cursor() -> impl Strategy<Value = Cursor> {
        let time = -(1_i64 << 60)..1 << 60;
        let position =
            (0..i64::MAX, proptest::option::of(time)).prop_map(|(next, seen_at)| Position {
                next: Offset::new(next).unwrap(),
                seen_at: seen_at.map(Timestamp::from_millis),
            });
        proptest::collection::btree_map(0..i32::MAX, position, 0..20)
            .prop_map(|positions| Cursor { scope: Scope::new(Some("c"), "t"), positions })
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(cursor in any_cursor()) {
            prop_assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        }
        #[test]
        fn a_damaged_cursor_is_refused(cursor in any_cursor(), at: prop::sample::Index, to: char) {
            let mut text: Vec<_> = cursor.encode().chars().collect();
            let at = at.index(text.len());
            prop_assume!(text[at] != to);
            text[at] = to;
            prop_assert!(Cursor::decode(&text.into_iter().collect::<String>()).is_err());
        }
        #[test]
        fn garbage_is_refused_without_a_panic(text in ".*") {
            prop_assert!(Cursor::decode(&text).is_err());
        }
    }

    #[test]
    fn ten_partitions_fit_into_two_hundred_letters() {
        let position = Position {
            next: Offset::new(1_000_000).unwrap(),
            seen_at: Some(Timestamp::from_millis(1_800_000_000_000)),
        };
        let positions = (0..10).map(|it| (it, position)).collect();
        let cursor = Cursor { scope: Scope::new(Some("c"), "t"), positions };
        assert!(cursor.encode().len() < 200);
    }
}
