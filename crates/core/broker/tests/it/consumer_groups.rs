//! Groups of KIP-848 through the wire. The answers are those of Apache Kafka 4.3.1 with
//! `group.consumer.assignment.interval.ms=0`, except where topics change: Kafka knows of new
//! partitions and of what a pattern matches some heartbeats later.

use crate::harness::{Client, Harness};
use crate::topics::{create, topic};
use bytes::Bytes;
use expect_test::expect;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use systole_kit::Uuid;
use systole_wire::Str;
use systole_wire::message::consumer_group_heartbeat_request::TopicPartitions;
use systole_wire::message::create_partitions_request::CreatePartitionsTopic;
use systole_wire::message::describe_topic_partitions_request::TopicRequest;
use systole_wire::message::join_group_request::JoinGroupRequestProtocol;
use systole_wire::message::leave_group_request::MemberIdentity;
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::offset_fetch_request::OffsetFetchRequestGroup;
use systole_wire::message::sync_group_request::SyncGroupRequestAssignment;
use systole_wire::message::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest,
    DeleteGroupsRequest, DescribeGroupsRequest, DescribeTopicPartitionsRequest, HeartbeatRequest,
    JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
};

fn beating(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

fn joining(member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(topics.iter().map(|it| Str::from(*it)).collect()),
        topic_partitions: Some(Vec::new()),
        ..beating(member, 0)
    }
}

/// A client that writes down what it is told.
struct Script {
    client: Client,
    names: BTreeMap<Uuid, String>,
    said: String,
}

impl Script {
    async fn new(mut client: Client, topics: &[&str]) -> Self {
        let topics = topics
            .iter()
            .map(|it| TopicRequest { name: (*it).into(), ..Default::default() })
            .collect();
        let request = DescribeTopicPartitionsRequest { topics, ..Default::default() };
        let found = client.call(0, request).await;
        let names = found.topics.into_iter();
        let names = names.map(|it| (it.topic_id, it.name.unwrap().to_string())).collect();
        Self { client, names, said: String::new() }
    }
    fn id_of(&self, name: &str) -> Uuid {
        *self.names.iter().find(|(_, it)| *it == name).unwrap().0
    }
    async fn say(&mut self, request: ConsumerGroupHeartbeatRequest) -> &mut Self {
        self.say_in(1, request).await
    }
    async fn say_in(&mut self, version: i16, it: ConsumerGroupHeartbeatRequest) -> &mut Self {
        let (member, epoch) = (it.member_id.clone(), it.member_epoch);
        let answer = self.client.call(version, it).await;
        let assigned = answer.assignment.map(|it| {
            let mut those: Vec<_> = it
                .topic_partitions
                .into_iter()
                .map(|mut it| {
                    it.partitions.sort_unstable();
                    format!("{}{:?}", self.names[&it.topic_id], it.partitions)
                })
                .collect();
            those.sort_unstable();
            format!("[{}]", those.join(" "))
        });
        let outcome = match answer.error_code {
            0 => format!("{} {}", answer.member_epoch, assigned.unwrap_or("-".into())),
            code => format!("error {code}"),
        };
        let _ = writeln!(self.said, "{} {epoch}: {outcome}", &*member);
        self
    }
    async fn join(&mut self, member: &str, topics: &[&str]) -> &mut Self {
        self.say(joining(member, topics)).await
    }
    async fn beat(&mut self, member: &str, epoch: i32) -> &mut Self {
        self.say(beating(member, epoch)).await
    }
    async fn owns(&mut self, member: &str, epoch: i32, owned: &[(&str, &[i32])]) -> &mut Self {
        let of = |(name, partitions): &(&str, &[i32])| TopicPartitions {
            topic_id: self.id_of(name),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        let topic_partitions = Some(owned.iter().map(of).collect());
        self.say(ConsumerGroupHeartbeatRequest { topic_partitions, ..beating(member, epoch) }).await
    }
    async fn commit(&mut self, version: i16, member: &str, epoch: i32) -> &mut Self {
        let partitions = (0..2)
            .map(|partition_index| OffsetCommitRequestPartition {
                partition_index,
                committed_offset: 7,
                ..Default::default()
            })
            .collect();
        let topics = vec![OffsetCommitRequestTopic {
            name: "t".into(),
            topic_id: self.id_of("t"),
            partitions,
            ..Default::default()
        }];
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            member_id: member.into(),
            generation_id_or_member_epoch: epoch,
            topics,
            ..Default::default()
        };
        let answer = self.client.call(version, request).await;
        let codes = answer.topics.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
        let codes: Vec<_> = codes.collect();
        // A classic member's id ends in something random.
        let name = member.split('-').next().unwrap_or_default();
        let _ = writeln!(self.said, "commit {name} {epoch}: {codes:?}");
        self
    }
    async fn fetch(&mut self, member: Option<&str>, epoch: i32) -> &mut Self {
        let group = OffsetFetchRequestGroup {
            group_id: "g".into(),
            member_id: member.map(Str::from),
            member_epoch: epoch,
            topics: None,
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let answer = self.client.call(9, request).await.groups.remove(0);
        let offsets = answer.topics.iter().flat_map(|it| &it.partitions);
        let offsets: BTreeMap<_, _> =
            offsets.map(|it| (it.partition_index, it.committed_offset)).collect();
        let _ = writeln!(self.said, "fetch {member:?} {epoch}: {} {offsets:?}", answer.error_code);
        self
    }
    async fn look(&mut self) -> &mut Self {
        let group_ids = vec!["g".into()];
        let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
        let mut it = self.client.call(1, request).await.groups.remove(0);
        let head = match it.error_code {
            0 => format!(
                "{} epoch {} target {} {}",
                &*it.group_state, it.group_epoch, it.assignment_epoch, &*it.assignor_name
            ),
            code => format!("error {code}"),
        };
        let _ = writeln!(self.said, "group: {head}");
        it.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        for it in it.members {
            let _ = writeln!(
                self.said,
                "  {} epoch {} type {} reads {} of {}, {:?} {:?}",
                &*it.member_id,
                it.member_epoch,
                it.member_type,
                count(&it.assignment),
                count(&it.target_assignment),
                it.subscribed_topic_names.iter().map(|it| &**it).collect::<Vec<_>>(),
                it.subscribed_topic_regex.as_deref(),
            );
        }
        self
    }
    async fn list(&mut self) -> &mut Self {
        let listed = self.client.call(5, ListGroupsRequest::default()).await.groups;
        let mut lines: Vec<_> = listed
            .iter()
            .map(|it| {
                let (kind, state) = (&*it.group_type, &*it.group_state);
                format!("{} {} {kind} {state}", &*it.group_id, &*it.protocol_type)
            })
            .collect();
        lines.sort_unstable();
        let _ = writeln!(self.said, "listed: {lines:?}");
        self
    }
    async fn delete(&mut self) -> &mut Self {
        let request = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
        let answer = self.client.call(2, request).await.results.remove(0);
        let _ = writeln!(self.said, "delete: {}", answer.error_code);
        self
    }
    async fn grow(&mut self, count: i32) -> &mut Self {
        let topic = CreatePartitionsTopic {
            name: "t".into(),
            count,
            assignments: None,
            ..Default::default()
        };
        let request = CreatePartitionsRequest {
            topics: vec![topic],
            timeout_ms: 9_000,
            ..Default::default()
        };
        assert_eq!(self.client.call(3, request).await.results[0].error_code, 0);
        self
    }
    fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }
}

fn count(it: &systole_wire::message::consumer_group_describe_response::Assignment) -> usize {
    it.topic_partitions.iter().map(|it| it.partitions.len()).sum()
}

async fn two_topics(client: &mut Client) {
    create(client, vec![topic("t", 4), topic("u", 1)]).await;
}

async fn start() -> (Harness, Script) {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    two_topics(&mut client).await;
    let script = Script::new(client, &["t", "u"]).await;
    (harness, script)
}

#[tokio::test]
async fn members_share_what_they_subscribe_to_and_give_up_before_others_get() {
    let (_harness, mut it) = start().await;
    it.join("a", &["t"]).await.beat("a", 2).await.join("b", &["t"]).await.beat("a", 2).await;
    it.look().await.list().await;
    it.owns("a", 2, &[("t", &[0, 1])]).await.beat("b", 3).await;
    it.owns("b", 3, &[("t", &[2, 3])]).await.look().await.delete().await;
    expect![[r#"
        a 0: 2 [t[0, 1, 2, 3]]
        a 2: 2 -
        b 0: 3 []
        a 2: 2 [t[0, 1]]
        group: Reconciling epoch 3 target 3 uniform
          a epoch 2 type 1 reads 4 of 2, ["t"] Some("")
          b epoch 3 type 1 reads 0 of 2, ["t"] Some("")
        listed: ["g consumer consumer Reconciling"]
        a 2: 3 -
        b 3: 3 [t[2, 3]]
        b 3: 3 -
        group: Stable epoch 3 target 3 uniform
          a epoch 3 type 1 reads 2 of 2, ["t"] Some("")
          b epoch 3 type 1 reads 2 of 2, ["t"] Some("")
        delete: 68
    "#]]
    .assert_eq(&it.said());
    it.beat("b", -1).await.beat("a", 3).await.grow(6).await;
    it.look().await.beat("a", 4).await.beat("a", 5).await;
    it.beat("a", -1).await.look().await.list().await.delete().await.look().await;
    expect![[r#"
        b -1: -1 -
        a 3: 4 [t[0, 1, 2, 3]]
        group: Stable epoch 4 target 4 uniform
          a epoch 4 type 1 reads 4 of 4, ["t"] Some("")
        a 4: 5 [t[0, 1, 2, 3, 4, 5]]
        a 5: 5 -
        a -1: -1 -
        group: Empty epoch 6 target 5 uniform
        listed: ["g consumer consumer Empty"]
        delete: 0
        group: error 69
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn a_heartbeat_of_a_wrong_form_or_epoch_is_refused() {
    let (_harness, mut it) = start().await;
    it.beat("a", 2).await.beat("a", -1).await.beat("", 0).await.beat("a", 0).await;
    it.say(ConsumerGroupHeartbeatRequest { group_id: "".into(), ..joining("a", &["t"]) }).await;
    it.say(ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..joining("a", &["t"]) })
        .await;
    it.say(ConsumerGroupHeartbeatRequest { topic_partitions: None, ..joining("a", &["t"]) }).await;
    let none = ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..joining("a", &[]) };
    it.say(none).await.beat("a", -2).await.beat("a", -3).await;
    let assignor = |name: &str| Some(Str::from(name));
    it.say(ConsumerGroupHeartbeatRequest {
        server_assignor: assignor("sticky"),
        ..joining("a", &["t"])
    })
    .await;
    it.say(ConsumerGroupHeartbeatRequest { instance_id: Some("".into()), ..joining("a", &["t"]) })
        .await;
    expect![[r#"
        a 2: error 69
        a -1: error 69
         0: error 42
        a 0: error 42
        a 0: error 42
        a 0: error 42
        a 0: error 42
        a 0: error 42
        a -2: error 42
        a -3: error 42
        a 0: error 112
        a 0: error 42
    "#]]
    .assert_eq(&it.said());
    it.join("a", &["t", "nowhere"]).await.beat("b", 2).await.beat("a", 6).await;
    it.beat("a", 0).await.join("a", &["t", "u"]).await.beat("a", 2).await;
    it.owns("a", 2, &[("t", &[0, 1, 2, 3])]).await.beat("a", 3).await.look().await;
    expect![[r#"
        a 0: 2 [t[0, 1, 2, 3]]
        b 2: error 25
        a 6: error 110
        a 0: error 42
        a 0: 3 [t[0, 1, 2, 3] u[0]]
        a 2: error 110
        a 2: 3 -
        a 3: 3 -
        group: Stable epoch 3 target 3 uniform
          a epoch 3 type 1 reads 5 of 5, ["t", "u"] Some("")
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn static_members_come_back_and_are_fenced_as_in_kafka() {
    let (_harness, mut it) = start().await;
    let fixed = |it: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        ..it
    };
    it.say(fixed(joining("a", &["t"]))).await.join("b", &["t"]).await.beat("a", 2).await;
    it.say(fixed(beating("a", 2))).await.owns("a", 2, &[("t", &[0, 1])]).await.beat("b", 3).await;
    it.say(fixed(joining("c", &["t"]))).await.say(fixed(joining("a", &["t"]))).await;
    it.say(fixed(beating("a", -2))).await.look().await;
    it.say(fixed(joining("c", &["t"]))).await.say(fixed(beating("a", 3))).await;
    it.say(fixed(beating("x", -2))).await.say(fixed(beating("c", 3))).await.look().await;
    expect![[r#"
        a 0: 2 [t[0, 1, 2, 3]]
        b 0: 3 []
        a 2: 2 [t[0, 1]]
        a 2: 2 -
        a 2: 3 -
        b 3: 3 [t[2, 3]]
        c 0: error 111
        a 0: error 111
        a -2: -2 -
        group: Reconciling epoch 3 target 3 uniform
          a epoch -2 type 1 reads 2 of 2, ["t"] Some("")
          b epoch 3 type 1 reads 2 of 2, ["t"] Some("")
        c 0: 3 [t[0, 1]]
        a 3: error 82
        x -2: error 82
        c 3: 3 -
        group: Stable epoch 3 target 3 uniform
          b epoch 3 type 1 reads 2 of 2, ["t"] Some("")
          c epoch 3 type 1 reads 2 of 2, ["t"] Some("")
    "#]]
    .assert_eq(&it.said());
    let members =
        [("", Some("i")), ("b", None), ("x", None)].map(|(member_id, instance)| MemberIdentity {
            member_id: member_id.into(),
            group_instance_id: instance.map(Str::from),
            ..Default::default()
        });
    let request =
        LeaveGroupRequest { group_id: "g".into(), members: members.into(), ..Default::default() };
    let removed = it.client.call(5, request).await;
    let codes: Vec<_> = removed.members.iter().map(|it| it.error_code).collect();
    assert_eq!((removed.error_code, codes), (0, vec![0, 0, 25]));
    it.look().await.list().await;
    expect![[r#"
        group: Empty epoch 4 target 3 uniform
        listed: ["g consumer consumer Empty"]
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn offsets_need_the_epoch_or_a_partition_held_since_it() {
    let (_harness, mut it) = start().await;
    it.commit(9, "", -1).await.join("a", &["t"]).await.join("b", &["t"]).await;
    it.owns("a", 2, &[("t", &[0])]).await.owns("a", 2, &[("t", &[0])]).await.beat("b", 3).await;
    it.commit(9, "a", 3).await.commit(10, "a", 2).await.commit(9, "a", 4).await;
    it.commit(8, "a", 3).await.commit(9, "x", 3).await.commit(9, "", -1).await;
    it.commit(9, "b", 2).await.commit(9, "b", 3).await;
    it.fetch(Some("a"), 3).await.fetch(Some("a"), 2).await.fetch(Some("x"), 3).await;
    it.fetch(None, -1).await;
    expect![[r#"
        commit  -1: [0, 0]
        a 0: 2 [t[0, 1, 2, 3]]
        b 0: 3 []
        a 2: 3 [t[0, 1]]
        a 2: 3 -
        b 3: 3 [t[2, 3]]
        commit a 3: [0, 0]
        commit a 2: [0, 0]
        commit a 4: [113, 113]
        commit a 3: [35, 35]
        commit x 3: [25, 25]
        commit  -1: [25, 25]
        commit b 2: [113, 113]
        commit b 3: [0, 0]
        fetch Some("a") 3: 0 {0: 7, 1: 7}
        fetch Some("a") 2: 113 {}
        fetch Some("x") 3: 25 {}
        fetch None -1: 0 {0: 7, 1: 7}
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn a_pattern_subscribes_to_what_it_matches() {
    let (_harness, mut it) = start().await;
    let pattern =
        |it: ConsumerGroupHeartbeatRequest, pattern: &str| ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: None,
            subscribed_topic_regex: Some(pattern.into()),
            ..it
        };
    it.say(pattern(joining("a", &[]), "(")).await;
    it.say(pattern(joining("a", &[]), "[uv]")).await.look().await;
    expect![[r#"
        a 0: error 128
        a 0: 2 [u[0]]
        group: Stable epoch 2 target 2 uniform
          a epoch 2 type 1 reads 1 of 1, [] Some("[uv]")
    "#]]
    .assert_eq(&it.said());
    create(&mut it.client, vec![topic("v", 2)]).await;
    it = Script::new(it.client, &["t", "u", "v"]).await;
    it.beat("a", 2).await.beat("a", 3).await;
    expect![[r#"
        a 2: 3 [u[0] v[0, 1]]
        a 3: 3 -
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn classic_requests_do_not_reach_into_a_consumer_group() {
    let (_harness, mut it) = start().await;
    it.join("a", &["t"]).await;
    let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let described = it.client.call(6, request).await.groups.remove(0);
    assert_eq!((described.error_code, &*described.group_state), (69, "Dead"));
    let request = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: "a".into(),
        ..Default::default()
    };
    assert_eq!(it.client.call(4, request).await.error_code, 25);
    let group_ids = vec!["nowhere".into()];
    let request = ConsumerGroupDescribeRequest { group_ids, ..Default::default() };
    assert_eq!(it.client.call(1, request).await.groups[0].error_code, 69);
}

/// The subscription of a classic consumer to `t`, which has nothing.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
/// All of `t`, as a leader assigns it.
const ALL: &[u8] = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\
    \xff\xff\xff\xff";

impl Script {
    /// JoinGroup; the member id that comes back.
    async fn join_classic(&mut self, member: &str) -> String {
        let metadata = Bytes::from_static(SUBSCRIPTION);
        let protocol =
            JoinGroupRequestProtocol { name: "range".into(), metadata, ..Default::default() };
        let request = JoinGroupRequest {
            group_id: "g".into(),
            member_id: member.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let it = self.client.call(9, request).await;
        let leads = !it.leader.is_empty() && it.leader == it.member_id;
        let (code, generation) = (it.error_code, it.generation_id);
        let _ = writeln!(self.said, "classic join: {code} {generation} leads {leads}");
        it.member_id.to_string()
    }
    async fn sync_classic(&mut self, member: &str, generation: i32) -> &mut Self {
        let assignment = Bytes::from_static(ALL);
        let part = SyncGroupRequestAssignment {
            member_id: member.into(),
            assignment,
            ..Default::default()
        };
        let request = SyncGroupRequest {
            group_id: "g".into(),
            member_id: member.into(),
            generation_id: generation,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![part],
            ..Default::default()
        };
        let it = self.client.call(5, request).await;
        let (code, assigned) = (it.error_code, it.assignment.to_vec());
        let _ = writeln!(self.said, "classic sync {generation}: {code} {assigned:?}");
        self
    }
    async fn beat_classic(&mut self, member: &str, generation: i32) -> &mut Self {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: generation,
            member_id: member.into(),
            ..Default::default()
        };
        let code = self.client.call(4, request).await.error_code;
        let _ = writeln!(self.said, "classic heartbeat {generation}: {code}");
        self
    }
}

#[tokio::test]
async fn an_application_moves_to_the_new_protocol_and_back_while_it_reads() {
    let (_harness, mut it) = start().await;
    let id = it.join_classic("").await;
    it.join_classic(&id).await;
    it.sync_classic(&id, 1).await.beat_classic(&id, 1).await.list().await;
    it.join("b", &["t"]).await.list().await.beat_classic(&id, 1).await;
    it.sync_classic(&id, 1).await.join_classic(&id).await;
    it.sync_classic(&id, 2).await.beat_classic(&id, 2).await.beat("b", 2).await;
    it.beat_classic(&id, 2).await.commit(9, &id, 2).await.fetch(Some("b"), 2).await;
    expect![[r#"
        classic join: 79 -1 leads false
        classic join: 0 1 leads true
        classic sync 1: 0 [0, 0, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 255, 255, 255, 255]
        classic heartbeat 1: 0
        listed: ["g consumer classic Stable"]
        b 0: 2 []
        listed: ["g consumer consumer Reconciling"]
        classic heartbeat 1: 27
        classic sync 1: 27 []
        classic join: 0 2 leads false
        classic sync 2: 0 [0, 0, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]
        classic heartbeat 2: 0
        b 2: 2 [t[2, 3]]
        classic heartbeat 2: 0
        commit it 2: [0, 0]
        fetch Some("b") 2: 0 {0: 7, 1: 7}
    "#]].assert_eq(&it.said());
    it.beat("b", -1).await.list().await.beat_classic(&id, 2).await.join_classic(&id).await;
    it.sync_classic(&id, 3).await.beat_classic(&id, 3).await.list().await.fetch(None, -1).await;
    expect![[r#"
        b -1: -1 -
        listed: ["g consumer classic PreparingRebalance"]
        classic heartbeat 2: 27
        classic join: 0 3 leads true
        classic sync 3: 0 [0, 0, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 255, 255, 255, 255]
        classic heartbeat 3: 0
        listed: ["g consumer classic Stable"]
        fetch None -1: 0 {0: 7, 1: 7}
    "#]].assert_eq(&it.said());
}

/// Both changes of a group are there after a crash.
#[tokio::test]
async fn a_group_of_both_protocols_survives_a_crash() {
    let (mut harness, mut it) = start().await;
    let id = it.join_classic("").await;
    it.join_classic(&id).await;
    it.sync_classic(&id, 1).await.join("b", &["t"]).await.join_classic(&id).await;
    it.said();
    it.look().await;
    let before = it.said();
    harness.crash().await;
    it = Script::new(harness.client().await, &["t", "u"]).await;
    it.look().await;
    assert_eq!(it.said(), before);
    it.sync_classic(&id, 2).await.beat("b", 2).await.beat("b", -1).await;
    harness.crash().await;
    it.client = harness.client().await;
    it.list().await.join_classic(&id).await;
    expect![[r#"
        classic sync 2: 0 [0, 0, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]
        b 2: 2 [t[2, 3]]
        b -1: -1 -
        listed: ["g consumer classic Stable"]
        classic join: 0 3 leads true
    "#]].assert_eq(&it.said());
}

/// A restart after `kill -9` finds members, epochs, partitions and offsets.
#[tokio::test]
async fn after_a_crash_members_go_on_as_if_nothing_had_happened() {
    let (mut harness, mut it) = start().await;
    it.join("a", &["t"]).await.join("b", &["t", "u"]).await;
    it.owns("a", 2, &[("t", &[0, 1])]).await.owns("a", 2, &[("t", &[0, 1])]).await;
    it.beat("b", 3).await.commit(9, "a", 3).await;
    it.said();
    it.look().await.fetch(Some("a"), 3).await;
    let before = it.said();
    harness.crash().await;
    it = Script::new(harness.client().await, &["t", "u"]).await;
    it.look().await.fetch(Some("a"), 3).await;
    assert_eq!(it.said(), before);
    it.beat("a", 3).await.beat("b", 3).await.beat("b", -1).await.beat("a", 3).await;
    expect![[r#"
        a 3: 3 -
        b 3: 3 -
        b -1: -1 -
        a 3: 4 [t[0, 1, 2, 3]]
    "#]]
    .assert_eq(&it.said());
    harness.restart().await;
    it = Script::new(harness.client().await, &["t", "u"]).await;
    it.beat("a", 4).await.beat("a", -1).await.delete().await.list().await;
    harness.crash().await;
    it.client = harness.client().await;
    it.list().await;
    expect![[r#"
        a 4: 4 -
        a -1: -1 -
        delete: 0
        listed: []
        listed: []
    "#]]
    .assert_eq(&it.said());
}
