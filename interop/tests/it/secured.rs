//! The lines of `docs/security.md`, as a shell runs them when they are pasted; then what must not
//! go, and another client.

use crate::can_run;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use systole_interop::{Runtime, kafka_starter, python_dir, run, systole};

const DOCUMENT: &str = include_str!("../../../docs/security.md");

/// The node of the document, ended when this is dropped.
struct Pasted {
    dir: tempfile::TempDir,
    path: String,
    port: u16,
    node: Option<Child>,
}

impl Pasted {
    fn new() -> Self {
        let jars = run(&mut kafka_starter(&["classpath"])).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let jars = Path::new(jars.trim().trim_end_matches("/*"));
        std::os::unix::fs::symlink(jars, dir.path().join("libs")).unwrap();
        let mut dirs = vec![systole().unwrap().parent().unwrap().to_owned(), python_dir().unwrap()];
        dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path = std::env::join_paths(dirs).unwrap().into_string().unwrap();
        let [port] = systole_testkit::port::free();
        Self { dir, path, port, node: None }
    }

    fn command(&self, lines: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", lines]).current_dir(&self.dir);
        command.env("PATH", &self.path).env("KAFKA_HOME", self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs one block of the document; the node that it starts goes on.
    fn paste(&mut self, block: &str) -> String {
        let block = block.replace("9093", &self.port.to_string()).replace("0.0.0.0", "127.0.0.1");
        let Some((before, serve)) = block.split_once("systole serve") else {
            let kafka = "kafka() { java -cp \"$KAFKA_HOME/libs/*\" \"$@\"; }\n";
            return self.output(&format!("{kafka}{block}"));
        };
        self.output(before);
        let free = "SYSTOLE_GATEWAY__LISTEN=127.0.0.1:0 exec systole serve";
        let serve = format!("{free} {}", serve.trim().trim_end_matches('&'));
        let node = self.command(&serve).stdout(Stdio::piped()).spawn().unwrap();
        let node = self.node.insert(node);
        let mut ready = String::new();
        let mut lines = std::io::BufReader::new(node.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut ready).unwrap();
        assert!(ready.starts_with("ready kafka="), "{ready}");
        ready
    }

    fn output(&self, lines: &str) -> String {
        let output = self.command(lines).output().unwrap();
        let (out, said) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{lines}\n{said}");
        String::from_utf8_lossy(out).into_owned()
    }

    /// What a program says that must fail.
    fn refused(&self, lines: &str) -> String {
        let lines = lines.replace("9093", &self.port.to_string());
        let kafka = "kafka() { timeout 60 java -cp \"$KAFKA_HOME/libs/*\" \"$@\"; }\n";
        let output = self.command(&format!("{kafka}{lines}")).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Pasted {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            let _sent = Command::new("kill").arg(node.id().to_string()).status();
            let _ended = node.wait();
        }
    }
}

fn blocks() -> Vec<&'static str> {
    let blocks = DOCUMENT.split("```sh\n").skip(1);
    blocks.map(|it| it.split("```").next().unwrap()).collect()
}

#[test]
fn the_secured_node_of_the_document_lets_in_whom_it_should_and_nobody_else() {
    if !can_run(&[Runtime::Java, Runtime::Python]) {
        return;
    }
    let mut pasted = Pasted::new();
    let mut last = String::new();
    for block in blocks() {
        last = pasted.paste(block);
    }
    assert_eq!(last, "a result\n");
    let write = |topic: &str, who: &str| {
        format!(
            "echo x | kafka org.apache.kafka.tools.ConsoleProducer --bootstrap-server \
             localhost:9093 --command-config {who} --topic {topic} \
             --command-property max.block.ms=10000 --command-property retries=0"
        )
    };
    let said = pasted.refused(&write("billing.invoice", "alice.properties"));
    assert!(said.contains("TopicAuthorizationException"), "{said}");
    pasted.output("sed 's/alices own/guessed/' alice.properties > liar.properties");
    let said = pasted.refused(&write("lab.result", "liar.properties"));
    assert!(said.contains("SaslAuthenticationException"), "{said}");
    pasted.output(
        "grep -v -e sasl -e username alice.properties | sed 's/SASL_SSL/SSL/' > nobody.properties",
    );
    let said = pasted.refused(&write("lab.result", "nobody.properties"));
    assert!(!said.contains("a result") && !said.is_empty(), "{said}");
    let shown = pasted.paste(
        "kafka org.apache.kafka.tools.AclCommand --bootstrap-server localhost:9093 \
         --command-config admin.properties --list",
    );
    assert!(shown.contains("principal=User:alice, host=*, operation=WRITE"), "{shown}");
    let port = pasted.port;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/secured.py");
    let script = script.display();
    let said =
        pasted.output(&format!("python {script} localhost:{port} ca.crt alice 'alices own'"));
    assert_eq!(said, "written\nrefused TOPIC_AUTHORIZATION_FAILED\n");
}
