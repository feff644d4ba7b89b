//! kcat, the command line of librdkafka.

use crate::{Target, target, unique};
use std::io::Write;
use std::process::Command;
use systole_interop::{Runtime, kafka_starter, run, run_with_input};

impl Target {
    fn kcat(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kcat");
        command.args(["-q", "-b", &self.bootstrap]).args(args);
        command
    }
}

#[test]
fn kcat_reads_back_what_it_wrote_with_every_codec() {
    let Some(target) = target(&[Runtime::Kcat]) else { return };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = unique(&format!("kcat-{codec}"));
        let mut lines = tempfile::NamedTempFile::new().unwrap();
        let sent: String =
            (0..500).map(|n| format!("k{n}:value {n} {}\n", "abc".repeat(n % 30))).collect();
        lines.write_all(sent.as_bytes()).unwrap();
        let mut produce = target.kcat(&["-P", "-t", &topic, "-p", "0", "-K:", "-z", codec]);
        run_with_input(&mut produce, Some(lines.path())).unwrap();
        let read = run(&mut target.kcat(&["-C", "-t", &topic, "-p", "0", "-K:", "-e"])).unwrap();
        assert_eq!(read, sent, "codec {codec}");
    }
}

#[test]
fn kcat_lists_topics_and_finds_offsets_by_time() {
    let Some(target) = target(&[Runtime::Kcat, Runtime::Java]) else { return };
    let topic = unique("kcat-list");
    let create = ["tool", "kafka-topics", "--bootstrap-server", &target.bootstrap, "--create"];
    let shape = ["--topic", &topic, "--partitions", "3"];
    run(&mut kafka_starter(&[create.as_slice(), shape.as_slice()].concat())).unwrap();
    let listed = run(&mut target.kcat(&["-L", "-t", &topic])).unwrap();
    assert!(listed.contains(&format!("topic \"{topic}\" with 3 partitions")), "{listed}");
    let mut line = tempfile::NamedTempFile::new().unwrap();
    line.write_all(b"one\ntwo\n").unwrap();
    run_with_input(&mut target.kcat(&["-P", "-t", &topic, "-p", "1"]), Some(line.path())).unwrap();
    let offset = |time: &str| {
        run(&mut target.kcat(&["-Q", "-t", &format!("{topic}:1:{time}")]))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(offset("-2"), format!("{topic} [1] offset 0"));
    assert_eq!(offset("-1"), format!("{topic} [1] offset 2"));
    assert_eq!(offset("1"), format!("{topic} [1] offset 0"));
}
