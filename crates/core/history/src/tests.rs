//! Every anomaly is planted by hand and found, and nothing else with it; without it there is none.

use crate::op::{Act, Cleanup, Commit, End, History, Look, Outcome, Place, Poll, Record, Send};
use crate::{Anomaly, Recorder, check};
use Outcome::{Done, Refused, Unknown};
use std::sync::Arc;

/// A history as it is told.
#[derive(Default)]
struct Tale {
    recorder: Recorder,
}

fn place() -> Place {
    Place::new("t", 0)
}

impl Tale {
    fn tell(&self, outcome: Outcome, act: Act) -> &Self {
        let client: Arc<str> = "c".into();
        let ticket = self.recorder.begin(&client, act);
        self.recorder.end(ticket, outcome, |_| {});
        self
    }
    /// Sent to partition 0 by producer 1.
    fn send(&self, id: u64, offset: i64) -> &Self {
        self.send_as(Done, send(id, offset))
    }
    fn send_as(&self, outcome: Outcome, it: Send) -> &Self {
        self.tell(outcome, Act::Send(it))
    }
    fn send_in(&self, transaction: u64, id: u64, offset: i64) -> &Self {
        self.send_as(Done, Send { transaction: Some(transaction), ..send(id, offset) })
    }
    fn end(&self, transaction: u64, commits: bool, outcome: Outcome) -> &Self {
        self.tell(outcome, Act::End(End { transaction, commits }))
    }
    fn commit(&self, transaction: u64) -> &Self {
        self.end(transaction, true, Done)
    }
    /// Read from the beginning, by both kinds of readers.
    fn read(&self, next: i64, records: &[(i64, u64)]) -> &Self {
        self.read_as(false, next, records).read_as(true, next, records)
    }
    fn read_as(&self, committed: bool, next: i64, records: &[(i64, u64)]) -> &Self {
        let pass = self.recorder.number();
        self.tell(Done, Act::Poll(Poll { committed, ..poll(pass, (0, next), records) }))
    }
    fn offset(&self, offset: i64, transaction: Option<u64>) -> &Self {
        self.offset_as(Done, offset, transaction)
    }
    fn offset_as(&self, outcome: Outcome, offset: i64, transaction: Option<u64>) -> &Self {
        let commit = Commit { group: "g".into(), of: place(), offset, transaction };
        self.tell(outcome, Act::Commit(commit))
    }
    fn look(&self, offset: Option<i64>) -> &Self {
        self.tell(Done, Act::Look(Look { group: "g".into(), of: place(), offset }))
    }
    fn history(&self) -> History {
        self.recorder.finish()
    }
    fn finds(&self, expected: &[&str]) {
        let history = self.history();
        let found: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}

fn send(id: u64, offset: i64) -> Send {
    let offset = Some(offset);
    let (key, is_tombstone, producer, transaction) = (None, false, 1, None);
    Send { id, to: place(), key, is_tombstone, producer, transaction, offset }
}

fn poll(pass: u64, (from, next): (i64, i64), records: &[(i64, u64)]) -> Poll {
    let records = records.iter().map(|&(offset, id)| Record { offset, id }).collect();
    Poll { pass, of: place(), committed: true, from, next, records }
}

#[test]
fn a_history_in_which_all_went_well_has_no_anomaly() {
    let it = Tale::default();
    it.send(1, 0).send(2, 1).send_in(7, 3, 2).offset(3, Some(7)).commit(7).look(Some(3));
    it.send_in(8, 4, 4).end(8, false, Done);
    it.read_as(false, 6, &[(0, 1), (1, 2), (2, 3), (4, 4)]);
    it.read_as(true, 6, &[(0, 1), (1, 2), (2, 3)]);
    it.finds(&[]);
}
#[test]
fn what_nobody_promised_may_be_there_or_not() {
    let it = Tale::default();
    it.send_as(Unknown, Send { offset: None, producer: 4, ..send(1, 0) });
    it.send_as(Unknown, Send { offset: None, producer: 2, ..send(2, 0) });
    it.send_in(7, 3, 1).end(7, true, Unknown).send_in(8, 4, 3).end(8, true, Unknown);
    it.send_as(Done, Send { transaction: Some(9), producer: 3, ..send(5, 9) });
    it.read_as(false, 4, &[(0, 2), (1, 3), (3, 4)]).read_as(true, 4, &[(0, 2), (1, 3)]);
    it.finds(&[]);
}
#[test]
fn a_lost_write_is_found() {
    let it = Tale::default();
    it.send(1, 0).send_as(Done, Send { producer: 2, ..send(2, 1) });
    it.read(2, &[(0, 1)]).finds(&["lost: record 2 was acknowledged at 1 of t-0 and nobody saw it"]);
}
#[test]
fn an_end_that_went_back_is_found() {
    let it = Tale::default();
    it.send(1, 0).send(2, 1).read(1, &[(0, 1)]);
    it.finds(&["unseen: record 2 was acknowledged at 1 of t-0, where no reader came"]);
}
#[test]
fn a_reader_that_goes_over_a_record_is_found() {
    let it = Tale::default();
    it.send(1, 0).send(2, 1).read(2, &[(0, 1), (1, 2)]).read_as(true, 2, &[(1, 2)]);
    it.finds(&["skipped: pass 3 went over record 1 at 0 of t-0"]);
}
#[test]
fn a_duplicate_is_found() {
    let it = Tale::default();
    it.send(1, 0).read(2, &[(0, 1), (1, 1)]);
    it.finds(&["duplicate: record 1 is at (t-0, 0) and at (t-0, 1)"]);
}
#[test]
fn two_records_at_one_offset_are_found() {
    let it = Tale::default();
    it.send(1, 0).send_as(Done, Send { producer: 2, ..send(2, 0) }).read(1, &[(0, 2)]);
    it.finds(&["inconsistent offset: 0 of t-0 is record 1 and record 2"]);
}
#[test]
fn what_nobody_sent_is_found() {
    let it = Tale::default();
    it.read(1, &[(0, 1)]).finds(&["invented: record 1 at 0 of t-0 was never sent there"]);
}
#[test]
fn what_was_refused_is_found() {
    let it = Tale::default();
    it.send_as(Refused, Send { offset: None, ..send(1, 0) }).read(1, &[(0, 1)]);
    it.finds(&["refused: record 1 is at 0 of t-0 although it was refused"]);
}
#[test]
fn a_reader_that_goes_back_is_found() {
    let it = Tale::default();
    it.send(1, 0).send(2, 1).read(2, &[(0, 1), (1, 2)]);
    it.tell(Done, Act::Poll(poll(9, (0, 2), &[(0, 1), (1, 2)])));
    it.tell(Done, Act::Poll(poll(9, (1, 2), &[(1, 2)])));
    it.finds(&["nonmonotonic poll: pass 9 of t-0 got 1 when it was at 2"]);
}
#[test]
fn sends_that_change_their_order_are_found() {
    let it = Tale::default();
    it.send(1, 1).send(2, 0).read(2, &[(0, 2), (1, 1)]);
    it.finds(&["nonmonotonic send: producer 1 sent 2 after 1, t-0 has it before"]);
}
#[test]
fn a_send_that_is_missing_before_another_is_found() {
    let it = Tale::default();
    it.send_as(Unknown, Send { offset: None, ..send(1, 0) }).send(2, 0).read(1, &[(0, 2)]);
    it.finds(&["send skip: producer 1 sent 1 before 2, t-0 has only the later"]);
}
#[test]
fn a_read_of_an_aborted_transaction_is_found() {
    for (commits, outcome) in [(false, Done), (false, Unknown), (true, Refused)] {
        let it = Tale::default();
        it.send_in(7, 1, 0).end(7, commits, outcome).read(2, &[(0, 1)]);
        it.finds(&["aborted read: record 1 of the aborted transaction 7 was read"]);
    }
}
#[test]
fn a_read_before_the_commit_is_found() {
    let it = Tale::default();
    it.send_in(7, 1, 0);
    it.read(1, &[(0, 1)]).commit(7);
    it.finds(&["precommitted read: record 1 was read before transaction 7 was committed"]);
}
#[test]
fn a_torn_transaction_is_found() {
    for outcome in [Done, Unknown] {
        let it = Tale::default();
        it.send_in(7, 1, 0).send_in(7, 2, 1).end(7, true, outcome);
        it.read_as(false, 3, &[(0, 1), (1, 2)]).read_as(true, 3, &[(0, 1)]);
        it.finds(&["torn: of transaction 7, [1] were seen and [2] not"]);
    }
}
#[test]
fn a_committed_transaction_that_is_gone_is_found() {
    let it = Tale::default();
    it.send_in(7, 1, 0).commit(7).read_as(false, 2, &[(0, 1)]).read_as(true, 2, &[]);
    it.finds(&["skipped: pass 2 went over record 1 at 0 of t-0"]);
}
#[test]
fn an_offset_that_went_back_is_found() {
    let it = Tale::default();
    it.offset(3, None).offset_as(Unknown, 9, None).look(Some(9));
    it.offset(5, None).look(Some(3));
    it.finds(&["offset went back: g in t-0 was at 5 and is at Some(3)"]);
    let it = Tale::default();
    it.offset(5, Some(7)).commit(7).look(None);
    it.finds(&["offset went back: g in t-0 was at 5 and is at None"]);
}
#[test]
fn an_offset_without_its_records_is_found() {
    let it = Tale::default();
    it.send_in(7, 1, 0).offset(5, Some(7)).end(7, true, Unknown);
    it.read_as(false, 2, &[(0, 1)]).read_as(true, 2, &[]).look(Some(5));
    it.finds(&["aborted offset: g in t-0 is at 5, which was never committed"]);
}
#[test]
fn records_without_their_offset_are_found() {
    let it = Tale::default();
    it.send_in(7, 1, 0).offset(5, Some(7)).end(7, true, Unknown).read(2, &[(0, 1)]).look(None);
    it.finds(&["offset went back: g in t-0 was at 5 and is at None"]);
}
#[test]
fn an_offset_that_was_not_committed_is_found() {
    let it = Tale::default();
    it.offset(5, Some(7)).end(7, false, Done).look(Some(5));
    it.finds(&["aborted offset: g in t-0 is at 5, which was never committed"]);
    let it = Tale::default();
    it.offset(5, Some(7)).look(Some(5)).commit(7);
    it.finds(&["aborted offset: g in t-0 is at 5, which was never committed"]);
    let it = Tale::default();
    it.look(Some(5)).finds(&["invented offset: g in t-0 is at 5, which nobody asked for"]);
}
#[test]
fn compaction_may_take_what_a_newer_record_replaces_and_no_more() {
    let keyed = |id, offset, key| Send { key: Some(key), ..send(id, offset) };
    let it = Tale::default();
    it.recorder.cleans("t", Cleanup { compacts: true, trims: false });
    it.send_as(Done, keyed(1, 0, 1)).send_as(Done, keyed(2, 1, 2)).send_as(Done, keyed(3, 2, 1));
    it.send_as(Done, Send { is_tombstone: true, ..keyed(4, 3, 9) });
    it.read(4, &[(2, 3)]);
    it.finds(&["lost: record 2 was acknowledged at 1 of t-0 and nobody saw it"]);
}
#[test]
fn retention_may_take_what_lies_before_the_log_start_and_no_more() {
    let it = Tale::default();
    it.recorder.cleans("t", Cleanup { compacts: false, trims: true });
    it.recorder.starts(place(), 1);
    it.send_as(Done, Send { producer: 2, ..send(1, 0) });
    it.send_as(Done, Send { producer: 3, ..send(2, 1) }).send(3, 2).read(3, &[(2, 3)]);
    it.finds(&["lost: record 2 was acknowledged at 1 of t-0 and nobody saw it"]);
}
#[test]
fn a_report_tells_what_an_anomaly_is_about() {
    let it = Tale::default();
    it.send_in(7, 1, 0).send(2, 1).end(7, false, Done).read_as(true, 3, &[(0, 1), (1, 2)]);
    let history = it.history();
    let [anomaly] = check(&history).try_into().unwrap();
    assert_eq!(anomaly, Anomaly::AbortedRead { id: 1, transaction: 7 });
    let (ids, transactions) = anomaly.about();
    assert_eq!(
        history.about(&ids, &transactions),
        "     1..2      c         send 1 to t-0 by 1 in 7 at 0 -> Done\n     \
         5..6      c         abort 7 -> Done\n     \
         7..8      c         poll committed of t-0 0..3: 1@0 2@1 -> Done\n"
    );
}
#[test]
fn a_long_history_is_checked_in_linear_time() {
    let it = Tale::default();
    let count: u64 = 50_000;
    let mut all = Vec::new();
    for id in 0..count {
        let offset = i64::try_from(id).unwrap();
        it.send(id, offset);
        all.push((offset, id));
    }
    let end = i64::try_from(count).unwrap();
    it.read(end, &all);
    for chunk in all.chunks(10) {
        let (from, next) = (chunk[0].0, chunk.last().unwrap().0 + 1);
        it.tell(Done, Act::Poll(poll(99, (from, next), chunk)));
    }
    it.finds(&[]);
}
