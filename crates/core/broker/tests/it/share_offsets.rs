//! How far share groups have come: told, changed and forgotten by administrators. The story is told
//! the same way by Apache Kafka 4.3.1 (see `share_records`), except for two lines: there the second
//! look still finds 0, and `b` gets 3-4 a second time, because sessions are open.

use crate::share_groups::beating;
use crate::share_records::Story;
use expect_test::expect;
use std::fmt::Write as _;
use systole_wire::message::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use systole_wire::message::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use systole_wire::message::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use systole_wire::message::{
    AlterShareGroupOffsetsRequest, DeleteGroupsRequest, DeleteShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequest,
};

impl Story {
    async fn look(&mut self, partitions: Option<&[i32]>) -> &mut Self {
        let topics = partitions.map(|it| {
            vec![DescribeShareGroupOffsetsRequestTopic {
                topic_name: self.topic.as_str().into(),
                partitions: it.to_vec(),
                ..Default::default()
            }]
        });
        let group = DescribeShareGroupOffsetsRequestGroup {
            group_id: self.group.as_str().into(),
            topics,
            ..Default::default()
        };
        let request =
            DescribeShareGroupOffsetsRequest { groups: vec![group], ..Default::default() };
        let group = self.client.call(1, request).await.groups.remove(0);
        let _ = write!(self.out, "offsets: {}", group.error_code);
        for it in group.topics.iter().flat_map(|it| &it.partitions) {
            let (index, start, lag) = (it.partition_index, it.start_offset, it.lag);
            let _ = write!(self.out, " {index} at {start} lag {lag} {}", it.error_code);
        }
        let _ = writeln!(self.out);
        self
    }
    async fn alter(&mut self, topic: &str, partition_index: i32, start_offset: i64) -> &mut Self {
        let partition = AlterShareGroupOffsetsRequestPartition {
            partition_index,
            start_offset,
            ..Default::default()
        };
        let topic = AlterShareGroupOffsetsRequestTopic {
            topic_name: topic.into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = AlterShareGroupOffsetsRequest {
            group_id: self.group.as_str().into(),
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.client.call(0, request).await;
        let codes = answer.responses.iter().flat_map(|it| &it.partitions).map(|it| it.error_code);
        let codes: Vec<_> = codes.collect();
        let _ = writeln!(self.out, "alter {partition_index}: {} {codes:?}", answer.error_code);
        self
    }
    async fn forget(&mut self, topic: &str) -> &mut Self {
        let topic =
            DeleteShareGroupOffsetsRequestTopic { topic_name: topic.into(), ..Default::default() };
        let request = DeleteShareGroupOffsetsRequest {
            group_id: self.group.as_str().into(),
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.client.call(0, request).await;
        let codes: Vec<_> = answer.responses.iter().map(|it| it.error_code).collect();
        let _ = writeln!(self.out, "forget: {} {codes:?}", answer.error_code);
        self
    }
    async fn delete(&mut self) -> &mut Self {
        let groups_names = vec![self.group.as_str().into()];
        let request = DeleteGroupsRequest { groups_names, ..Default::default() };
        let answer = self.client.call(2, request).await.results.remove(0);
        let _ = writeln!(self.out, "delete: {}", answer.error_code);
        self
    }
    async fn leave(&mut self) -> &mut Self {
        let answer = self.client.call(1, beating(&self.group, "a", -1)).await;
        let _ = writeln!(self.out, "leave: {}", answer.error_code);
        self
    }
}

#[tokio::test]
async fn administrators_see_how_far_a_group_has_come_and_let_it_begin_anew() {
    let mut it = Story::begin().await;
    let topic = it.topic.clone();
    it.put(5).await.get("a").await.say("a", &[(1, 2, &[1])]).await.look(None).await;
    it.say("a", &[(0, 0, &[1])]).await.look(Some(&[0, 1])).await;
    it.alter(&topic, 0, 1).await.forget(&topic).await.delete().await.leave().await;
    it.alter(&topic, 0, 1).await.alter(&topic, 1, 1).await.alter("none", 0, 1).await;
    it.look(None).await.get("b").await.forget("none").await.forget(&topic).await;
    it.forget(&topic).await.look(Some(&[0])).await.delete().await.delete().await;
    it.look(None).await.forget(&topic).await.alter(&topic, 0, 4).await.look(None).await;
    expect![[r#"
        a asks (1): 0-4 x1 in 1 batches
        a says [(1, 2, [1])]: 0 [0]
        offsets: 0 0 at 0 lag 3 0
        a says [(0, 0, [1])]: 0 [0]
        offsets: 0 0 at 3 lag 2 0 1 at -1 lag -1 0
        alter 0: 68 []
        forget: 68 []
        delete: 68
        leave: 0
        alter 0: 0 [0]
        alter 1: 0 [3]
        alter 0: 0 [3]
        offsets: 0 0 at 1 lag 4 0
        b asks (0): 1-4 x1 in 1 batches
        forget: 0 [3]
        forget: 0 [0]
        forget: 0 [3]
        offsets: 0 0 at -1 lag -1 0
        delete: 0
        delete: 69
        offsets: 0
        forget: 69 []
        alter 0: 0 [0]
        offsets: 0 0 at 4 lag 1 0
    "#]]
    .assert_eq(&it.told());
}

#[tokio::test]
async fn where_a_group_begins_survives_a_crash() {
    let mut it = Story::begin().await;
    if it.harness.is_none() {
        return; // the original is not ours to stop
    }
    let topic = it.topic.clone();
    it.put(5).await.leave().await.alter(&topic, 0, 3).await;
    let harness = it.harness.as_mut().unwrap();
    harness.crash().await;
    it.client = harness.client().await;
    it.look(None).await.get_with("b", |it| it.share_session_epoch = 0).await;
    expect![[r#"
        leave: 0
        alter 0: 0 [0]
        offsets: 0 0 at 3 lag 2 0
        b asks (0): 3-4 x1 in 1 batches
    "#]]
    .assert_eq(&it.told());
}
