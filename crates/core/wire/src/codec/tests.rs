//! The codec by hand-written bytes.

use super::*;
use crate::message::{FetchRequest, ListOffsetsRequest, MetadataRequest, RequestHeader};
use crate::message::{Message as _, metadata_request::MetadataRequestTopic};
use bytes::Bytes;
use proptest::prelude::*;

const RIGID: Form = Form { version: 0, flexible: false };
const COMPACT: Form = Form { version: 0, flexible: true };

fn written(write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Bytes {
    let mut to = Writer::default();
    write(&mut to).unwrap();
    to.into_bytes()
}

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

#[test]
fn lengths_have_two_forms() {
    let text = Str::from_static("ab");
    assert_eq!(&written(|to| text.write(to, RIGID))[..], [0, 2, b'a', b'b']);
    assert_eq!(&written(|to| text.write(to, COMPACT))[..], [3, b'a', b'b']);
    assert_eq!(&written(|to| Str::write_nullable(None, to, RIGID))[..], [0xff, 0xff]);
    assert_eq!(&written(|to| Str::write_nullable(None, to, COMPACT))[..], [0]);
    assert_eq!(&written(|to| vec![7_i16].write(to, RIGID))[..], [0, 0, 0, 1, 0, 7]);
    assert_eq!(&written(|to| vec![7_i16].write(to, COMPACT))[..], [2, 0, 7]);
}

#[test]
fn null_is_refused_where_there_is_none() {
    assert_eq!(Str::read(&mut reader(&[0]), COMPACT), Err(DecodeError::Null { at: 1 }));
    assert_eq!(Str::read_nullable(&mut reader(&[0]), COMPACT), Ok(None));
    let negative = Str::read(&mut reader(&[0xff, 0xfe]), RIGID);
    assert_eq!(negative, Err(DecodeError::NegativeLength { at: 0 }));
}

#[test]
fn text_is_utf8() {
    let read = Str::read(&mut reader(&[2, 0xff]), COMPACT);
    assert_eq!(read, Err(DecodeError::NotUtf8 { at: 1 }));
}

#[test]
fn a_string_keeps_to_the_old_limit_in_both_forms() {
    let long = Str::from("x".repeat(STRING_BYTES_MAX + 1));
    for form in [RIGID, COMPACT] {
        let (length, limit) = (STRING_BYTES_MAX + 1, STRING_BYTES_MAX);
        let refusal = long.write(&mut Writer::default(), form);
        assert_eq!(refusal, Err(EncodeError::TooLong { length, limit }));
    }
    let bytes = written(|to| long.as_bytes().write(to, COMPACT));
    let refusal = Str::read(&mut Reader::new(bytes), COMPACT);
    assert_eq!(refusal, Err(DecodeError::StringTooLong { at: 3, length: STRING_BYTES_MAX + 1 }));
    let longest = Str::from("x".repeat(STRING_BYTES_MAX));
    assert!(Str::read(&mut Reader::new(written(|to| longest.write(to, RIGID))), RIGID).is_ok());
}

#[test]
fn a_varint_has_at_most_32_bits() {
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(), Ok(u32::MAX));
    let too_long = Err(DecodeError::VarintTooLong { at: 0 });
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unsigned_varint(), too_long);
    assert_eq!(reader(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).unsigned_varint(), too_long);
}

#[test]
fn a_tight_budget_refuses_what_the_bytes_would_allow() {
    let frame = written(|to| vec![Str::new(); 100].write(to, COMPACT));
    let mut tight = Reader::with_budget(frame.clone(), 1000);
    let refusal = Vec::<Str>::read(&mut tight, COMPACT).unwrap_err();
    assert_eq!(refusal, DecodeError::OverBudget { at: 1, needed: 3200, left: 1000 });
    assert!(Vec::<Str>::read(&mut Reader::new(frame), COMPACT).is_ok());
}

#[test]
fn unknown_tagged_fields_are_kept_in_order() {
    let field = |tag| TaggedField { tag, value: Bytes::from_static(b"later") };
    let mut header = RequestHeader::default();
    header.unknown_tagged_fields.push(field(9));
    header.unknown_tagged_fields.push(field(3));
    let refusal = header.encode(&mut Writer::default(), 2);
    assert_eq!(refusal, Err(EncodeError::DuplicateTag { tag: 3 }));
    let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 1, b'x', 9, 0];
    let back = RequestHeader::decode(&mut reader(&bytes), 2).unwrap();
    assert_eq!(&written(|to| back.encode(to, 2))[..], bytes);
    let twice = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 3, 0];
    let refusal = RequestHeader::decode(&mut reader(&twice), 2).unwrap_err();
    assert_eq!(refusal, DecodeError::TagOrder { at: 13, tag: 3 });
}

#[test]
fn a_known_tagged_field_fills_its_size() {
    let fetch = FetchRequest { cluster_id: Some("c".into()), ..FetchRequest::default() };
    let mut bytes = written(|to| fetch.encode(to, 12)).to_vec();
    assert_eq!(bytes[bytes.len() - 5..], [1, 0, 2, 2, b'c'], "one tag, number 0, two bytes");
    bytes.push(b'!');
    let at = bytes.len() - 4;
    bytes[at] = 3;
    let refusal = FetchRequest::decode(&mut reader(&bytes), 12).unwrap_err();
    assert_eq!(refusal, DecodeError::TagSize { tag: 0, surplus: 1 });
}

#[test]
fn a_value_that_the_version_would_lose_is_refused() {
    let request = ListOffsetsRequest { isolation_level: 1, ..ListOffsetsRequest::default() };
    let refusal = request.encode(&mut Writer::default(), 1);
    let field = "ListOffsetsRequest.isolation_level";
    assert_eq!(refusal, Err(EncodeError::FieldNotInVersion { field, version: 1 }));
    let request = ListOffsetsRequest { timeout_ms: 5, ..ListOffsetsRequest::default() };
    assert_eq!(request.encode(&mut Writer::default(), 1), Ok(()), "ignorable");
}

#[test]
fn null_for_all_topics_came_with_metadata_v1() {
    let all = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let field = "MetadataRequest.topics";
    let refusal = all.encode(&mut Writer::default(), 0);
    assert_eq!(refusal, Err(EncodeError::Null { field, version: 0 }));
    assert_eq!(&written(|to| all.encode(to, 1))[..], [0xff; 4]);
}

#[test]
fn large_bytes_are_linked_and_small_ones_copied() {
    let large = Bytes::from(vec![1; LINK_BYTES_MIN]);
    let mut to = Writer::default();
    Bytes::from_static(b"small").write(&mut to, RIGID).unwrap();
    large.write(&mut to, RIGID).unwrap();
    7_i8.write(&mut to, RIGID).unwrap();
    assert_eq!(to.len(), 4 + 5 + 4 + LINK_BYTES_MIN + 1);
    let chunks = to.into_chunks();
    assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [13, LINK_BYTES_MIN, 1]);
    assert_eq!(chunks[1].as_ptr(), large.as_ptr());
}

#[test]
fn strings_share_the_frame() {
    let topic = MetadataRequestTopic { name: Some("patients".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let frame = written(|to| request.encode(to, 12));
    let back = MetadataRequest::decode(&mut Reader::new(frame.clone()), 12).unwrap();
    let name = back.topics.unwrap().remove(0).name.unwrap();
    assert!(frame.as_ptr_range().contains(&name.as_bytes().as_ptr()));
}

proptest! {
    #[test]
    fn varints_come_back(value: u32) {
        let bytes = written(|to| { to.put_unsigned_varint(value); Ok(()) });
        let mut from = Reader::new(bytes);
        prop_assert_eq!(from.unsigned_varint(), Ok(value));
        prop_assert_eq!(from.expect_end(), Ok(()));
    }

    #[test]
    fn numbers_and_text_come_back(number: i64, float in -1e9_f64..1e9, text: String) {
        for form in [RIGID, COMPACT] {
            let bytes = written(|to| {
                number.write(to, form)?;
                float.write(to, form)?;
                Str::from(text.as_str()).write(to, form)
            });
            let mut from = Reader::new(bytes);
            prop_assert_eq!(from.field::<i64>(form), Ok(number));
            prop_assert_eq!(from.field::<f64>(form), Ok(float));
            prop_assert_eq!(&from.field::<Str>(form).unwrap()[..], text.as_str());
        }
    }
}
