//! Each rule of a topic, kept and broken.

use super::*;
use expect_test::{Expect, expect};
use systole_catalogue::setting::Overrides;
use systole_wire::compression::Codec;
use systole_wire::record::{BatchBuilder, BatchOptions, NewRecord};

const NOW: i64 = 1_700_000_000_000;

fn settings(given: &[(&str, &str)]) -> Settings {
    let own: Overrides =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::new(&own, &Overrides::new())
}

fn batch(codec: Codec, records: &[NewRecord<'_>]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
    for record in records {
        builder.push(record);
    }
    builder.build().unwrap()
}

fn at(timestamp: i64) -> NewRecord<'static> {
    NewRecord { timestamp, key: Some(b"k"), value: Some(b"v"), headers: &[] }
}

fn admitted(batch: &Bytes, given: &[(&str, &str)]) -> Result<Bytes, Refusal> {
    admit(Some(batch), &settings(given), Timestamp::from_millis(NOW))
}

fn check_refusal(batch: &Bytes, given: &[(&str, &str)], expected: &Expect) {
    let refusal = admitted(batch, given).unwrap_err();
    let message = refusal.message.unwrap_or_default();
    let records: String =
        refusal.records.iter().map(|(index, why)| format!("{index}: {why}\n")).collect();
    expected.assert_eq(&format!("{}: {message}\n{records}", refusal.code.name()));
}

#[test]
fn a_sound_batch_enters_as_the_very_bytes_that_came() {
    for codec in Codec::ALL {
        let batch = batch(codec, &[at(NOW), at(NOW - 5)]);
        let entered = admitted(&batch, &[]).unwrap();
        assert_eq!(entered.as_ptr(), batch.as_ptr(), "{codec:?} was copied");
    }
}

#[test]
fn a_compacted_topic_names_each_record_without_a_key() {
    let bare = NewRecord { key: None, ..at(NOW) };
    let batch = batch(Codec::Lz4, &[at(NOW), bare, at(NOW), bare]);
    check_refusal(
        &batch,
        &[("cleanup.policy", "compact,delete")],
        &expect![[r#"
            INVALID_RECORD: 2 records have no key
            1: a record of a compacted topic needs a key
            3: a record of a compacted topic needs a key
        "#]],
    );
    admitted(&batch, &[]).unwrap();
}

#[test]
fn a_record_out_of_time_is_named_and_decides_the_code() {
    let hour = 3_600_000;
    let bare = NewRecord { key: None, ..at(NOW) };
    let batch = batch(Codec::None, &[bare, at(NOW + hour), at(NOW + hour + 1)]);
    check_refusal(
        &batch,
        &[("cleanup.policy", "compact")],
        &expect![[r#"
            INVALID_TIMESTAMP: 1 records are out of time
            0: a record of a compacted topic needs a key
            2: the timestamp is too far from the node's clock for this topic
        "#]],
    );
    admitted(&batch, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
}

#[test]
fn old_records_are_refused_where_the_topic_says_so_and_no_time_is_never_old() {
    let given = [("message.timestamp.before.max.ms", "1000")];
    admitted(&batch(Codec::None, &[at(NOW - 1000), at(NO_TIMESTAMP)]), &given).unwrap();
    let late = admitted(&batch(Codec::None, &[at(NOW - 1001)]), &given).unwrap_err();
    assert_eq!(late.code, ErrorCode::InvalidTimestamp);
}

#[test]
fn an_answer_names_a_bounded_number_of_records() {
    let bare = NewRecord { key: None, ..at(NOW) };
    let batch = batch(Codec::None, &[bare; RECORD_ERRORS_MAX + 1]);
    let refusal = admitted(&batch, &[("cleanup.policy", "compact")]).unwrap_err();
    assert_eq!(refusal.records.len(), RECORD_ERRORS_MAX);
    assert_eq!(refusal.message.unwrap(), "101 records have no key");
}

#[test]
fn a_batch_above_the_topics_limit_is_too_large() {
    let batch = batch(Codec::None, &[at(NOW)]);
    let exactly = batch.len().to_string();
    admitted(&batch, &[("max.message.bytes", &exactly)]).unwrap();
    check_refusal(
        &batch,
        &[("max.message.bytes", "60")],
        &expect![[r#"
            MESSAGE_TOO_LARGE: a batch of 70 bytes, the topic's limit is 60 bytes
        "#]],
    );
}

#[test]
fn the_topics_codec_replaces_the_producers() {
    for (name, codec) in
        [("gzip", Codec::Gzip), ("zstd", Codec::Zstd), ("uncompressed", Codec::None)]
    {
        let came = batch(Codec::Snappy, &[at(NOW), at(NOW + 1)]);
        let entered = admitted(&came, &[("compression.type", name)]).unwrap();
        assert_eq!(entered, batch(codec, &[at(NOW), at(NOW + 1)]));
    }
}

#[test]
fn a_higher_level_of_the_topic_makes_smaller_batches() {
    let letters = (0..20_000_u64).map(|it| b"aeiou"[(it * it % 991 % 5) as usize]);
    let value: Vec<u8> = letters.collect();
    let came = batch(Codec::None, &[NewRecord { value: Some(&value), ..at(NOW) }]);
    for (codec, setting, levels) in [
        ("gzip", "compression.gzip.level", ["1", "9"]),
        ("zstd", "compression.zstd.level", ["-5", "19"]),
    ] {
        let size = |level| {
            let entered = admitted(&came, &[("compression.type", codec), (setting, level)]);
            entered.unwrap().len()
        };
        let [fast, small] = levels.map(size);
        assert!(small < fast, "{codec}: {small} and {fast} bytes");
    }
}

#[test]
fn a_wrong_maximum_timestamp_is_put_right() {
    let right = batch(Codec::None, &[at(NOW), at(NOW - 9)]);
    let mut wrong = right.to_vec();
    record::set_max_timestamp(&mut wrong, TimestampType::Create, 7).unwrap();
    assert_eq!(admitted(&wrong.into(), &[]).unwrap(), right);
}

#[test]
fn a_client_cannot_claim_append_time() {
    let right = batch(Codec::None, &[at(NOW)]);
    let mut claimed = right.to_vec();
    record::set_max_timestamp(&mut claimed, TimestampType::LogAppend, NOW).unwrap();
    assert_eq!(admitted(&claimed.into(), &[]).unwrap(), right);
}

#[test]
fn nothing_at_all_is_an_invalid_record() {
    let now = Timestamp::from_millis(NOW);
    for nothing in [None, Some(&Bytes::new())] {
        let refusal = admit(nothing, &settings(&[]), now).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRecord);
    }
}
