//! The rules of producers, one by one.

use super::*;
use crate::batch::Producer as Writer;
use bytes::Bytes;
use systole_wire::record::{EndMarker, Outcome};

const AT: Timestamp = Timestamp::from_millis(0);

fn header(first: i64, epoch: i16, sequence: i32, count: i32) -> Header {
    Header {
        base: Offset::new(first),
        bytes: 100,
        last_delta: count - 1,
        max_timestamp: 0,
        producer: Some(Writer { id: 7, epoch, first_sequence: Some(sequence) }),
        transactional: false,
        control: false,
    }
}
fn stored(header: Header) -> Stored {
    Stored { header, bytes: Bytes::new() }
}
fn transactional(first: i64, epoch: i16, sequence: i32) -> Header {
    Header { transactional: true, ..header(first, epoch, sequence, 1) }
}
fn marker(producer_epoch: i16, transaction_version: i16) -> Marker {
    let outcome = Outcome::Commit;
    Marker { producer_id: 7, producer_epoch, outcome, coordinator_epoch: 3, transaction_version }
}
fn written_marker(first: i64, epoch: i16) -> Stored {
    let it = EndMarker { outcome: Outcome::Commit, coordinator_epoch: 3 };
    let bytes = it.build((7, epoch), 0).unwrap();
    let header = Header::read(&bytes).unwrap();
    Stored { header: Header { base: Offset::new(first), ..header }, bytes }
}
fn after(batches: &[(i64, i16, i32, i32)]) -> Producers {
    let mut it = Producers::default();
    for &(first, epoch, sequence, count) in batches {
        it.note(&stored(header(first, epoch, sequence, count)), Timestamp::from_millis(first));
    }
    it
}
fn settled(batches: &[(i64, i16, i32, i32)]) -> Producers {
    let mut it = after(batches);
    for &(first, epoch, sequence, count) in batches {
        it.settle(&stored(header(first, epoch, sequence, count)));
    }
    it
}
/// What becomes of a batch of one record.
fn ask(it: &Producers, epoch: i16, sequence: i32) -> Verdict {
    it.check(&header(0, epoch, sequence, 1), Origin::Client)
}

#[test]
fn a_new_producer_starts_at_zero() {
    let it = Producers::default();
    assert_eq!(ask(&it, 3, 0), Verdict::Append);
    assert_eq!(ask(&it, 3, 99), Verdict::OutOfOrder { expected: 0 });
}
#[test]
fn a_producer_that_may_have_been_forgotten_is_told_so() {
    let mut it = settled(&[(0, 0, 0, 1), (50, 0, 1, 1)]);
    it.expire(Timestamp::from_millis(50));
    assert_eq!(ask(&it, 0, 2), Verdict::Append);
    it.expire(Timestamp::from_millis(51));
    assert_eq!(it.all(), []);
    assert_eq!(ask(&it, 0, 2), Verdict::Unknown);
    assert_eq!(ask(&it, 1, 0), Verdict::Append);
    let mut younger = header(0, 0, 2, 1);
    younger.producer = Some(Writer { id: 8, epoch: 0, first_sequence: Some(2) });
    assert_eq!(it.check(&younger, Origin::Client), Verdict::OutOfOrder { expected: 0 });
}
#[test]
fn a_producer_with_an_open_transaction_or_unwritten_batches_is_not_forgotten() {
    let mut it = Producers::default();
    it.note(&stored(transactional(0, 0, 0)), AT);
    it.expire(Timestamp::from_millis(1));
    assert_eq!(it.all().len(), 1);
    it.settle(&stored(transactional(0, 0, 0)));
    it.expire(Timestamp::from_millis(1));
    assert_eq!(it.all().len(), 1);
    it.note(&written_marker(1, 0), AT);
    it.settle(&written_marker(1, 0));
    it.expire(Timestamp::from_millis(1));
    assert_eq!(it.all(), []);
}
#[test]
fn a_repeated_batch_gets_its_first_offsets() {
    let it = after(&[(0, 0, 0, 3), (3, 0, 3, 2)]);
    let expected = Verdict::Duplicate { first: Offset::new(0), last: Offset::new(2) };
    assert_eq!(it.check(&header(9, 0, 0, 3), Origin::Client), expected);
}
#[test]
fn a_gap_is_refused_and_says_what_was_expected() {
    let it = after(&[(0, 0, 0, 3)]);
    assert_eq!(ask(&it, 0, 4), Verdict::OutOfOrder { expected: 3 });
    assert_eq!(ask(&it, 0, 3), Verdict::Append);
}
#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let it = after(&[(0, 0, 0, 3), (3, 1, 0, 1)]);
    assert_eq!(ask(&it, 0, 3), Verdict::Fenced { current: 1 });
    assert_eq!(ask(&it, 2, 5), Verdict::OutOfOrder { expected: 0 });
    assert_eq!(ask(&it, 2, 0), Verdict::Append);
}
#[test]
fn sequences_wrap_to_zero() {
    let it = after(&[(0, 0, i32::MAX - 1, 2)]);
    assert_eq!(ask(&it, 0, 0), Verdict::Append);
    assert_eq!(ask(&it, 0, 1), Verdict::OutOfOrder { expected: 0 });
}
#[test]
fn a_batch_older_than_the_window_is_out_of_order() {
    let batches: Vec<_> = (0..7).map(|it| (it, 0, i32::try_from(it).unwrap(), 1)).collect();
    for it in [after(&batches), settled(&batches)] {
        assert_eq!(ask(&it, 0, 1), Verdict::OutOfOrder { expected: 7 });
        assert!(matches!(ask(&it, 0, 2), Verdict::Duplicate { .. }));
    }
}
#[test]
fn rolling_back_restores_epoch_sequence_and_transaction() {
    let mut it = settled(&[(0, 0, 0, 1)]);
    let before = it.clone();
    for at in 1..9 {
        let sequence = i32::try_from(at - 1).unwrap();
        it.note(&stored(transactional(at, 1, sequence)), AT);
    }
    assert!(it.state(7).unwrap().transaction_start.is_some());
    it.roll_back();
    assert_eq!(it, before);
    assert_eq!(ask(&it, 0, 1), Verdict::Append);
}
#[test]
fn batches_that_settle_one_by_one_lead_to_the_same_state_as_all_at_once() {
    let batches: Vec<_> = (0..9).map(|it| (it, 0, i32::try_from(it).unwrap(), 1)).collect();
    let mut it = Producers::default();
    for &(first, epoch, sequence, count) in &batches {
        it.note(&stored(header(first, epoch, sequence, count)), Timestamp::from_millis(8));
    }
    for &(first, epoch, sequence, count) in &batches {
        it.settle(&stored(header(first, epoch, sequence, count)));
    }
    assert_eq!(it, settled(&batches));
}
#[test]
fn a_transaction_lasts_from_its_first_batch_to_its_marker() {
    let mut it = Producers::default();
    let first = Offset::new(5);
    let began = it.note(&stored(transactional(5, 0, 0)), AT);
    assert_eq!(began, Some(Change::Began { producer_id: 7, first }));
    assert_eq!(it.note(&stored(transactional(6, 0, 1)), AT), None);
    assert_eq!(ask(&it, 0, 2), Verdict::TransactionOpen);
    let ended = it.note(&written_marker(7, 1), AT);
    let (marker_at, outcome) = (Offset::new(7), Outcome::Commit);
    assert_eq!(ended, Some(Change::Ended { producer_id: 7, first, marker_at, outcome }));
    let state = it.state(7).unwrap();
    assert_eq!((state.epoch, state.coordinator_epoch, state.last_sequence), (1, Some(3), None));
    assert_eq!(state.transaction_start, None);
    assert_eq!(ask(&it, 0, 2), Verdict::Fenced { current: 1 });
    assert_eq!(ask(&it, 1, 2), Verdict::OutOfOrder { expected: 0 });
    assert_eq!(ask(&it, 1, 0), Verdict::Append);
}
#[test]
fn a_marker_of_the_same_epoch_keeps_the_sequence() {
    let mut it = Producers::default();
    it.note(&stored(transactional(0, 4, 0)), AT);
    it.note(&written_marker(1, 4), AT);
    assert_eq!(ask(&it, 4, 1), Verdict::Append);
    assert!(matches!(ask(&it, 4, 0), Verdict::Duplicate { .. }));
}
#[test]
fn a_marker_is_written_once() {
    for version in [1, 2] {
        let risen = i16::from(version == 2);
        let mut it = Producers::default();
        assert_eq!(it.check_marker(&marker(risen, version)), Verdict::Append);
        it.note(&stored(transactional(0, 0, 0)), AT);
        assert_eq!(it.check_marker(&marker(risen, version)), Verdict::Append);
        it.note(&written_marker(1, risen), AT);
        let again = Verdict::Duplicate { first: Offset::new(1), last: Offset::new(1) };
        assert_eq!(it.check_marker(&marker(risen, version)), again);
        // The next transaction, in the same epoch: version 2 knows the marker as a late one.
        it.note(&stored(transactional(2, risen, 1 - i32::from(risen))), AT);
        let expected = if version == 1 { Verdict::Append } else { again };
        assert_eq!(it.check_marker(&marker(risen, version)), expected);
    }
}
#[test]
fn an_old_marker_is_refused() {
    let mut it = after(&[(0, 5, 0, 1)]);
    assert_eq!(it.check_marker(&marker(4, 2)), Verdict::Fenced { current: 5 });
    it.note(&written_marker(1, 5), AT);
    let zombie = Marker { coordinator_epoch: 2, ..marker(6, 2) };
    assert_eq!(it.check_marker(&zombie), Verdict::CoordinatorFenced { current: 3 });
    it.note(&stored(transactional(2, 6, 0)), AT);
    let of_another = it.check_marker(&marker(6, 2));
    assert_eq!(of_another, Verdict::Fenced { current: 6 }, "it would end a younger transaction");
    assert_eq!(it.check_marker(&marker(7, 2)), Verdict::Append);
}
#[test]
fn the_brokers_own_batches_need_only_the_epoch() {
    let mut own = transactional(0, 2, 0);
    own.producer = Some(Writer { id: 7, epoch: 2, first_sequence: None });
    let mut it = Producers::default();
    assert_eq!(it.check(&own, Origin::Broker), Verdict::Append);
    it.note(&stored(own), AT);
    assert_eq!(it.state(7).unwrap().transaction_start, Some(Offset::ZERO));
    own.producer = Some(Writer { id: 7, epoch: 1, first_sequence: None });
    assert_eq!(it.check(&own, Origin::Broker), Verdict::Fenced { current: 2 });
}
#[test]
fn a_snapshot_reads_back_as_the_settled_state() {
    let mut it = settled(&[(0, 0, 0, 1), (1, 0, 1, 1)]);
    for batch in [stored(transactional(2, 0, 2)), written_marker(3, 1)] {
        it.note(&batch, AT);
        it.settle(&batch);
    }
    it.note(&stored(transactional(4, 1, 0)), AT);
    it.settle(&stored(transactional(4, 1, 0)));
    it.note(&stored(transactional(5, 1, 1)), AT);
    let mut bytes = Vec::new();
    it.encode(&mut bytes);
    let mut at = 0;
    let read = Producers::decode(&bytes, &mut at).unwrap();
    it.roll_back();
    assert_eq!((read, at), (it, bytes.len()));
}
