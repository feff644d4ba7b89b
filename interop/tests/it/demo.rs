//! The lines with which `systole demo` invites others, each as a shell runs it when it is pasted.

use crate::can_run;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use systole_interop::{Runtime, kafka_starter, python_dir, run, systole};

/// How long one line may take, in seconds, before it counts as silent.
const LINE_SECONDS_MAX: &str = "120";

#[test]
fn every_line_of_the_demo_brings_events_when_it_is_pasted() {
    if !can_run(&[Runtime::Java, Runtime::Python, Runtime::Kcat]) {
        return;
    }
    let shell = Shell::new();
    let mut demo = shell.start("exec systole demo --json");
    let lines = demo.until("join_in");
    let invited: Value = serde_json::from_str(&lines).unwrap();
    let invited: Vec<(String, String)> =
        serde_json::from_value(invited["join_in"].clone()).unwrap();
    let names: Vec<_> = invited.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(names, ["watch", "send", "kcat", "systole", "Python", "Java"]);
    for (name, line) in &invited {
        let wanted = match name.as_str() {
            "watch" => "health.systole.clinical.observation",
            "send" => "\"offset\":0",
            "systole" => "clinical.observation",
            _ => "ce_type",
        };
        println!("{name}: {}", shell.start(line).until(wanted));
    }
    let consume = invited[3].1.replace("clinical.observation --follow", "demo.note --json");
    let noted = shell.start(&consume).until("hello");
    assert!(noted.contains("demo.noted.v1"), "{noted}");
}

/// A shell that finds our command, a Python with its client and the jars of Apache Kafka.
struct Shell {
    path: String,
    kafka_home: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        let jars = run(&mut kafka_starter(&["classpath"])).unwrap();
        let kafka_home = tempfile::tempdir().unwrap();
        let jars = Path::new(jars.trim().trim_end_matches("/*"));
        std::os::unix::fs::symlink(jars, kafka_home.path().join("libs")).unwrap();
        let mut dirs = vec![systole().unwrap().parent().unwrap().to_owned(), python_dir().unwrap()];
        dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path = std::env::join_paths(dirs).unwrap().into_string().unwrap();
        Self { path, kafka_home }
    }
    fn start(&self, line: &str) -> Pasted {
        let mut command = Command::new("timeout");
        command.args([LINE_SECONDS_MAX, "sh", "-c", line]);
        command.env("PATH", &self.path).env("KAFKA_HOME", self.kafka_home.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        Pasted(child)
    }
}

/// A line at work; ended when it is dropped.
struct Pasted(Child);

impl Pasted {
    /// The first line of output with this word.
    fn until(&mut self, word: &str) -> String {
        let mut seen = String::new();
        for line in BufReader::new(self.0.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line.contains(word) {
                return line;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("no {word} came:\n{seen}");
    }
}

impl Drop for Pasted {
    fn drop(&mut self) {
        // `timeout` passes it on to all that it started. If it has ended, nobody is there to ask.
        let _sent = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ended = self.0.wait();
    }
}
