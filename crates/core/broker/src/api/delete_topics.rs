//! DeleteTopics, v1-6: removes topics with all their records; v6 by id too (KIP-516).
//!
//! Ours: the answer leaves when the removal is on disk, so `timeout_ms` is accepted and ignored.
//! Topics that the node itself writes (`__consumer_offsets`) are an INVALID_TOPIC_EXCEPTION: groups
//! would lose their offsets while they use them.

use super::{Call, Handler, Need, Reply};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_catalogue::{Durable, Topic, unknown};
use systole_guard::{Operation, Resource, ResourceType};
use systole_kit::Uuid;
use systole_wire::Str;
use systole_wire::message::delete_topics_request::DeleteTopicState;
use systole_wire::message::delete_topics_response::DeletableTopicResult;
use systole_wire::message::{DeleteTopicsRequest, DeleteTopicsResponse};
use systole_wire::{ErrorCode, Rejected};

pub(crate) struct DeleteTopics;

/// From this version on, clients know THROTTLING_QUOTA_EXCEEDED (KIP-599).
const STRICT_FROM_VERSION: i16 = 5;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=6;
    const NEEDS: &'static [Need] = &[
        (Operation::Delete, ResourceType::Cluster),
        (Operation::Delete, ResourceType::Topic),
        (Operation::Describe, ResourceType::Topic),
    ];

    fn handle(
        call: Call,
        request: DeleteTopicsRequest,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static {
        let by_name = |name: Str| DeleteTopicState { name: Some(name), ..Default::default() };
        let asked: Vec<_> = request
            .topics
            .into_iter()
            .chain(request.topic_names.into_iter().map(by_name))
            .collect();
        let begin = |it: &DeleteTopicState| {
            let topic = if asked.iter().filter(|other| *other == it).count() > 1 {
                Err(Rejected::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
            } else {
                find(&call, it)
            };
            let topic = topic.and_then(not_internal).and_then(|it| {
                call.count_mutations(it.partition_count, STRICT_FROM_VERSION)?;
                Ok(it)
            });
            topic.and_then(|it| call.ctx.topics.delete(&it).map(|durable| (it, durable)))
        };
        let begun: Vec<_> = asked.iter().map(begin).collect();
        async move {
            let mut responses = Vec::new();
            for (asked, begun) in asked.into_iter().zip(begun) {
                responses.push(finish(&call, asked, begun).await);
            }
            Reply::Send(DeleteTopicsResponse { responses, ..Default::default() })
        }
    }
}

/// Who may delete in the whole cluster may delete every topic.
fn find(call: &Call, asked: &DeleteTopicState) -> Result<Arc<Topic>, Rejected> {
    let topics = &call.ctx.topics;
    let may_all = call.may(Operation::Delete, Resource::CLUSTER);
    let may_delete = |name: &str| {
        if may_all {
            return Ok(());
        }
        call.authorize(Operation::Delete, Resource::topic(name))
    };
    match (&asked.name, asked.topic_id) {
        (Some(name), id) if id.is_zero() => {
            let Some(topic) = topics.by_name(name) else {
                // Who may see topics is told that there is none.
                if !may_all {
                    call.authorize(Operation::Describe, Resource::topic(name))?;
                }
                return Err(unknown(name));
            };
            may_delete(name)?;
            Ok(topic)
        }
        (None, id) if !id.is_zero() => {
            let text = "This server does not host this topic ID.";
            let unknown = || Rejected::new(ErrorCode::UnknownTopicId, text);
            let topic = topics.by_id(id).ok_or_else(unknown)?;
            may_delete(&topic.name)?;
            Ok(topic)
        }
        _ => {
            let text = "Topic id and topic name can not both be specified, nor both be absent.";
            Err(Rejected::new(ErrorCode::InvalidRequest, text))
        }
    }
}

fn not_internal(topic: Arc<Topic>) -> Result<Arc<Topic>, Rejected> {
    if topic.is_internal() {
        let text = "The node writes this topic itself; it cannot be deleted.";
        return Err(Rejected::new(ErrorCode::InvalidTopic, text));
    }
    Ok(topic)
}

/// A caller who may not delete a topic is told its name only if it may see it.
fn name_if_seen(call: &Call, id: Uuid) -> Option<Str> {
    let topic = call.ctx.topics.by_id(id)?;
    let sees = call.may(Operation::Describe, Resource::topic(&topic.name));
    sees.then(|| Str::from(&*topic.name))
}

async fn finish(
    call: &Call,
    asked: DeleteTopicState,
    begun: Result<(Arc<Topic>, Durable), Rejected>,
) -> DeletableTopicResult {
    let mut result =
        DeletableTopicResult { name: asked.name, topic_id: asked.topic_id, ..Default::default() };
    let done = match begun {
        Ok((topic, durable)) => {
            result.name = Some(Str::from(&*topic.name));
            result.topic_id = topic.id;
            let done = durable.await;
            if done.is_ok() {
                call.ctx.groups.forget_topic(&topic.name);
                call.ctx.groups.forget_shared_topic(topic.id);
            }
            done
        }
        Err(rejected) => Err(rejected),
    };
    if let Err(rejected) = done {
        if rejected.code == ErrorCode::TopicAuthorizationFailed {
            result.name = result.name.or_else(|| name_if_seen(call, result.topic_id));
        }
        (result.error_code, result.error_message) = call.error(&rejected);
    }
    result
}
