//! DescribeLogDirs, v1-5: how many bytes each partition takes, and the size of its disk (v4+).
//!
//! Ours: one directory.

use super::{Call, Handler, Need, Reply};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::ByteSize;
use systole_wire::Str;
use systole_wire::message::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use systole_wire::message::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use systole_world::space;

pub(crate) struct DescribeLogDirs;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=5;
    const NEEDS: &'static [Need] = &[(Operation::Describe, ResourceType::Cluster)];

    fn handle(
        call: Call,
        request: DescribeLogDirsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        if let Err(denied) = call.authorize(Operation::Describe, Resource::CLUSTER) {
            let error_code = call.code(denied.into());
            return ready(Reply::Send(DescribeLogDirsResponse {
                error_code,
                ..Default::default()
            }));
        }
        let asked: Option<HashMap<_, _>> =
            request.topics.map(|all| all.into_iter().map(|it| (it.topic, it.partitions)).collect());
        let mut topics = Vec::new();
        for topic in call.ctx.topics.all() {
            let wanted = |index: i32| match &asked {
                None => true,
                Some(asked) => asked.get(&*topic.name).is_some_and(|it| it.contains(&index)),
            };
            let sized = topic.partitions().filter(|it| wanted(it.index)).map(|id| {
                let bytes = call.ctx.log.partition(id).map_or(0, |it| it.size_bytes());
                DescribeLogDirsPartition {
                    partition_index: id.index,
                    partition_size: wire_bytes(ByteSize::new(bytes)),
                    ..Default::default()
                }
            });
            let partitions: Vec<_> = sized.collect();
            if !partitions.is_empty() {
                let name = Str::from(&*topic.name);
                topics.push(DescribeLogDirsTopic { name, partitions, ..Default::default() });
            }
        }
        let dir = &call.ctx.config.dir;
        let log_dir = dir.display().to_string().into();
        let mut result = DescribeLogDirsResult { log_dir, topics, ..Default::default() };
        // What cannot be asked stays unknown, -1.
        if let Ok(space) = space::of(dir) {
            result.total_bytes = wire_bytes(space.total);
            result.usable_bytes = wire_bytes(space.usable);
        }
        ready(Reply::Send(DescribeLogDirsResponse { results: vec![result], ..Default::default() }))
    }
}

/// As Kafka does with file systems that are larger than its numbers.
fn wire_bytes(size: ByteSize) -> i64 {
    i64::try_from(size.bytes()).unwrap_or(i64::MAX)
}
