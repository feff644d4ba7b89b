//! Offsets inside transactions, and what administrators see, with the answers of Apache Kafka
//! 4.3.1; how to ask the original: `transactions.rs`.

use crate::frames::api_versions;
use crate::transactions::{Story, at};
use expect_test::expect;
use systole_wire::message::describe_producers_request::TopicRequest;
use systole_wire::message::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use systole_wire::message::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use systole_wire::message::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use systole_wire::message::*;
use systole_wire::record::Producer;

/// Answers that the original gives while it completes a transaction or loads a coordinator.
const NOT_YET: [i16; 5] = [14, 15, 16, 19, 51];

impl Story {
    fn group(&self) -> systole_wire::Str {
        format!("g-{}", self.id).as_str().into()
    }

    async fn add_offsets(&mut self, version: i16, producer: Producer) {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.id.as_str().into(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            group_id: self.group(),
            ..Default::default()
        };
        loop {
            let code = self.client.call(version, request.clone()).await.error_code;
            if !NOT_YET.contains(&code) {
                return self.say(format!("add offsets v{version}: {code}"));
            }
        }
    }

    pub(crate) async fn commit_in(
        &mut self,
        version: i16,
        producer: Producer,
        committed_offset: i64,
    ) {
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset,
            committed_metadata: Some("m".into()),
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.id.as_str().into(),
            group_id: self.group(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: self.topic.as_str().into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        loop {
            let it = self.client.call(version, request.clone()).await;
            let code = it.topics[0].partitions[0].error_code;
            if !NOT_YET.contains(&code) {
                return self.say(format!("offset {committed_offset} v{version}: {code}"));
            }
        }
    }

    async fn commit_plain(&mut self, committed_offset: i64) {
        let partition = OffsetCommitRequestPartition {
            committed_offset,
            committed_metadata: Some("".into()),
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group(),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: self.topic.as_str().into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        loop {
            let it = self.client.call(8, request.clone()).await;
            let code = it.topics[0].partitions[0].error_code;
            if !NOT_YET.contains(&code) {
                return self.say(format!("plain offset {committed_offset}: {code}"));
            }
        }
    }

    /// The group's offset, with and without the demand that nothing may change it any more.
    /// `settled`: waits until nothing may.
    pub(crate) async fn offset(&mut self, settled: bool) {
        let mut said = Vec::new();
        for require_stable in [true, false] {
            let topic = OffsetFetchRequestTopics {
                name: self.topic.as_str().into(),
                partition_indexes: vec![0],
                ..Default::default()
            };
            let group = OffsetFetchRequestGroup {
                group_id: self.group(),
                topics: Some(vec![topic]),
                ..Default::default()
            };
            let request =
                OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() };
            let it = loop {
                let response = self.client.call(8, request.clone()).await;
                let it = response.groups[0].topics[0].partitions[0].clone();
                if !(settled && it.error_code != 0) {
                    break it;
                }
            };
            said.push(format!("{} {}", it.error_code, it.committed_offset));
        }
        self.say(format!("offset, stable: {}, any: {}", said[0], said[1]));
    }

    async fn ends(&mut self) {
        let mut said = Vec::new();
        for isolation_level in [0, 1] {
            let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level,
                topics: vec![ListOffsetsTopic {
                    name: self.topic.as_str().into(),
                    partitions: vec![partition],
                    ..Default::default()
                }],
                ..Default::default()
            };
            said.push(self.client.call(5, request).await.topics[0].partitions[0].offset);
        }
        self.say(format!("ends {said:?}"));
    }

    async fn describe(&mut self) {
        let transactional_ids = vec![self.id.as_str().into(), "".into(), "nobody".into()];
        let request = DescribeTransactionsRequest { transactional_ids, ..Default::default() };
        for it in self.client.call(0, request).await.transaction_states {
            let producer = self.named(it.producer_id);
            let places: usize = it.topics.iter().map(|it| it.partitions.len()).sum();
            let (state, epoch) = (&*it.transaction_state, it.producer_epoch);
            let began = it.transaction_start_time_ms > 0;
            self.say(format!(
                "{} {state} {producer}/{epoch} {} ms, {places} places, began {began}",
                it.error_code, it.transaction_timeout_ms
            ));
        }
    }

    async fn list(&mut self, version: i16, request: ListTransactionsRequest) {
        let it = self.client.call(version, request).await;
        let mine = it.transaction_states.iter().filter(|it| *it.transactional_id == *self.id);
        let mine: Vec<_> = mine.map(|it| it.transaction_state.to_string()).collect();
        let unknown: Vec<_> = it.unknown_state_filters.iter().map(ToString::to_string).collect();
        self.say(format!("list v{version}: {} {mine:?} unknown {unknown:?}", it.error_code));
    }

    async fn producers(&mut self, index: i32) {
        let topic = TopicRequest {
            name: self.topic.as_str().into(),
            partition_indexes: vec![index],
            ..Default::default()
        };
        let request = DescribeProducersRequest { topics: vec![topic], ..Default::default() };
        let response = self.client.call(0, request).await;
        let partition = &response.topics[0].partitions[0];
        self.say(format!("producers of {index}: {}", partition.error_code));
        for it in &partition.active_producers {
            let producer = self.named(it.producer_id);
            let (epoch, sequence, start) =
                (it.producer_epoch, it.last_sequence, it.current_txn_start_offset);
            let coordinator = it.coordinator_epoch;
            let last = format!("sequence {sequence} coordinator {coordinator}");
            self.say(format!("  {producer}/{epoch} {last} open from {start}"));
        }
    }

    async fn mark(&mut self, version: i16, producer: Producer, commit: bool, index: i32) {
        let marker = WritableTxnMarker {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            transaction_result: commit,
            coordinator_epoch: 0,
            topics: vec![WritableTxnMarkerTopic {
                name: self.topic.as_str().into(),
                partition_indexes: vec![index],
                ..Default::default()
            }],
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() };
        let response = self.client.call(version, request).await;
        let code = response.markers[0].topics[0].partitions[0].error_code;
        self.say(format!("mark v{version} of epoch {} at {index}: {code}", producer.epoch));
    }
}

#[tokio::test]
async fn offsets_of_a_transaction_show_when_it_is_committed() {
    let mut it = Story::begin().await;
    let me = it.init(4).await;
    it.commit_in(3, me, 5).await;
    it.commit_in(4, me, 5).await;
    it.add_offsets(3, me).await;
    it.commit_in(3, me, 7).await;
    it.offset(false).await;
    it.end(3, me, true).await;
    it.offset(true).await;
    it.add_offsets(0, me).await;
    it.commit_in(0, me, 9).await;
    it.end(1, me, false).await;
    it.offset(true).await;
    expect![[r#"
        init v4: 0 p0/0
        offset 5 v3: 48
        offset 5 v4: 120
        add offsets v3: 0
        offset 7 v3: 0
        offset, stable: 88 -1, any: 0 -1
        commit v3 of epoch 0: 0 -1/-1
        offset, stable: 0 7, any: 0 7
        add offsets v0: 0
        offset 9 v0: 0
        abort v1 of epoch 0: 0 -1/-1
        offset, stable: 0 7, any: 0 7
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn offsets_of_a_version_2_transaction_enter_by_being_committed() {
    let mut it = Story::begin().await;
    let first = it.init(5).await;
    it.commit_plain(3).await;
    it.commit_in(5, first, 8).await;
    it.offset(false).await;
    let second = it.end(5, first, true).await;
    it.offset(true).await;
    it.commit_in(5, first, 20).await;
    it.commit_in(5, second, 10).await;
    it.commit_in(5, second, 11).await;
    let third = it.end(5, second, false).await;
    it.offset(true).await;
    it.commit_in(5, third, 12).await;
    it.put(12, 0, third, "a").await;
    it.end(5, third, true).await;
    it.offset(true).await;
    it.read(0, 1, true).await;
    expect![[r#"
        init v5: 0 p0/0
        plain offset 3: 0
        offset 8 v5: 0
        offset, stable: 88 -1, any: 0 3
        commit v5 of epoch 0: 0 p0/1
        offset, stable: 0 8, any: 0 8
        offset 20 v5: 47
        offset 10 v5: 0
        offset 11 v5: 0
        abort v5 of epoch 1: 0 p0/2
        offset, stable: 0 8, any: 0 8
        offset 12 v5: 0
        put v12 at 0: 0 0
        commit v5 of epoch 2: 0 p0/3
        offset, stable: 0 12, any: 0 12
        read 1 at 0: a (commit 3); stable 2 of 2, aborted []
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn administrators_see_transactions_and_producers() {
    let mut it = Story::begin().await;
    it.producers(0).await;
    it.producers(7).await;
    let me = it.init(5).await;
    it.describe().await;
    it.put(12, 0, me, "a").await;
    it.put(12, 0, at(me, 1), "b").await;
    it.put(12, 1, me, "c").await;
    it.read(0, 0, false).await;
    it.describe().await;
    it.producers(0).await;
    it.ends().await;
    let states = |them: &[&str]| them.iter().map(|it| (*it).into()).collect::<Vec<_>>();
    let ask = |states| ListTransactionsRequest { state_filters: states, ..Default::default() };
    it.list(0, ask(states(&[]))).await;
    it.list(0, ask(states(&["Ongoing", "Nowhere"]))).await;
    it.list(1, ask(states(&["Empty"]))).await;
    it.list(1, ListTransactionsRequest { duration_filter: 60_000, ..ask(states(&[])) }).await;
    let producer_id_filters = vec![me.id];
    it.list(0, ListTransactionsRequest { producer_id_filters, ..ask(states(&[])) }).await;
    it.list(0, ListTransactionsRequest { producer_id_filters: vec![-5], ..ask(states(&[])) }).await;
    for pattern in ["id.*", "d.*", "i[", ""] {
        let transactional_id_pattern = Some(pattern.into());
        it.list(2, ListTransactionsRequest { transactional_id_pattern, ..ask(states(&[])) }).await;
    }
    it.end(5, me, true).await;
    it.read(0, 1, true).await;
    it.read(1, 1, true).await;
    it.describe().await;
    it.producers(0).await;
    it.ends().await;
    expect![[r#"
        producers of 0: 0
        producers of 7: 3
        init v5: 0 p0/0
        0 Empty p0/0 60000 ms, 0 places, began false
        42  p1/0 0 ms, 0 places, began false
        105  p1/0 0 ms, 0 places, began false
        put v12 at 0: 0 0
        put v12 at 0: 0 1
        put v12 at 1: 0 0
        read 0 at 0: a b; stable 0 of 2, aborted []
        0 Ongoing p0/0 60000 ms, 2 places, began true
        42  p1/0 0 ms, 0 places, began false
        105  p1/0 0 ms, 0 places, began false
        producers of 0: 0
          p0/0 sequence 1 coordinator -1 open from 0
        ends [2, 0]
        list v0: 0 ["Ongoing"] unknown []
        list v0: 0 ["Ongoing"] unknown ["Nowhere"]
        list v1: 0 [] unknown []
        list v1: 0 [] unknown []
        list v0: 0 ["Ongoing"] unknown []
        list v0: 0 [] unknown []
        list v2: 0 ["Ongoing"] unknown []
        list v2: 0 [] unknown []
        list v2: 128 [] unknown []
        list v2: 0 ["Ongoing"] unknown []
        commit v5 of epoch 0: 0 p0/1
        read 1 at 0: a b (commit 1); stable 3 of 3, aborted []
        read 1 at 1: c (commit 1); stable 2 of 2, aborted []
        0 CompleteCommit p0/1 60000 ms, 0 places, began true
        42  p1/0 0 ms, 0 places, began false
        105  p1/0 0 ms, 0 places, began false
        producers of 0: 0
          p0/1 sequence -1 coordinator 0 open from -1
        ends [3, 3]
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn an_administrator_ends_what_nobody_else_would() {
    let mut it = Story::begin().await;
    it.init(4).await;
    let me = it.init(4).await;
    it.add(3, me, &[0]).await;
    it.put(9, 0, me, "a").await;
    it.mark(1, me, false, 9).await;
    it.mark(1, Producer { epoch: me.epoch - 1, ..me }, false, 0).await;
    it.mark(1, me, false, 0).await;
    it.read(0, 1, true).await;
    it.producers(0).await;
    it.end(3, me, false).await;
    expect![[r#"
        init v4: 0 p0/0
        init v4: 0 p0/1
        add v3: [(0, 0)]
        put v9 at 0: 0 0
        mark v1 of epoch 1 at 9: 3
        mark v1 of epoch 0 at 0: 47
        mark v1 of epoch 1 at 0: 0
        read 1 at 0: a (abort 1); stable 2 of 2, aborted [0]
        producers of 0: 0
          p0/1 sequence 0 coordinator 0 open from -1
        abort v3 of epoch 1: 0 -1/-1
    "#]]
    .assert_eq(&it.out);
}

#[tokio::test]
async fn clients_are_told_to_use_version_2() {
    let mut it = Story::begin().await;
    for version in [3, 4] {
        let response = it.client.call(version, api_versions()).await;
        let supported = response.supported_features.iter();
        let supported: Vec<_> = supported
            .filter(|it| &*it.name == "transaction.version")
            .map(|it| (it.min_version, it.max_version))
            .collect();
        let finalized = response.finalized_features.iter();
        let finalized: Vec<_> = finalized
            .filter(|it| &*it.name == "transaction.version")
            .map(|it| (it.min_version_level, it.max_version_level))
            .collect();
        let knows = response.finalized_features_epoch >= 0;
        it.say(format!("v{version}: supported {supported:?} finalized {finalized:?} {knows}"));
    }
    expect![[r#"
        v3: supported [] finalized [(2, 2)] true
        v4: supported [(0, 2)] finalized [(2, 2)] true
    "#]]
    .assert_eq(&it.out);
}
