//! Share groups of KIP-932 through the wire: who is in one, and what each member reads.

use crate::harness::{Client, Harness};
use crate::topics::{create, topic};
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::Str;
use systole_wire::message::describe_topic_partitions_request::TopicRequest;
use systole_wire::message::share_group_heartbeat_response::Assignment;
use systole_wire::message::{
    ConsumerGroupHeartbeatRequest, DeleteGroupsRequest, DescribeTopicPartitionsRequest,
    JoinGroupRequest, ListGroupsRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
};

pub(crate) fn beating(group: &str, member: &str, epoch: i32) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

pub(crate) fn joining(group: &str, member: &str, topics: &[&str]) -> ShareGroupHeartbeatRequest {
    let names = topics.iter().map(|it| Str::from(*it)).collect();
    ShareGroupHeartbeatRequest { subscribed_topic_names: Some(names), ..beating(group, member, 0) }
}

/// A client that writes down what it is told.
struct Script {
    client: Client,
    said: String,
}

impl Script {
    async fn say(&mut self, request: ShareGroupHeartbeatRequest) -> &mut Self {
        let (member, epoch) = (request.member_id.clone(), request.member_epoch);
        let answer = self.client.call(1, request).await;
        let told = match answer.error_code {
            0 => format!("epoch {} {}", answer.member_epoch, self.shown(answer.assignment).await),
            code => format!("error {code} {}", answer.error_message.as_deref().unwrap_or_default()),
        };
        let _ = writeln!(self.said, "{} {epoch}: {told}", &*member);
        self
    }
    async fn shown(&mut self, it: Option<Assignment>) -> String {
        let Some(it) = it else { return "as before".into() };
        let wanted = |name: &str| TopicRequest { name: name.into(), ..Default::default() };
        let topics = vec![wanted("t"), wanted("u")];
        let request = DescribeTopicPartitionsRequest { topics, ..Default::default() };
        let names = self.client.call(0, request).await.topics;
        let mut those: Vec<_> = it
            .topic_partitions
            .into_iter()
            .map(|mut it| {
                it.partitions.sort_unstable();
                let found = names.iter().find(|topic| topic.topic_id == it.topic_id);
                let name = found.and_then(|it| it.name.as_deref()).unwrap_or("?");
                format!("{name}{:?}", it.partitions)
            })
            .collect();
        those.sort();
        those.join(" ")
    }
    async fn look(&mut self) -> &mut Self {
        let group_ids = vec!["g".into()];
        let request = ShareGroupDescribeRequest { group_ids, ..Default::default() };
        let it = self.client.call(1, request).await.groups.remove(0);
        let head = match it.error_code {
            0 => format!(
                "{} epoch {} target {} {}",
                &*it.group_state, it.group_epoch, it.assignment_epoch, &*it.assignor_name
            ),
            code => format!("error {code} {}", it.error_message.as_deref().unwrap_or_default()),
        };
        let _ = writeln!(self.said, "group: {head}");
        for it in it.members {
            let read = it.assignment.topic_partitions.iter().map(|it| it.partitions.len());
            let (id, epoch) = (&*it.member_id, it.member_epoch);
            let _ = writeln!(self.said, "  {id} epoch {epoch} reads {}", read.sum::<usize>());
        }
        self
    }
    async fn list(&mut self) -> &mut Self {
        let request =
            ListGroupsRequest { types_filter: vec!["Share".into()], ..Default::default() };
        for it in self.client.call(5, request).await.groups {
            let (id, protocol) = (&*it.group_id, &*it.protocol_type);
            let (kind, state) = (&*it.group_type, &*it.group_state);
            let _ = writeln!(self.said, "listed: {id} {protocol} {kind} {state}");
        }
        self
    }
    async fn delete(&mut self) -> &mut Self {
        let request = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
        let answer = self.client.call(2, request).await.results.remove(0);
        let _ = writeln!(self.said, "delete: {}", answer.error_code);
        self
    }
    fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }
}

async fn start() -> (Harness, Script) {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 2), topic("u", 1)]).await;
    (harness, Script { client, said: String::new() })
}

#[tokio::test]
async fn members_join_share_and_leave_and_the_group_survives_a_crash() {
    let (mut harness, mut it) = start().await;
    it.say(joining("g", "a", &["t"])).await.say(joining("g", "b", &["t"])).await;
    it.say(beating("g", "a", 2)).await.look().await.list().await;
    harness.crash().await;
    it.client = harness.client().await;
    it.look().await.say(beating("g", "b", 3)).await.delete().await;
    it.say(beating("g", "b", -1)).await.say(beating("g", "a", 3)).await;
    it.say(beating("g", "a", -1)).await.look().await.list().await.delete().await;
    it.look().await.say(beating("g", "a", 5)).await;
    expect![[r#"
        a 0: epoch 2 t[0, 1]
        b 0: epoch 3 t[0]
        a 2: epoch 3 t[1]
        group: Stable epoch 3 target 3 simple
          a epoch 3 reads 1
          b epoch 3 reads 1
        listed: g share share Stable
        group: Stable epoch 3 target 3 simple
          a epoch 3 reads 1
          b epoch 3 reads 1
        b 3: epoch 3 as before
        delete: 68
        b -1: epoch -1 as before
        a 3: epoch 4 t[0, 1]
        a -1: epoch -1 as before
        group: Empty epoch 5 target 4 simple
        listed: g share share Empty
        delete: 0
        group: error 69 Group g not found.
        a 5: error 69 Share group g not found.
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn a_heartbeat_of_wrong_form_changes_nothing() {
    let (_harness, mut it) = start().await;
    it.say(joining("", "a", &["t"])).await.say(joining("g", "", &["t"])).await;
    it.say(joining("g", &"m".repeat(37), &["t"])).await.say(joining("g", "a", &[])).await;
    it.say(beating("g", "a", 0)).await.say(beating("g", "a", -2)).await;
    let rack_id = Some(" ".into());
    it.say(ShareGroupHeartbeatRequest { rack_id, ..joining("g", "a", &["t"]) }).await;
    it.say(beating("g", "a", 1)).await.say(beating("g", "a", -1)).await.list().await;
    expect![[r#"
        a 0: error 42 GroupId can't be empty.
         0: error 42 Invalid member id in the request.
        mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm 0: error 42 Invalid member id in the request.
        a 0: error 42 SubscribedTopicNames must be set in first request.
        a 0: error 42 SubscribedTopicNames must be set in first request.
        a -2: error 42 MemberEpoch is invalid.
        a 0: error 42 RackId can't be empty.
        a 1: error 69 Share group g not found.
        a -1: error 69 Group g not found.
    "#]]
    .assert_eq(&it.said());
}

#[tokio::test]
async fn a_group_of_another_kind_is_not_joined() {
    let (_harness, mut it) = start().await;
    it.say(joining("g", "a", &["t"])).await;
    let request = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        ..Default::default()
    };
    assert_eq!(it.client.call(9, request).await.error_code, 23);
    let request = ConsumerGroupHeartbeatRequest {
        member_id: "c".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let to = |group_id: &str| ConsumerGroupHeartbeatRequest {
        group_id: group_id.into(),
        ..request.clone()
    };
    assert_eq!(it.client.call(1, to("g")).await.error_code, 69);
    assert_eq!(it.client.call(1, to("other")).await.error_code, 0);
    it.said();
    it.say(joining("other", "a", &["t"])).await;
    let group_ids = vec!["other".into()];
    let request = ShareGroupDescribeRequest { group_ids, ..Default::default() };
    assert_eq!(it.client.call(1, request).await.groups[0].error_code, 69);
    expect![[r#"
        a 0: error 69 Group other is not a share group.
    "#]]
    .assert_eq(&it.said());
}
