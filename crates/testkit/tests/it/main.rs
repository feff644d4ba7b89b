//! The contract suite against a real Apache Kafka, which shows that the suite itself is right.
//!
//! Owns: choosing the backend. Does not own: the behaviours (`systole_testkit::contract`).

mod real_kafka {
    use systole_testkit::{Backend, RealKafka};

    systole_testkit::suite!(
        RealKafka::shared().map(|it| Backend::at(it.bootstrap()).with_cable(it.cable()))
    );
}
