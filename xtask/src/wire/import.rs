//! From the definitions inside Kafka's jars to tables: names, types and versions, no prose.
//!
//! Owns: which messages are taken and how Kafka's JSON is read. Does not own: the table's text
//! ([`table`](super::table)).

use super::table::{EXTENSION, Field, Message, Shared, Type, Versions};
use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where the jars keep the definitions.
const FOLDER: &str = "common/message/";

/// Kafka's own shape of a definition. `deny_unknown_fields`, so that a word that a later Kafka
/// adds is looked at by a person and not lost.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessage {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    api_key: Option<i16>,
    #[serde(default)]
    listeners: Vec<String>,
    valid_versions: String,
    deprecated_versions: Option<String>,
    flexible_versions: Option<String>,
    #[serde(default)]
    latest_version_unstable: bool,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawShared>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawShared {
    name: String,
    versions: String,
    fields: Vec<RawField>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    versions: Option<String>,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    flexible_versions: Option<String>,
    tag: Option<u32>,
    default: Option<Value>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default)]
    map_key: bool,
    entity_type: Option<String>,
    #[serde(default)]
    fields: Vec<RawField>,
    // Read so that they are known, and left out: prose and hints to Java.
    #[serde(rename = "about")]
    _about: Option<String>,
    #[serde(rename = "zeroCopy")]
    _zero_copy: Option<bool>,
}

/// Replaces all tables of `folder` by those in the jars; answers how many.
pub(super) fn run(jars: &[PathBuf], folder: &Path) -> Result<usize> {
    let mut raw = BTreeMap::new();
    let mut source = String::new();
    for jar in jars {
        let name = jar.file_name().and_then(|it| it.to_str()).context("a jar has a name")?;
        writeln!(source, "{name}")?;
        for message in read_jar(jar).with_context(|| jar.display().to_string())? {
            raw.insert(message.name.clone(), message);
        }
    }
    let version = source
        .lines()
        .find_map(|it| it.strip_prefix("kafka-clients-")?.strip_suffix(".jar"))
        .context("one of the jars must be kafka-clients-VERSION.jar")?;
    let head = format!("Apache Kafka {version}\n\n{source}");
    let tables = select(&raw)?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("SOURCE"), head)?;
    for table in &tables {
        fs::write(folder.join(&table.name).with_extension(EXTENSION), table.to_string())?;
    }
    Ok(tables.len())
}

/// Everything, except what no version is left of and what only a controller answers.
fn select(raw: &BTreeMap<String, RawMessage>) -> Result<Vec<Message>> {
    let broker_keys: Vec<i16> = raw
        .values()
        .filter(|it| it.kind == "request" && it.listeners.iter().any(|it| it == "broker"))
        .filter_map(|it| it.api_key)
        .collect();
    let taken = raw.values().filter(|it| it.valid_versions != "none").filter(|it| {
        let is_api = matches!(it.kind.as_str(), "request" | "response");
        !is_api || it.api_key.is_some_and(|key| broker_keys.contains(&key))
    });
    taken.map(|it| message(it).with_context(|| it.name.clone())).collect()
}

fn read_jar(path: &Path) -> Result<Vec<RawMessage>> {
    let mut jar = zip::ZipArchive::new(fs::File::open(path)?)?;
    let mut messages = Vec::new();
    for index in 0..jar.len() {
        let mut file = jar.by_index(index)?;
        let name = file.name().to_owned();
        if !(name.starts_with(FOLDER) && name.ends_with(".json")) {
            continue;
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        messages.push(serde_json::from_str(&without_comments(&text)).with_context(|| name)?);
    }
    Ok(messages)
}

/// Blanks `// ...` to the end of the line, outside strings.
fn without_comments(text: &str) -> String {
    let strip = |line: &str| {
        let (mut in_string, mut previous) = (false, ' ');
        for (at, char) in line.char_indices() {
            match char {
                '"' if previous != '\\' => in_string = !in_string,
                '/' if previous == '/' && !in_string => return line[..at - 1].to_owned(),
                _ => {}
            }
            previous = char;
        }
        line.to_owned()
    };
    text.lines().map(|line| strip(line) + "\n").collect()
}

fn versions(text: &str) -> Result<Versions> {
    text.parse().map_err(|why: String| anyhow!(why))
}

fn some_versions(text: Option<&str>) -> Result<Option<Versions>> {
    text.filter(|it| *it != "none").map(versions).transpose()
}

fn message(raw: &RawMessage) -> Result<Message> {
    let shared = raw.common_structs.iter().map(|it| {
        let fields = fields(&it.fields)?;
        Ok(Shared { name: it.name.clone(), versions: versions(&it.versions)?, fields })
    });
    Ok(Message {
        kind: raw.kind.clone(),
        name: raw.name.clone(),
        key: raw.api_key,
        versions: versions(&raw.valid_versions)?,
        flexible: some_versions(raw.flexible_versions.as_deref())?,
        deprecated: some_versions(raw.deprecated_versions.as_deref())?,
        latest_unstable: raw.latest_version_unstable,
        listeners: raw.listeners.clone(),
        fields: fields(&raw.fields)?,
        shared: shared.collect::<Result<_>>()?,
    })
}

fn fields(raw: &[RawField]) -> Result<Vec<Field>> {
    raw.iter().map(|it| field(it).with_context(|| it.name.clone())).collect()
}

fn field(raw: &RawField) -> Result<Field> {
    let tagged = raw.tagged_versions.as_deref();
    let own = raw.versions.as_deref().or(tagged).context("no versions")?;
    if raw.tag.is_some() && tagged != Some(own) {
        bail!("tagged in some of its versions only; the table has no word for it");
    }
    let ty: Type = raw.ty.parse().map_err(|why: String| anyhow!(why))?;
    Ok(Field {
        name: raw.name.clone(),
        versions: versions(own)?,
        nullable: some_versions(raw.nullable_versions.as_deref())?,
        tag: raw.tag,
        default: default(raw.default.as_ref(), &ty)?,
        ignorable: raw.ignorable,
        rigid: raw.flexible_versions.as_deref() == Some("none"),
        map_key: raw.map_key,
        entity: raw.entity_type.clone(),
        fields: fields(&raw.fields)?,
        ty,
    })
}

/// Kafka writes `-1`, `"-1"`, `"0x7fffffff"`, `false` and `"false"`; the table has one way.
fn default(raw: Option<&Value>, ty: &Type) -> Result<Option<String>> {
    let text = match raw {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let text = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16)?.to_string(),
        None => text,
    };
    let zero = match ty {
        Type::Bool => "false",
        Type::String => "",
        _ => "0",
    };
    Ok((text != zero).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_with_the_line_and_strings_keep_their_slashes() {
        let text = "{ \"a\": \"x//y\", // note\n// all\n  \"b\": 1 }";
        assert_eq!(without_comments(text), "{ \"a\": \"x//y\", \n\n  \"b\": 1 }\n");
    }

    #[test]
    fn defaults_have_one_spelling() {
        let read = |json: &str, ty: Type| {
            default(Some(&serde_json::from_str(json).unwrap()), &ty).unwrap()
        };
        assert_eq!(read("\"0x7fffffff\"", Type::Int32).as_deref(), Some("2147483647"));
        assert_eq!(read("-1", Type::Int64).as_deref(), Some("-1"));
        assert_eq!(read("\"false\"", Type::Bool), None);
        assert_eq!(read("\"null\"", Type::String).as_deref(), Some("null"));
    }
}
