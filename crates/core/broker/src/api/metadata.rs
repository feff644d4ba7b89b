//! Metadata, v0-13: which brokers there are, and who leads which partition.
//!
//! One node: it leads everything, it is the controller, and its leader epoch never changes.
//! Ours: an absent topic that may be created is there when the answer leaves; Kafka answers with an
//! error once and creates it meanwhile.

use super::{Call, Handler, Need, Reply};
use crate::access::NOT_ASKED;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_catalogue::{Durable, NewTopic, Topic, plan};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_log::LEADER_EPOCH;
use systole_wire::ErrorCode;
use systole_wire::Str;
use systole_wire::message::metadata_request::MetadataRequestTopic;
use systole_wire::message::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use systole_wire::message::{MetadataRequest, MetadataResponse};

pub(crate) struct Metadata;

impl Handler for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=13;
    const NEEDS: &'static [Need] = &[
        (Operation::Describe, ResourceType::Topic),
        (Operation::Describe, ResourceType::Cluster),
        (Operation::Create, ResourceType::Cluster),
        (Operation::Create, ResourceType::Topic),
    ];

    fn handle(
        call: Call,
        request: MetadataRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let may_create = request.allow_auto_topic_creation && call.ctx.config.auto_create_topics;
        let with_operations = request.include_topic_authorized_operations;
        let answer = Answer { call, may_create, with_operations };
        let asked_for_all = |it: &Vec<_>| answer.call.version == 0 && it.is_empty();
        let topics = match request.topics.filter(|it| !asked_for_all(it)) {
            None => answer.all(),
            Some(asked) => asked.into_iter().map(|it| answer.one(&it)).collect::<Vec<_>>(),
        };
        let mut response = answer.call.cluster_part();
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = answer.call.granted_on_cluster();
        }
        async move {
            for topic in topics {
                response.topics.push(match topic {
                    Ok(topic) => topic,
                    Err(created) => answer.created(created).await,
                });
            }
            Reply::Send(response)
        }
    }
}

impl Call {
    fn cluster_part(&self) -> MetadataResponse {
        let (host, port) = self.advertised();
        let node_id = self.ctx.config.node_id;
        MetadataResponse {
            brokers: vec![MetadataResponseBroker { node_id, host, port, ..Default::default() }],
            cluster_id: Some(self.ctx.topics.cluster_id()),
            controller_id: node_id,
            ..Default::default()
        }
    }
}

/// What all topics of one answer share.
struct Answer {
    call: Call,
    may_create: bool,
    with_operations: bool,
}

/// A topic that comes into being for this answer.
type Created = (Arc<Topic>, Durable);

impl Answer {
    fn sees(&self, name: &str) -> bool {
        self.call.may(Operation::Describe, Resource::topic(name))
    }

    fn operations(&self, name: &str) -> i32 {
        if self.with_operations { self.call.granted(Resource::topic(name)) } else { NOT_ASKED }
    }

    /// Everything that the caller may see.
    fn all(&self) -> Vec<Result<MetadataResponseTopic, Created>> {
        let topics = self.call.ctx.topics.all();
        topics.iter().filter(|it| self.sees(&it.name)).map(|it| Ok(self.found(it))).collect()
    }

    fn one(&self, asked: &MetadataRequestTopic) -> Result<MetadataResponseTopic, Created> {
        let by_id = !asked.topic_id.is_zero();
        if self.call.version < 12 && (by_id || asked.name.is_none()) {
            return Ok(self.failed(asked, ErrorCode::InvalidRequest));
        }
        let Some(name) = asked.name.as_ref().filter(|_| !by_id) else {
            // Who may not see a topic is told that there is none of this id.
            let found = self.call.ctx.topics.by_id(asked.topic_id);
            let found = found.filter(|it| self.sees(&it.name));
            let unknown = || self.failed(asked, ErrorCode::UnknownTopicId);
            return Ok(found.map_or_else(unknown, |it| self.found(&it)));
        };
        if let Err(denied) = self.call.authorize(Operation::Describe, Resource::topic(name)) {
            return Ok(self.failed(asked, denied.into()));
        }
        if let Some(topic) = self.call.ctx.topics.by_name(name) {
            return Ok(self.found(&topic));
        }
        if plan::check_name(name).is_err() {
            return Ok(self.failed(asked, ErrorCode::InvalidTopic));
        }
        if !self.may_create {
            return Ok(self.failed(asked, ErrorCode::UnknownTopicOrPartition));
        }
        if let Err(denied) = self.call.authorize_creation(name) {
            return Ok(self.failed(asked, denied.into()));
        }
        match self.call.ctx.topics.create(&NewTopic::named(&**name)) {
            Ok(created) => {
                // The topic is there, so its client rests whatever it knows.
                drop(self.call.count_mutations(created.0.partition_count, i16::MAX));
                Err(created)
            }
            Err(rejected) => Ok(self.failed(asked, rejected.code)),
        }
    }

    async fn created(&self, (topic, durable): Created) -> MetadataResponseTopic {
        match durable.await {
            Ok(()) => self.found(&topic),
            Err(rejected) => {
                let name = Some(Str::from(&*topic.name));
                self.failed(&MetadataRequestTopic { name, ..Default::default() }, rejected.code)
            }
        }
    }

    fn failed(&self, asked: &MetadataRequestTopic, code: ErrorCode) -> MetadataResponseTopic {
        // Before v12 a name cannot be null.
        let is_hidden =
            matches!(code, ErrorCode::TopicAuthorizationFailed | ErrorCode::UnknownTopicId);
        let name = asked.name.as_deref().filter(|_| !is_hidden);
        let no_name = || (self.call.version < 12).then(Str::default);
        MetadataResponseTopic {
            error_code: self.call.code(code),
            name: asked.name.clone().or_else(no_name),
            topic_id: asked.topic_id,
            topic_authorized_operations: name.map_or(NOT_ASKED, |it| self.operations(it)),
            ..Default::default()
        }
    }

    fn found(&self, topic: &Topic) -> MetadataResponseTopic {
        let node_id = self.call.ctx.config.node_id;
        let partition = |index| MetadataResponsePartition {
            partition_index: index,
            leader_id: node_id,
            leader_epoch: LEADER_EPOCH,
            replica_nodes: vec![node_id],
            isr_nodes: vec![node_id],
            ..Default::default()
        };
        MetadataResponseTopic {
            name: Some(Str::from(&*topic.name)),
            topic_id: if self.call.version >= 10 { topic.id } else { Uuid::ZERO },
            is_internal: topic.is_internal(),
            partitions: (0..topic.partition_count).map(partition).collect(),
            topic_authorized_operations: self.operations(&topic.name),
            ..Default::default()
        }
    }
}
