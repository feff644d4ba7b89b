//! What any Kafka that we run on must do, said through our own client.
//!
//! Owns: one function per behaviour. Each makes its own topics and groups, writes down what it got,
//! and compares that with the text beside it; so two backends that pass give the same results.
//! Does not own: starting a backend.
//!
//! To add one: a function in [`topics`], [`records`] or [`groups`], and its line in [`suite`].

pub mod groups;
pub mod records;
pub mod topics;

use bytes::Bytes;
use expect_test::Expect;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use systole_client::admin::NewTopic;
use systole_client::{Admin, Client, Consumer, DirectOptions, Error, Event, NewRecord, Producer};
use systole_client::{ProducerExt as _, ProducerOptions, Record, Settings, Start, TopicPartition};
use systole_world::World;

use crate::EmbeddedNode;
use crate::wait::within;

/// Makes one `#[test]` per behaviour, but for the one that needs a cable
/// ([`records::a_cut_connection_loses_and_duplicates_nothing`]). The argument is an expression for
/// `Option<Backend>`, `None` where it cannot run here.
#[macro_export]
macro_rules! suite {
    ($backend:expr) => {
        $crate::suite!(@each $backend,
            topics: a_topic_is_created_described_and_deleted,
            topics: what_cannot_be_a_topic_is_refused,
            topics: a_topic_grows_and_never_shrinks,
            topics: configurations_are_set_and_taken_back,
            topics: deleted_records_are_gone_and_the_rest_stays,
            records: every_codec_brings_back_what_was_sent,
            records: keys_headers_and_times_are_kept,
            records: equal_keys_keep_their_order_and_their_partition,
            records: a_large_record_comes_back_whole,
            records: a_record_that_is_too_large_is_refused_and_the_next_one_is_not,
            records: a_record_for_an_unknown_topic_fails,
            records: an_empty_topic_ends_at_once,
            records: each_of_many_topics_says_once_where_it_ends,
            records: a_time_finds_its_offset,
            records: a_reader_goes_on_from_any_position,
            records: a_reader_waits_at_the_end_for_more,
            records: a_full_queue_waits_and_loses_nothing,
            groups: a_group_goes_on_where_it_committed,
            groups: a_second_member_takes_over_some_partitions,
            groups: an_eager_group_gives_up_everything_first,
            groups: a_static_member_comes_back_to_its_partitions,
            groups: a_group_is_shown_changed_and_deleted,
        );
    };
    (@each $backend:expr, $($module:ident: $name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let backend: Option<$crate::Backend> = $backend;
                if let Some(backend) = backend {
                    $crate::contract::$module::$name(&backend).await;
                }
            }
        )*
    };
}

/// A cluster under test.
#[derive(Debug, Clone)]
pub struct Backend {
    pub client: Arc<dyn Client>,
    /// In every name that a test makes, so that tests do not meet.
    tag: String,
    _alive: Option<Arc<EmbeddedNode>>,
}

impl Backend {
    /// # Panics  if the client cannot be set up for this address.
    pub fn at(bootstrap: &str) -> Self {
        Self::with(&Settings::to(bootstrap))
    }
    /// # Panics  if the client cannot be set up like this.
    pub fn with(settings: &Settings) -> Self {
        let world = World::os();
        let client = systole_client::connect(settings, &world);
        let tag = format!("{:016x}", world.random.next_u64());
        Self { client: client.expect("an address of a broker"), tag, _alive: None }
    }
    /// A node that lives as long as somebody tests it.
    pub fn of(node: &Arc<EmbeddedNode>) -> Self {
        Self { _alive: Some(node.clone()), ..Self::at(node.bootstrap()) }
    }

    /// A name for a topic or a group that nobody else uses.
    pub fn name(&self, word: &str) -> String {
        format!("{word}-{}", self.tag)
    }
    /// # Panics  as the client does not come to be.
    pub fn admin(&self) -> Arc<dyn Admin> {
        self.client.admin().expect("an administrator")
    }
    /// Keeps its records for ever: some tests write times of 1970, and retention, which begins half
    /// a minute after a broker's start, would delete them.
    pub async fn topic(&self, word: &str, partitions: i32) -> String {
        let name = self.name(word);
        self.create(&NewTopic::new(&*name, partitions).config("retention.ms", "-1")).await;
        name
    }
    pub async fn create(&self, topic: &NewTopic) {
        let created =
            within("create topic", async { self.admin().create_topic(topic).await }).await;
        created.expect("the topic is new");
    }
    pub fn producer(&self) -> Arc<dyn Producer> {
        self.client.producer(&ProducerOptions::default()).expect("a producer")
    }
    /// Sends all and waits for all.
    pub async fn write(&self, records: Vec<NewRecord>) {
        let producer = self.producer();
        let sent = within("acknowledgements", producer.send_all(records)).await.expect("open");
        for delivered in sent {
            delivered.expect("acknowledged");
        }
        producer.close().await.expect("nothing was lost");
    }
    pub async fn reader(&self, from: Vec<(TopicPartition, Start)>) -> Box<dyn Consumer> {
        let options = DirectOptions::default();
        within("offsets", self.client.read(from, &options)).await.expect("a reader")
    }
    /// Every record of a topic from these partitions' beginning to their end.
    pub async fn read_all(&self, topic: &str, partitions: i32) -> Vec<Record> {
        let all = (0..partitions).map(|it| (TopicPartition::new(topic, it), Start::Beginning));
        let mut reader = self.reader(all.collect()).await;
        let records = to_the_end(&mut *reader, partitions).await;
        reader.close().await.expect("an orderly end");
        records
    }
}

/// Reads until `partitions` different partitions have said that they end.
async fn to_the_end(reader: &mut dyn Consumer, partitions: i32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < usize::try_from(partitions).expect("a count") {
        match within("records", reader.next()).await.expect("readable") {
            Event::Records(more) => records.extend(more),
            Event::Ended(at, _) => drop(ended.insert(at)),
            other => panic!("not without a group: {other:?}"),
        }
    }
    records
}

/// Sends one record and waits until it is acknowledged.
async fn send(
    producer: &dyn Producer,
    record: NewRecord,
) -> Result<systole_client::Delivered, Error> {
    within("acknowledgement", async { producer.send(record).await?.await }).await
}

/// What a behaviour gave, line by line, without anything that differs from run to run.
#[derive(Debug, Default)]
pub struct Transcript(String);

impl Transcript {
    pub fn line(&mut self, line: impl fmt::Display) {
        writeln!(self.0, "{line}").expect("writing into a text");
    }
    /// A result: what it was, or the kind of its error.
    pub fn result<T: fmt::Debug>(&mut self, what: &str, result: Result<T, Error>) {
        match result {
            Ok(it) => self.line(format_args!("{what}: {it:?}")),
            Err(error) => self.line(format_args!("{what}: error {:?}", error.kind())),
        }
    }
    /// # Panics  if the lines differ from the expected ones.
    pub fn is(&self, expected: &Expect) {
        expected.assert_eq(&self.0);
    }
}

fn text(bytes: Option<&Bytes>) -> String {
    bytes.map_or_else(|| "none".to_owned(), |it| format!("{:?}", String::from_utf8_lossy(it)))
}
