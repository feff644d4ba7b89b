//! What decoding allocates, counted: at most [`ALLOCATION_FACTOR`] times the bytes it was given.

use crate::messages;
use crate::sample::{Dice, Taste, sample};
use bytes::Bytes;
use systole_wire::catalog::Entry;
use systole_wire::codec::ALLOCATION_FACTOR;

/// Bytes that mean the most as lengths, counts and presence.
const PATTERNS: [u8; 8] = [0x00, 0x01, 0x02, 0x10, 0x40, 0x7f, 0x80, 0xff];

/// Heap bytes that were allocated in all, freed or not: the hardest way to count.
fn allocated(entry: &Entry, frame: &[u8], version: i16) -> u64 {
    let frame = Bytes::copy_from_slice(frame);
    let _shared = frame.clone(); // the first clone allocates the reference count, as sockets do
    let count = allocation_counter::measure(|| {
        let _ = std::hint::black_box((entry.decode)(frame.clone(), version));
    });
    count.bytes_total
}

/// Heap bytes per byte of the frame, rounded up.
fn factor(entry: &Entry, frame: &[u8], version: i16) -> u64 {
    let length = u64::try_from(frame.len()).unwrap();
    allocated(entry, frame, version).div_ceil(length.max(1))
}

/// Frames of one message that claim as much as they can.
fn greedy(entry: &Entry, message: &crate::table::Message, version: i16) -> Vec<Vec<u8>> {
    let dice = &mut Dice(u64::from(version.unsigned_abs()));
    let mut frames: Vec<Vec<u8>> = PATTERNS.iter().map(|it| vec![*it; 400]).collect();
    for _ in 0..10 {
        let length = 1 + dice.below(500);
        frames.push(dice.bytes(length));
        // A message of empty strings, one byte of it replaced by a large count, with room behind.
        let taste = Taste { unknown_tags: true, length_max: 0 };
        let mut frame = sample(message, version, dice, taste);
        if !frame.is_empty() {
            let at = dice.below(frame.len());
            frame[at] = PATTERNS[dice.below(PATTERNS.len())];
            frame.truncate(at + 1);
            frame.resize(at + 300, PATTERNS[dice.below(PATTERNS.len())]);
        }
        frames.push(frame);
    }
    assert!(frames.iter().any(|it| it.len() > 100), "{}", entry.name);
    frames
}

#[test]
fn no_frame_of_any_message_allocates_more_than_the_factor() {
    let mut worst = (0, "", 0);
    for (entry, message) in messages() {
        for version in entry.versions.clone() {
            for frame in greedy(entry, &message, version) {
                let factor = factor(entry, &frame, version);
                worst = worst.max((factor, entry.name, version));
                let bound = u64::try_from(ALLOCATION_FACTOR).unwrap();
                assert!(factor <= bound, "{} v{version}: {factor} on {frame:?}", entry.name);
            }
        }
    }
    assert!(worst.0 > 8, "the frames are not greedy: {worst:?}");
}

/// The densest message there is: groups of empty strings, three bytes each. Valid, so it is read.
#[test]
fn the_densest_message_takes_45_times_its_bytes() {
    let groups = messages().find(|(entry, _)| entry.name == "ListGroupsResponse").unwrap().0;
    let mut frame = vec![0; 6]; // throttle time and error code
    frame.extend([0xe9, 0x07]); // 1000 groups, as a compact count
    frame.extend([1, 1, 0].repeat(1000));
    frame.push(0);
    assert_eq!((groups.decode)(Bytes::from(frame.clone()), 3), Ok(Bytes::new()));
    assert_eq!(allocated(groups, &frame, 3), 136 * 1000);
    assert_eq!(factor(groups, &frame, 3), 46, "45.2, rounded up");
}

#[test]
fn a_claim_of_two_billion_elements_allocates_nothing() {
    let metadata = messages().find(|(entry, _)| entry.name == "MetadataRequest").unwrap().0;
    assert_eq!(allocated(metadata, &[0x7f, 0xff, 0xff, 0xff], 1), 0);
}

#[test]
fn a_record_batch_is_a_slice_of_its_frame() {
    use systole_wire::message::ProduceRequest;
    use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
    use systole_wire::{Message as _, Writer};
    let records = Some(Bytes::from(vec![7; 1 << 20]));
    let partition = PartitionProduceData { records, ..Default::default() };
    let topic = TopicProduceData { partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
    let mut to = Writer::default();
    request.encode(&mut to, 9).unwrap();
    let produce = messages().find(|(entry, _)| entry.name == "ProduceRequest").unwrap().0;
    let allocated = allocated(produce, &to.into_bytes(), 9);
    assert!(allocated < 256, "{allocated} bytes for a MiB of records");
}
