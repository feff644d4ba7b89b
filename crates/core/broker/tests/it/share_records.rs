//! Records through share groups: who gets which, what becomes of them, and what a crash leaves.
//!
//! The stories that begin with [`Story::begin`] were told the same way by Apache Kafka 4.3.1:
//! `SYSTOLE_ORACLE=127.0.0.1:9092 cargo test -p systole-broker --test it share_records::`.

use crate::harness::{Client, Harness};
use crate::records::{batch, produce_request};
use crate::share_groups::{beating, joining};
use crate::topics::{create, topic};
use expect_test::expect;
use std::fmt::Write as _;
use std::net::SocketAddr;
use systole_kit::Uuid;
use systole_wire::message::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as Acknowledged,
};
use systole_wire::message::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic,
};
use systole_wire::message::{FindCoordinatorRequest, ShareAcknowledgeRequest, ShareFetchRequest};
use systole_wire::record::Batches;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;
const RENEW: i8 = 4;

/// First and last offset, and what is to become of them.
type Ack<'a> = (i64, i64, &'a [i8]);

pub(crate) struct Story {
    pub(crate) harness: Option<Harness>,
    pub(crate) client: Client,
    pub(crate) topic: String,
    pub(crate) id: Uuid,
    pub(crate) group: String,
    /// The next epochs of members' sessions.
    epochs: std::collections::BTreeMap<String, i32>,
    pub(crate) out: String,
}

impl Story {
    pub(crate) async fn begin() -> Self {
        Self::begin_with(|_| {}).await
    }
    /// With a member of the group and a share partition that begins at the end of its log.
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
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let name = format!("t{}", now.as_nanos());
        create(&mut client, vec![topic(&name, 1)]).await;
        let group = format!("g{}", now.as_nanos());
        let mut it = Self {
            harness,
            client,
            topic: name,
            id: Uuid::default(),
            group,
            epochs: std::collections::BTreeMap::new(),
            out: String::new(),
        };
        it.find_coordinators().await;
        it.join().await;
        // The first look lets the share partition begin.
        it.get_with("a", |it| it.max_wait_ms = 2_000).await;
        it.out.clear();
        it
    }
    /// The original makes its internal topics when someone looks for their coordinators.
    async fn find_coordinators(&mut self) {
        let share_partition = format!("{}:{}:0", self.group, Uuid::from_bytes([1; 16]));
        for (key_type, key) in [(0, self.group.clone()), (2, share_partition)] {
            let coordinator_keys = vec![key.as_str().into()];
            let request =
                FindCoordinatorRequest { key_type, coordinator_keys, ..Default::default() };
            while self.client.call(6, request.clone()).await.coordinators[0].error_code != 0 {}
        }
    }
    /// Until the member is assigned the partition: the original takes some heartbeats.
    async fn join(&mut self) {
        let mut request = joining(&self.group, "a", &[&self.topic]);
        loop {
            let answer = self.client.call(1, request).await;
            assert!(matches!(answer.error_code, 0 | 15 | 16), "{}", answer.error_code);
            let assigned = answer.assignment.map(|it| it.topic_partitions).unwrap_or_default();
            if let Some(it) = assigned.first() {
                self.id = it.topic_id;
                return;
            }
            request = if answer.member_epoch == 0 {
                joining(&self.group, "a", &[&self.topic])
            } else {
                beating(&self.group, "a", answer.member_epoch)
            };
        }
    }
    /// Produces one batch of so many records.
    pub(crate) async fn put(&mut self, count: usize) -> &mut Self {
        let values: Vec<_> = (0..count).map(|it| format!("v{it}")).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let mut request = produce_request(vec![(0, batch(&values))]);
        request.topic_data[0].name = self.topic.as_str().into();
        let answer = self.client.call(12, request).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        self
    }
    pub(crate) async fn get(&mut self, member: &str) -> &mut Self {
        self.get_with(member, |_| {}).await
    }
    pub(crate) async fn get_with(
        &mut self,
        member: &str,
        adjust: impl FnOnce(&mut ShareFetchRequest),
    ) -> &mut Self {
        let epoch = self.epochs.entry(member.into()).or_default();
        let partitions = vec![FetchPartition { partition_index: 0, ..Default::default() }];
        let topics = vec![FetchTopic { topic_id: self.id, partitions, ..Default::default() }];
        let mut request = ShareFetchRequest {
            group_id: Some(self.group.as_str().into()),
            member_id: Some(member.into()),
            share_session_epoch: *epoch,
            max_wait_ms: 300,
            min_bytes: 1,
            max_records: 500,
            batch_size: 500,
            topics,
            ..Default::default()
        };
        *epoch += 1;
        adjust(&mut request);
        let epoch = request.share_session_epoch;
        let answer = self.client.call(2, request).await;
        let _ = write!(self.out, "{member} asks ({epoch}):");
        if answer.error_code != 0 {
            let _ = write!(self.out, " error {}", answer.error_code);
        }
        for it in answer.responses.iter().flat_map(|it| &it.partitions) {
            let count = Batches::new(it.records.clone()).flatten().count();
            if it.error_code != 0 {
                let _ = write!(self.out, " error {}", it.error_code);
            }
            if it.acknowledge_error_code != 0 {
                let _ = write!(self.out, " acknowledge error {}", it.acknowledge_error_code);
            }
            for it in &it.acquired_records {
                let (first, last, times) = (it.first_offset, it.last_offset, it.delivery_count);
                let _ = write!(self.out, " {first}-{last} x{times}");
            }
            if count > 0 {
                let _ = write!(self.out, " in {count} batches");
            }
        }
        let _ = writeln!(self.out);
        self
    }
    /// Acknowledges along with a fetch.
    pub(crate) async fn get_and_say(&mut self, member: &str, acks: &[Ack<'_>]) -> &mut Self {
        let batches = acks.iter().map(|(first_offset, last_offset, kinds)| AcknowledgementBatch {
            first_offset: *first_offset,
            last_offset: *last_offset,
            acknowledge_types: kinds.to_vec(),
            ..Default::default()
        });
        let batches = batches.collect();
        self.get_with(member, |it| it.topics[0].partitions[0].acknowledgement_batches = batches)
            .await
    }
    pub(crate) async fn say(&mut self, member: &str, acks: &[Ack<'_>]) -> &mut Self {
        self.say_with(member, acks, |_| {}).await
    }
    pub(crate) async fn say_with(
        &mut self,
        member: &str,
        acks: &[Ack<'_>],
        adjust: impl FnOnce(&mut ShareAcknowledgeRequest),
    ) -> &mut Self {
        let epoch = self.epochs.entry(member.into()).or_default();
        let batches = acks.iter().map(|(first_offset, last_offset, kinds)| Acknowledged {
            first_offset: *first_offset,
            last_offset: *last_offset,
            acknowledge_types: kinds.to_vec(),
            ..Default::default()
        });
        let partition = AcknowledgePartition {
            partition_index: 0,
            acknowledgement_batches: batches.collect(),
            ..Default::default()
        };
        let topics = vec![AcknowledgeTopic {
            topic_id: self.id,
            partitions: vec![partition],
            ..Default::default()
        }];
        let mut request = ShareAcknowledgeRequest {
            group_id: Some(self.group.as_str().into()),
            member_id: Some(member.into()),
            share_session_epoch: *epoch,
            topics,
            ..Default::default()
        };
        *epoch += 1;
        adjust(&mut request);
        let answer = self.client.call(2, request).await;
        let codes = answer.responses.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
        let codes: Vec<_> = codes.collect();
        let _ = writeln!(self.out, "{member} says {acks:?}: {} {codes:?}", answer.error_code);
        self
    }
    pub(crate) fn told(&mut self) -> String {
        std::mem::take(&mut self.out)
    }
}

#[tokio::test]
async fn members_get_different_records_and_decide_on_each() {
    let mut it = Story::begin().await;
    it.put(5).await.put(5).await;
    it.get_with("a", |it| it.max_records = 1).await.get("b").await.get("c").await;
    it.say("a", &[(0, 4, &[ACCEPT])]).await;
    it.say("b", &[(5, 9, &[ACCEPT, RELEASE, REJECT, 0, ACCEPT])]).await;
    it.get("c").await.say("c", &[(6, 6, &[RELEASE])]).await;
    it.get_and_say("a", &[(6, 6, &[ACCEPT])]).await;
    it.get_and_say("a", &[(6, 6, &[ACCEPT])]).await.put(1).await.get("b").await;
    expect![[r#"
        a asks (1): 0-4 x1 in 1 batches
        b asks (0): 5-9 x1 in 1 batches
        c asks (0):
        a says [(0, 4, [1])]: 0 [0]
        b says [(5, 9, [1, 2, 3, 0, 1])]: 0 [0]
        c asks (1): 6-6 x2 in 1 batches
        c says [(6, 6, [2])]: 0 [0]
        a asks (3): acknowledge error 121 6-6 x3 in 1 batches
        a asks (4):
        b asks (2): 10-10 x1 in 1 batches
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn acknowledgements_of_wrong_form_or_of_others_records_change_nothing() {
    let mut it = Story::begin().await;
    it.put(6).await.get("a").await.get("b").await;
    it.say("b", &[(0, 0, &[ACCEPT])]).await.say("a", &[(0, 6, &[ACCEPT])]).await;
    it.say("a", &[(3, 2, &[ACCEPT])]).await.say("a", &[(0, 2, &[ACCEPT, ACCEPT])]).await;
    it.say("a", &[(0, 2, &[])]).await.say("a", &[(0, 0, &[9])]).await;
    it.say("a", &[(2, 3, &[ACCEPT]), (0, 1, &[ACCEPT])]).await;
    it.say("a", &[(0, 1, &[ACCEPT]), (1, 2, &[ACCEPT])]).await;
    it.say("a", &[(0, 0, &[RENEW])]).await;
    it.say_with("a", &[(0, 0, &[RENEW])], |it| it.is_renew_ack = true).await;
    it.say_with("a", &[], |it| it.topics[0].topic_id = Uuid::from_bytes([9; 16])).await;
    it.say("a", &[(0, 5, &[ACCEPT])]).await.say("a", &[(0, 5, &[ACCEPT])]).await;
    expect![[r#"
        a asks (1): 0-5 x1 in 1 batches
        b asks (0):
        b says [(0, 0, [1])]: 0 [121]
        a says [(0, 6, [1])]: 0 [42]
        a says [(3, 2, [1])]: 0 [42]
        a says [(0, 2, [1, 1])]: 0 [42]
        a says [(0, 2, [])]: 0 [42]
        a says [(0, 0, [9])]: 0 [42]
        a says [(2, 3, [1]), (0, 1, [1])]: 0 [42]
        a says [(0, 1, [1]), (1, 2, [1])]: 0 [121]
        a says [(0, 0, [4])]: 0 [42]
        a says [(0, 0, [4])]: 0 [0]
        a says []: 0 [100]
        a says [(0, 5, [1])]: 0 [0]
        a says [(0, 5, [1])]: 0 [0]
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn sessions_have_epochs_and_their_end_gives_records_back() {
    let mut it = Story::begin().await;
    it.put(3).await.get("a").await.get_with("a", |it| it.share_session_epoch = 7).await;
    it.get_with("z", |it| it.share_session_epoch = 1).await;
    it.say_with("a", &[], |it| it.share_session_epoch = 0).await;
    it.say_with("z", &[], |it| it.share_session_epoch = -1).await;
    it.say_with("a", &[(0, 0, &[ACCEPT])], |it| it.share_session_epoch = -1).await;
    it.get_with("b", |it| it.max_wait_ms = 2_000).await;
    it.get_with("a", |it| it.share_session_epoch = 3).await;
    expect![[r#"
        a asks (1): 0-2 x1 in 1 batches
        a asks (7): error 123
        z asks (1): error 122
        a says []: 123 []
        z says []: 122 []
        a says [(0, 0, [1])]: 0 [0]
        b asks (0): 1-2 x2 in 1 batches
        a asks (3): error 122
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn records_are_given_by_their_number_or_by_batches() {
    let mut it = Story::begin().await;
    it.put(4).await.put(4).await.put(4).await;
    it.get_with("a", |it| (it.max_records, it.share_acquire_mode) = (4, 1)).await;
    it.get_with("b", |it| (it.max_records, it.share_acquire_mode) = (3, 1)).await;
    it.get_with("c", |it| (it.max_records, it.batch_size) = (500, 1)).await;
    it.get_with("a", |it| it.member_id = Some("".into())).await;
    it.get_with("a", |it| it.group_id = None).await;
    it.get_with("a", |it| it.is_renew_ack = true).await;
    expect![[r#"
        a asks (1): 0-3 x1 in 1 batches
        b asks (0): 4-6 x1 in 1 batches
        c asks (0): 7-7 x1 8-11 x1 in 2 batches
        a asks (2): error 42
        a asks (3): error 42
        a asks (4): error 42
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn a_member_whose_connection_ends_gives_its_records_back() {
    let mut it = Story::begin().await;
    it.put(2).await;
    let harness = it.harness.take();
    let mut other = match &harness {
        Some(harness) => harness.client().await,
        None => Client::connect(std::env::var("SYSTOLE_ORACLE").unwrap().parse().unwrap()).await,
    };
    std::mem::swap(&mut it.client, &mut other);
    it.get("b").await;
    std::mem::swap(&mut it.client, &mut other);
    drop(other);
    it.get_with("a", |it| it.max_wait_ms = 5_000).await;
    expect![[r#"
        b asks (0): 0-1 x1 in 1 batches
        a asks (1): 0-1 x2 in 1 batches
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn what_was_acknowledged_never_comes_back_after_a_crash_and_the_rest_does() {
    let mut it = Story::begin().await;
    if it.harness.is_none() {
        return; // the original is not ours to stop
    }
    it.put(6).await.get("a").await.say("a", &[(1, 2, &[ACCEPT]), (4, 4, &[RELEASE])]).await;
    it.get("b").await;
    let harness = it.harness.as_mut().unwrap();
    harness.crash().await;
    it.client = harness.client().await;
    it.epochs.clear();
    it.get("b").await.say("b", &[(0, 0, &[ACCEPT])]).await;
    let harness = it.harness.as_mut().unwrap();
    harness.restart().await;
    it.client = harness.client().await;
    it.epochs.clear();
    it.get("c").await;
    expect![[r#"
        a asks (1): 0-5 x1 in 1 batches
        a says [(1, 2, [1]), (4, 4, [2])]: 0 [0]
        b asks (0): 4-4 x2 in 1 batches
        b asks (0): 0-0 x1 3-3 x1 4-4 x2 5-5 x1 in 1 batches
        b says [(0, 0, [1])]: 0 [0]
        c asks (0): 3-3 x2 4-4 x3 5-5 x2 in 1 batches
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn a_record_that_nobody_accepts_is_given_up() {
    let mut it = Story::begin().await;
    it.put(4).await;
    for _ in 0..7 {
        it.get("a").await;
        let got = it.out.lines().last().unwrap_or_default();
        let ranges = got.split(' ').filter_map(|it| it.split_once('-')).collect::<Vec<_>>();
        let Some((first, last)) = ranges.first().copied() else { break };
        let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
        it.say("a", &[(first, last, &[RELEASE])]).await;
    }
    expect![[r#"
        a asks (1): 0-3 x1 in 1 batches
        a says [(0, 3, [2])]: 0 [0]
        a asks (3): 0-3 x2 in 1 batches
        a says [(0, 3, [2])]: 0 [0]
        a asks (5): 0-3 x3 in 1 batches
        a says [(0, 3, [2])]: 0 [0]
        a asks (7): 0-1 x4 in 1 batches
        a says [(0, 1, [2])]: 0 [0]
        a asks (9): 0-0 x5 in 1 batches
        a says [(0, 0, [2])]: 0 [0]
        a asks (11): 1-1 x5 in 1 batches
        a says [(1, 1, [2])]: 0 [0]
        a asks (13): 2-3 x4 in 1 batches
        a says [(2, 3, [2])]: 0 [0]
    "#]]
    .assert_eq(&it.told());
}
