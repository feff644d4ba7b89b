//! Consumer groups through the wire: members, offsets, and what is left of them after a crash.

use crate::harness::{Client, Harness};
use crate::topics::{create, topic};
use bytes::Bytes;
use std::time::Duration;
use systole_wire::message::delete_topics_request::DeleteTopicState;
use systole_wire::message::join_group_request::JoinGroupRequestProtocol;
use systole_wire::message::leave_group_request::MemberIdentity;
use systole_wire::message::metadata_request::MetadataRequestTopic;
use systole_wire::message::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use systole_wire::message::offset_fetch_request::OffsetFetchRequestGroup;
use systole_wire::message::sync_group_request::SyncGroupRequestAssignment;
use systole_wire::message::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, HeartbeatRequest,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};

const NONE: i16 = 0;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const OFFSET_METADATA_TOO_LARGE: i16 = 12;
const INVALID_TOPIC: i16 = 17;
const ILLEGAL_GENERATION: i16 = 22;
const REBALANCE_IN_PROGRESS: i16 = 27;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;

pub(crate) fn joining(member_id: &str) -> JoinGroupRequest {
    let metadata = Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
    let protocol =
        JoinGroupRequestProtocol { name: "range".into(), metadata, ..Default::default() };
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    }
}

/// Joins as a modern client does: first for an id, then with it.
async fn join(client: &mut Client) -> JoinGroupResponse {
    let first = client.call(9, joining("")).await;
    assert_eq!(first.error_code, MEMBER_ID_REQUIRED);
    client.call(9, joining(&first.member_id)).await
}

fn syncing(
    member_id: &str,
    generation_id: i32,
    parts: &[(&str, &'static str)],
) -> SyncGroupRequest {
    let part = |(id, part): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: (*id).into(),
        assignment: Bytes::from_static(part.as_bytes()),
        ..Default::default()
    };
    SyncGroupRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member_id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: parts.iter().map(part).collect(),
        ..Default::default()
    }
}

async fn sync(
    client: &mut Client,
    joined: &JoinGroupResponse,
    part: &'static str,
) -> SyncGroupResponse {
    let me = &*joined.member_id;
    client.call(5, syncing(me, joined.generation_id, &[(me, part)])).await
}

async fn heartbeat(client: &mut Client, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    };
    client.call(4, request).await.error_code
}

/// One commit for `t`, by nobody; the code of each partition.
async fn commit(client: &mut Client, group: &str, offsets: &[(i32, i64, &str)]) -> Vec<i16> {
    let partition = |(index, offset, metadata): &(i32, i64, &str)| OffsetCommitRequestPartition {
        partition_index: *index,
        committed_offset: *offset,
        committed_metadata: Some((*metadata).into()),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: offsets.iter().map(partition).collect(),
        ..Default::default()
    };
    let request =
        OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() };
    let response = client.call(8, request).await;
    response.topics[0].partitions.iter().map(|it| it.error_code).collect()
}

/// `topic-partition:offset metadata` of all that the group committed.
async fn committed(client: &mut Client, group: &str) -> Vec<String> {
    let group =
        OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let response = client.call(9, request).await;
    let topics = response.groups[0].topics.iter();
    let lines = topics.flat_map(|topic| {
        topic.partitions.iter().map(|it| {
            let metadata = it.metadata.as_deref().unwrap_or_default();
            format!("{}-{}:{} {metadata}", &*topic.name, it.partition_index, it.committed_offset)
        })
    });
    lines.collect()
}

async fn listed(client: &mut Client, request: ListGroupsRequest) -> Vec<String> {
    let response = client.call(5, request).await;
    let line = |it: &systole_wire::message::list_groups_response::ListedGroup| {
        format!("{} {} {}", &*it.group_id, &*it.group_type, &*it.group_state)
    };
    response.groups.iter().map(line).collect()
}

#[tokio::test]
async fn two_members_share_and_one_takes_over_when_the_other_leaves() {
    let harness = Harness::start().await;
    let (mut a, mut b) = (harness.client().await, harness.client().await);
    let first = join(&mut a).await;
    assert_eq!((first.generation_id, &first.leader), (1, &first.member_id));
    assert_eq!(sync(&mut a, &first, "all").await.assignment, "all");

    let id = b.call(9, joining("")).await.member_id;
    let waiting = b.send(9, &joining(&id)).await;
    while heartbeat(&mut a, &first).await != REBALANCE_IN_PROGRESS {}
    let again = a.call(9, joining(&first.member_id)).await;
    let second = b.receive::<JoinGroupRequest>(9, waiting).await;
    assert_eq!((again.generation_id, second.generation_id), (2, 2));
    assert_eq!((again.members.len(), second.members.len()), (2, 0));
    let syncing_b = b.send(5, &syncing(&second.member_id, 2, &[])).await;
    let parts = [(&*again.member_id, "A"), (&*second.member_id, "B")];
    assert_eq!(a.call(5, syncing(&again.member_id, 2, &parts)).await.assignment, "A");
    assert_eq!(b.receive::<SyncGroupRequest>(5, syncing_b).await.assignment, "B");
    let groups = vec!["g".into()];
    let request = DescribeGroupsRequest { groups, ..Default::default() };
    let described = a.call(6, request).await.groups.remove(0);
    assert_eq!((&*described.group_state, &*described.protocol_data), ("Stable", "range"));
    assert_eq!(&*described.members[1].client_host, "/127.0.0.1");

    let leaver = MemberIdentity { member_id: again.member_id.clone(), ..Default::default() };
    let request =
        LeaveGroupRequest { group_id: "g".into(), members: vec![leaver], ..Default::default() };
    assert_eq!(a.call(5, request).await.members[0].error_code, NONE);
    assert_eq!(heartbeat(&mut b, &second).await, REBALANCE_IN_PROGRESS);
    let alone = b.call(9, joining(&second.member_id)).await;
    assert_eq!((alone.generation_id, &alone.leader), (3, &second.member_id));
}

#[tokio::test]
async fn offsets_are_kept_by_partition_with_errors_by_partition() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 2)]).await;
    let long = "x".repeat(4097);
    let codes = commit(&mut client, "s", &[(0, 5, "m"), (9, 5, ""), (1, 6, &long)]).await;
    assert_eq!(codes, [NONE, UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE]);
    assert_eq!(commit(&mut client, "s", &[(1, 7, "")]).await, [NONE]);
    assert_eq!(committed(&mut client, "s").await, ["t-0:5 m", "t-1:7 "]);
    assert_eq!(committed(&mut client, "other").await, [""; 0]);
    let member =
        OffsetCommitRequest { generation_id_or_member_epoch: 3, ..commit_of("absent", "t") };
    let before_v9 = client.call(8, member.clone()).await;
    assert_eq!(before_v9.topics[0].partitions[0].error_code, ILLEGAL_GENERATION);
    let since_v9 = client.call(9, member).await;
    assert_eq!(since_v9.topics[0].partitions[0].error_code, GROUP_ID_NOT_FOUND);
}

fn commit_of(group: &str, topic: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() };
    let topic = OffsetCommitRequestTopic {
        name: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..Default::default() }
}

/// The files at the moment of the copy are what `kill -9` would leave.
#[tokio::test]
async fn members_and_offsets_survive_a_crash_of_the_node() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 100)]).await;
    let joined = join(&mut client).await;
    assert_eq!(sync(&mut client, &joined, "part").await.assignment, "part");
    for n in 0..100 {
        let group = format!("s{}", n % 10);
        assert_eq!(commit(&mut client, &group, &[(n, i64::from(n) * 10, "")]).await, [NONE]);
    }
    harness.crash().await;
    let mut client = harness.client().await;
    assert_eq!(heartbeat(&mut client, &joined).await, NONE);
    let again = client.call(5, syncing(&joined.member_id, joined.generation_id, &[])).await;
    assert_eq!(again.assignment, "part");
    for n in 0..100 {
        let all = committed(&mut client, &format!("s{}", n % 10)).await;
        assert!(all.contains(&format!("t-{n}:{} ", n * 10)), "{all:?}");
    }
    harness.restart().await;
    let mut client = harness.client().await;
    assert_eq!(listed(&mut client, ListGroupsRequest::default()).await.len(), 11);
    assert_eq!(committed(&mut client, "s3").await.len(), 10);
}

#[tokio::test]
async fn groups_are_listed_by_state_and_type_and_deleted_when_nobody_is_in() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    commit(&mut client, "s", &[(0, 1, "")]).await;
    join(&mut client).await;
    let states =
        |it: &str| ListGroupsRequest { states_filter: vec![it.into()], ..Default::default() };
    let types =
        |it: &str| ListGroupsRequest { types_filter: vec![it.into()], ..Default::default() };
    assert_eq!(
        listed(&mut client, types("Classic")).await,
        ["g classic CompletingRebalance", "s classic Empty"]
    );
    assert_eq!(listed(&mut client, states("EMPTY")).await, ["s classic Empty"]);
    assert_eq!(listed(&mut client, types("consumer")).await, [""; 0]);
    let groups_names = ["g", "s", "absent"].map(Into::into).into();
    let request = DeleteGroupsRequest { groups_names, ..Default::default() };
    let results = client.call(2, request).await.results;
    let codes: Vec<_> = results.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [NON_EMPTY_GROUP, NONE, GROUP_ID_NOT_FOUND]);
    assert_eq!(committed(&mut client, "s").await, [""; 0]);
}

#[tokio::test]
async fn offsets_go_with_their_topic() {
    let mut harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    commit(&mut client, "s", &[(0, 1, "")]).await;
    let state = DeleteTopicState { name: Some("t".into()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    assert_eq!(client.call(6, request).await.responses[0].error_code, NONE);
    create(&mut client, vec![topic("t", 1)]).await;
    assert_eq!(committed(&mut client, "s").await, [""; 0]);
    harness.restart().await;
    assert_eq!(committed(&mut harness.client().await, "s").await, [""; 0]);
}

#[tokio::test]
async fn the_topic_that_remembers_groups_is_internal_compacted_and_stays() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    create(&mut client, vec![topic("t", 1)]).await;
    commit(&mut client, "s", &[(0, 1, "")]).await;
    let name = Some("__consumer_offsets".into());
    let asked = vec![MetadataRequestTopic { name: name.clone(), ..Default::default() }];
    let request = MetadataRequest { topics: Some(asked), ..Default::default() };
    let found = client.call(12, request).await.topics.remove(0);
    assert!(found.is_internal);
    assert_eq!(found.partitions.len(), 50);
    let state = DeleteTopicState { name, ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    assert_eq!(client.call(6, request).await.responses[0].error_code, INVALID_TOPIC);
    assert_eq!(committed(&mut client, "s").await, ["t-0:1 "]);
}

#[tokio::test]
async fn a_join_that_waits_ends_with_the_node() {
    let mut harness = Harness::start_with(|it| {
        it.groups.initial_rebalance_delay = Duration::from_mins(1);
    })
    .await;
    let mut client = harness.client().await;
    let id = client.call(9, joining("")).await.member_id;
    let waiting = client.send(9, &joining(&id)).await;
    let mut other = harness.client().await;
    while listed(&mut other, ListGroupsRequest::default()).await != ["g classic PreparingRebalance"]
    {
    }
    harness.stop().await;
    let answer = client.receive::<JoinGroupRequest>(9, waiting).await;
    assert_eq!(answer.error_code, 15, "COORDINATOR_NOT_AVAILABLE");
}
