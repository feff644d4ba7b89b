//! The contract suite against both backends: same calls, same results. Real Apache Kafka shows that
//! the suite is right, the embedded broker that it may stand in for it.
//!
//! Owns: choosing the backend. Does not own: the behaviours (`systole_testkit::contract`).

mod secured;

mod real_kafka {
    use systole_testkit::contract::records;
    use systole_testkit::{Backend, RealKafka};

    systole_testkit::suite!(RealKafka::shared().map(|it| Backend::at(it.bootstrap())));

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cut_connection_loses_and_duplicates_nothing() {
        if let Some(kafka) = RealKafka::shared() {
            records::a_cut_connection_loses_and_duplicates_nothing(kafka.cable()).await;
        }
    }
}

mod embedded {
    use systole_testkit::contract::records;
    use systole_testkit::{Backend, EmbeddedNode};

    systole_testkit::suite!(Some(Backend::of(&EmbeddedNode::shared())));

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cut_connection_loses_and_duplicates_nothing() {
        let (_node, ends) = EmbeddedNode::behind_cable().unwrap();
        records::a_cut_connection_loses_and_duplicates_nothing(ends).await;
    }
}
