//! Who a caller is, by SASL: proofs that hold, proofs that do not, and what comes before.

use crate::frames::api_versions;
use crate::harness::{Client, PATIENCE, frame_of};
use crate::login::{PASSWORD, salted, sasl_node, sasl_node_in};
use crate::topics::{create, topic};
use std::sync::Arc;
use std::time::Duration;
use systole_wire::message::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use systole_wire::message::{
    AlterUserScramCredentialsRequest, CreateDelegationTokenRequest, DescribeClusterRequest,
    DescribeDelegationTokenRequest, DescribeUserScramCredentialsRequest,
    ExpireDelegationTokenRequest, ListGroupsRequest, MetadataRequest, RenewDelegationTokenRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use systole_world::World;
use systole_world::sim::HandClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;
const TOKEN_AUTH_DISABLED: i16 = 61;
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];

async fn works(client: &mut Client) -> bool {
    client.call(5, ListGroupsRequest::default()).await.error_code == 0
}

#[tokio::test]
async fn users_of_the_configuration_log_in_by_password_and_by_scram() {
    let harness = sasl_node(|_| {}).await;
    let mut client = harness.client().await;
    let answer = client.login("alice", PASSWORD).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 0));
    assert!(works(&mut client).await);
    for mechanism in SCRAM {
        let mut client = harness.client().await;
        let answer = client.login_by_scram(mechanism, "alice", PASSWORD).await;
        assert_eq!(answer.error_code, 0, "{mechanism}");
        assert!(works(&mut client).await);
    }
    assert_eq!(harness.metric("authentications_total"), 3);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike_and_closed() {
    let harness = sasl_node(|_| {}).await;
    let mut texts = Vec::new();
    for (user, password) in [("alice", "wrong"), ("mallory", PASSWORD)] {
        let mut client = harness.client().await;
        let answer = client.login(user, password).await;
        assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
        texts.push(answer.error_message.unwrap().to_string());
        assert_eq!(client.receive_frame().await, None);
        for mechanism in SCRAM {
            let mut client = harness.client().await;
            let answer = client.login_by_scram(mechanism, user, password).await;
            assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
            texts.push(answer.error_message.unwrap().to_string());
            assert_eq!(client.receive_frame().await, None);
        }
    }
    texts.dedup();
    assert_eq!(texts, ["Authentication failed: invalid credentials."]);
    assert_eq!(harness.metric("authentications_failed_total"), 6);
}

#[tokio::test]
async fn before_the_proof_nothing_is_served_and_little_is_held() {
    let harness = sasl_node(|_| {}).await;
    let mut client = harness.client().await;
    assert_eq!(client.call(4, api_versions()).await.error_code, 0);
    client.send(9, &MetadataRequest::default()).await;
    assert_eq!(client.receive_frame().await, None, "Metadata is refused");
    let mut client = harness.client().await;
    client.stream.write_all(&(32 * 1024_i32 + 1).to_be_bytes()).await.unwrap();
    assert_eq!(client.receive_frame().await, None, "a frame of 32 KiB is the longest");
    let mut client = harness.client().await;
    let answer = client.prove("\0alice\0x").await;
    assert_eq!(answer.error_code, ILLEGAL_SASL_STATE, "no mechanism was agreed");
    assert_eq!(client.receive_frame().await, None);
    let mut client = harness.client().await;
    assert_eq!(client.handshake("GSSAPI").await, UNSUPPORTED_SASL_MECHANISM);
    assert_eq!(client.receive_frame().await, None);
    // Sent before the answer to the proof: read after it.
    let mut client = harness.client().await;
    assert_eq!(client.handshake("PLAIN").await, 0);
    let auth_bytes = format!("\0alice\0{PASSWORD}").into();
    let proof = SaslAuthenticateRequest { auth_bytes, ..Default::default() };
    let first = client.send(2, &proof).await;
    let second = client.send(5, &ListGroupsRequest::default()).await;
    assert_eq!(client.receive::<SaslAuthenticateRequest>(2, first).await.error_code, 0);
    assert_eq!(client.receive::<ListGroupsRequest>(5, second).await.error_code, 0);
}

#[tokio::test]
async fn who_proves_nothing_is_closed_after_a_time() {
    let clock = Arc::new(HandClock::starting_at(systole_kit::Timestamp::from_millis(0)));
    let world = World { clock: clock.clone(), ..World::os() };
    let harness = sasl_node_in(world, |_| {}).await;
    let mut silent = harness.client().await;
    assert_eq!(
        silent.call(4, api_versions()).await.error_code,
        0,
        "asking for versions is no proof"
    );
    let mut known = harness.client().await;
    assert_eq!(known.login("alice", PASSWORD).await.error_code, 0);
    clock.turn(Duration::from_secs(11));
    assert_eq!(silent.receive_frame().await, None);
    assert!(works(&mut known).await);
}

#[tokio::test]
async fn a_proof_holds_for_its_time_and_can_be_renewed_by_the_same_user_alone() {
    let clock = Arc::new(HandClock::starting_at(systole_kit::Timestamp::from_millis(0)));
    let world = World { clock: clock.clone(), ..World::os() };
    let minute = Duration::from_mins(1);
    let harness = sasl_node_in(world, |it| it.sasl.reauthenticate_after = Some(minute)).await;
    let mut client = harness.client().await;
    assert_eq!(client.login("alice", PASSWORD).await.session_lifetime_ms, 60_000);
    clock.turn(Duration::from_secs(50));
    assert_eq!(client.login("alice", PASSWORD).await.session_lifetime_ms, 60_000);
    clock.turn(Duration::from_secs(50));
    assert!(works(&mut client).await, "the proof was renewed");
    clock.turn(Duration::from_secs(11));
    assert_eq!(client.receive_frame().await, None);
    let mut client = harness.client().await;
    assert_eq!(client.login("alice", PASSWORD).await.error_code, 0);
    let other = client.login("admin", PASSWORD).await;
    assert_eq!(other.error_code, SASL_AUTHENTICATION_FAILED, "a connection stays with its user");
    assert_eq!(client.receive_frame().await, None);
    let mut client = harness.client().await;
    assert_eq!(client.login("alice", PASSWORD).await.error_code, 0);
    assert_eq!(client.handshake("SCRAM-SHA-256").await, ILLEGAL_SASL_STATE);
}

#[tokio::test]
async fn the_oldest_clients_prove_themselves_without_headers() {
    let harness = sasl_node(|_| {}).await;
    for (password, expected) in [(PASSWORD, Some(0)), ("wrong", None)] {
        let mut client = harness.client().await;
        let request = SaslHandshakeRequest { mechanism: "PLAIN".into() };
        assert_eq!(client.call(0, request).await.error_code, 0);
        let message = format!("\0alice\0{password}");
        let length = i32::try_from(message.len()).unwrap().to_be_bytes();
        client.stream.write_all(&[&length[..], message.as_bytes()].concat()).await.unwrap();
        assert_eq!(client.stream.read_i32().await.ok(), expected);
        if expected.is_some() {
            assert!(works(&mut client).await);
        }
    }
}

fn upsertion(name: &str, mechanism: i8, iterations: i32) -> ScramCredentialUpsertion {
    let salt = b"some salt".as_slice();
    let word = SCRAM[usize::from(mechanism == 2)];
    let salted = salted(word, PASSWORD, salt, iterations.clamp(1, 20_000).unsigned_abs());
    ScramCredentialUpsertion {
        name: name.into(),
        mechanism,
        iterations,
        salt: salt.into(),
        salted_password: salted.into(),
        ..Default::default()
    }
}

async fn upsert(client: &mut Client, upsertions: Vec<ScramCredentialUpsertion>) -> Vec<i16> {
    let request = AlterUserScramCredentialsRequest { upsertions, ..Default::default() };
    client.call(0, request).await.results.iter().map(|it| it.error_code).collect()
}

#[tokio::test]
async fn credentials_are_set_and_removed_through_kafkas_api_and_survive_a_crash() {
    let mut harness = sasl_node(|_| {}).await;
    let mut admin = harness.client().await;
    admin.login("admin", PASSWORD).await;
    let both = vec![upsertion("carol", 1, 4096), upsertion("carol", 2, 8192)];
    assert_eq!(upsert(&mut admin, both).await, [0]);
    harness.crash().await;
    for mechanism in SCRAM {
        let mut client = harness.client().await;
        let answer = client.login_by_scram(mechanism, "carol", PASSWORD).await;
        assert_eq!(answer.error_code, 0);
    }
    let mut admin = harness.client().await;
    admin.login("admin", PASSWORD).await;
    let all = DescribeUserScramCredentialsRequest { users: None, ..Default::default() };
    let shown = admin.call(0, all).await;
    let infos = &shown.results[0].credential_infos;
    let infos: Vec<_> = infos.iter().map(|it| (it.mechanism, it.iterations)).collect();
    assert_eq!((&*shown.results[0].user, infos), ("carol", vec![(1, 4096), (2, 8192)]));
    let deletion =
        || ScramCredentialDeletion { name: "carol".into(), mechanism: 1, ..Default::default() };
    let request =
        || AlterUserScramCredentialsRequest { deletions: vec![deletion()], ..Default::default() };
    assert_eq!(admin.call(0, request()).await.results[0].error_code, 0);
    assert_eq!(admin.call(0, request()).await.results[0].error_code, 91, "it is gone");
    harness.crash().await;
    let mut client = harness.client().await;
    let answer = client.login_by_scram(SCRAM[0], "carol", PASSWORD).await;
    assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
}

#[tokio::test]
async fn credentials_that_kafka_refuses_are_refused() {
    let harness = sasl_node(|_| {}).await;
    let mut admin = harness.client().await;
    admin.login("admin", PASSWORD).await;
    let wrong = vec![
        upsertion("a", 1, 4095),
        upsertion("b", 1, 16385),
        upsertion("", 1, 4096),
        upsertion("c", 0, 4096),
        ScramCredentialUpsertion { salted_password: "short".into(), ..upsertion("d", 1, 4096) },
        upsertion("e", 1, 4096),
        upsertion("e", 1, 4096),
        upsertion("f", 1, 4096),
    ];
    assert_eq!(upsert(&mut admin, wrong).await, [93, 93, 93, 33, 93, 92, 0]);
    let users = ["f", "nobody"].map(|it| {
        systole_wire::message::describe_user_scram_credentials_request::UserName {
            name: it.into(),
            ..Default::default()
        }
    });
    let request =
        DescribeUserScramCredentialsRequest { users: Some(users.into()), ..Default::default() };
    let codes: Vec<_> =
        admin.call(0, request).await.results.iter().map(|it| it.error_code).collect();
    assert_eq!(codes, [0, 91]);
}

#[tokio::test]
async fn there_are_no_delegation_tokens() {
    let harness = sasl_node(|_| {}).await;
    let mut client = harness.client().await;
    client.login("alice", PASSWORD).await;
    let created = client.call(3, CreateDelegationTokenRequest::default()).await;
    let renewed = client.call(2, RenewDelegationTokenRequest::default()).await;
    let expired = client.call(2, ExpireDelegationTokenRequest::default()).await;
    let described = client.call(3, DescribeDelegationTokenRequest::default()).await;
    let codes = [created.error_code, renewed.error_code, expired.error_code, described.error_code];
    assert_eq!(codes, [TOKEN_AUTH_DISABLED; 4]);
}

#[tokio::test]
async fn a_listener_that_asks_nobody_takes_no_proof() {
    let harness = crate::harness::Harness::start().await;
    let mut client = harness.client().await;
    assert_eq!(client.handshake("PLAIN").await, ILLEGAL_SASL_STATE);
    assert_eq!(client.prove("x").await.error_code, ILLEGAL_SASL_STATE);
    assert!(works(&mut client).await);
}

#[tokio::test]
async fn the_nodes_own_services_have_a_door_for_themselves() {
    let harness = sasl_node(|it| it.access.super_users.clear()).await;
    let own = harness.broker.as_ref().unwrap().own_access().unwrap();
    assert!(own.address.ip().is_loopback() && own.address != harness.address());
    let mut client = Client::connect(own.address).await;
    let answer = client.login_by_scram(SCRAM[0], own.user, &own.password.0).await;
    assert_eq!(answer.error_code, 0);
    assert!(create(&mut client, vec![topic("t", 1)]).await.starts_with("t: 0"));
    let mut stranger = Client::connect(own.address).await;
    let answer = stranger.login_by_scram(SCRAM[0], "alice", PASSWORD).await;
    assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED, "users have other doors");
    let mut stranger = harness.client().await;
    let answer = stranger.login_by_scram(SCRAM[0], own.user, &own.password.0).await;
    assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED, "it is known behind its own alone");
    let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
    let told = client.call(1, request).await;
    assert_eq!(told.brokers[0].port, i32::from(own.address.port()));
}

#[tokio::test]
async fn a_failed_proof_is_answered_after_a_delay() {
    let clock = Arc::new(HandClock::starting_at(systole_kit::Timestamp::from_millis(0)));
    let world = World { clock: clock.clone(), ..World::os() };
    let delay = Duration::from_millis(100);
    let harness = sasl_node_in(world, |it| it.sasl.failure_delay = delay).await;
    let mut client = harness.client().await;
    assert_eq!(client.handshake("PLAIN").await, 0);
    let request =
        SaslAuthenticateRequest { auth_bytes: "\0alice\0wrong".into(), ..Default::default() };
    client.stream.write_all(&frame_of(2, 7, &request)).await.unwrap();
    harness.until_metric("authentications_failed_total", |it| it == 1).await;
    let mut byte = [0];
    let early = client.stream.try_read(&mut byte);
    assert!(early.is_err_and(|it| it.kind() == std::io::ErrorKind::WouldBlock));
    clock.turn(delay);
    let answer = tokio::time::timeout(PATIENCE, client.receive_frame()).await.unwrap();
    assert!(answer.is_some());
}
