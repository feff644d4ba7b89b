//! A share partition as a script, and against a model that knows each record by itself.

use super::*;
use crate::share_partition::record::{Entry, Key, Snapshot};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use systole_kit::{Instant, Timestamp, Uuid};

const RULES: Rules =
    Rules { deliveries_max: 5, locks_max: 20, lock: Duration::from_secs(30), renews: true };

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn ask(member: &str, mode: Mode, records_max: i64) -> Ask {
    Ask { member: member.into(), mode, records_max, piece_records: 100 }
}

struct Script {
    it: Partition,
    /// Where batches of the log begin and end.
    log: Vec<(i64, i64)>,
    rules: Rules,
    now: u64,
    said: String,
}

impl Script {
    fn new(log: &[(i64, i64)]) -> Self {
        let (it, log) = (Partition::new(0), log.to_vec());
        Self { it, log, rules: RULES, now: 0, said: String::new() }
    }
    fn read(&self) -> (i64, Vec<Batch>) {
        let from = self.it.next_fetch();
        let behind = self.log.iter().filter(|(_, last)| *last >= from);
        (
            from,
            behind
                .map(|(first, last)| Batch { first: *first, last: *last, is_aborted: false })
                .collect(),
        )
    }
    fn get(&mut self, member: &str, mode: Mode, records_max: i64) -> &mut Self {
        let (from, batches) = self.read();
        let fetched = Fetched { from, batches: &batches };
        let got =
            self.it.acquire(&ask(member, mode, records_max), fetched, self.rules, at(self.now));
        let got: Vec<_> =
            got.iter().map(|it| format!("{}-{} x{}", it.first, it.last, it.deliveries)).collect();
        writeln!(self.said, "{member} gets {}", got.join(", ")).unwrap();
        self.look()
    }
    fn say(&mut self, member: &str, first: i64, last: i64, kinds: &[AckKind]) -> &mut Self {
        let ack = Ack { first, last, kinds: kinds.to_vec() };
        let done = self.it.acknowledge(member, &[ack], self.rules, at(self.now));
        let told = done.map_or_else(|it| format!("{:?}", it.code), |()| "done".into());
        writeln!(self.said, "{member} {kinds:?} {first}-{last}: {told}").unwrap();
        self.write()
    }
    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds;
        self.it.expire(at(self.now), self.rules);
        writeln!(self.said, "after {seconds} s").unwrap();
        self.write()
    }
    fn leave(&mut self, member: &str) -> &mut Self {
        self.it.release(member, self.rules);
        writeln!(self.said, "{member} leaves").unwrap();
        self.write()
    }
    fn write(&mut self) -> &mut Self {
        if let Some(it) = self.it.take_update() {
            let batch = |it: &SavedBatch| {
                format!("{}-{} {:?} x{}", it.first, it.last, it.state, it.deliveries)
            };
            let batches: Vec<_> = it.batches.iter().map(batch).collect();
            writeln!(self.said, "  writes {} +{}: {}", it.start, it.decided, batches.join(", "))
                .unwrap();
        }
        self.it.appended();
        self.look()
    }
    fn look(&mut self) -> &mut Self {
        self.it.check();
        self
    }
    fn crash(&mut self) -> &mut Self {
        let saved = self.it.saved();
        self.it = Partition::restored(saved.start.unwrap(), &saved.batches);
        writeln!(self.said, "crash").unwrap();
        self.look()
    }
    fn check(&self, expect: &Expect) {
        expect.assert_eq(&self.said);
    }
}

use AckKind::{Accept, Gap, Reject, Release, Renew};
use Mode::{Batches, Records};

#[test]
fn a_record_goes_to_one_member_and_is_done_when_accepted() {
    let mut it = Script::new(&[(0, 4), (5, 9)]);
    it.get("a", Batches, 3).get("b", Batches, 3).get("c", Batches, 3);
    it.say("b", 0, 4, &[Accept]).say("a", 0, 9, &[Accept]).say("a", 0, 4, &[Accept]);
    it.say("a", 0, 4, &[Accept]).say("b", 5, 10, &[Accept]);
    it.say("b", 5, 9, &[Accept, Release, Reject, Gap, Accept]).get("c", Batches, 3);
    it.say("c", 6, 6, &[Accept]).say("c", 6, 6, &[Accept]).say("c", 12, 13, &[Accept]);
    it.check(&expect![[r#"
        a gets 0-4 x1
        b gets 5-9 x1
        c gets 
        b [Accept] 0-4: InvalidRecordState
        a [Accept] 0-9: InvalidRecordState
        a [Accept] 0-4: done
          writes 5 +0: 
        a [Accept] 0-4: done
        b [Accept] 5-10: InvalidRequest
        b [Accept, Release, Reject, Gap, Accept] 5-9: done
          writes 6 +3: 6-6 Available x1, 7-7 Archived x1, 8-8 Archived x1, 9-9 Acknowledged x1
        c gets 6-6 x2
        c [Accept] 6-6: done
          writes 10 +0: 
        c [Accept] 6-6: done
        c [Accept] 12-13: InvalidRecordState
    "#]]);
}

#[test]
fn what_is_held_too_long_goes_to_another_until_it_was_delivered_too_often() {
    let mut it = Script::new(&[(0, 1)]);
    it.rules.deliveries_max = 2;
    it.get("a", Batches, 9).wait(29).get("b", Batches, 9).wait(1).say("a", 0, 1, &[Accept]);
    it.get("b", Batches, 9).wait(20).say("b", 0, 0, &[Renew]).wait(10).get("a", Batches, 9);
    it.wait(20).get("a", Batches, 9);
    it.check(&expect![[r#"
        a gets 0-1 x1
        after 29 s
        b gets 
        after 1 s
          writes 0 +0: 0-1 Available x1
        a [Accept] 0-1: InvalidRecordState
        b gets 0-1 x2
        after 20 s
        b [Renew] 0-0: done
        after 10 s
          writes 0 +1: 1-1 Archived x2
        a gets 
        after 20 s
          writes 2 +0: 
        a gets 
    "#]]);
}

#[test]
fn a_record_that_fails_often_goes_with_few_others_and_the_last_time_alone() {
    let mut it = Script::new(&[(0, 7)]);
    for member in ["a", "b", "c", "d", "e", "f"] {
        it.get(member, Batches, 9).leave(member);
    }
    it.check(&expect![[r#"
        a gets 0-7 x1
        a leaves
          writes 0 +0: 0-7 Available x1
        b gets 0-7 x2
        b leaves
          writes 0 +0: 0-7 Available x2
        c gets 0-7 x3
        c leaves
          writes 0 +0: 0-7 Available x3
        d gets 0-3 x4
        d leaves
          writes 0 +0: 0-3 Available x4
        e gets 0-0 x5
        e leaves
          writes 1 +0: 
        f gets 1-1 x5
        f leaves
          writes 2 +0: 
    "#]]);
}

#[test]
fn a_member_gets_so_many_records_or_whole_batches_and_not_more_than_may_be_in_flight() {
    let mut it = Script::new(&[(0, 4), (5, 9), (10, 24), (25, 30)]);
    it.get("a", Records, 3).get("b", Records, 4).get("c", Batches, 1).get("d", Batches, 100);
    it.get("e", Batches, 1).say("a", 0, 2, &[Accept]).get("e", Batches, 1);
    it.say("b", 3, 6, &[Accept]).get("e", Batches, 1);
    it.check(&expect![[r#"
        a gets 0-2 x1
        b gets 3-6 x1
        c gets 7-9 x1
        d gets 10-24 x1
        e gets 
        a [Accept] 0-2: done
          writes 3 +0: 
        e gets 
        b [Accept] 3-6: done
          writes 7 +0: 
        e gets 25-30 x1
    "#]]);
}

#[test]
fn what_compaction_took_is_skipped_and_gaps_between_batches_go_along() {
    let mut it = Script::new(&[(0, 1), (6, 9)]);
    it.get("a", Batches, 1).get("b", Batches, 9).leave("b");
    it.log = vec![(8, 9), (14, 15)];
    it.get("c", Batches, 9).say("c", 8, 13, &[Accept]).leave("a");
    it.log = vec![(20, 20)];
    it.get("a", Batches, 9).say("c", 14, 15, &[Accept]).get("a", Batches, 9);
    it.check(&expect![[r#"
        a gets 0-1 x1
        b gets 6-9 x1
        b leaves
          writes 0 +4: 6-9 Available x1
        c gets 8-9 x2, 10-15 x1
        c [Accept] 8-13: done
          writes 0 +12: 8-9 Acknowledged x2, 10-13 Acknowledged x1
        a leaves
          writes 0 +12: 0-1 Available x1
        a gets 
        c [Accept] 14-15: done
          writes 20 +0: 
        a gets 20-20 x1
    "#]]);
}

#[test]
fn a_crash_forgets_what_was_acquired_and_nothing_else() {
    let mut it = Script::new(&[(0, 4), (5, 9)]);
    it.get("a", Batches, 9).say("a", 1, 2, &[Accept]).say("a", 4, 4, &[Release]);
    it.get("b", Batches, 9).crash().get("c", Batches, 9).say("a", 0, 0, &[Accept]);
    it.say("c", 0, 0, &[Accept]).say("c", 3, 9, &[Reject]);
    it.check(&expect![[r#"
        a gets 0-9 x1
        a [Accept] 1-2: done
          writes 0 +2: 1-2 Acknowledged x1
        a [Release] 4-4: done
          writes 0 +2: 4-4 Available x1
        b gets 4-4 x2
        crash
        c gets 0-0 x1, 3-3 x1, 4-4 x2, 5-9 x1
        a [Accept] 0-0: InvalidRecordState
        c [Accept] 0-0: done
          writes 3 +0: 
        c [Reject] 3-9: done
          writes 10 +0: 
    "#]]);
}

#[test]
fn aborted_records_are_nobodys() {
    let mut it = Partition::new(0);
    let batch = |first, last, is_aborted| Batch { first, last, is_aborted };
    let batches = [batch(0, 2, true), batch(3, 5, false), batch(6, 7, true), batch(8, 8, false)];
    let got =
        it.acquire(&ask("a", Batches, 9), Fetched { from: 0, batches: &batches }, RULES, at(0));
    it.check();
    let got: Vec<_> = got.iter().map(|it| (it.first, it.last)).collect();
    assert_eq!(got, [(3, 5), (8, 8)]);
    assert_eq!((it.start(), it.decided()), (3, 2));
}

#[test]
fn a_trimmed_log_moves_the_window() {
    let mut it = Script::new(&[(0, 9)]);
    it.get("a", Batches, 9).say("a", 0, 3, &[Release]);
    it.it.trim_to(6);
    it.look();
    assert_eq!((it.it.start(), it.it.next_fetch()), (6, 10));
    it.say("a", 4, 7, &[Accept]);
    it.it.trim_to(50);
    it.look();
    assert_eq!((it.it.start(), it.it.next_fetch()), (50, 50));
}

#[test]
fn records_say_what_was_said() {
    let key = Key { group: "g".into(), topic: Uuid::from_bytes([7; 16]), partition: 3 };
    let batches = vec![
        SavedBatch { first: 5, last: 7, state: State::Available, deliveries: 2 },
        SavedBatch { first: 9, last: 9, state: State::Archived, deliveries: 5 },
    ];
    let update = Update { start: 5, decided: 1, batches: batches.clone() };
    let pair = record::of_update(&key, (3, 0), &update).unwrap();
    let read = record::read(Some(&pair.key), pair.value.as_deref()).unwrap();
    assert_eq!(read, Entry::Update(key.clone(), 3, update));
    for start in [None, Some(5)] {
        let snapshot = Snapshot {
            epoch: 3,
            state_epoch: 2,
            leader_epoch: 0,
            created_at: Timestamp::from_millis(10),
            written_at: Timestamp::from_millis(20),
            saved: Saved { start, decided: 1, batches: batches.clone() },
        };
        let pair = record::of_snapshot(&key, Some(&snapshot)).unwrap();
        let read = record::read(Some(&pair.key), pair.value.as_deref()).unwrap();
        assert_eq!(read, Entry::Snapshot(key.clone(), Some(Box::new(snapshot))));
    }
    let pair = record::of_snapshot(&key, None).unwrap();
    assert_eq!(record::read(Some(&pair.key), None).unwrap(), Entry::Snapshot(key, None));
}

/// One step of the property: who does what.
#[derive(Debug, Clone)]
enum Step {
    Get {
        member: u8,
        records: bool,
        max: i64,
    },
    Ack {
        member: u8,
        first: i64,
        length: i64,
        kind: AckKind,
    },
    Leave {
        member: u8,
    },
    Wait {
        seconds: u64,
    },
    /// The write fails.
    Fail {
        member: u8,
        first: i64,
        length: i64,
    },
    Crash,
    Trim {
        by: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        4 => Just(Accept), 2 => Just(Release), 1 => Just(Reject), 1 => Just(Gap), 1 => Just(Renew)
    ];
    let step = prop_oneof![
        6 => (0_u8..3, any::<bool>(), 1_i64..12)
            .prop_map(|(member, records, max)| Step::Get { member, records, max }),
        6 => (0_u8..3, 0_i64..20, 1_i64..6, kind)
            .prop_map(|(member, first, length, kind)| Step::Ack { member, first, length, kind }),
        1 => (0_u8..3).prop_map(|member| Step::Leave { member }),
        2 => (1_u64..20).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0_u8..3, 0_i64..20, 1_i64..6)
            .prop_map(|(member, first, length)| Step::Fail { member, first, length }),
        1 => Just(Step::Crash),
        1 => (0_i64..6).prop_map(|by| Step::Trim { by }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What is known of one record.
#[derive(Debug, Clone, Default)]
struct Fate {
    holder: Option<(u8, u64)>,
    deliveries: i16,
    /// Of these, those that a restart knows of.
    written: i16,
    is_final: bool,
}

struct Model {
    it: Partition,
    saved: Saved,
    fates: BTreeMap<i64, Fate>,
    log: Vec<(i64, i64)>,
    log_start: i64,
    now: u64,
}

impl Model {
    fn fate(&mut self, offset: i64) -> &mut Fate {
        self.fates.entry(offset).or_default()
    }
    fn give_back(&mut self, offset: i64) {
        let fate = self.fate(offset);
        fate.holder = None;
        fate.is_final = fate.deliveries >= RULES.deliveries_max;
        fate.written = fate.deliveries;
    }
    fn held_by(&self, member: u8) -> Vec<i64> {
        let its = self.fates.iter().filter(|(_, it)| it.holder.is_some_and(|it| it.0 == member));
        its.map(|(offset, _)| *offset).filter(|it| *it >= self.it.start()).collect()
    }
    /// Has the log keep the update, as the coordinator does.
    fn write(&mut self) {
        if let Some(update) = self.it.take_update() {
            self.saved.apply(&update);
        }
        self.it.appended();
    }
    fn get(&mut self, member: u8, records: bool, max: i64) {
        let from = self.it.next_fetch();
        let batches: Vec<_> = self
            .log
            .iter()
            .filter(|(_, last)| *last >= from)
            .map(|(first, last)| Batch { first: *first, last: *last, is_aborted: false })
            .collect();
        let mode = if records { Records } else { Batches };
        let before = self.it.in_flight();
        let got = self.it.acquire(
            &ask(&member.to_string(), mode, max),
            Fetched { from, batches: &batches },
            RULES,
            at(self.now),
        );
        let total: i64 = got.iter().map(|it| it.last + 1 - it.first).sum();
        assert!(!records || total <= max, "{got:?} is more than {max}");
        let largest = self.log.iter().map(|(first, last)| last + 1 - first).max().unwrap_or(0);
        assert!(self.it.in_flight() <= before.max(RULES.locks_max - 1 + largest));
        let until = self.now + RULES.lock.as_secs();
        for piece in got {
            for offset in piece.first..=piece.last {
                let fate = self.fate(offset);
                assert!(fate.holder.is_none(), "{offset} is another's");
                assert!(!fate.is_final, "{offset} was decided");
                fate.deliveries += 1;
                assert_eq!(piece.deliveries, fate.deliveries, "deliveries of {offset}");
                fate.holder = Some((member, until));
            }
        }
    }
    fn ack(&mut self, member: u8, (first, last): (i64, i64), kind: AckKind) {
        let ack = Ack { first, last, kinds: vec![kind] };
        let start = self.it.start();
        let done = self.it.acknowledge(&member.to_string(), &[ack], RULES, at(self.now));
        let all_its = (first.max(start)..=last).all(|it| {
            self.fates.get(&it).is_some_and(|it| it.holder.is_some_and(|it| it.0 == member))
        });
        assert_eq!(done.is_ok(), all_its || last < start, "{first}-{last}");
        if done.is_ok() {
            for offset in first.max(start)..=last {
                let until = self.now + RULES.lock.as_secs();
                match kind {
                    Renew => self.fate(offset).holder = Some((member, until)),
                    Release => self.give_back(offset),
                    Accept | Reject | Gap => {
                        let fate = self.fate(offset);
                        (fate.holder, fate.is_final) = (None, true);
                    }
                }
            }
        }
        self.write();
    }
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Get { member, records, max } => self.get(member, records, max),
            Step::Ack { member, first, length, kind } => {
                let first = self.it.start() + first - 2;
                self.ack(member, (first, first + length - 1), kind);
            }
            Step::Leave { member } => {
                let its = self.held_by(member);
                self.it.release(&member.to_string(), RULES);
                for it in its {
                    self.give_back(it);
                }
                self.write();
            }
            Step::Wait { seconds } => {
                self.now += seconds;
                let (now, start) = (self.now, self.it.start());
                let late = self.fates.iter().filter(|(offset, it)| {
                    **offset >= start && it.holder.is_some_and(|it| it.1 <= now)
                });
                let late: Vec<_> = late.map(|(offset, _)| *offset).collect();
                self.it.expire(at(now), RULES);
                for it in late {
                    self.give_back(it);
                }
                self.write();
            }
            Step::Fail { member, first, length } => {
                let first = self.it.start() + first;
                let ack = Ack { first, last: first + length - 1, kinds: vec![Accept] };
                let before = self.it.saved();
                if self.it.acknowledge(&member.to_string(), &[ack], RULES, at(self.now)).is_ok() {
                    let _ = self.it.take_update();
                    self.it.undo();
                    assert_eq!(merged(self.it.saved()), merged(before));
                }
            }
            Step::Crash => {
                let start = self.saved.start.unwrap_or(0);
                self.it = Partition::restored(start, &self.saved.batches);
                self.it.trim_to(self.log_start);
                for fate in self.fates.values_mut() {
                    if fate.holder.take().is_some() {
                        fate.deliveries = fate.written;
                    }
                }
            }
            Step::Trim { by } => {
                let to = self.it.start() + by;
                self.log_start = to;
                self.it.trim_to(to);
                self.log.retain(|(_, last)| *last >= to);
                for (_, fate) in self.fates.range_mut(..to) {
                    (fate.holder, fate.is_final) = (None, true);
                }
            }
        }
        self.it.check();
    }
}

/// Neighbours alike count as one.
fn merged(saved: Saved) -> Saved {
    let mut batches: Vec<SavedBatch> = Vec::new();
    for it in saved.batches {
        match batches.last_mut() {
            Some(before)
                if before.last + 1 == it.first
                    && (before.state, before.deliveries) == (it.state, it.deliveries) =>
            {
                before.last = it.last;
            }
            _ => batches.push(it),
        }
    }
    Saved { batches, ..saved }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    /// No record is delivered to two members at once within its lock; what was acknowledged never
    /// comes back, after a crash neither; deliveries are counted right; and nothing is lost: in the
    /// end a member that keeps asking and accepting gets everything that was not decided.
    #[test]
    fn a_share_partition_does_what_a_list_of_records_would(
        steps in steps(),
        lengths in prop::collection::vec(1_i64..7, 1..12),
    ) {
        let mut log = Vec::new();
        let mut next = 0;
        for it in lengths {
            log.push((next, next + it - 1));
            next += it;
        }
        let mut model = Model {
            it: Partition::new(0),
            saved: Saved::default(),
            fates: BTreeMap::new(),
            log,
            log_start: 0,
            now: 0,
        };
        for step in &steps {
            model.step(step);
        }
        model.step(&Step::Wait { seconds: 60 });
        for _ in 0..1_000 {
            model.get(0, false, 100);
            let its = model.held_by(0);
            if its.is_empty() {
                break;
            }
            for it in its {
 model.ack(0, (it, it), Accept);
 }
        }
        prop_assert_eq!(model.it.in_flight(), 0);
        prop_assert!(model.it.start() >= model.log.last().map_or(0, |(_, last)| last + 1));
        let is_lost = |it: &i64| !model.fates.get(it).is_some_and(|it| it.is_final);
        let all = model.log.iter().flat_map(|(first, last)| (*first).max(model.log_start)..=*last);
        let lost: Vec<_> = all.filter(is_lost).collect();
        prop_assert!(lost.is_empty(), "{:?}", lost);
    }
}
