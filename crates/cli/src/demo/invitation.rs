//! The exact lines with which others join in.
//!
//! Owns: the words. Does not own: the addresses (the node's).

use std::net::SocketAddr;

/// Which topic the examples read: every sample has such events.
const TOPIC: &str = "clinical.observation";

/// The topic into which guests may write.
pub(crate) const GUESTS: &str = "demo.note";

/// Where this node can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Invitation {
    pub(crate) kafka: String,
    pub(crate) http: SocketAddr,
}

impl Invitation {
    /// A name and a command or program that can be pasted.
    pub(crate) fn lines(&self) -> [(&'static str, String); 6] {
        let Self { kafka, http } = self;
        let event = concat!(
            r#"{"specversion":"1.0","id":"1","source":"urn:me","#,
            r#""type":"demo.noted.v1","data":{"note":"hello"}}"#
        );
        [
            ("watch", format!("curl -N http://{http}/v1/topics/{TOPIC}/events?from=earliest")),
            (
                "send",
                format!(
                    "curl -H 'content-type: application/cloudevents+json' -d '{event}' \
                     http://{http}/v1/topics/{GUESTS}/events"
                ),
            ),
            ("kcat", format!(r"kcat -b {kafka} -C -t {TOPIC} -o beginning -f '%t-%p@%o %h\n'")),
            ("systole", format!("systole consume {TOPIC} --follow --cluster {kafka}")),
            (
                "Python",
                format!(
                    "from confluent_kafka import Consumer; c = Consumer({{'bootstrap.servers': \
                     '{kafka}', 'group.id': 'me', 'auto.offset.reset': 'earliest'}}); \
                     c.subscribe(['{TOPIC}']); print(c.poll(10).headers())"
                ),
            ),
            (
                "Java",
                format!(
                    "var c = new KafkaConsumer<>(Map.of(\"bootstrap.servers\", \"{kafka}\", \
                     \"group.id\", \"you\", \"auto.offset.reset\", \"earliest\"), new \
                     StringDeserializer(), new StringDeserializer()); \
                     c.subscribe(List.of(\"{TOPIC}\")); \
                     c.poll(Duration.ofSeconds(10)).forEach(r -> System.out.println(r.headers()));"
                ),
            ),
        ]
    }
    pub(crate) fn text(&self) -> String {
        let line = |(name, line): &(&str, String)| format!("{name:<8} {line}\n");
        format!("\nJoin in:\n{}", self.lines().iter().map(line).collect::<String>())
    }
}
