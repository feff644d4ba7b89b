//! The client over librdkafka, by the crate `rdkafka`.
//!
//! Owns: threads for what blocks, queues with limits, librdkafka's names for our options.
//! Does not own: the traits (`crate::{producer, consumer, admin}`).
//! Reading order: `config` -> `context` -> `failure` -> `producer` -> `flow` -> `consumer` ->
//! `inbox` -> `lanes` -> `gather` -> `admin` -> `token`.

mod admin;
mod config;
mod consumer;
mod context;
mod failure;
mod flow;
mod gather;
mod inbox;
mod lanes;
mod list;
mod producer;
mod token;

use crate::TopicPartition;
use crate::consumer::{DirectOptions, GroupOptions, Start};
use crate::{Admin, Answer, Client, Consumer, Error, Producer, ProducerOptions, Settings};
use config::Base;
use context::Context;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use systole_kit::Problems;
use systole_world::World;

/// How long a question to the cluster may take. Longer than a leader election, shorter than the
/// patience of whoever asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Librdkafka {
    base: Base,
    world: World,
}

impl fmt::Debug for Librdkafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Librdkafka")
            .field("bootstrap", &self.base.bootstrap())
            .finish_non_exhaustive()
    }
}

impl Librdkafka {
    pub(crate) fn new(settings: &Settings, world: &World) -> Result<Self, Error> {
        let mut problems = Problems::default();
        settings.check(&mut problems);
        problems.into_result().map_err(|it| {
            Error::new(crate::Kind::Settings).because(it.to_string().replace('\n', "; "))
        })?;
        Ok(Self { base: Base::new(settings, world)?, world: world.clone() })
    }

    fn context(&self) -> Context {
        self.contexts()()
    }
    /// Each client of librdkafka has a context of its own.
    fn contexts(&self) -> impl Fn() -> Context + Send + Sync + 'static {
        let (world, token) = (self.world.clone(), self.base.token().cloned());
        move || Context::new(&world, token.clone())
    }
}

impl Client for Librdkafka {
    fn producer(&self, options: &ProducerOptions) -> Result<Arc<dyn Producer>, Error> {
        Ok(Arc::new(producer::Producer::start(&self.base, options, self.context())?))
    }
    fn join(&self, topics: &[&str], options: &GroupOptions) -> Result<Box<dyn Consumer>, Error> {
        let consumer = consumer::join(&self.base, topics, options, self.context())?;
        Ok(Box::new(consumer))
    }
    fn read(
        &self,
        from: Vec<(TopicPartition, Start)>,
        options: &DirectOptions,
    ) -> Answer<'_, Box<dyn Consumer>> {
        let (config, context) = (self.base.direct(options, from.len()), self.context());
        let options = options.clone();
        Box::pin(async move {
            let consumer =
                blocking(move || consumer::read(&config, &from, &options, context)).await?;
            let consumer: Box<dyn Consumer> = Box::new(consumer);
            Ok(consumer)
        })
    }
    fn admin(&self) -> Result<Arc<dyn Admin>, Error> {
        Ok(Arc::new(admin::Administrator::new(&self.base, &self.world.clock, self.contexts())?))
    }
}

/// Runs what blocks on a thread that may be blocked.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|it| Err(Error::new(crate::Kind::Other).because(it.to_string())))
}
