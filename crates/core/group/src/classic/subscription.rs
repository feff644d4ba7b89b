//! The topics in a consumer's metadata.
//!
//! Owns: reading the one field that the coordinator needs (`ConsumerProtocolSubscription`: version,
//! topics, …; the same in all versions). Does not own: the rest of it, which is between clients.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The protocol type of consumers, as opposed to Connect workers and others.
pub(super) const CONSUMER: &str = "consumer";

/// The subscribed topics, or `None` if `metadata` does not read as a subscription.
pub(super) fn topics(metadata: &Bytes) -> Option<Vec<Arc<str>>> {
    let mut rest: &[u8] = metadata;
    let version = i16::from_be_bytes(take(&mut rest)?);
    let count = i32::from_be_bytes(take(&mut rest)?);
    if version < 0 || count < 0 {
        return None;
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let len = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (topic, after) = rest.split_at_checked(len)?;
        rest = after;
        found.push(std::str::from_utf8(topic).ok()?.into());
    }
    Some(found)
}

/// The union over members; `None` as soon as one of them cannot be read, because then any topic
/// may be subscribed.
pub(super) fn union<'a>(metadata: impl Iterator<Item = &'a Bytes>) -> Option<BTreeSet<Arc<str>>> {
    let mut all = BTreeSet::new();
    for it in metadata {
        all.extend(topics(it)?);
    }
    Some(all)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topics_come_first_whatever_follows() {
        let it = b"\0\x03\0\0\0\x02\0\x01a\0\x02bcwhatever a later version adds";
        let topics = topics(&Bytes::from_static(it)).unwrap();
        assert_eq!(topics, ["a", "bc"].map(Arc::from));
    }

    #[test]
    fn one_unreadable_member_makes_every_topic_possible() {
        let good = Bytes::from_static(b"\0\0\0\0\0\x01\0\x01a");
        let bad = Bytes::from_static(b"\0\0\x7f\xff\xff\xff");
        assert!(union([&good].into_iter()).is_some_and(|it| it.contains("a")));
        assert_eq!(union([&good, &bad].into_iter()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = topics(&Bytes::from(bytes));
        }
    }
}
