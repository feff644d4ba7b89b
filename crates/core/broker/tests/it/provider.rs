//! Keys of an identity provider that are fetched: they rotate, the provider fails in every way, and
//! strangers try to drive us.

use crate::harness::{Harness, PATIENCE, eventually};
use crate::login::sasl_node_in;
use crate::token::{NOW, Provider, is_refused, show, works};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use systole_broker::{Mechanism, OauthConfig};
use systole_identity::token::Algorithm;
use systole_kit::Timestamp;
use systole_world::World;
use systole_world::sim::HandClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How the provider's server behaves at the moment.
#[derive(Clone)]
enum Mood {
    Fine(String),
    Answers(String),
    /// Takes the request and says nothing.
    Silent,
    /// Closes at once.
    Down,
}

/// The provider's HTTP server.
struct Site {
    url: String,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

impl Site {
    async fn open(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let it = Self { url, mood: Arc::new(Mutex::new(mood)), asked: Arc::default() };
        let (mood, asked) = (Arc::clone(&it.mood), Arc::clone(&it.asked));
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let now = mood.lock().unwrap().clone();
                match now {
                    Mood::Fine(body) => {
                        let length = body.len();
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                        answer(&mut stream, &format!("{head}{body}")).await;
                    }
                    Mood::Answers(text) => answer(&mut stream, &text).await,
                    Mood::Silent => silent.push(stream),
                    Mood::Down => drop(stream),
                }
            }
        });
        it
    }
    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
    fn publishes(&self, provider: &Provider) {
        self.is(Mood::Fine(provider.keys()));
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(stream: &mut TcpStream, text: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    assert!(request.starts_with(b"GET /keys HTTP/1.1\r\n"));
    stream.write_all(text.as_bytes()).await.ok();
}

struct Scene {
    harness: Harness,
    clock: Arc<HandClock>,
}

async fn node(site: &Site, adjust: impl FnOnce(&mut OauthConfig)) -> Scene {
    let clock = Arc::new(HandClock::starting_at(Timestamp::from_millis(NOW * 1000)));
    let world = World { clock: clock.clone(), ..World::os() };
    let mut oauth = OauthConfig {
        keys_url: Some(site.url.clone()),
        ..OauthConfig::new("https://id.example", "systole")
    };
    adjust(&mut oauth);
    let harness = sasl_node_in(world, |it| {
        it.sasl.mechanisms.insert(Mechanism::OauthBearer);
        it.sasl.oauth = Some(oauth);
        // Attempts outlast the clock that these tests turn.
        it.authentication_wait_max = Duration::from_hours(100);
        it.connections_idle_max = Duration::from_hours(100);
    })
    .await;
    Scene { harness, clock }
}

impl Scene {
    async fn enters(&self, token: &str) {
        let mut client = self.harness.client().await;
        assert_eq!(show(&mut client, token).await.auth_bytes, "");
        assert!(works(&mut client).await);
    }
    async fn is_kept_out(&self, token: &str) {
        is_refused(&mut self.harness.client().await, token).await;
    }
    async fn until_failed(&self, times: i64) {
        self.harness.until_metric("token_keys_failed_total", |it| it >= times).await;
    }
}

const DAYS: i64 = 7 * 24 * 3600;

#[tokio::test]
async fn a_rotated_key_is_fetched_when_a_token_names_it_and_a_withdrawn_one_is_gone() {
    let (first, second) = (Provider::new("k1"), Provider::new("k2"));
    let site = Site::open(Mood::Fine(first.keys())).await;
    let node = node(&site, |_| {}).await;
    node.enters(&first.token("alice", DAYS)).await;
    site.publishes(&second);
    node.is_kept_out(&second.token("alice", DAYS)).await; // asked a moment ago
    node.clock.turn(Duration::from_secs(10));
    node.enters(&second.token("alice", DAYS)).await;
    node.is_kept_out(&first.token("alice", DAYS)).await;
    assert_eq!(site.asked(), 2);
}

#[tokio::test]
async fn keys_are_fetched_anew_after_the_interval() {
    let (first, second) = (Provider::new("k1"), Provider::new("k1"));
    let site = Site::open(Mood::Fine(first.keys())).await;
    let node = node(&site, |_| {}).await;
    node.enters(&first.token("alice", DAYS)).await;
    // The same name, so that no token can tell.
    site.publishes(&second);
    node.is_kept_out(&second.token("alice", DAYS)).await;
    let read_at = node.harness.metric("token_keys_read_at");
    assert_eq!(read_at, NOW);
    node.clock.turn(Duration::from_mins(61));
    node.harness.until_metric("token_keys_read_at", |it| it > read_at).await;
    node.enters(&second.token("alice", DAYS)).await;
}

#[tokio::test]
async fn tokens_with_made_up_keys_do_not_make_us_ask_the_provider() {
    let (provider, stranger) = (Provider::new("k1"), Provider::new("made up"));
    let site = Site::open(Mood::Fine(provider.keys())).await;
    let node = node(&site, |_| {}).await;
    node.enters(&provider.token("alice", DAYS)).await;
    for _ in 0..3 {
        let before = site.asked();
        node.clock.turn(Duration::from_secs(10));
        let token = stranger.token("admin", DAYS);
        let attempts = (0..50).map(|_| node.is_kept_out(&token));
        futures_util::future::join_all(attempts).await;
        assert!(site.asked() <= before + 1, "{} after {before}", site.asked());
    }
    node.enters(&provider.token("alice", DAYS)).await;
}

#[tokio::test]
async fn a_node_starts_without_its_provider_and_lets_tokens_in_once_it_is_there() {
    let provider = Provider::new("k1");
    let site = Site::open(Mood::Down).await;
    let node = node(&site, |_| {}).await;
    node.is_kept_out(&provider.token("alice", DAYS)).await;
    let mut other = node.harness.client().await;
    let answer = other.login_by_scram("SCRAM-SHA-256", "alice", crate::login::PASSWORD).await;
    assert_eq!(answer.error_code, 0, "others are none the worse");
    site.publishes(&provider);
    node.clock.turn(Duration::from_secs(10));
    node.enters(&provider.token("alice", DAYS)).await;
}

#[tokio::test]
async fn keys_at_hand_count_while_the_provider_is_down_and_not_for_ever() {
    let provider = Provider::new("k1");
    let site = Site::open(Mood::Fine(provider.keys())).await;
    let node = node(&site, |it| it.keys_age_max = Duration::from_hours(3)).await;
    node.enters(&provider.token("alice", DAYS)).await;
    for (failures, mood) in (1..).zip([
        Mood::Down,
        Mood::Answers("HTTP/1.1 503 Service Unavailable\r\n\r\n".into()),
        Mood::Answers("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n".into()),
        Mood::Answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".into()),
        Mood::Answers("HTTP/1.1 200 OK\r\n\r\n<html>log in</html>".into()),
        Mood::Answers("SSH-2.0-OpenSSH_9.9\r\n".into()),
        Mood::Fine("x".repeat(2 * 1024 * 1024)),
        Mood::Answers(format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(2 * 1024 * 1024))),
        Mood::Answers(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(1024 * 1024))),
    ]) {
        site.is(mood);
        // The first is due after the interval, the others as a failed read is tried again.
        node.clock.turn(Duration::from_secs(if failures == 1 { 3600 } else { 10 }));
        node.until_failed(failures).await;
        node.enters(&provider.token("alice", DAYS)).await;
    }
    node.clock.turn(Duration::from_hours(3));
    node.is_kept_out(&provider.token("alice", DAYS)).await;
    site.publishes(&provider);
    node.clock.turn(Duration::from_secs(10));
    node.enters(&provider.token("alice", DAYS)).await;
}

#[tokio::test]
async fn a_provider_that_does_not_answer_keeps_nobody_waiting_who_has_a_known_key() {
    let (provider, newer) = (Provider::new("k1"), Provider::new("k2"));
    let site = Site::open(Mood::Fine(provider.keys())).await;
    let node = node(&site, |_| {}).await;
    node.enters(&provider.token("alice", DAYS)).await;
    site.is(Mood::Silent);
    node.clock.turn(Duration::from_secs(10));
    let mut waits = node.harness.client().await;
    let token = newer.token("alice", DAYS);
    let refused = async {
        is_refused(&mut waits, &token).await;
    };
    let others = async {
        eventually(|| site.asked() == 2, || "not asked".into()).await;
        node.enters(&provider.token("alice", DAYS)).await;
        assert_eq!(node.harness.metric("token_keys_failed_total"), 0, "still waiting");
        node.clock.turn(Duration::from_secs(5));
    };
    let both = async { tokio::join!(refused, others) };
    tokio::time::timeout(PATIENCE, both).await.unwrap();
    node.until_failed(1).await;
}

#[tokio::test]
async fn only_pinned_algorithms_count_whatever_the_provider_and_the_token_say() {
    let provider = Provider::new("k1");
    let site = Site::open(Mood::Fine(provider.keys())).await;
    let pinned = node(&site, |it| it.algorithms = [Algorithm::RS256].into()).await;
    pinned.is_kept_out(&provider.token("alice", DAYS)).await;
    pinned.until_failed(1).await;
    let open = node(&site, |_| {}).await;
    let good = provider.token("alice", DAYS);
    let (_, rest) = good.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    for alg in ["none", "NONE", "HS256", "RS256"] {
        let head = BASE64URL.encode(json!({"alg": alg, "kid": "k1"}).to_string());
        open.is_kept_out(&format!("{head}.{claims}.")).await;
        open.is_kept_out(&format!("{head}.{rest}")).await;
    }
    open.enters(&good).await;
}
