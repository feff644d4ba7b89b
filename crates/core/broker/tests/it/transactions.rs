//! Transactions through the wire, with the answers of Apache Kafka 4.3.1.
//!
//! Every test here also runs against the original, whose answers the snapshots are:
//! `SYSTOLE_ORACLE=127.0.0.1:9092 cargo test -p systole-broker --test it transactions::`. The
//! original completes a transaction after its answer, so whatever it does not answer yet is asked
//! again until it does.

use crate::harness::{Client, Harness};
use crate::records::{batch_with, now, topic_id};
use crate::topics::{create, topic};
use bytes::Bytes;
use expect_test::expect;
use std::fmt::Write as _;
use std::net::SocketAddr;
use systole_wire::message::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use systole_wire::message::fetch_request::{FetchPartition, FetchTopic};
use systole_wire::message::produce_request::{PartitionProduceData, TopicProduceData};
use systole_wire::message::*;
use systole_wire::record::{BatchOptions, Batches, Producer, RecordSet};

const NOT_ENOUGH_REPLICAS: i16 = 19;
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// A node, or the original, a topic of its own with three partitions, and what was said so far.
/// Names of topics and ids carry a number, so that the original may be asked again.
pub(crate) struct Story {
    pub(crate) harness: Option<Harness>,
    pub(crate) client: Client,
    pub(crate) topic: String,
    pub(crate) id: String,
    pub(crate) timeout_ms: i32,
    /// Producer ids in the order in which they appeared: `p0`, `p1`.
    ids: Vec<i64>,
    /// The ends of the partitions, as far as answers told them.
    ends: [i64; 3],
    pub(crate) out: String,
}

impl Story {
    pub(crate) async fn begin() -> Self {
        Self::begin_with(|_| {}).await
    }

    pub(crate) async fn begin_with(adjust: impl FnOnce(&mut systole_broker::BrokerConfig)) -> Self {
        let oracle: Option<SocketAddr> =
            std::env::var("SYSTOLE_ORACLE").ok().map(|it| it.parse().unwrap());
        let (harness, mut client) = if let Some(at) = oracle {
            (None, Client::connect(at).await)
        } else {
            let harness = Harness::start_with(adjust).await;
            let client = harness.client().await;
            (Some(harness), client)
        };
        let number = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let topic_name = format!("t{}", number.as_nanos());
        create(&mut client, vec![topic(&topic_name, 3)]).await;
        let id = format!("id{}", number.as_nanos());
        let mut it = Self {
            harness,
            client,
            topic: topic_name,
            id,
            timeout_ms: 60_000,
            ids: Vec::new(),
            ends: [0; 3],
            out: String::new(),
        };
        it.find_coordinator().await;
        it.until_ready().await;
        it
    }

    /// The original answers CreateTopics before anyone leads the topic.
    async fn until_ready(&mut self) {
        let name = self.topic.clone();
        let id = std::mem::replace(&mut self.id, format!("{name}-ready"));
        while self.try_init(1, Producer::NONE).await.0 != 0 {}
        self.id = id;
        loop {
            let partitions = (0..3).map(|partition| FetchPartition {
                partition,
                partition_max_bytes: 1,
                ..Default::default()
            });
            let topic = FetchTopic {
                topic: name.as_str().into(),
                partitions: partitions.collect(),
                ..Default::default()
            };
            let request =
                FetchRequest { session_epoch: -1, topics: vec![topic], ..Default::default() };
            let response = self.client.call(12, request).await;
            if response.responses[0].partitions.iter().all(|it| it.error_code == 0) {
                return;
            }
        }
    }

    /// The original makes its internal topics when someone looks for their coordinators.
    async fn find_coordinator(&mut self) {
        for key_type in [0, 1] {
            loop {
                let coordinator_keys = vec![self.id.as_str().into()];
                let request =
                    FindCoordinatorRequest { key_type, coordinator_keys, ..Default::default() };
                let found = self.client.call(4, request).await;
                if found.coordinators[0].error_code == 0 {
                    break;
                }
            }
        }
    }

    pub(crate) fn say(&mut self, line: impl std::fmt::Display) {
        writeln!(self.out, "{line}").unwrap();
    }

    pub(crate) fn named(&mut self, id: i64) -> String {
        if id < 0 {
            return format!("{id}");
        }
        let known = self.ids.iter().position(|it| *it == id);
        let at = known.unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        });
        format!("p{at}")
    }

    fn shown(&mut self, code: i16, id: i64, epoch: i16) -> String {
        format!("{code} {}/{epoch}", self.named(id))
    }

    /// InitProducerId until the transaction before is complete; gives the producer.
    pub(crate) async fn init(&mut self, version: i16) -> Producer {
        loop {
            let (code, producer) = self.try_init(version, Producer::NONE).await;
            if code != CONCURRENT_TRANSACTIONS {
                let shown = self.shown(code, producer.id, producer.epoch);
                self.say(format!("init v{version}: {shown}"));
                return producer;
            }
        }
    }

    pub(crate) async fn try_init(&mut self, version: i16, was: Producer) -> (i16, Producer) {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.as_str().into()),
            transaction_timeout_ms: self.timeout_ms,
            producer_id: if version < 3 { -1 } else { was.id },
            producer_epoch: if version < 3 { -1 } else { was.epoch },
            ..Default::default()
        };
        let it = self.client.call(version, request).await;
        let (id, epoch) = (it.producer_id, it.producer_epoch);
        (it.error_code, Producer { id, epoch, base_sequence: 0 })
    }

    pub(crate) async fn init_as(&mut self, version: i16, was: Producer) -> Producer {
        let (code, it) = loop {
            let answer = self.try_init(version, was).await;
            if answer.0 != CONCURRENT_TRANSACTIONS {
                break answer;
            }
        };
        let shown = self.shown(code, it.id, it.epoch);
        self.say(format!("init v{version} as epoch {}: {shown}", was.epoch));
        it
    }

    pub(crate) fn batch(producer: Producer, value: &str) -> Bytes {
        let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
        batch_with(options, now(), &[value])
    }

    /// Produce to one partition, until the transaction before is complete.
    pub(crate) async fn put(&mut self, version: i16, at: i32, producer: Producer, value: &str) {
        let id = Some(self.id.clone());
        self.put_as(version, (id, at), Self::batch(producer, value)).await;
    }

    pub(crate) async fn put_as(
        &mut self,
        version: i16,
        (id, at): (Option<String>, i32),
        batch: Bytes,
    ) {
        let topic_id = topic_id(&mut self.client, &self.topic.clone()).await;
        let partition =
            PartitionProduceData { index: at, records: Some(batch), ..Default::default() };
        let request = ProduceRequest {
            transactional_id: id.map(|it| it.as_str().into()),
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![TopicProduceData {
                name: if version < 13 { self.topic.as_str().into() } else { "".into() },
                topic_id: if version < 13 { systole_kit::Uuid::ZERO } else { topic_id },
                partition_data: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        loop {
            let response = self.client.call(version, request.clone()).await;
            let it = &response.responses[0].partition_responses[0];
            // Before v12, a transaction that is being completed is NOT_ENOUGH_REPLICAS.
            if ![CONCURRENT_TRANSACTIONS, NOT_ENOUGH_REPLICAS].contains(&it.error_code) {
                let end = &mut self.ends[usize::try_from(at).unwrap()];
                *end = (*end).max(it.base_offset + 1);
                self.say(format!("put v{version} at {at}: {} {}", it.error_code, it.base_offset));
                return;
            }
        }
    }

    pub(crate) fn adding(&self, producer: Producer, at: &[i32]) -> AddPartitionsToTxnRequest {
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.as_str().into(),
            v3_and_below_producer_id: producer.id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: self.topic.as_str().into(),
                partitions: at.to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    /// AddPartitionsToTxn, until the transaction before is complete.
    pub(crate) async fn add(&mut self, version: i16, producer: Producer, at: &[i32]) {
        loop {
            let request = self.adding(producer, at);
            let response = self.client.call(version, request).await;
            let mut codes: Vec<_> = response.results_by_topic_v3_and_below[0]
                .results_by_partition
                .iter()
                .map(|it| (it.partition_index, it.partition_error_code))
                .collect();
            codes.sort_unstable();
            if codes[0].1 != CONCURRENT_TRANSACTIONS {
                return self.say(format!("add v{version}: {codes:?}"));
            }
        }
    }

    pub(crate) async fn end(&mut self, version: i16, producer: Producer, commit: bool) -> Producer {
        loop {
            let it = self.try_end(version, producer, commit).await;
            if it.error_code != CONCURRENT_TRANSACTIONS {
                let verb = if commit { "commit" } else { "abort" };
                let shown = self.shown(it.error_code, it.producer_id, it.producer_epoch);
                self.say(format!("{verb} v{version} of epoch {}: {shown}", producer.epoch));
                return Producer { id: it.producer_id, epoch: it.producer_epoch, base_sequence: 0 };
            }
        }
    }

    pub(crate) async fn try_end(
        &mut self,
        version: i16,
        producer: Producer,
        committed: bool,
    ) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: self.id.as_str().into(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            committed,
            ..Default::default()
        };
        self.client.call(version, request).await
    }

    /// What a reader sees of a partition: its values, markers as `(commit)`, where it ends, and
    /// what it is told to leave out. Waits for the markers of the original, and until what was
    /// answered can be read: within a transaction, this node answers earlier.
    pub(crate) async fn read(&mut self, at: i32, isolation_level: i8, settled: bool) {
        let partition = FetchPartition {
            partition: at,
            fetch_offset: 0,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: self.topic.as_str().into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 1,
            session_epoch: -1,
            isolation_level,
            topics: vec![topic],
            ..Default::default()
        };
        loop {
            let response = self.client.call(12, request.clone()).await;
            let it = response.responses[0].partitions[0].clone();
            let end = self.ends[usize::try_from(at).unwrap()];
            let is_behind = settled && it.last_stable_offset < it.high_watermark;
            let until =
                if isolation_level == 0 { it.high_watermark } else { it.last_stable_offset };
            let batches = Batches::new(it.records.clone().unwrap()).map(Result::unwrap);
            let read_to = batches.last().map_or(0, |it| it.header.next_offset());
            if is_behind || it.high_watermark < end || read_to < until {
                continue;
            }
            let mut seen = Vec::new();
            for batch in Batches::new(it.records.clone().unwrap()).map(Result::unwrap) {
                let set = RecordSet::open(&batch.bytes, 1 << 20).unwrap();
                let is_control = batch.header.attributes.is_control();
                for record in set.iter().map(Result::unwrap) {
                    let key = record.key.unwrap_or_default();
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default());
                    let epoch = batch.header.producer_epoch;
                    seen.push(match (is_control, key.get(3)) {
                        (true, Some(1)) => format!("(commit {epoch})"),
                        (true, _) => format!("(abort {epoch})"),
                        _ => value.into_owned(),
                    });
                }
            }
            let aborted = it.aborted_transactions.unwrap_or_default();
            let aborted: Vec<_> = aborted.iter().map(|it| it.first_offset).collect();
            let (stable, end) = (it.last_stable_offset, it.high_watermark);
            let seen = seen.join(" ");
            let bounds = format!("stable {stable} of {end}, aborted {aborted:?}");
            self.say(format!("read {isolation_level} at {at}: {seen}; {bounds}"));
            return;
        }
    }
}

/// The same producer with another sequence.
pub(crate) fn at(producer: Producer, base_sequence: i32) -> Producer {
    Producer { base_sequence, ..producer }
}

#[tokio::test]
async fn a_transaction_of_version_2_adds_by_writing_and_gets_a_new_epoch() {
    let mut it = Story::begin().await;
    let first = it.init(5).await;
    it.put(12, 0, first, "a").await;
    it.put(12, 0, at(first, 1), "b").await;
    it.put(13, 1, first, "c").await;
    it.read(0, 0, false).await;
    it.read(0, 1, false).await;
    let second = it.end(5, first, true).await;
    it.read(0, 1, true).await;
    it.read(1, 1, true).await;
    it.read(2, 1, true).await;
    it.put(12, 0, second, "d").await;
    it.put(12, 0, at(first, 2), "late").await;
    it.end(5, second, false).await;
    it.read(0, 0, true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        put v12 at 0: 0 1
        put v13 at 1: 0 0
        read 0 at 0: a b; stable 0 of 2, aborted []
        read 1 at 0: ; stable 0 of 2, aborted []
        commit v5 of epoch 0: 0 p0/1
        read 1 at 0: a b (commit 1); stable 3 of 3, aborted []
        read 1 at 1: c (commit 1); stable 2 of 2, aborted []
        read 1 at 2: ; stable 0 of 0, aborted []
        put v12 at 0: 0 3
        put v12 at 0: 47 -1
        abort v5 of epoch 1: 0 p0/2
        read 0 at 0: a b (commit 1) d (abort 2); stable 5 of 5, aborted []
        read 1 at 0: a b (commit 1) d (abort 2); stable 5 of 5, aborted [3]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_transaction_of_version_1_adds_before_it_writes() {
    let mut it = Story::begin().await;
    let me = it.init(1).await;
    for version in [9, 10, 11] {
        it.put(version, 0, me, "early").await;
    }
    it.add(3, me, &[0, 1]).await;
    it.put(9, 0, me, "a").await;
    it.put(9, 2, me, "not added").await;
    it.read(0, 1, false).await;
    it.end(3, me, true).await;
    it.read(0, 1, true).await;
    it.read(1, 1, true).await;
    it.add(0, me, &[0]).await;
    it.put(9, 0, at(me, 1), "b").await;
    it.end(0, me, false).await;
    it.read(0, 1, true).await;
    it.put(9, 0, at(me, 2), "outside").await;
    it.add(3, me, &[0]).await;
    it.put(9, 0, at(me, 2), "c").await;
    it.end(4, me, true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v1: 0 p0/0
        put v9 at 0: 48 -1
        put v10 at 0: 48 -1
        put v11 at 0: 120 -1
        add v3: [(0, 0), (1, 0)]
        put v9 at 0: 0 0
        put v9 at 2: 48 -1
        read 1 at 0: ; stable 0 of 1, aborted []
        commit v3 of epoch 0: 0 -1/-1
        read 1 at 0: a (commit 0); stable 2 of 2, aborted []
        read 1 at 1: (commit 0); stable 1 of 1, aborted []
        add v0: [(0, 0)]
        put v9 at 0: 0 2
        abort v0 of epoch 0: 0 -1/-1
        read 1 at 0: a (commit 0) b (abort 0); stable 4 of 4, aborted [2]
        put v9 at 0: 48 -1
        add v3: [(0, 0)]
        put v9 at 0: 0 4
        commit v4 of epoch 0: 0 -1/-1
        read 1 at 0: a (commit 0) b (abort 0) c (commit 0); stable 6 of 6, aborted [2]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_repeated_end_is_answered_once_more_and_another_one_is_refused() {
    let mut it = Story::begin().await;
    let first = it.init(4).await;
    it.end(5, first, true).await;
    let second = it.end(5, first, false).await;
    it.put(12, 0, second, "a").await;
    let third = it.end(5, second, true).await;
    it.end(5, second, true).await;
    it.end(5, second, false).await;
    it.end(5, third, true).await;
    it.end(5, first, true).await;
    let fourth = it.end(5, third, false).await;
    it.end(5, third, false).await;
    it.end(5, third, true).await;
    it.end(4, fourth, false).await;
    it.end(4, fourth, true).await;
    it.end(4, third, true).await;
    it.end(1, third, true).await;
    expect![[r#"
        init v4: 0 p0/0
        commit v5 of epoch 0: 48 -1/-1
        abort v5 of epoch 0: 0 p0/1
        put v12 at 0: 0 0
        commit v5 of epoch 1: 0 p0/2
        commit v5 of epoch 1: 0 p0/2
        abort v5 of epoch 1: 48 -1/-1
        commit v5 of epoch 2: 48 -1/-1
        commit v5 of epoch 0: 90 -1/-1
        abort v5 of epoch 2: 0 p0/3
        abort v5 of epoch 2: 0 p0/3
        commit v5 of epoch 2: 48 -1/-1
        abort v4 of epoch 3: 0 -1/-1
        commit v4 of epoch 3: 48 -1/-1
        commit v4 of epoch 2: 90 -1/-1
        commit v1 of epoch 2: 47 -1/-1
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_new_incarnation_fences_the_old_one_and_aborts_what_it_left() {
    let mut it = Story::begin().await;
    let old = it.init(5).await;
    it.put(12, 0, old, "a").await;
    let (code, _) = it.try_init(5, Producer::NONE).await;
    it.say(format!("init while a transaction is open: {code}"));
    let new = it.init(5).await;
    it.read(0, 1, true).await;
    it.put(12, 0, at(old, 1), "b").await;
    it.put(9, 0, at(old, 1), "b").await;
    it.end(5, old, true).await;
    it.end(1, old, true).await;
    it.add(3, old, &[0]).await;
    it.add(1, old, &[0]).await;
    it.init_as(4, old).await;
    it.init_as(3, old).await;
    it.put(12, 0, new, "c").await;
    it.end(5, new, true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v5: 0 p0/0
        put v12 at 0: 0 0
        init while a transaction is open: 51
        init v5: 0 p0/2
        read 1 at 0: a (abort 1); stable 2 of 2, aborted [0]
        put v12 at 0: 47 -1
        put v9 at 0: 47 -1
        commit v5 of epoch 0: 90 -1/-1
        commit v1 of epoch 0: 47 -1/-1
        add v3: [(0, 90)]
        add v1: [(0, 47)]
        init v4 as epoch 0: 90 -1/-1
        init v3 as epoch 0: 47 -1/-1
        put v12 at 0: 0 2
        commit v5 of epoch 2: 0 p0/3
        read 1 at 0: a (abort 1) c (commit 3); stable 4 of 4, aborted [0]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn a_producer_that_goes_on_after_an_error_says_who_it_was() {
    let mut it = Story::begin().await;
    let first = it.init(3).await;
    let second = it.init_as(3, first).await;
    it.init_as(3, first).await;
    it.init_as(3, at(Producer { id: first.id + 1_000_000, ..first }, 0)).await;
    it.init_as(3, Producer { epoch: 9, ..first }).await;
    it.init_as(4, Producer { epoch: 9, ..first }).await;
    it.init_as(4, Producer { id: -1, epoch: 0, base_sequence: 0 }).await;
    it.init_as(4, Producer { id: 5, epoch: -1, base_sequence: 0 }).await;
    it.put(12, 0, second, "a").await;
    let third = it.end(5, second, true).await;
    it.init_as(4, second).await;
    it.init_as(4, third).await;
    expect![[r#"
        init v3: 0 p0/0
        init v3 as epoch 0: 0 p0/1
        init v3 as epoch 0: 0 p0/1
        init v3 as epoch 0: 47 -1/-1
        init v3 as epoch 9: 47 -1/-1
        init v4 as epoch 9: 90 -1/-1
        init v4 as epoch 0: 42 -1/-1
        init v4 as epoch -1: 42 -1/-1
        put v12 at 0: 0 0
        commit v5 of epoch 1: 0 p0/2
        init v4 as epoch 1: 0 p0/2
        init v4 as epoch 2: 0 p0/3
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn who_was_never_initialized_is_refused_everywhere() {
    let mut it = Story::begin().await;
    let stranger = Producer { id: 7, epoch: 0, base_sequence: 0 };
    for version in [0, 4, 5] {
        it.end(version, stranger, true).await;
    }
    it.add(3, stranger, &[0]).await;
    for version in [9, 11, 12] {
        it.put(version, 0, stranger, "a").await;
    }
    it.put_as(12, (None, 0), Story::batch(stranger, "a")).await;
    it.put_as(9, (None, 0), Story::batch(stranger, "a")).await;
    for timeout_ms in [0, -1, 15 * 60 * 1000, 15 * 60 * 1000 + 1] {
        let request = InitProducerIdRequest {
            transactional_id: Some(it.id.as_str().into()),
            transaction_timeout_ms: timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let code = it.client.call(4, request).await.error_code;
        it.say(format!("timeout {timeout_ms}: {code}"));
    }
    it.id = String::new();
    it.init(4).await;
    it.end(4, stranger, true).await;
    it.end(5, stranger, true).await;
    it.add(3, stranger, &[0]).await;
    expect![[r#"
        commit v0 of epoch 0: 49 -1/-1
        commit v4 of epoch 0: 49 -1/-1
        commit v5 of epoch 0: 49 -1/-1
        add v3: [(0, 49)]
        put v9 at 0: 49 -1
        put v11 at 0: 49 -1
        put v12 at 0: 49 -1
        put v12 at 0: 53 -1
        put v9 at 0: 53 -1
        timeout 0: 50
        timeout -1: 50
        timeout 900000: 0
        timeout 900001: 50
        init v4: 42 -1/-1
        commit v4 of epoch 0: 42 -1/-1
        commit v5 of epoch 0: 42 -1/-1
        add v3: [(0, 42)]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn one_absent_partition_keeps_the_others_out() {
    let mut it = Story::begin().await;
    let me = it.init(4).await;
    it.add(3, me, &[0, 9]).await;
    it.put(9, 0, me, "a").await;
    let known = it.topic.clone();
    it.topic = "nowhere".into();
    it.add(3, me, &[0]).await;
    it.topic = known;
    it.add(3, me, &[0]).await;
    for version in [4, 5] {
        for (verify_only, at) in [(true, 0), (true, 1), (false, 1), (true, 1)] {
            let request = AddPartitionsToTxnRequest {
                transactions: vec![AddPartitionsToTxnTransaction {
                    transactional_id: it.id.as_str().into(),
                    producer_id: me.id,
                    producer_epoch: me.epoch,
                    verify_only,
                    topics: it.adding(me, &[at]).v3_and_below_topics,
                    ..Default::default()
                }],
                ..Default::default()
            };
            let response = it.client.call(version, request).await;
            let topics = &response.results_by_transaction[0].topic_results;
            let code = topics[0].results_by_partition[0].partition_error_code;
            it.say(format!("v{version} verify {verify_only} at {at}: {code}"));
        }
    }
    it.end(4, me, false).await;
    expect![[r#"
        init v4: 0 p0/0
        add v3: [(0, 55), (9, 3)]
        put v9 at 0: 48 -1
        add v3: [(0, 3)]
        add v3: [(0, 0)]
        v4 verify true at 0: 0
        v4 verify true at 1: 120
        v4 verify false at 1: 0
        v4 verify true at 1: 0
        v5 verify true at 0: 0
        v5 verify true at 1: 0
        v5 verify false at 1: 0
        v5 verify true at 1: 0
        abort v4 of epoch 0: 0 -1/-1
    "#]]
    .assert_eq(&it.out);
}
