//! Who may come through a door of a real Apache Kafka that asks: a certificate of its own, and a
//! user who proves it by PLAIN or SCRAM.
//!
//! Owns: keys and passwords, made anew for each broker, and the settings of that door. Does not
//! own: the broker (`real_kafka`).

use crate::real_kafka::starter;
use anyhow::ensure;
use std::path::{Path, PathBuf};
use std::process::Command;
use systole_client::Settings;
use systole_client::settings::{Mechanism, Sasl, SecretRef, Tls};
use systole_world::Random as _;
use systole_world::os::OsRandom;

const USER: &str = "alice";

/// Lie in the directory of the broker and go with it.
#[derive(Debug)]
pub struct Identities {
    dir: PathBuf,
    port: u16,
    password: String,
}

impl Identities {
    /// By `keytool`, which is where `java` is.
    pub(crate) fn make(dir: &Path, port: u16) -> anyhow::Result<Self> {
        let it = Self { dir: dir.to_owned(), port, password: OsRandom.uuid().to_string() };
        std::fs::write(it.dir.join("password"), &it.password)?;
        std::fs::write(it.dir.join("wrong-password"), "guessed")?;
        it.make_certificate("broker")?;
        it.make_certificate("stranger")?;
        Ok(it)
    }

    fn make_certificate(&self, name: &str) -> anyhow::Result<()> {
        let store = self.dir.join(format!("{name}.p12"));
        let keytool = |what: &[&str]| {
            let mut command = Command::new("keytool");
            command.args(what).args(["-alias", name, "-storepass", &self.password, "-keystore"]);
            command.arg(&store).output()
        };
        let owner = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=localhost"];
        let names = ["-ext", "SAN=IP:127.0.0.1,DNS:localhost", "-storetype", "PKCS12"];
        let made = keytool(&[owner.as_slice(), &names].concat())?;
        ensure!(made.status.success(), "keytool: {}", String::from_utf8_lossy(&made.stdout));
        let shown = keytool(&["-exportcert", "-rfc"])?;
        ensure!(shown.status.success(), "keytool: {}", String::from_utf8_lossy(&shown.stdout));
        Ok(std::fs::write(self.certificate(name), shown.stdout)?)
    }
    fn certificate(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    pub(crate) fn listener(&self) -> String {
        format!(",SECURED://127.0.0.1:{}", self.port)
    }
    pub(crate) fn settings(&self) -> [String; 7] {
        let (store, password) = (self.dir.join("broker.p12").display().to_string(), &self.password);
        let module = "org.apache.kafka.common.security";
        [
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned(),
            format!(
                "plain.sasl.jaas.config={module}.plain.PlainLoginModule required \
                 user_{USER}=\"{password}\";"
            ),
            format!("scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            format!("scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;"),
            format!("ssl.keystore.location={store}"),
            "ssl.keystore.type=PKCS12".to_owned(),
            format!("ssl.keystore.password={password}"),
        ]
        .map(|it| format!("listener.name.secured.{it}"))
    }

    /// SCRAM's users are kept by the running broker, which takes one mechanism in a request.
    pub(crate) fn enter(&self, bootstrap: &str) -> anyhow::Result<()> {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let scram = format!("{mechanism}=[password={}]", self.password);
            let output = Command::new(starter())
                .args(["tool", "kafka-configs", "--bootstrap-server", bootstrap, "--alter"])
                .args(["--entity-type", "users", "--entity-name", USER, "--add-config", &scram])
                .output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "the user was not entered: {said}");
        }
        Ok(())
    }

    /// How [`USER`] comes in.
    pub fn of_user(&self, mechanism: Mechanism) -> Settings {
        let sasl = Sasl {
            mechanism,
            user: Some(USER.to_owned()),
            secret: SecretRef::File(self.dir.join("password")),
        };
        let tls = Tls { ca_file: Some(self.certificate("broker")), ..Tls::default() };
        let bootstrap = format!("127.0.0.1:{}", self.port);
        Settings { tls: Some(tls), sasl: Some(sasl), ..Settings::to(bootstrap) }
    }
    /// One who does not know the password.
    pub fn of_liar(&self, mechanism: Mechanism) -> Settings {
        let mut settings = self.of_user(mechanism);
        if let Some(sasl) = &mut settings.sasl {
            sasl.secret = SecretRef::File(self.dir.join("wrong-password"));
        }
        settings
    }
    /// One who trusts another certificate than the broker's.
    pub fn of_doubter(&self, mechanism: Mechanism) -> Settings {
        let ca_file = Some(self.certificate("stranger"));
        Settings { tls: Some(Tls { ca_file, ..Tls::default() }), ..self.of_user(mechanism) }
    }
}
