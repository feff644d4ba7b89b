//! The crate `kafka-protocol` as a second opinion: it reads what we write, and writes the same.
//!
//! It follows Kafka 4.1, so a few APIs and versions of ours are unknown to it or laid out as they
//! were then: [`DIFFERS`] and the snapshot at the end list them, so that nothing drops out unseen.

use crate::messages;
use crate::sample::{Dice, Taste, sample};
use bytes::{Bytes, BytesMut};
use expect_test::expect;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use std::collections::BTreeSet;

const SAMPLES: u64 = 30;
/// No unknown tags: the peer keeps them, but sorts its known ones before all others.
const TASTE: Taste = Taste { unknown_tags: false, length_max: 8 };

/// Messages that the peer reads otherwise, with the versions and the reason.
const DIFFERS: &[(&str, std::ops::RangeInclusive<i16>, &str)] = &[
    ("InitProducerIdRequest", 6..=6, "listed by its API table, not read by its body"),
    ("OffsetCommitRequest", 10..=10, "listed by its API table, not read by its body"),
    ("OffsetFetchRequest", 10..=10, "listed by its API table, not read by its body"),
];

enum Verdict {
    Same,
    Unknown,
    Differs(String),
}

fn peer(name: &str, key: i16, version: i16, frame: &Bytes) -> Verdict {
    let Ok(api) = ApiKey::try_from(key) else {
        return Verdict::Unknown;
    };
    let versions = api.valid_versions();
    if !(versions.min..=versions.max).contains(&version) {
        return Verdict::Unknown;
    }
    let (mut rest, mut back) = (frame.clone(), BytesMut::new());
    let done = if name.ends_with("Request") {
        RequestKind::decode(api, &mut rest, version).and_then(|it| it.encode(&mut back, version))
    } else {
        ResponseKind::decode(api, &mut rest, version).and_then(|it| it.encode(&mut back, version))
    };
    match done {
        Err(why) => Verdict::Differs(format!("{why:#}")),
        Ok(()) if !rest.is_empty() => Verdict::Differs(format!("left {} bytes", rest.len())),
        Ok(()) if back != frame => Verdict::Differs(format!("{frame:?} came back as {back:?}")),
        Ok(()) => Verdict::Same,
    }
}

#[test]
fn the_peer_reads_our_bytes_and_writes_the_same() {
    let (mut compared, mut unknown) = (0, BTreeSet::new());
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (entry, message) in messages() {
        let (Some(key), "request" | "response") = (entry.key, entry.kind) else { continue };
        for version in entry.versions.clone() {
            let listed = DIFFERS
                .iter()
                .position(|(name, versions, _)| *name == entry.name && versions.contains(&version));
            for seed in 0..SAMPLES {
                let frame = Bytes::from(sample(&message, version, &mut Dice(seed), TASTE));
                let ours = (entry.recode)(frame.clone(), version, version);
                assert_eq!(ours, Ok(frame.clone()), "{} v{version}", entry.name);
                match (peer(entry.name, key, version, &frame), listed) {
                    (Verdict::Same, _) => compared += 1,
                    (Verdict::Unknown, _) => {
                        unknown.insert(format!("{} v{version}", entry.name));
                    }
                    (Verdict::Differs(_), Some(row)) => {
                        used.insert(row);
                    }
                    (Verdict::Differs(why), None) => {
                        wrong.push(format!("{} v{version}: {why}", entry.name));
                        break;
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used.len(), DIFFERS.len(), "a listed difference is gone");
    let unknown: Vec<_> = unknown.into_iter().collect();
    let summary =
        format!("{compared} frames agree. Unknown to the peer:\n{}\n", unknown.join("\n"));
    expect![[r#"
        15930 frames agree. Unknown to the peer:
        AddRaftVoterRequest v1
        AddRaftVoterResponse v1
        DescribeLogDirsRequest v5
        DescribeLogDirsResponse v5
        DescribeShareGroupOffsetsRequest v1
        DescribeShareGroupOffsetsResponse v1
        ListOffsetsRequest v11
        ListOffsetsResponse v11
        ReadShareGroupStateSummaryRequest v1
        ReadShareGroupStateSummaryResponse v1
        ShareAcknowledgeRequest v2
        ShareAcknowledgeResponse v2
        ShareFetchRequest v2
        ShareFetchResponse v2
        StreamsGroupDescribeRequest v0
        StreamsGroupDescribeResponse v0
        StreamsGroupHeartbeatRequest v0
        StreamsGroupHeartbeatResponse v0
        WriteShareGroupStateRequest v1
        WriteShareGroupStateResponse v1
        WriteTxnMarkersRequest v2
        WriteTxnMarkersResponse v2
    "#]]
    .assert_eq(&summary);
}
