//! The exact lines with which others join in.
//!
//! Owns: the words. Does not own: the addresses (the node's). That each works as pasted:
//! `interop/tests/it/demo.rs`.

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
    /// A name and a command for any shell.
    pub(crate) fn lines(&self) -> [(&'static str, String); 6] {
        let Self { kafka, http } = self;
        [
            ("watch", format!("curl -N 'http://{http}/v1/topics/{TOPIC}/events?from=earliest'")),
            ("send", send(*http)),
            ("kcat", format!(r"kcat -b {kafka} -C -u -t {TOPIC} -o beginning -f '%t-%p@%o %h\n'")),
            ("systole", format!("systole consume {TOPIC} --follow --cluster {kafka}")),
            ("Python", python(kafka)),
            ("Java", java(kafka)),
        ]
    }
    pub(crate) fn text(&self) -> String {
        let line = |(name, line): &(&str, String)| format!("{name:<8} {line}\n");
        format!("\nJoin in:\n{}", self.lines().iter().map(line).collect::<String>())
    }
}

fn send(http: SocketAddr) -> String {
    let event = concat!(
        r#"{"specversion":"1.0","id":"1","source":"urn:me","#,
        r#""type":"demo.noted.v1","data":{"note":"hello"}}"#
    );
    format!(
        "curl -H 'content-type: application/cloudevents+json' -d '{event}' \
         http://{http}/v1/topics/{GUESTS}/events"
    )
}

/// After `pip install confluent-kafka`.
fn python(kafka: &str) -> String {
    format!(
        "python3 -c \"from confluent_kafka import Consumer; \
         c = Consumer({{'bootstrap.servers': '{kafka}', 'group.id': 'me', \
         'auto.offset.reset': 'earliest'}}); \
         c.subscribe(['{TOPIC}']); print(c.poll(30).headers())\""
    )
}

/// With a JDK and the jars of Apache Kafka in `$KAFKA_HOME`.
fn java(kafka: &str) -> String {
    format!(
        "echo 'import org.apache.kafka.clients.consumer.*; \
         import org.apache.kafka.common.serialization.*; \
         var c = new KafkaConsumer<String, String>(Map.of(\"bootstrap.servers\", \"{kafka}\", \
         \"group.id\", \"you\", \"auto.offset.reset\", \"earliest\"), \
         new StringDeserializer(), new StringDeserializer()); c.subscribe(List.of(\"{TOPIC}\")); \
         c.poll(java.time.Duration.ofSeconds(30))\
         .forEach(r -> System.out.println(r.headers())); c.close();' \
         | jshell -s --class-path \"$KAFKA_HOME/libs/*\" -"
    )
}
