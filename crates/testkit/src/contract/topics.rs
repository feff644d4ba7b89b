//! Topics, their configurations, and deleting records.
//!
//! Owns: these behaviours. Does not own: records' contents ([`super::records`]).

use super::{Backend, Transcript};
use crate::wait;
use expect_test::expect;
use systole_client::admin::{Config, ConfigOf, ConfigSource, NewTopic};
use systole_client::{Kind, NewRecord, Offset, Start, TopicPartition};

pub async fn a_topic_is_created_described_and_deleted(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let name = at.topic("life", 3).await;
    let cluster = admin.cluster(Some(&name)).await.expect("it exists");
    log.line(format_args!("brokers: {}", cluster.brokers.len()));
    log.line(format_args!("has an id: {}", cluster.id.is_some_and(|it| !it.is_empty())));
    for it in &cluster.topics[0].partitions {
        log.line(format_args!(
            "partition {}: led {}, {} replica, {} in sync",
            it.id,
            it.leader.is_some(),
            it.replicas.len(),
            it.in_sync.len()
        ));
    }
    log.result("again", admin.create_topic(&NewTopic::new(&*name, 3)).await);
    log.result("delete", admin.delete_topic(&name).await);
    let kind = wait::until("the topic is gone", async || {
        admin.cluster(Some(&name)).await.err().map(|it| it.kind())
    });
    log.line(format_args!("describe: {:?}", kind.await));
    log.result("delete again", admin.delete_topic(&name).await);
    log.is(&expect![[r#"
        brokers: 1
        has an id: true
        partition 0: led true, 1 replica, 1 in sync
        partition 1: led true, 1 replica, 1 in sync
        partition 2: led true, 1 replica, 1 in sync
        again: error AlreadyExists
        delete: ()
        describe: UnknownTopic
        delete again: error UnknownTopic
    "#]]);
}

pub async fn what_cannot_be_a_topic_is_refused(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let with = |name: &str, partitions| NewTopic::new(at.name(name), partitions);
    log.result("a blank in the name", admin.create_topic(&with("a b", 1)).await);
    log.result("a name of 300 letters", admin.create_topic(&with(&"n".repeat(300), 1)).await);
    log.result("no partitions", admin.create_topic(&with("none", 0)).await);
    log.result("-2 partitions", admin.create_topic(&with("negative", -2)).await);
    let two = NewTopic { replication: Some(2), ..with("replicas", 1) };
    log.result("more replicas than brokers", admin.create_topic(&two).await);
    let unknown = with("config", 1).config("no.such.config", "1");
    log.result("an unknown configuration", admin.create_topic(&unknown).await);
    let bad = with("config", 1).config("retention.ms", "soon");
    log.result("a bad value", admin.create_topic(&bad).await);
    log.is(&expect![[r#"
        a blank in the name: error Invalid
        a name of 300 letters: error Invalid
        no partitions: error Invalid
        -2 partitions: error Invalid
        more replicas than brokers: error Invalid
        an unknown configuration: error Invalid
        a bad value: error Invalid
    "#]]);
}

pub async fn a_topic_grows_and_never_shrinks(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let name = at.topic("growth", 1).await;
    log.result("to 4", admin.grow_topic(&name, 4).await);
    wait::until("4 partitions", async || {
        let cluster = admin.cluster(Some(&name)).await.ok()?;
        (cluster.topics[0].partitions.len() == 4).then_some(())
    })
    .await;
    log.result("to 4 again", admin.grow_topic(&name, 4).await);
    log.result("to 2", admin.grow_topic(&name, 2).await);
    log.result("one that does not exist", admin.grow_topic(&at.name("nobody"), 2).await);
    log.is(&expect![[r#"
        to 4: ()
        to 4 again: error Invalid
        to 2: error Invalid
        one that does not exist: error UnknownTopic
    "#]]);
}

pub async fn configurations_are_set_and_taken_back(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let topic = NewTopic::new(at.name("config"), 1).config("retention.ms", "60000");
    at.create(&topic).await;
    let name = &*topic.name;
    let keys = ["retention.ms", "cleanup.policy", "max.message.bytes", "compression.type"];
    let show = async |when: &str, log: &mut Transcript| {
        let all = admin.configs(ConfigOf::Topic(name)).await.expect("it exists");
        for key in keys {
            let Config { value, source, .. } = &all[key];
            let source = if *source == ConfigSource::Topic { "topic" } else { "default" };
            log.line(format_args!(
                "{when}: {key} = {} ({source})",
                value.as_deref().unwrap_or("-")
            ));
        }
    };
    show("created", &mut log).await;
    let change = [("retention.ms", Some("120000")), ("max.message.bytes", Some("5000"))];
    log.result("change", admin.alter_configs(name, &change).await);
    show("changed", &mut log).await;
    log.result("take back", admin.alter_configs(name, &[("retention.ms", None)]).await);
    show("taken back", &mut log).await;
    let bad = [("max.message.bytes", Some("much"))];
    log.result("a bad value", admin.alter_configs(name, &bad).await);
    let unknown = admin.configs(ConfigOf::Topic(&at.name("nobody"))).await;
    log.result("one that does not exist", unknown.map(|it| it.len()));
    log.is(&expect![[r#"
        created: retention.ms = 60000 (topic)
        created: cleanup.policy = delete (default)
        created: max.message.bytes = 1048588 (default)
        created: compression.type = producer (default)
        change: ()
        changed: retention.ms = 120000 (topic)
        changed: cleanup.policy = delete (default)
        changed: max.message.bytes = 5000 (topic)
        changed: compression.type = producer (default)
        take back: ()
        taken back: retention.ms = 604800000 (default)
        taken back: cleanup.policy = delete (default)
        taken back: max.message.bytes = 5000 (topic)
        taken back: compression.type = producer (default)
        a bad value: error Invalid
        one that does not exist: error UnknownTopic
    "#]]);
}

pub async fn deleted_records_are_gone_and_the_rest_stays(at: &Backend) {
    let (admin, mut log) = (at.admin(), Transcript::default());
    let topic = at.topic("deletion", 1).await;
    let partition = TopicPartition::new(&*topic, 0);
    let record = |it: i32| NewRecord::to(&*topic).partition(0).value(it.to_string());
    at.write((0..10).map(record).collect()).await;
    let before = |offset| [(partition.clone(), Offset::new(offset).expect("not negative"))];
    log.result("before 7", admin.delete_records(&before(7)).await);
    log.result("before 5", admin.delete_records(&before(5)).await);
    log.result("past the end", admin.delete_records(&before(11)).await);
    let both = [(partition.clone(), Start::Beginning), (partition.clone(), Start::End)];
    for it in both {
        let offset = admin.offsets(std::slice::from_ref(&it)).await.map(|them| them[0].1.get());
        log.result(&format!("{:?}", it.1), offset);
    }
    let left = at.read_all(&topic, 1).await;
    let left: Vec<_> = left.iter().map(|it| it.offset.get()).collect();
    log.line(format_args!("left: {left:?}"));
    let mut reader = at.reader(vec![(partition, Start::At(Offset::ZERO))]).await;
    let error = wait::within("an answer", reader.next()).await.expect_err("nothing is there");
    log.line(format_args!("reading at 0: {:?}", error.kind()));
    assert_eq!(error.kind(), Kind::OffsetOutOfRange);
    reader.close().await.expect("an orderly end");
    log.is(&expect![[r#"
        before 7: ()
        before 5: ()
        past the end: error OffsetOutOfRange
        Beginning: 7
        End: 10
        left: [7, 8, 9]
        reading at 0: OffsetOutOfRange
    "#]]);
}
