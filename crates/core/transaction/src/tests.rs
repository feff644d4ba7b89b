//! The moves of a transactional id, one by one and at random.

use crate::record::{self, Entry};
use crate::transaction::EPOCH_LAST;
use crate::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;
use systole_kit::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const FACTS: Facts = Facts { now: NOW, fresh_id: Some(99), pending: false };

fn place(partition: i32) -> Place {
    Place { topic: "t".into(), partition }
}
fn new() -> Transaction {
    Transaction::new(7, 60_000, NOW)
}
fn ready(it: &Transaction, expected: Option<Producer>) -> Transaction {
    let ask = Initialize { timeout_ms: 60_000, expected };
    match it.initialize(ask, FACTS) {
        Ok(Initialized::Ready(it)) => it,
        other => panic!("{other:?}"),
    }
}
fn empty() -> Transaction {
    ready(&new(), None)
}
fn ongoing(it: &Transaction, version: Version) -> Transaction {
    it.add(it.producer(), &[place(0)], version, FACTS).unwrap().unwrap()
}
fn ask(it: &Transaction, outcome: Outcome, version: Version) -> End {
    End { from: it.producer(), outcome, version }
}
fn begun(it: &Transaction, ask: End) -> Transaction {
    match it.end(ask, FACTS) {
        Ok(Ended::Begun(it)) => it,
        other => panic!("{other:?}"),
    }
}
fn ended(it: &Transaction, outcome: Outcome, version: Version) -> Transaction {
    begun(it, ask(it, outcome, version)).completed(NOW).unwrap()
}
fn with_epoch(epoch: i16) -> Transaction {
    let mut it = empty();
    it.producer.epoch = epoch;
    it
}
fn shown(it: &Transaction) -> String {
    let Producer { id, epoch } = it.producer();
    format!("{} {id}/{epoch} last {} places {}", it.state().name(), it.last_epoch, it.places.len())
}

#[test]
fn a_new_id_begins_with_epoch_zero_and_each_incarnation_has_the_next() {
    let first = empty();
    assert_eq!(first.producer(), Producer { id: 7, epoch: 0 });
    assert_eq!(ready(&first, None).producer(), Producer { id: 7, epoch: 1 });
}

#[test]
fn an_open_transaction_is_aborted_before_another_incarnation_begins() {
    let open = ongoing(&empty(), Version::One);
    let ask = Initialize { timeout_ms: 1, expected: None };
    let Ok(Initialized::Fenced(prepared)) = open.initialize(ask, FACTS) else { panic!() };
    assert_eq!(shown(&prepared), "PrepareAbort 7/1 last 0 places 1");
    let refused = prepared.initialize(ask, FACTS).unwrap_err();
    assert_eq!(refused, Refused::ConcurrentTransactions);
    let aborted = prepared.completed(NOW).unwrap();
    assert_eq!(ready(&aborted, None).producer(), Producer { id: 7, epoch: 2 });
    let late = ask_of(open.producer());
    assert_eq!(aborted.initialize(late, FACTS), Ok(Initialized::Ready(again(&aborted))));
    let taken_over = ready(&aborted, None);
    assert_eq!(taken_over.initialize(late, FACTS), Err(Refused::ProducerFenced));
}

fn ask_of(it: Producer) -> Initialize {
    Initialize { timeout_ms: 60_000, expected: Some(it) }
}
/// The same producer, answered once more.
fn again(it: &Transaction) -> Transaction {
    Transaction { state: State::Empty, started_at_ms: -1, ..it.clone() }
}

#[test]
fn a_producer_that_says_who_it_was_is_bumped_repeated_or_fenced() {
    let first = empty();
    let second = ready(&first, Some(first.producer()));
    assert_eq!(second.producer().epoch, 1);
    let repeated = ready(&second, Some(first.producer()));
    assert_eq!(repeated.producer().epoch, 1, "the answer was lost");
    let other = ready(&second, None);
    let refused = other.initialize(ask_of(first.producer()), FACTS);
    assert_eq!(refused, Err(Refused::ProducerFenced));
    let stranger = Producer { id: 8, epoch: 0 };
    assert_eq!(second.initialize(ask_of(stranger), FACTS), Err(Refused::ProducerFenced));
}

#[test]
fn an_exhausted_epoch_asks_for_another_producer_id() {
    let last = with_epoch(EPOCH_LAST);
    let without = Facts { fresh_id: None, ..FACTS };
    let plain = Initialize { timeout_ms: 60_000, expected: None };
    assert_eq!(last.initialize(plain, without), Err(Refused::FreshIdNeeded));
    let renamed = ready(&last, Some(last.producer()));
    assert_eq!(renamed.producer(), Producer { id: 99, epoch: 0 });
    let repeated = ready(&renamed, Some(last.producer()));
    assert_eq!(repeated.producer(), renamed.producer());

    let open = ongoing(&last, Version::Two);
    let commit = ask(&open, Outcome::Commit, Version::Two);
    assert_eq!(open.end(commit, without), Err(Refused::FreshIdNeeded));
    let prepared = begun(&open, commit);
    assert_eq!(prepared.producer(), Producer { id: 7, epoch: i16::MAX }, "of the markers");
    let done = prepared.completed(NOW).unwrap();
    assert_eq!(done.producer(), Producer { id: 99, epoch: 0 });
    assert_eq!(done.end(commit, FACTS), Ok(Ended::Already(done.producer())));
}

#[test]
fn a_partition_is_added_once_and_only_by_the_producer() {
    let open = ongoing(&empty(), Version::One);
    let me = open.producer();
    let add = |from, at| open.add(from, &[place(at)], Version::One, FACTS).map(|it| it.is_some());
    assert_eq!(add(me, 0), Ok(false));
    assert_eq!(add(me, 1), Ok(true));
    assert_eq!(add(Producer { id: 8, ..me }, 1), Err(Refused::InvalidProducerIdMapping));
    assert_eq!(add(Producer { epoch: 1, ..me }, 1), Err(Refused::ProducerFenced));
    assert_eq!(open.verify(me, &place(0)), Ok(()));
    assert_eq!(open.verify(me, &place(1)), Err(Refused::TransactionAbortable));
    let decided = begun(&open, ask(&open, Outcome::Commit, Version::One));
    assert_eq!(decided.verify(me, &place(0)), Err(Refused::ConcurrentTransactions));
    let added = decided.add(me, &[place(0)], Version::One, FACTS);
    assert_eq!(added, Err(Refused::ConcurrentTransactions));
}

#[test]
fn what_is_pending_keeps_the_next_request_out() {
    let open = ongoing(&empty(), Version::Two);
    let facts = Facts { pending: true, ..FACTS };
    let me = open.producer();
    let concurrent = Refused::ConcurrentTransactions;
    assert_eq!(open.add(me, &[place(9)], Version::Two, facts).unwrap_err(), concurrent);
    for version in [Version::One, Version::Two] {
        let end = ask(&open, Outcome::Commit, version);
        assert_eq!(open.end(end, facts).unwrap_err(), concurrent);
        let fenced = End { from: Producer { epoch: 5, ..me }, ..end };
        assert_eq!(open.end(fenced, facts).unwrap_err(), Refused::ProducerFenced);
    }
    assert_eq!(open.initialize(ask_of(me), facts).unwrap_err(), concurrent);
}

/// What an end is told in every state, from the current epoch and from the one before.
fn check_ends(version: Version, expected: &Expect) {
    let mut out = String::new();
    let base = ready(&empty(), None);
    let open = ongoing(&base, version);
    let commit = ended(&open, Outcome::Commit, version);
    let abort = ended(&open, Outcome::Abort, version);
    let deciding = begun(&open, ask(&open, Outcome::Commit, version));
    for it in [base, open, deciding, commit, abort] {
        for outcome in [Outcome::Commit, Outcome::Abort] {
            for back in [0, 1] {
                let epoch = it.producer().epoch - back;
                let from = Producer { epoch, ..it.producer() };
                let told = match it.end(End { from, outcome, version }, FACTS) {
                    Ok(Ended::Already(them)) => format!("already {}", them.epoch),
                    Ok(Ended::Begun(next)) => shown(&next),
                    Err(refused) => format!("{refused:?}"),
                };
                let when = if back == 0 { "current" } else { "before" };
                writeln!(out, "{} {outcome:?} {when}: {told}", it.state().name()).unwrap();
            }
        }
    }
    expected.assert_eq(&out);
}

#[test]
fn an_end_of_version_1_is_recognised_by_its_outcome() {
    check_ends(
        Version::One,
        &expect![[r#"
        Empty Commit current: InvalidTxnState
        Empty Commit before: ProducerFenced
        Empty Abort current: InvalidTxnState
        Empty Abort before: ProducerFenced
        Ongoing Commit current: PrepareCommit 7/1 last -1 places 1
        Ongoing Commit before: ProducerFenced
        Ongoing Abort current: PrepareAbort 7/1 last -1 places 1
        Ongoing Abort before: ProducerFenced
        PrepareCommit Commit current: ConcurrentTransactions
        PrepareCommit Commit before: ProducerFenced
        PrepareCommit Abort current: InvalidTxnState
        PrepareCommit Abort before: ProducerFenced
        CompleteCommit Commit current: already 1
        CompleteCommit Commit before: ProducerFenced
        CompleteCommit Abort current: InvalidTxnState
        CompleteCommit Abort before: ProducerFenced
        CompleteAbort Commit current: InvalidTxnState
        CompleteAbort Commit before: ProducerFenced
        CompleteAbort Abort current: already 1
        CompleteAbort Abort before: ProducerFenced
    "#]],
    );
}

#[test]
fn an_end_of_version_2_is_recognised_by_its_epoch() {
    check_ends(
        Version::Two,
        &expect![[r#"
        Empty Commit current: InvalidTxnState
        Empty Commit before: ProducerFenced
        Empty Abort current: PrepareAbort 7/2 last 1 places 0
        Empty Abort before: ProducerFenced
        Ongoing Commit current: PrepareCommit 7/2 last 1 places 1
        Ongoing Commit before: ProducerFenced
        Ongoing Abort current: PrepareAbort 7/2 last 1 places 1
        Ongoing Abort before: ProducerFenced
        PrepareCommit Commit current: ProducerFenced
        PrepareCommit Commit before: ConcurrentTransactions
        PrepareCommit Abort current: ProducerFenced
        PrepareCommit Abort before: InvalidTxnState
        CompleteCommit Commit current: InvalidTxnState
        CompleteCommit Commit before: already 2
        CompleteCommit Abort current: PrepareAbort 7/3 last 2 places 0
        CompleteCommit Abort before: InvalidTxnState
        CompleteAbort Commit current: InvalidTxnState
        CompleteAbort Commit before: InvalidTxnState
        CompleteAbort Abort current: PrepareAbort 7/3 last 2 places 0
        CompleteAbort Abort before: already 2
    "#]],
    );
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_under_another_epoch() {
    let open = ongoing(&empty(), Version::One);
    let at = |millis| NOW.plus(Duration::from_millis(millis));
    assert_eq!(open.timed_out(at(60_000)), None);
    let aborted = open.timed_out(at(60_001)).unwrap();
    assert_eq!(shown(&aborted), "PrepareAbort 7/1 last 0 places 1");
    assert_eq!(empty().timed_out(at(60_001)), None);
}

#[test]
fn only_an_idle_id_expires() {
    let week = Duration::from_hours(7 * 24);
    let open = ongoing(&empty(), Version::Two);
    let later = NOW.plus(week);
    assert!(!open.is_expired(week, later));
    assert!(ended(&open, Outcome::Commit, Version::Two).is_expired(week, later));
    assert!(!empty().is_expired(week, NOW));
}

#[test]
fn an_unclean_stop_costs_open_transactions_and_a_clean_one_none() {
    let open = ongoing(&empty(), Version::Two);
    assert_eq!(open.recovered(Stop::Clean, NOW), None);
    let aborted = open.recovered(Stop::Unclean, NOW).unwrap().completed(NOW).unwrap();
    // The producer finds out, aborts, and goes on.
    let abort = End { from: open.producer(), outcome: Outcome::Abort, version: Version::Two };
    assert_eq!(aborted.end(abort, FACTS), Ok(Ended::Already(aborted.producer())));
    let commit = End { outcome: Outcome::Commit, ..abort };
    assert_eq!(aborted.end(commit, FACTS), Err(Refused::InvalidTxnState));
}

#[test]
fn a_commit_whose_transaction_was_lost_is_never_taken_for_the_one_before() {
    let done = ended(&ongoing(&empty(), Version::One), Outcome::Commit, Version::One);
    let commit = ask(&done, Outcome::Commit, Version::One);
    assert_eq!(done.end(commit, FACTS), Ok(Ended::Already(done.producer())));
    let after = done.recovered(Stop::Unclean, NOW).unwrap().completed(NOW).unwrap();
    assert_eq!(after.end(commit, FACTS), Err(Refused::ProducerFenced));
}

#[test]
fn a_clock_that_goes_back_makes_no_record_look_older() {
    let early = Facts { now: Timestamp::from_millis(1), ..FACTS };
    let it = empty();
    let open = it.add(it.producer(), &[place(0)], Version::Two, early).unwrap().unwrap();
    assert_eq!((open.updated_at, open.started_at_ms()), (NOW, NOW.as_millis()));
}

#[test]
fn a_record_that_kafka_could_not_have_written_is_refused() {
    let pair = record::of("id", Some(&empty())).unwrap();
    let read = |key: &[u8], value: &[u8]| record::read(Some(key), Some(value)).unwrap_err();
    assert!(matches!(read(b"", b""), record::Unreadable::NoVersion));
    assert!(matches!(read(&[0, 9], b""), record::Unreadable::KeyVersion(9)));
    assert!(matches!(read(&pair.key, &[0, 1, 0]), record::Unreadable::Message(_)));
    let mut value = pair.value.unwrap().to_vec();
    value[16] = 6;
    assert!(matches!(read(&pair.key, &value), record::Unreadable::State(6)), "Dead");
}

#[test]
fn records_keep_their_bytes() {
    let open = ongoing(&empty(), Version::Two);
    let pair = record::of("id", Some(&open)).unwrap();
    let hex = |it: &[u8]| it.iter().map(|it| format!("{it:02x}")).collect::<String>();
    expect!["000000026964"].assert_eq(&hex(&pair.key));
    let value = hex(&pair.value.unwrap());
    let (fields, rest) = value.split_at(64);
    expect!["0001000000000000000700000000ea6001020274020000000000000000000000"].assert_eq(fields);
    expect!["03e800000000000003e8020008000000000000000702020002"].assert_eq(rest);
    assert_eq!(record::of("id", None).unwrap().value, None);
}

/// What may happen to an id, one after the other.
#[derive(Debug, Clone)]
enum Action {
    Initialize { continuing: bool },
    Add(i32),
    End { commit: bool, two: bool, back: bool },
    Wait,
    Restart { clean: bool },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let one = prop_oneof![
        any::<bool>().prop_map(|continuing| Action::Initialize { continuing }),
        (0..3).prop_map(Action::Add),
        any::<[bool; 3]>().prop_map(|[commit, two, back]| Action::End { commit, two, back }),
        Just(Action::Wait),
        any::<bool>().prop_map(|clean| Action::Restart { clean }),
    ];
    prop::collection::vec(one, 0..40)
}

/// The next value, if the action leads to one.
fn act(it: &Transaction, action: &Action, fresh_id: i64) -> Option<Transaction> {
    let facts = Facts { fresh_id: Some(fresh_id), ..FACTS };
    let me = it.producer();
    match action {
        Action::Initialize { continuing } => {
            let ask = Initialize { timeout_ms: 9, expected: continuing.then_some(me) };
            it.initialize(ask, facts).ok().map(|it| match it {
                Initialized::Ready(it) | Initialized::Fenced(it) => it,
            })
        }
        Action::Add(at) => it.add(me, &[place(*at)], Version::Two, facts).ok().flatten(),
        Action::End { commit, two, back } => {
            let from = Producer { epoch: me.epoch - i16::from(*back), ..me };
            let outcome = if *commit { Outcome::Commit } else { Outcome::Abort };
            let version = if *two { Version::Two } else { Version::One };
            match it.end(End { from, outcome, version }, facts).ok()? {
                Ended::Already(_) => None,
                Ended::Begun(it) => Some(it),
            }
        }
        Action::Wait => it.timed_out(NOW.plus(Duration::from_mins(2))),
        Action::Restart { clean } => {
            it.recovered(if *clean { Stop::Clean } else { Stop::Unclean }, NOW)
        }
    }
}

proptest! {
    /// Epochs of an id never go back, a decision is never changed, and a completed transaction
    /// touches nothing.
    #[test]
    fn no_order_of_requests_breaks_the_rules(all in actions(), start in 0..3_i16) {
        let mut it = with_epoch(EPOCH_LAST - start);
        let mut fresh_id = 100;
        for action in &all {
            let Some(next) = act(&it, action, fresh_id) else { continue };
            fresh_id += 1;
            for next in [next.clone()].into_iter().chain(next.completed(NOW)) {
                let same = next.producer().id == it.producer().id;
                prop_assert!(!same || next.producer().epoch >= it.producer().epoch, "{action:?}");
                prop_assert!(same || next.producer().epoch == 0);
                let is_open = next.state() == State::Ongoing || next.markers().is_some();
                prop_assert!(is_open || next.places().is_empty());
                let pair = record::of("id", Some(&next)).unwrap();
                let read = record::read(Some(&pair.key), pair.value.as_deref()).unwrap();
                prop_assert_eq!(comparable(read), comparable(Entry {
                    id: "id".into(),
                    transaction: Some(next.clone()),
                }));
                it = next;
            }
        }
    }
}

/// The epoch before is in the record of a decided transaction only.
fn comparable(mut it: Entry) -> Entry {
    let transaction = it.transaction.as_mut().unwrap();
    transaction.last_epoch = 0;
    it
}
