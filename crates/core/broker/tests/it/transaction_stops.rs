//! Transactions over stops of the node, and over time.

use crate::transactions::{Story, at};
use expect_test::expect;
use std::time::Duration;
use systole_wire::record::Producer;

impl Story {
    async fn stop_and_start(&mut self, in_order: bool) {
        let harness = self.harness.as_mut().expect("a node of ours");
        if in_order {
            harness.restart().await;
        } else {
            harness.crash().await;
        }
        self.client = harness.client().await;
        self.say(if in_order { "-- restart" } else { "-- crash" });
    }

    fn is_ours(&self) -> bool {
        self.harness.is_some()
    }
}

#[tokio::test]
async fn a_stop_in_order_keeps_open_transactions() {
    let mut it = Story::begin().await;
    if !it.is_ours() {
        return; // the original cannot be stopped from here
    }
    let me = it.init(5).await;
    it.put(12, 0, me, "a").await;
    it.commit_in(5, me, 4).await;
    it.stop_and_start(true).await;
    it.offset(false).await;
    it.read(0, 1, false).await;
    it.put(12, 0, at(me, 1), "b").await;
    it.put(12, 1, me, "c").await;
    it.end(5, me, true).await;
    it.end(5, me, true).await;
    it.stop_and_start(true).await;
    it.end(5, me, true).await;
    it.offset(false).await;
    it.read(0, 1, true).await;
    it.read(1, 1, true).await;
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        offset 4 v5: 0
        -- restart
        offset, stable: 88 -1, any: 0 -1
        read 1 at 0: ; stable 0 of 1, aborted []
        put v12 at 0: 0 1
        put v12 at 1: 0 0
        commit v5 of epoch 0: 0 p0/1
        commit v5 of epoch 0: 0 p0/1
        -- restart
        commit v5 of epoch 0: 0 p0/1
        offset, stable: 0 4, any: 0 4
        read 1 at 0: a b (commit 1); stable 3 of 3, aborted []
        read 1 at 1: c (commit 1); stable 2 of 2, aborted []
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_crash_aborts_open_transactions_and_a_version_2_producer_goes_on() {
    let mut it = Story::begin().await;
    if !it.is_ours() {
        return;
    }
    let first = it.init(5).await;
    it.put(12, 0, first, "kept").await;
    it.commit_in(5, first, 1).await;
    let second = it.end(5, first, true).await;
    it.put(12, 0, second, "lost").await;
    it.put(12, 1, second, "lost").await;
    it.commit_in(5, second, 2).await;
    it.read(0, 0, false).await;
    it.stop_and_start(false).await;
    it.offset(false).await;
    it.read(0, 1, true).await;
    it.read(1, 1, true).await;
    it.put(12, 0, at(second, 1), "late").await;
    it.end(5, second, true).await;
    let third = it.end(5, second, false).await;
    it.put(12, 0, third, "after").await;
    it.end(5, third, true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        offset 1 v5: 0
        commit v5 of epoch 0: 0 p0/1
        put v12 at 0: 0 2
        put v12 at 1: 0 0
        offset 2 v5: 0
        read 0 at 0: kept (commit 1) lost; stable 2 of 3, aborted []
        -- crash
        offset, stable: 0 1, any: 0 1
        read 1 at 0: kept (commit 1) lost (abort 2); stable 4 of 4, aborted [2]
        read 1 at 1: lost (abort 2); stable 2 of 2, aborted [0]
        put v12 at 0: 47 -1
        commit v5 of epoch 1: 48 -1/-1
        abort v5 of epoch 1: 0 p0/2
        put v12 at 0: 0 4
        commit v5 of epoch 2: 0 p0/3
        read 1 at 0: kept (commit 1) lost (abort 2) after (commit 3); stable 6 of 6, aborted [2]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_crash_fences_version_1_producers_whose_commit_could_be_taken_for_the_one_before() {
    let mut it = Story::begin().await;
    if !it.is_ours() {
        return;
    }
    let me = it.init(1).await;
    it.add(3, me, &[0]).await;
    it.put(9, 0, me, "a").await;
    it.end(3, me, true).await;
    it.stop_and_start(false).await;
    it.end(3, me, true).await;
    let new = it.init(1).await;
    it.add(3, new, &[0]).await;
    it.put(9, 0, new, "b").await;
    it.end(3, new, true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v1: 0 p0/0
        add v3: [(0, 0)]
        put v9 at 0: 0 0
        commit v3 of epoch 0: 0 -1/-1
        -- crash
        commit v3 of epoch 0: 90 -1/-1
        init v1: 0 p0/2
        add v3: [(0, 0)]
        put v9 at 0: 0 2
        commit v3 of epoch 2: 0 -1/-1
        read 1 at 0: a (commit 0) b (commit 2); stable 4 of 4, aborted []
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_aborted_and_an_unused_id_forgotten() {
    let mut it = Story::begin_with(|config| {
        config.transactions.timeout_check_interval = Duration::from_millis(10);
        config.transactions.id_expiration = Duration::from_secs(1);
    })
    .await;
    if !it.is_ours() {
        return;
    }
    it.timeout_ms = 50;
    let me = it.init(5).await;
    it.put(12, 0, me, "a").await;
    it.read(0, 1, true).await;
    it.put(12, 0, at(me, 1), "late").await;
    let next = it.end(5, me, false).await;
    it.timeout_ms = 60_000;
    while it.try_end(5, next, true).await.error_code != INVALID_PRODUCER_ID_MAPPING {}
    let anew = it.init(5).await;
    it.say(anew.id == next.id);
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        read 1 at 0: a (abort 1); stable 2 of 2, aborted [0]
        put v12 at 0: 47 -1
        abort v5 of epoch 0: 0 p0/1
        init v5: 0 p1/0
        false
    "#]]
    .assert_eq(&it.out);
}

const INVALID_PRODUCER_ID_MAPPING: i16 = 49;

#[tokio::test]
async fn a_limit_keeps_further_ids_and_partitions_out() {
    let mut it = Story::begin_with(|config| config.transactions.partitions_max = 2).await;
    if !it.is_ours() {
        return;
    }
    let me = it.init(5).await;
    for partition in 0..3 {
        it.put(12, partition, me, "a").await;
    }
    it.end(5, me, false).await;
    let (code, _) = it.try_init(5, Producer { id: 1, epoch: -1, base_sequence: 0 }).await;
    it.say(code);
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        put v12 at 1: 0 0
        put v12 at 2: 120 -1
        abort v5 of epoch 0: 0 p0/1
        42
    "#]]
    .assert_eq(&it.out);
}
