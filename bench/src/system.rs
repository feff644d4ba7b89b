//! The systems under test, as a user would start them.
//!
//! Owns: starting on free ports in a fresh directory, and stopping. Does not own: load.

use anyhow::{Context as _, bail};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// The `systole` binary with its defaults: fsync before every answer.
    Systole,
    /// Apache Kafka with its defaults: no fsync.
    Kafka,
    /// Apache Kafka with `log.flush.interval.messages=1`.
    KafkaFlush,
}

impl System {
    pub(crate) const ALL: [Self; 3] = [Self::Systole, Self::Kafka, Self::KafkaFlush];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Systole => "Systole",
            Self::Kafka => "Kafka",
            Self::KafkaFlush => "Kafka, flush=1",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// A release build of `systole`.
    pub(crate) systole: PathBuf,
    /// `interop/kafka/kafka`.
    pub(crate) kafka: PathBuf,
}

/// A running broker; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    how: How,
}

#[derive(Debug)]
enum How {
    Systole(Child, #[expect(dead_code, reason = "closing it would break its output")] ChildStdout),
    Kafka { starter: PathBuf, dir: PathBuf },
}

impl Running {
    pub(crate) fn start(system: System, programs: &Programs, dir: &Path) -> anyhow::Result<Self> {
        match system {
            System::Systole => Self::systole(programs, dir),
            System::Kafka => Self::kafka(programs, dir, &[]),
            System::KafkaFlush => Self::kafka(programs, dir, &["--flush"]),
        }
    }

    fn systole(programs: &Programs, dir: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(&programs.systole)
            .args(["serve", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", programs.systole.display()))?;
        let mut out = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let address = line.split_whitespace().find_map(|it| it.strip_prefix("kafka="));
        let address = address.with_context(|| format!("not a ready line: {line:?}"))?.parse()?;
        Ok(Self { address, how: How::Systole(child, out.into_inner()) })
    }

    fn kafka(programs: &Programs, dir: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let output = Command::new(&programs.kafka)
            .arg("start")
            .arg(dir)
            .args(["--port", &port.to_string()])
            .args(options)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            bail!("Apache Kafka did not start: {}", output.status);
        }
        let address = String::from_utf8(output.stdout)?.trim().parse()?;
        let how = How::Kafka { starter: programs.kafka.clone(), dir: dir.to_owned() };
        Ok(Self { address, how })
    }

    /// Resident memory in MiB, of `systole` only: the heap of Apache Kafka is a setting.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.systole_pid()?))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib: f64 = line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
    /// Open files and sockets, of `systole` only.
    pub(crate) fn open_files(&self) -> anyhow::Result<f64> {
        let count = std::fs::read_dir(format!("/proc/{}/fd", self.systole_pid()?))?.count();
        Ok(f64::from(u32::try_from(count)?))
    }
    fn systole_pid(&self) -> anyhow::Result<u32> {
        match &self.how {
            How::Systole(child, _) => Ok(child.id()),
            How::Kafka { .. } => bail!("only the memory and files of systole are read"),
        }
    }

    /// Ends the process without a chance to tidy up.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        if let How::Systole(child, _) = &mut self.how {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match &mut self.how {
            How::Systole(child, _) => {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    return; // killed already; its number may be another process's by now
                }
                let pid = child.id().to_string();
                let _ = Command::new("kill").args(["-TERM", &pid]).status();
                let until = Instant::now() + Duration::from_secs(20);
                while Instant::now() < until {
                    if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                let _ = child.kill();
                let _ = child.wait();
            }
            How::Kafka { starter, dir } => {
                let _ = Command::new(starter).arg("stop").arg(dir).status();
            }
        }
    }
}

/// A port whose neighbours at +99..+200, which Kafka's controller takes, are free as well.
fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let all_free = [0, 99, 100, 199, 200].into_iter().all(|plus| {
            port.checked_add(plus).is_some_and(|it| TcpListener::bind(("127.0.0.1", it)).is_ok())
        });
        if all_free {
            return Ok(port);
        }
    }
    bail!("no run of free ports found")
}
