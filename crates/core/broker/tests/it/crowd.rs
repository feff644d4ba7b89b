//! Strangers in numbers: silent ones, half handshakes, and garbage in every state that a connection
//! can be in. Others are served meanwhile, and nothing of it stays.
//!
//! `SYSTOLE_GARBAGE_FRAMES` says how many of each kind are sent; 10,000 take some minutes.

use crate::frames::{api_versions, resident_bytes};
use crate::harness::{Client, Harness, frame_of};
use crate::login::{listener, sasl_node, with_sasl};
use crate::tls::{Authority, Coming, beside, call, node, tls, write_server};
use rustls::{ClientConfig, ClientConnection};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use systole_broker::{ClientAuth, Protocol};
use systole_wire::message::{SaslAuthenticateRequest, SaslHandshakeRequest};
use tokio::io::AsyncWriteExt as _;

const CROWD: usize = 1000;

/// The first message of a TLS client, after which it may be silent.
fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_half_handshakes_keeps_nobody_out_and_holds_little_memory() {
    let (harness, authority, _dir) = node(ClientAuth::None).await;
    let (address, config) = (harness.address(), Coming::to(&authority).config());
    let is_over = Arc::new(AtomicBool::new(false));
    let witness = {
        let (config, is_over) = (Arc::clone(&config), Arc::clone(&is_over));
        tokio::task::spawn_blocking(move || {
            let mut stream = Coming::connect_by(&config, address);
            let mut calls = 0;
            while calls < 100 || !is_over.load(Ordering::Acquire) {
                call(&mut stream, 3, &[api_versions()]).unwrap();
                calls += 1;
            }
        })
    };
    let before = resident_bytes();
    let mut crowd = Vec::new();
    let hello = hello(&config);
    for at in 0..CROWD {
        let mut client = Client::connect(address).await;
        match at % 3 {
            0 => {}
            1 => client.stream.write_all(&hello[..40]).await.unwrap(),
            _ => client.stream.write_all(&hello).await.unwrap(),
        }
        crowd.push(client);
        if at % 100 == 99 {
            let config = Arc::clone(&config);
            let newcomer = move || {
                let mut stream = Coming::connect_by(&config, address);
                call(&mut stream, 3, &[api_versions()]).unwrap().len()
            };
            assert_eq!(beside(newcomer).await, 1, "a newcomer after {at} others");
        }
    }
    harness.until_metric("connections_open", |it| it >= 990).await;
    let each = resident_bytes().saturating_sub(before) / CROWD;
    assert!(each < 64 * 1024, "{each} bytes for each, both ends");
    is_over.store(true, Ordering::Release);
    witness.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_the_longest_silent_leaves_for_the_newcomer() {
    const MAX: usize = 50;
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let harness = sasl_node(|it| {
        it.listeners[0].protocol = Protocol::SaslSsl;
        it.listeners[0].tls = Some(tls(dir.path(), ClientAuth::None));
        let mut plain = listener(Protocol::SaslPlaintext);
        plain.name = "plain".into();
        it.listeners.push(plain);
        it.connections_unproven_max = MAX;
    })
    .await;
    let broker = harness.broker.as_ref().unwrap();
    let [secure, plain] = *broker.addresses() else { panic!("two listeners") };
    let mut proven = Client::connect(plain).await;
    assert_eq!(proven.login("alice", crate::login::PASSWORD).await.error_code, 0);
    let mut silent = Vec::new();
    for at in 0..10 * MAX {
        let address = if at % 2 == 0 { secure } else { plain };
        silent.push(Client::connect(address).await);
    }
    let crowded_out = i64::try_from(9 * MAX).unwrap();
    harness.until_metric("connections_crowded_out_total", |it| it == crowded_out).await;
    let open = i64::try_from(MAX + 1).unwrap();
    harness.until_metric("connections_open", |it| it == open).await;
    assert_eq!(silent[0].receive_frame().await, None);
    let mut newcomer = Client::connect(plain).await;
    assert_eq!(newcomer.login("alice", crate::login::PASSWORD).await.error_code, 0);
    let config = Coming::to(&authority).config();
    let asked = beside(move || {
        call(&mut Coming::connect_by(&config, secure), 3, &[api_versions()]).unwrap().len()
    });
    assert_eq!(asked.await, 1);
    assert_eq!(proven.call(3, api_versions()).await.error_code, 0);
}

/// How many frames of each kind are sent.
fn frames_of_each() -> usize {
    match std::env::var("SYSTOLE_GARBAGE_FRAMES") {
        Ok(text) => text.parse().expect("a number of frames"),
        Err(_) => 50,
    }
}

/// Bytes that no client of Kafka sends; each ends its connection.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let framed = |body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], body].concat()
    };
    let mut cut = frame_of(3, 1, &api_versions()).to_vec();
    cut.truncate(cut.len() - 3);
    cut[3] -= 3;
    vec![
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("2 GiB announced", b"\x7f\xff\xff\xff".to_vec()),
        ("a negative length", b"\xff\xff\xff\xff".to_vec()),
        ("an empty frame", framed(b"")),
        ("a frame too short for a header", framed(b"abc")),
        ("an unknown API", framed(b"\x03\xe7\0\0\0\0\0\x01\xff\xff")),
        ("an unknown version of Metadata", framed(b"\0\x03\0\x63\0\0\0\x01\xff\xff")),
        ("2 billion topics", framed(b"\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff")),
        ("a cut request", cut),
        (
            "noise",
            framed(&(0..4000_u32).flat_map(|it| (it * it).to_be_bytes()).collect::<Vec<_>>()),
        ),
    ]
}

/// What is sent instead of TLS, or of its next message.
fn garbage_for_tls(hello: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut broken = hello.to_vec();
    broken[43] = 0xff; // the length of the session's id
    let mut twice = hello.to_vec();
    twice.extend_from_slice(hello);
    // A record has a head of five bytes: until they are here nobody can tell.
    let longer = |(what, bytes): (_, Vec<u8>)| (what, [bytes, vec![0; 5]].concat());
    let mut kinds: Vec<_> = garbage().into_iter().map(longer).collect();
    kinds.push(("an alert", b"\x15\x03\x03\0\x02\x02\x28".to_vec()));
    kinds.push(("a record that is too long", b"\x16\x03\x01\xff\xff".to_vec()));
    kinds.push(("data before a handshake", b"\x17\x03\x03\0\x05hello".to_vec()));
    kinds.push(("an SSL 2 hello", b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10".to_vec()));
    kinds.push(("a hello that cannot be read", broken));
    kinds.push(("two hellos", twice));
    kinds
}

/// Sends each kind so often, each time on a connection of its own, over what `open` makes.
fn send_all<S: std::io::Read + std::io::Write>(
    kinds: &[(&'static str, Vec<u8>)],
    count: usize,
    open: impl Fn() -> S,
) {
    for (what, bytes) in kinds {
        for _ in 0..count {
            let mut stream = open();
            stream.write_all(bytes).ok();
            stream.flush().ok();
            // Announced bytes need not come to be refused; whatever is answered, an end follows.
            let mut answer = [0; 512];
            while stream.read(&mut answer).unwrap_or_else(|error| {
                let kind = error.kind();
                assert_ne!(kind, std::io::ErrorKind::WouldBlock, "{what}: it is not closed");
                0
            }) > 0
            {}
        }
    }
}

fn plain_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, frame: &[u8]) {
    stream.write_all(frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
}

/// Agrees on a mechanism; version 0 makes the next frame one of the mechanism alone.
fn agreed(address: SocketAddr, version: i16, mechanism: &str) -> TcpStream {
    let mut stream = plain_to(address);
    let handshake = SaslHandshakeRequest { mechanism: mechanism.into() };
    ask(&mut stream, &frame_of(version, 1, &handshake));
    stream
}

/// The same, and after the server's challenge.
fn challenged(address: SocketAddr) -> TcpStream {
    let mut stream = agreed(address, 1, "SCRAM-SHA-512");
    let auth_bytes = "n,,n=alice,r=nonce".into();
    let first = SaslAuthenticateRequest { auth_bytes, ..Default::default() };
    ask(&mut stream, &frame_of(2, 2, &first));
    stream
}

/// Runs `abuse` twice, the second time after memory has found its size, beside a client that goes
/// on being served.
async fn nothing_stays(
    harness: &Harness,
    mut witness: Client,
    abuse: impl Fn(usize) + Clone + Send + 'static,
) {
    let (count, warming) = (frames_of_each(), abuse.clone());
    beside(move || warming(count.min(100))).await;
    let before = resident_bytes();
    let working = tokio::task::spawn_blocking(move || abuse(count));
    while !working.is_finished() {
        assert_eq!(witness.call(3, api_versions()).await.error_code, 0);
        tokio::task::yield_now().await;
    }
    working.await.unwrap();
    harness.until_metric("connections_open", |it| it == 1).await;
    let grown = resident_bytes().saturating_sub(before);
    // Other tests of this process take and keep memory too; 10,000 of each kind make this bound
    // less than 300 bytes for each.
    assert!(grown < 128 * 1024 * 1024, "{grown} bytes stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_for_a_listener_that_asks_nobody() {
    let harness = Harness::start().await;
    let (address, witness) = (harness.address(), harness.client().await);
    nothing_stays(&harness, witness, move |count| {
        send_all(&garbage(), count, || plain_to(address));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_every_state_of_a_login() {
    let harness = sasl_node(|_| {}).await;
    let (address, mut witness) = (harness.address(), harness.client().await);
    assert_eq!(witness.login("alice", crate::login::PASSWORD).await.error_code, 0);
    nothing_stays(&harness, witness, move |count| {
        let kinds = garbage();
        send_all(&kinds, count, || plain_to(address));
        send_all(&kinds, count, || agreed(address, 1, "PLAIN"));
        send_all(&kinds, count, || agreed(address, 0, "SCRAM-SHA-256"));
        send_all(&kinds, count, || challenged(address));
        let message = |bytes: &[u8]| {
            let auth_bytes = bytes::Bytes::copy_from_slice(bytes);
            frame_of(2, 3, &SaslAuthenticateRequest { auth_bytes, ..Default::default() }).to_vec()
        };
        let of_mechanism: Vec<_> = garbage()
            .into_iter()
            .chain([("no proof", b"c=biws,r=nonce,p=AAAA".to_vec()), ("nothing", Vec::new())])
            .map(|(what, bytes)| (what, message(&bytes)))
            .collect();
        send_all(&of_mechanism, count, || agreed(address, 1, "PLAIN"));
        send_all(&of_mechanism, count, || agreed(address, 1, "SCRAM-SHA-256"));
        send_all(&of_mechanism, count, || challenged(address));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_in_and_under_tls() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    write_server(dir.path(), &authority);
    let secrets = tempfile::tempdir().unwrap();
    let harness = Harness::start_with(|it| {
        with_sasl(it, secrets.path());
        let mut secure = listener(Protocol::Ssl);
        secure.name = "secure".into();
        secure.tls = Some(tls(dir.path(), ClientAuth::None));
        it.listeners.push(secure);
    })
    .await;
    let [plain, secure] = *harness.broker.as_ref().unwrap().addresses() else { panic!() };
    let mut witness = Client::connect(plain).await;
    assert_eq!(witness.login("alice", crate::login::PASSWORD).await.error_code, 0);
    let config = Coming::to(&authority).config();
    nothing_stays(&harness, witness, move |count| {
        let hello = hello(&config);
        send_all(&garbage_for_tls(&hello), count, || plain_to(secure));
        send_all(&garbage_for_tls(&hello), count, || {
            let mut stream = plain_to(secure);
            stream.write_all(&hello).unwrap();
            stream
        });
        send_all(&garbage(), count, || Coming::connect_by(&config, secure));
        // After the handshake, past its keys.
        send_all(&garbage_for_tls(&hello), count, || {
            let mut stream = Coming::connect_by(&config, secure);
            call(&mut stream, 3, &[api_versions()]).unwrap();
            stream.sock
        });
    })
    .await;
}
