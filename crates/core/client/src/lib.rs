//! Kafka clients: producer, consumer and administration, against the embedded broker or a cluster.
//!
//! Owns: the narrow traits that services use, the values that cross them, and their implementation
//! over librdkafka (the private module `librdkafka`, the only place that names it).
//! Does not own: what is in a record (bytes stay opaque), processing, deciding who may read.
//! Reading order: [`record`] -> [`producer`] -> [`consumer`] -> [`admin`] -> [`settings`] ->
//! [`error`] -> `librdkafka`.
//!
//! Invariants
//! - Nothing here blocks an async worker: librdkafka's blocking calls run on threads of their own.
//! - Every queue has a limit in bytes, and whoever is faster waits: nothing is dropped, and a full
//!   queue is not an error.
//! - `Debug` and errors show sizes and names, never keys, values or header values.

pub mod admin;
pub mod consumer;
pub mod error;
mod librdkafka;
pub mod producer;
pub mod record;
pub mod settings;

pub use admin::{Admin, Groups, Topics};
pub use consumer::{Consumer, DirectOptions, Event, GroupOptions, Start};
pub use error::{Class, Error, Kind};
pub use producer::{Codec, Delivered, Delivery, Producer, ProducerExt, ProducerOptions};
pub use record::{Header, NewRecord, Offset, Record, TopicPartition};
pub use settings::Settings;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use systole_world::World;

/// A future that borrows from its client. Boxed, so that the traits can be used as `dyn`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// One way to reach one cluster. Cheap to share; each producer or consumer it makes has its own
/// connections. The calls do not wait for the cluster: one that is down shows in the first use.
pub trait Client: Debug + Send + Sync {
    fn producer(&self, options: &ProducerOptions) -> Result<Arc<dyn Producer>, Error>;
    /// A member of a group, which shares the partitions of `topics` with the other members.
    fn join(&self, topics: &[&str], options: &GroupOptions) -> Result<Box<dyn Consumer>, Error>;
    /// A reader of exactly these partitions from these positions, in no group. Waits for the
    /// cluster once, to turn the starts into offsets.
    fn read(
        &self,
        from: Vec<(TopicPartition, Start)>,
        options: &DirectOptions,
    ) -> Answer<'_, Box<dyn Consumer>>;
    fn admin(&self) -> Result<Arc<dyn Admin>, Error>;
}

/// The client over librdkafka. Reads secrets and certificates; opens no connection yet.
pub fn connect(settings: &Settings, world: &World) -> Result<Arc<dyn Client>, Error> {
    Ok(Arc::new(librdkafka::Librdkafka::new(settings, world)?))
}
