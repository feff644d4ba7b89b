//! A real Apache Kafka, the oracle for what a broker does.
//!
//! Owns: its life: started by `interop/kafka/kafka`, stopped when the last holder or the whole test
//! process is gone. Does not own: where the jars come from (that script).

use crate::identities::Identities;
use crate::port;
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

/// Between choosing a port and listening on it another program may take it; so we try again.
const ATTEMPTS_MAX: u32 = 3;
/// Set on machines that are meant to have everything, so that nothing is skipped in silence.
const REQUIRED: &str = "SYSTOLE_REQUIRE_INTEROP";

/// Where a [`crate::Cable`] may be laid: clients that begin at `near` are told to stay there.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub near: SocketAddr,
    pub far: SocketAddr,
}

/// One running broker.
#[derive(Debug)]
pub struct RealKafka {
    bootstrap: String,
    cable: Ends,
    identities: Option<Identities>,
    process: Child,
    /// Its end stops the broker, even when this process is killed.
    alive: Option<ChildStdin>,
}

impl RealKafka {
    /// The broker that the tests of this process share. `None`: this machine cannot run one; the
    /// reason went to standard error.
    /// # Panics  in place of `None`, if `SYSTOLE_REQUIRE_INTEROP` is set.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<RealKafka>> = OnceLock::new();
        SHARED.get_or_init(|| unless_missing(Self::start(&[]))).as_ref()
    }

    /// The broker with a third door, for clients that prove who they are, which the tests of this
    /// process share. `None` and panics as [`RealKafka::shared`].
    pub fn secured() -> Option<&'static Self> {
        static SECURED: OnceLock<Option<RealKafka>> = OnceLock::new();
        SECURED.get_or_init(|| unless_missing(Self::start_any(&[], true))).as_ref()
    }

    /// A broker of one's own, with settings such as `log.flush.interval.messages=1`.
    pub fn start(settings: &[&str]) -> anyhow::Result<Self> {
        Self::start_any(settings, false)
    }

    fn start_any(settings: &[&str], is_secured: bool) -> anyhow::Result<Self> {
        for program in ["bash", "flock", "java"] {
            if !is_installed(program) {
                bail!("`{program}` is not installed");
            }
        }
        let mut attempt = 1;
        loop {
            match Self::try_start(settings, is_secured) {
                Err(_) if attempt < ATTEMPTS_MAX => attempt += 1,
                result => return result,
            }
        }
    }

    fn try_start(settings: &[&str], is_secured: bool) -> anyhow::Result<Self> {
        let [port, controller, near, far, secured] = port::free();
        let dir = tempfile::Builder::new().prefix("systole-kafka-").tempdir()?.keep();
        let identities = is_secured.then(|| Identities::make(&dir, secured)).transpose()?;
        let mut command = Command::new(starter());
        command.arg("run").arg(&dir).args(["--port", &port.to_string()]);
        command.args(["--controller-port", &controller.to_string()]);
        let here = "127.0.0.1";
        let third = identities.as_ref().map(Identities::listener).unwrap_or_default();
        let mut doors = vec![
            format!(
                "listeners=PLAINTEXT://{here}:{port},CABLE://{here}:{far}{third},\
                 CONTROLLER://{here}:{controller}"
            ),
            format!("advertised.listeners=PLAINTEXT://{here}:{port},CABLE://{here}:{near}{third}"),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CABLE:PLAINTEXT,\
             CONTROLLER:PLAINTEXT,SECURED:SASL_SSL"
                .to_owned(),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
        ];
        doors.extend(identities.iter().flat_map(Identities::settings));
        for setting in doors.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let alive = process.stdin.take();
        let out = process.stdout.take().context("standard output is a pipe")?;
        let mut bootstrap = String::new();
        BufReader::new(out).read_line(&mut bootstrap)?;
        if bootstrap.is_empty() {
            process.wait()?;
            bail!("`interop/kafka/kafka run` failed; its reason stands above");
        }
        let [near, far] = [near, far].map(|it| SocketAddr::from(([127, 0, 0, 1], it)));
        let cable = Ends { near, far };
        let bootstrap = bootstrap.trim_end().to_owned();
        if let Some(identities) = &identities {
            identities.enter(&bootstrap)?;
        }
        Ok(Self { bootstrap, cable, identities, process, alive })
    }

    /// `host:port`
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
    /// Who may come through the third door, of [`RealKafka::secured`].
    pub const fn identities(&self) -> Option<&Identities> {
        self.identities.as_ref()
    }
    /// Of one cable; a second one finds its end taken.
    pub const fn cable(&self) -> Ends {
        self.cable
    }
}

impl Drop for RealKafka {
    fn drop(&mut self) {
        self.alive = None;
        if let Err(error) = self.process.wait() {
            eprintln!("Apache Kafka did not end: {error}");
        }
    }
}

fn unless_missing(started: anyhow::Result<RealKafka>) -> Option<RealKafka> {
    match started {
        Ok(kafka) => Some(kafka),
        Err(reason) if std::env::var_os(REQUIRED).is_some() => {
            panic!("{REQUIRED} is set and there is no Apache Kafka: {reason:#}")
        }
        Err(reason) => {
            eprintln!("skipped: no Apache Kafka on this machine: {reason:#}");
            None
        }
    }
}

pub(crate) fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/kafka/kafka")
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|it| it.join(program).is_file())
}
