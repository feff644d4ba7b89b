//! DescribeLogDirs, v1-5: how many bytes each partition takes.
//!
//! Ours: one directory. The size and the free space of its disk are not told (-1).

use super::{Call, Handler, Reply};
use std::collections::HashMap;
use std::future::{Future, ready};
use std::ops::RangeInclusive;
use systole_wire::Str;
use systole_wire::message::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use systole_wire::message::{DescribeLogDirsRequest, DescribeLogDirsResponse};

pub(crate) struct DescribeLogDirs;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=5;

    fn handle(
        call: Call,
        request: DescribeLogDirsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
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
                    partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
                    ..Default::default()
                }
            });
            let partitions: Vec<_> = sized.collect();
            if !partitions.is_empty() {
                let name = Str::from(&*topic.name);
                topics.push(DescribeLogDirsTopic { name, partitions, ..Default::default() });
            }
        }
        let log_dir = call.ctx.config.dir.display().to_string().into();
        let result = DescribeLogDirsResult { log_dir, topics, ..Default::default() };
        ready(Reply::Send(DescribeLogDirsResponse { results: vec![result], ..Default::default() }))
    }
}
