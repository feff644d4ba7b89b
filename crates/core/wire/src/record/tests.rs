//! Batches built, read, damaged and compared with a second implementation.

use super::*;
use crate::compression::Codec;
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as oracle;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    fn of(record: &Record<'_>) -> Self {
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        Self {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .clone()
                .map(|(k, v)| (text(k), v.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..200))
}

/// Header keys are unique: the oracle keeps headers in a map.
fn owned() -> impl Strategy<Value = Owned> {
    let headers = prop::collection::btree_map("[a-zé]{0,12}", field(), 0..4);
    (0..2_000_000_000_000_i64, field(), field(), headers).prop_map(
        |(timestamp, key, value, headers)| Owned {
            timestamp,
            key,
            value,
            headers: headers.into_iter().collect(),
        },
    )
}

fn owned_list() -> impl Strategy<Value = Vec<Owned>> {
    prop::collection::vec(owned(), 1..20)
}

fn options() -> impl Strategy<Value = BatchOptions> {
    let producer = (0..i64::MAX, 0..i16::MAX, 0..i32::MAX)
        .prop_map(|(id, epoch, base_sequence)| Producer { id, epoch, base_sequence });
    let producer = prop::option::of(producer).prop_map(|it| it.unwrap_or(Producer::NONE));
    (prop::sample::select(Codec::ALL.to_vec()), producer, any::<bool>()).prop_map(
        |(codec, producer, transactional)| BatchOptions {
            codec,
            producer,
            transactional,
            control: false,
            base_offset: 0,
        },
    )
}

fn build(options: BatchOptions, records: &[Owned]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for it in records {
        let headers: Vec<_> = it.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        builder.push(&NewRecord {
            timestamp: it.timestamp,
            key: it.key.as_deref(),
            value: it.value.as_deref(),
            headers: &headers,
        });
    }
    builder.build().unwrap()
}

fn simple(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for (value, timestamp) in values.iter().zip(1000..) {
        let value = Some(value.as_bytes());
        builder.push(&NewRecord { timestamp, value, ..NewRecord::default() });
    }
    builder.build().unwrap()
}

/// Changes a batch and gives it the checksum that fits.
fn altered(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    patch::set_crc(&mut bytes).unwrap();
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn refusal(batch: &[u8]) -> String {
    check_produced(batch, LIMIT, |_| {}).map(|(_, it)| it).unwrap_err().to_string()
}

fn oracle_codec(codec: Codec) -> oracle::Compression {
    match codec {
        Codec::None => oracle::Compression::None,
        Codec::Gzip => oracle::Compression::Gzip,
        Codec::Snappy => oracle::Compression::Snappy,
        Codec::Lz4 => oracle::Compression::Lz4,
        Codec::Zstd => oracle::Compression::Zstd,
    }
}

fn to_oracle(record: &Owned, offset: i64) -> oracle::Record {
    let headers: IndexMap<_, _> = record
        .headers
        .iter()
        .map(|(k, v)| (StrBytes::from_string(k.clone()), v.clone().map(Bytes::from)))
        .collect();
    oracle::Record {
        transactional: false,
        control: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: oracle::TimestampType::Creation,
        offset,
        sequence: i32::try_from(offset).unwrap() - 1,
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers,
        delete_horizon: false,
    }
}

fn from_oracle(record: &oracle::Record) -> Owned {
    Owned {
        timestamp: record.timestamp,
        key: record.key.as_ref().map(|it| it.to_vec()),
        value: record.value.as_ref().map(|it| it.to_vec()),
        headers: record
            .headers
            .iter()
            .map(|(k, v)| (k.to_string(), v.as_ref().map(|it| it.to_vec())))
            .collect(),
    }
}

proptest! {
    #[test]
    fn what_is_built_is_accepted_and_read_back(options in options(), records in owned_list()) {
        let batch = build(options, &records);
        let mut seen = Vec::new();
        let (_, contents) = check_produced(&batch, LIMIT, |it| seen.push(Owned::of(it))).unwrap();
        prop_assert_eq!(&seen, &records);
        let newest = records.iter().map(|it| it.timestamp).max().unwrap();
        prop_assert_eq!(contents.max_timestamp, newest);
        let first = records.iter().position(|it| it.timestamp == newest).unwrap();
        prop_assert_eq!(usize::try_from(contents.max_timestamp_delta).unwrap(), first);
        let header = BatchHeader::read(&batch).unwrap();
        prop_assert_eq!(header.max_timestamp, newest);
        prop_assert_eq!(header.attributes.is_transactional(), options.transactional);
        prop_assert_eq!(header.size_bytes(), batch.len());
    }

    #[test]
    fn the_oracle_reads_what_we_build(options in options(), records in owned_list()) {
        let batch = build(options, &records);
        // The oracle knows snappy only in xerial framing, and lz4 and the rest as we write them.
        let decoded = oracle::RecordBatchDecoder::decode(&mut batch.clone()).unwrap();
        let theirs: Vec<_> = decoded.records.iter().map(from_oracle).collect();
        prop_assert_eq!(theirs, records);
        let first = &decoded.records[0];
        prop_assert_eq!(first.producer_id, options.producer.id);
        prop_assert_eq!(first.producer_epoch, options.producer.epoch);
    }

    #[test]
    fn we_read_what_the_oracle_builds(
        codec in prop::sample::select(Codec::ALL.to_vec()),
        records in owned_list(),
    ) {
        let theirs: Vec<_> = records.iter().zip(0..).map(|(it, at)| to_oracle(it, at)).collect();
        let mut bytes = BytesMut::new();
        let options =
            oracle::RecordEncodeOptions { version: 2, compression: oracle_codec(codec) };
        oracle::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
        let mut read = Vec::new();
        for batch in Batches::new(bytes.freeze()) {
            let batch = batch.unwrap();
            verify_crc(&batch.bytes).unwrap();
            let set = RecordSet::open(&batch.bytes, LIMIT).unwrap();
            read.extend(set.iter().map(|it| Owned::of(&it.unwrap())));
        }
        prop_assert_eq!(read, records);
    }

    #[test]
    fn a_flipped_bit_behind_the_checksum_is_detected(
        options in options(),
        records in owned_list(),
        at: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let mut batch = build(options, &records).to_vec();
        let at = position::CRC + at.index(batch.len() - position::CRC);
        batch[at] ^= 1 << bit;
        let is_crc = matches!(verify_crc(&batch), Err(Error::Crc { .. }));
        prop_assert!(is_crc);
    }

    /// With a checksum that fits, so that the damage reaches the record walk.
    #[test]
    fn damaged_and_cut_batches_never_panic(
        options in options(),
        records in owned_list(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut: prop::sample::Index,
    ) {
        let batch = build(options, &records);
        let mut batch = altered(&batch, |bytes| for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        });
        let _ = check_produced(&batch, LIMIT, |it| { Owned::of_any(it); });
        batch.truncate(cut.index(batch.len() + 1));
        let _ = check_produced(&batch, LIMIT, |_| {});
        for it in Batches::new(batch.into()) {
            let _ = it.map(|it| RecordSet::open(&it.bytes, LIMIT).map(|it| it.iter().count()));
        }
    }

    #[test]
    fn noise_never_panics(noise: Vec<u8>) {
        let mut framed = build(BatchOptions::default(), &[])[..HEADER_LEN].to_vec();
        framed.extend_from_slice(&noise);
        let length = i32::try_from(framed.len() - BATCH_OVERHEAD).unwrap();
        put(&mut framed, position::BATCH_LENGTH, &length.to_be_bytes());
        put(&mut framed, position::RECORDS_COUNT, &i32::MAX.to_be_bytes());
        put(&mut framed, position::LAST_OFFSET_DELTA, &(i32::MAX - 1).to_be_bytes());
        patch::set_crc(&mut framed).unwrap();
        let _ = check_produced(&framed, LIMIT, |_| {});
        let _ = Batches::new(noise.into()).count();
    }

    #[test]
    fn a_batch_put_under_another_codec_keeps_its_records(
        options in options(),
        records in owned_list(),
        codec in prop::sample::select(Codec::ALL.to_vec()),
    ) {
        let batch = build(options, &records);
        let again = recompress(&RecordSet::open(&batch, LIMIT).unwrap(), codec).unwrap();
        prop_assert_eq!(again, build(BatchOptions { codec, ..options }, &records));
    }

    #[test]
    fn a_run_is_split_where_its_batches_end(runs in prop::collection::vec(owned_list(), 0..5)) {
        let batches: Vec<_> =
            runs.iter().map(|it| build(BatchOptions::default(), it)).collect();
        let split: Result<Vec<_>, _> =
            Batches::new(batches.concat().into()).map(|it| it.map(|it| it.bytes)).collect();
        prop_assert_eq!(split.unwrap(), batches);
    }
}

impl Owned {
    /// Walks everything that a record gives access to, whatever it holds.
    fn of_any(record: &Record<'_>) -> usize {
        record.headers.clone().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum()
    }
}

#[test]
fn every_rule_at_the_door_has_its_refusal() {
    let batch = simple(&["a", "b"]);
    let with = |at: usize, value: &[u8]| refusal(&altered(&batch, |it| put(it, at, value)));
    let cases = [
        ("magic 0", with(position::MAGIC, &[0])),
        ("magic 1", with(position::MAGIC, &[1])),
        ("magic 3", with(position::MAGIC, &[3])),
        ("base offset", with(position::BASE_OFFSET, &5_i64.to_be_bytes())),
        ("no records", with(position::RECORDS_COUNT, &0_i32.to_be_bytes())),
        ("count", with(position::RECORDS_COUNT, &3_i32.to_be_bytes())),
        ("last delta", with(position::LAST_OFFSET_DELTA, &7_i32.to_be_bytes())),
        ("control", with(position::ATTRIBUTES, &0x20_i16.to_be_bytes())),
        ("codec", with(position::ATTRIBUTES, &5_i16.to_be_bytes())),
        ("sequence", with(position::PRODUCER_ID, &9_i64.to_be_bytes())),
        ("short length", with(position::BATCH_LENGTH, &48_i32.to_be_bytes())),
        ("negative length", with(position::BATCH_LENGTH, &(-1_i32).to_be_bytes())),
        ("long length", with(position::BATCH_LENGTH, &1000_i32.to_be_bytes())),
        ("two batches", refusal(&[batch.clone(), batch.clone()].concat())),
        ("crc", refusal(&[&batch[..batch.len() - 2], b"xy"].concat())),
        ("header only", refusal(&batch[..40])),
        ("not gzip", with(position::ATTRIBUTES, &1_i16.to_be_bytes())),
    ];
    let shown: String = cases.map(|(case, said)| format!("{case}: {said}\n")).concat();
    expect_test::expect![[r#"
        magic 0: record format 0 is not supported, only 2
        magic 1: record format 1 is not supported, only 2
        magic 3: record format 3 is not supported, only 2
        base offset: a produced batch starts at offset 0, this one at 5
        no records: 0 records with a last offset delta of 1
        count: 3 records with a last offset delta of 1
        last delta: 2 records with a last offset delta of 7
        control: clients must not write control records
        codec: compression codec 5 does not exist
        sequence: producer id 9 with base sequence -1
        short length: batch length 48 is shorter than a batch header
        negative length: batch length -1 is shorter than a batch header
        long length: a batch needs 1012 bytes, there are 77
        two batches: 77 bytes follow the last record
        crc: checksum is 0xd8a1b296, the batch says 0x541f3f80
        header only: a batch needs 61 bytes, there are 40
        not gzip: damaged gzip data
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_bad_record_is_named_by_its_index() {
    // Length 7, attributes, timestamp and offset delta, no key, value length 1, value, no headers.
    let batch = simple(&["a", "b", "c"]);
    let second = HEADER_LEN + 8;
    assert_eq!(&batch[second..second + 8], &[14, 0, 2, 2, 1, 2, b'b', 0]);
    let with = |at: usize, value: u8| refusal(&altered(&batch, |it| it[second + at] = value));
    let cases = [
        ("offset delta", with(3, 6)),
        ("value length", with(5, 40)),
        ("shorter value", with(5, 0)),
        ("header count", with(7, 1)),
        ("missing header", with(7, 2)),
        ("record length", with(0, 16)),
        ("negative record length", with(0, 1)),
        ("long record length", with(0, 126)),
        (
            "trailing",
            refusal(&altered(&batch, |it| {
                put(it, position::RECORDS_COUNT, &2_i32.to_be_bytes());
                put(it, position::LAST_OFFSET_DELTA, &1_i32.to_be_bytes());
            })),
        ),
        (
            "missing",
            refusal(&altered(&batch, |it| {
                put(it, position::RECORDS_COUNT, &4_i32.to_be_bytes());
                put(it, position::LAST_OFFSET_DELTA, &3_i32.to_be_bytes());
            })),
        ),
    ];
    let shown: String = cases.map(|(case, said)| format!("{case}: {said}\n")).concat();
    expect_test::expect![[r#"
        offset delta: record 1: offset delta is 3 instead of 1
        value length: record 1: ends early
        shorter value: record 1: a length, count or delta is negative, overlong or cut off
        header count: record 1: a length, count or delta is negative, overlong or cut off
        missing header: record 1: a length, count or delta is negative, overlong or cut off
        record length: record 1: its length does not match its fields
        negative record length: record 1: a length, count or delta is negative, overlong or cut off
        long record length: record 1: ends early
        trailing: 8 bytes follow the last record
        missing: record 3: a length, count or delta is negative, overlong or cut off
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_timestamp_beyond_the_end_of_time_is_a_bad_record() {
    let batch = altered(&simple(&["a", "b"]), |it| {
        put(it, position::BASE_TIMESTAMP, &i64::MAX.to_be_bytes());
    });
    assert_eq!(refusal(&batch), "record 1: its offset or timestamp is out of range");
}

#[test]
fn a_bomb_is_refused_inside_a_batch() {
    let zeros = vec![0; 8 * LIMIT];
    for codec in Codec::ALL.into_iter().skip(1) {
        let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
        builder.push(&NewRecord { value: Some(&zeros), ..NewRecord::default() });
        let refused = check_produced(&builder.build().unwrap(), LIMIT, |_| {}).map(|_| ());
        let too_large = matches!(
            refused,
            Err(Error::Compression(compression::Error::TooLarge { limit_bytes: LIMIT, .. }))
        );
        assert!(too_large, "{codec:?}: {refused:?}");
    }
}

#[test]
fn the_broker_rewrites_offset_epoch_and_time_and_nothing_else() {
    let batch = simple(&["a", "b"]);
    let mut bytes = batch.to_vec();
    set_base_offset(&mut bytes, 4711).unwrap();
    set_leader_epoch(&mut bytes, 3).unwrap();
    verify_crc(&bytes).unwrap();
    set_max_timestamp(&mut bytes, TimestampType::LogAppend, 5000).unwrap();
    verify_crc(&bytes).unwrap();

    let (before, after) = (BatchHeader::read(&batch).unwrap(), BatchHeader::read(&bytes).unwrap());
    let attributes = before.attributes.with_timestamp_type(TimestampType::LogAppend);
    assert_eq!(
        after,
        BatchHeader {
            base_offset: 4711,
            partition_leader_epoch: 3,
            attributes,
            max_timestamp: 5000,
            crc: after.crc,
            ..before
        }
    );
    assert_eq!(bytes[HEADER_LEN..], batch[HEADER_LEN..]);
    let set = RecordSet::open(&bytes, LIMIT).unwrap();
    let seen: Vec<_> =
        set.iter().map(|it| it.unwrap()).map(|it| (it.offset, it.timestamp)).collect();
    assert_eq!(seen, [(4711, 5000), (4712, 5000)]);
    assert_eq!(after.next_offset(), 4713);
}

#[test]
fn records_are_slices_of_the_batch() {
    let batch = simple(&["value"]);
    let set = RecordSet::open(&batch, LIMIT).unwrap();
    let value = set.iter().next().unwrap().unwrap().value.unwrap();
    assert_eq!(batch.slice_ref(value), &b"value"[..]);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut header = BatchHeader::read(&simple(&["a", "b", "c"])).unwrap();
    header.base_sequence = i32::MAX - 1;
    assert_eq!(header.last_sequence(), 0);
    header.base_sequence = NO_SEQUENCE;
    assert_eq!(header.last_sequence(), NO_SEQUENCE);
}

#[test]
fn debug_output_shows_sizes_and_no_payload() {
    let batch = simple(&["4711 DOE JANE"]);
    let set = RecordSet::open(&batch, LIMIT).unwrap();
    let record = set.iter().next().unwrap().unwrap();
    let whole = Batches::new(batch.clone()).next().unwrap().unwrap();
    let shown = format!("{record:?} {set:?} {whole:?} {:?}", set.iter());
    assert!(!shown.contains("DOE") && !shown.contains("52, 55"), "{shown}");
}

#[test]
fn a_marker_has_the_bytes_that_kafka_writes() {
    let commit = EndMarker { outcome: Outcome::Commit, coordinator_epoch: 7 };
    let batch = commit.build((4711, 3), 99).unwrap();
    let header = BatchHeader::read(&batch).unwrap();
    assert!(header.attributes.is_transactional() && header.attributes.is_control());
    assert_eq!((header.producer_id, header.producer_epoch), (4711, 3));
    assert_eq!((header.base_sequence, header.records_count), (NO_SEQUENCE, 1));
    verify_crc(&batch).unwrap();
    // Length 16, no attributes, deltas 0; key: version 0, type 1; value: version 0, epoch 7.
    let record = [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 7, 0];
    assert_eq!(batch[HEADER_LEN..], record);
    assert_eq!(EndMarker::read(&batch).unwrap(), commit);
    let abort = EndMarker { outcome: Outcome::Abort, ..commit };
    assert_eq!(EndMarker::read(&abort.build((1, 0), 0).unwrap()).unwrap(), abort);
    assert!(matches!(check_produced(&batch, LIMIT, |_| {}), Err(Error::Control)));
}

#[test]
fn what_is_no_marker_is_told_apart() {
    let marker = EndMarker { outcome: Outcome::Abort, coordinator_epoch: 0 };
    let batch = marker.build((1, 0), 0).unwrap();
    let change = |at: usize, to: u8| {
        let mut it = batch.to_vec();
        it[at] = to;
        EndMarker::read(&it)
    };
    let key = HEADER_LEN + 5;
    assert_eq!(change(key + 1, 9).unwrap(), marker, "a later version is read as far as known");
    for (at, to) in [(key + 3, 2), (key, 0x80), (position::ATTRIBUTES + 1, 0x10)] {
        assert!(matches!(change(at, to), Err(Error::NotAMarker)), "byte {at}");
    }
    assert!(matches!(EndMarker::read(&simple(&["x"])), Err(Error::NotAMarker)));
    let options = BatchOptions { control: true, ..BatchOptions::default() };
    let empty = BatchBuilder::new(options).build().unwrap();
    assert!(matches!(EndMarker::read(&empty), Err(Error::NotAMarker)));
}

proptest! {
    #[test]
    fn reading_a_marker_from_any_bytes_ends(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        control: bool,
    ) {
        if let Some(it) = bytes.get_mut(position::MAGIC) {
            *it = 2;
        }
        if let Some(it) = bytes.get_mut(position::ATTRIBUTES + 1).filter(|_| control) {
            *it = 0x30;
        }
        let _: Result<EndMarker, Error> = EndMarker::read(&bytes);
    }
}

proptest! {
    #[test]
    fn what_is_retained_keeps_offset_time_and_content(
        options in options(),
        records in owned_list(),
        kept in prop::collection::vec(any::<bool>(), 20),
        horizon in prop::option::of(0_i64..1 << 40),
    ) {
        let batch = build(BatchOptions { base_offset: 7, ..options }, &records);
        let set = RecordSet::open(&batch, LIMIT).unwrap();
        let mut flags = kept.iter();
        let retained = retain(&set, horizon, |_| *flags.next().unwrap()).unwrap();
        let all: Vec<_> = set.iter().map(Result::unwrap).collect();
        let expected: Vec<_> = all.iter().zip(&kept).filter(|it| *it.1).map(|it| it.0).collect();
        let before = *set.header();
        match retained {
            Retained::Nothing => prop_assert!(expected.is_empty()),
            Retained::Same => prop_assert_eq!(expected.len(), all.len()),
            Retained::Changed(bytes) => {
                verify_crc(&bytes).unwrap();
                let set = RecordSet::open(&bytes, LIMIT).unwrap();
                let after = *set.header();
                prop_assert_eq!(
                    (after.base_offset, after.last_offset_delta, after.base_sequence),
                    (before.base_offset, before.last_offset_delta, before.base_sequence)
                );
                let has_horizon = after.attributes.has_delete_horizon();
                prop_assert_eq!(horizon, has_horizon.then_some(after.base_timestamp));
                let found: Vec<_> = set.iter().map(Result::unwrap).collect();
                prop_assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    prop_assert_eq!(
                        (found.offset, found.timestamp, found.key, found.value),
                        (expected.offset, expected.timestamp, expected.key, expected.value)
                    );
                    prop_assert!(found.headers.clone().eq(expected.headers.clone()));
                }
            }
        }
    }
}

#[test]
fn a_batch_without_records_keeps_its_offsets_and_its_producer() {
    let producer = Producer { id: 5, epoch: 1, base_sequence: 9 };
    let mut builder = BatchBuilder::new(BatchOptions { producer, ..BatchOptions::default() });
    (0..3).for_each(|_| builder.push(&NewRecord::default()));
    let before = BatchHeader::read(&builder.build().unwrap()).unwrap();
    for (bytes, sequence) in [(empty(&before).unwrap(), 11), (filler(0, 2).unwrap(), -1)] {
        verify_crc(&bytes).unwrap();
        let after = BatchHeader::read(&bytes).unwrap();
        assert_eq!(
            (bytes.len(), after.next_offset(), after.last_sequence()),
            (EMPTY_LEN, 3, sequence)
        );
        assert_eq!(RecordSet::open(&bytes, 0).unwrap().iter().count(), 0);
    }
}
