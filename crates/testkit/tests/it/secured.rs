//! Our client and a real Apache Kafka that ask each other who they are: TLS, and a password by each
//! mechanism.

use systole_client::Kind;
use systole_client::settings::Mechanism;
use systole_testkit::contract::{groups, records, topics};
use systole_testkit::wait::within;
use systole_testkit::{Backend, RealKafka};

async fn everything_works(mechanism: Mechanism) {
    let Some(identities) = RealKafka::secured().and_then(RealKafka::identities) else { return };
    let backend = Backend::with(&identities.of_user(mechanism));
    topics::a_topic_is_created_described_and_deleted(&backend).await;
    topics::configurations_are_set_and_taken_back(&backend).await;
    records::keys_headers_and_times_are_kept(&backend).await;
    groups::a_group_goes_on_where_it_committed(&backend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_comes_in_by_plain_over_tls() {
    everything_works(Mechanism::Plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_comes_in_by_scram_sha_256_over_tls() {
    everything_works(Mechanism::ScramSha256).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_comes_in_by_scram_sha_512_over_tls() {
    everything_works(Mechanism::ScramSha512).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_wrong_password_nor_a_strange_broker_is_taken_for_an_outage() {
    let Some(identities) = RealKafka::secured().and_then(RealKafka::identities) else { return };
    let refusal = async |settings| {
        let admin = Backend::with(&settings).admin();
        within("a refusal", admin.cluster(None)).await.expect_err("refused").kind()
    };
    let refusals = tokio::join!(
        refusal(identities.of_liar(Mechanism::Plain)),
        refusal(identities.of_liar(Mechanism::ScramSha512)),
        refusal(identities.of_doubter(Mechanism::Plain)),
    );
    assert_eq!(refusals, (Kind::Unauthenticated, Kind::Unauthenticated, Kind::Unauthenticated));
}
