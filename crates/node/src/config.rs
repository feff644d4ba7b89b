//! The configuration of a node: one TOML file, one section per service.
//!
//! Owns: reading, the environment's override, reporting every problem at once, the commented
//! default file. Does not own: any section; each lies beside its service, and the comment of a
//! field there is its reference.

use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use systole_broker::BrokerConfig;
use systole_client::Settings;
use systole_gateway::GatewayConfig;
use systole_kit::{ByteSize, Code, Problems, Remedy};
use systole_telemetry::logs;
use systole_world::{Disk, Open};
use toml::{Table, Value};

/// Every setting with its meaning and its default. Written from the sections' own comments by the
/// test `default_file`.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// Largest file that is taken for a configuration.
const FILE_MAX: ByteSize = ByteSize::mib(1);
const READ_BYTES: usize = 64 * 1024;
/// `SYSTOLE_BROKER__PORT` overrides `broker.port`.
const VARIABLE_PREFIX: &str = "SYSTOLE_";
const VARIABLE_SEPARATOR: &str = "__";
const CURE: &str = "`systole config default` lists every setting";

/// Everything that can be set.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub logs: logs::Config,
    pub broker: BrokerConfig,
    pub gateway: GatewayConfig,
    /// Run over this Apache Kafka cluster. Without this section the embedded broker runs.
    pub cluster: Option<Settings>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not TOML: line {line}: {wrong}", path.display())]
    Syntax { path: PathBuf, line: usize, wrong: String },
    #[error("the configuration cannot be used:\n{0}")]
    Problems(Problems),
}

impl Error {
    pub const fn code(&self) -> Code {
        match self {
            Self::Problems(_) => Code::new(1001),
            Self::Read { .. } => Code::new(1002),
            Self::Syntax { .. } => Code::new(1003),
        }
    }
    pub const fn remedy(&self) -> Remedy {
        Remedy::FixConfig
    }
}

impl Config {
    /// The file, if one is given, and over it the variables of the environment.
    ///
    /// # Errors  [`Error`]; with [`Error::Problems`] every problem of every section.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        disk: &dyn Disk,
    ) -> Result<Self, Error> {
        let mut table = match file {
            None => Table::new(),
            Some(path) => parse(path, &read(path, disk)?)?,
        };
        let mut problems = Problems::default();
        for (name, value) in variables {
            if let Some(path) = name.strip_prefix(VARIABLE_PREFIX)
                && path.contains(VARIABLE_SEPARATOR)
            {
                put(&mut table, &path.to_lowercase(), value);
            }
        }
        let mut sections = Sections { table, problems: &mut problems };
        let config = Self {
            logs: sections.take("logs"),
            broker: sections.take("broker"),
            gateway: sections.take("gateway"),
            cluster: sections.take_if_there("cluster"),
        };
        sections.refuse_the_rest();
        config.check(&mut problems);
        problems.into_result().map_err(Error::Problems)?;
        Ok(config)
    }

    /// Every broken rule of every section.
    pub fn check(&self, problems: &mut Problems) {
        problems.within("logs", |it| self.logs.check(it));
        problems.within("broker", |it| self.broker.check(it));
        problems.within("gateway", |it| self.gateway.check(it));
        if let Some(cluster) = &self.cluster {
            problems.within("cluster", |it| cluster.check(it));
        }
    }

    /// Keeps everything under `data`.
    pub fn keep_in(&mut self, data: &Path) {
        self.broker.dir = data.join("broker");
    }

    /// Where the node that this describes is reached.
    pub fn kafka_address(&self) -> String {
        let embedded = || self.broker.listen.to_string();
        self.cluster.as_ref().map_or_else(embedded, |it| it.bootstrap.clone())
    }
}

fn read(path: &Path, disk: &dyn Disk) -> Result<String, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = disk.open(path, Open::Read).map_err(failed)?;
    let mut bytes = Vec::new();
    // To its end, whatever length it claims: a device or a pipe claims none.
    let mut piece = vec![0; READ_BYTES];
    loop {
        let count = file.read_at(&mut piece, bytes.len() as u64).map_err(failed)?;
        bytes.extend(piece.iter().take(count));
        if bytes.len() as u64 > FILE_MAX.bytes() {
            let wrong = format!("larger than {FILE_MAX}");
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, wrong)));
        }
        if count == 0 {
            break;
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8")))
}

fn parse(path: &Path, text: &str) -> Result<Table, Error> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|it| text.get(..it.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let wrong = error.message().replace('\n', ", ");
        Error::Syntax { path: path.to_owned(), line, wrong }
    })
}

/// Sets `a__b__c`. What reads as a TOML value is one; everything else is text.
fn put(table: &mut Table, path: &str, value: String) {
    if let Some((section, rest)) = path.split_once(VARIABLE_SEPARATOR) {
        let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(inner) = inner {
            put(inner, rest, value);
        }
    } else {
        let parsed = format!("it = {value}").parse::<Table>().ok();
        let parsed = parsed.and_then(|mut it| it.remove("it"));
        table.insert(path.to_owned(), parsed.unwrap_or(Value::String(value)));
    }
}

/// Takes the sections out of the file, one key after the other, so that each wrong key is told.
struct Sections<'a> {
    table: Table,
    problems: &'a mut Problems,
}

impl Sections<'_> {
    fn take<T: DeserializeOwned + Default>(&mut self, name: &str) -> T {
        self.take_if_there(name).unwrap_or_default()
    }
    fn take_if_there<T: DeserializeOwned + Default>(&mut self, name: &str) -> Option<T> {
        let keys = match self.table.remove(name)? {
            Value::Table(keys) => keys,
            other => {
                let wrong = format!("is no section but: {}", other.type_str());
                self.problems.add(name, wrong, format!("write a section, `[{name}]`"));
                return None;
            }
        };
        let mut good = Table::new();
        for (key, value) in keys {
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            match T::deserialize(Value::Table(alone)) {
                Ok(_) => drop(good.insert(key, value)),
                Err(error) => {
                    let wrong = error.message().trim().replace('\n', ", ");
                    self.problems.within(name, |it| it.add(&key, wrong, CURE));
                }
            }
        }
        T::deserialize(Value::Table(good)).ok()
    }
    fn refuse_the_rest(self) {
        for name in self.table.keys() {
            self.problems.add(name, "there is no such section", CURE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use systole_world::World;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("systole.toml");
        let disk = World::os().disk;
        disk.open(&path, Open::CreateNew).unwrap().write_all_at(text.as_bytes(), 0).unwrap();
        let variables = variables.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned()));
        Config::load(Some(&path), variables, disk.as_ref())
    }
    fn check(text: &str, expected: &Expect) {
        expected.assert_eq(&load(text, &[]).unwrap_err().to_string());
    }

    #[test]
    fn every_wrong_key_of_every_section_is_told_at_once() {
        check(
            "gateway = 1\n[logs]\nlevel = 'loud!'\nfrom = 'human'\n[broker]\nlisten = 'here'\n\
             node_id = -1\n[brokr]\n[cluster]\nbootstrap = ''\n",
            &expect![[r#"
                the configuration cannot be used:
                logs.from: unknown field `from`, expected `level` or `form`; `systole config default` lists every setting
                broker.listen: invalid socket address syntax; `systole config default` lists every setting
                gateway: is no section but: integer; write a section, `[gateway]`
                brokr: there is no such section; `systole config default` lists every setting
                broker.node_id: is negative; use 0 or more
                cluster.bootstrap: is empty; name brokers as `host:port,host:port`"#]],
        );
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let variables = [
            ("SYSTOLE_BROKER__NODE_ID", "7"),
            ("SYSTOLE_LOGS__LEVEL", "debug"),
            ("SYSTOLE_CLUSTER__TLS__CA_FILE", "/ca.pem"),
            ("SYSTOLE_CLUSTER__BOOTSTRAP", "k:9092"),
            ("SYSTOLE_LOG", "trace"),
            ("PATH", "/bin"),
        ];
        let config = load("[broker]\nnode_id = 3\npartitions_default = 4\n", &variables).unwrap();
        assert_eq!((config.broker.node_id, config.broker.partitions_default), (7, 4));
        assert_eq!(config.logs.level, "debug");
        let cluster = config.cluster.unwrap();
        assert_eq!(cluster.bootstrap, "k:9092");
        assert_eq!(cluster.tls.unwrap().ca_file, Some("/ca.pem".into()));
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_with_its_line() {
        let error = load("[broker]\nnode_id = \n", &[]).unwrap_err();
        assert!(matches!(&error, Error::Syntax { line: 2, .. }), "{error}");
    }

    #[test]
    fn what_has_no_length_is_not_taken_for_an_empty_file() {
        let disk = World::os().disk;
        let error = Config::load(Some(Path::new("/dev/zero")), std::iter::empty(), disk.as_ref());
        assert!(matches!(error, Err(Error::Read { .. })), "{error:?}");
    }

    #[test]
    fn the_default_file_is_the_defaults() {
        let defaults = format!("{:?}", Config::default());
        assert_eq!(format!("{:?}", load(DEFAULT_FILE, &[]).unwrap()), defaults);
    }
}
