//! The compact message table: model, parser, printer. Format: `docs/formats/wire-tables.md`.
//!
//! Owns: the facts of one message. Does not own: where they come from (`import`) or what is made
//! of them (`generate`). Only `std` here: the tests of `systole-wire` include this file to have a
//! second, table-driven implementation of the protocol.

use std::fmt;
use std::str::FromStr;

pub(crate) const EXTENSION: &str = "table";

/// An inclusive range of versions; `5+` ends at `i16::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    pub(crate) fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }
    /// The common part, if there is one.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        let common = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        (common.first <= common.last).then_some(common)
    }
}

impl FromStr for Versions {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |it: &str| it.parse::<i16>().map_err(|_| format!("versions `{text}`"));
        if let Some(first) = text.strip_suffix('+') {
            return Ok(Self { first: number(first)?, last: i16::MAX });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok(Self { first: number(first)?, last: number(last)? })
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, i16::MAX) => write!(f, "{first}+"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

const PRIMITIVES: &[(&str, Type)] = &[
    ("bool", Type::Bool),
    ("int8", Type::Int8),
    ("int16", Type::Int16),
    ("uint16", Type::Uint16),
    ("int32", Type::Int32),
    ("uint32", Type::Uint32),
    ("int64", Type::Int64),
    ("float64", Type::Float64),
    ("uuid", Type::Uuid),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("records", Type::Records),
];

impl Type {
    /// The struct behind the type, be it alone or in an array.
    pub(crate) fn struct_name(&self) -> Option<&str> {
        match self {
            Type::Struct(name) => Some(name),
            Type::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl FromStr for Type {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Type::Array(Box::new(element.parse()?)));
        }
        if let Some((_, primitive)) = PRIMITIVES.iter().find(|(name, _)| *name == text) {
            return Ok(primitive.clone());
        }
        if text.starts_with(|it: char| it.is_ascii_uppercase()) {
            return Ok(Type::Struct(text.to_owned()));
        }
        Err(format!("type `{text}`"))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Struct(name) => f.write_str(name),
            Type::Array(element) => write!(f, "[]{element}"),
            primitive => {
                let row = PRIMITIVES.iter().find(|(_, it)| it == primitive);
                f.write_str(row.map_or("?", |(name, _)| name))
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) versions: Versions,
    pub(crate) nullable: Option<Versions>,
    /// A tagged field is tagged in all its versions.
    pub(crate) tag: Option<u32>,
    /// `null` or a literal; absent when it is the type's zero.
    pub(crate) default: Option<String>,
    /// A version without the field drops its value silently instead of refusing to encode it.
    pub(crate) ignorable: bool,
    /// Keeps the length form of inflexible versions in flexible ones.
    pub(crate) rigid: bool,
    pub(crate) map_key: bool,
    pub(crate) entity: Option<String>,
    /// The fields of the struct that this field defines in place.
    pub(crate) fields: Vec<Field>,
}

/// A struct that several fields share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) versions: Versions,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// `request`, `response`, `header`, `data`, `coordinator-key` or `coordinator-value`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) key: Option<i16>,
    pub(crate) versions: Versions,
    pub(crate) flexible: Option<Versions>,
    pub(crate) deprecated: Option<Versions>,
    pub(crate) latest_unstable: bool,
    pub(crate) listeners: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) shared: Vec<Shared>,
}

impl Message {
    pub(crate) fn is_flexible(&self, version: i16) -> bool {
        self.flexible.is_some_and(|it| it.contains(version))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if let Some(key) = self.key {
            write!(f, " key {key}")?;
        }
        write!(f, " versions {}", self.versions)?;
        if let Some(flexible) = self.flexible {
            write!(f, " flexible {flexible}")?;
        }
        if let Some(deprecated) = self.deprecated {
            write!(f, " deprecated {deprecated}")?;
        }
        if self.latest_unstable {
            f.write_str(" latest-unstable")?;
        }
        if !self.listeners.is_empty() {
            write!(f, " listeners {}", self.listeners.join(","))?;
        }
        writeln!(f)?;
        print_fields(f, &self.fields, 1)?;
        for shared in &self.shared {
            writeln!(f, "struct {} {}", shared.name, shared.versions)?;
            print_fields(f, &shared.fields, 1)?;
        }
        Ok(())
    }
}

fn print_fields(f: &mut fmt::Formatter<'_>, fields: &[Field], depth: usize) -> fmt::Result {
    for field in fields {
        write!(f, "{:1$}", "", 2 * depth)?;
        write!(f, "{} {} {}", field.name, field.ty, field.versions)?;
        if let Some(tag) = field.tag {
            write!(f, " tag {tag}")?;
        }
        if let Some(nullable) = field.nullable {
            write!(f, " nullable {nullable}")?;
        }
        if let Some(default) = &field.default {
            write!(f, " default {default}")?;
        }
        if let Some(entity) = &field.entity {
            write!(f, " entity {entity}")?;
        }
        let flags =
            [(field.ignorable, "ignorable"), (field.rigid, "rigid"), (field.map_key, "map-key")];
        for (_, word) in flags.iter().filter(|(set, _)| *set) {
            write!(f, " {word}")?;
        }
        writeln!(f)?;
        print_fields(f, &field.fields, depth + 1)?;
    }
    Ok(())
}

/// Reads what [`Message`] prints. The error names the line.
pub(crate) fn parse(text: &str) -> Result<Message, String> {
    let mut lines = text.lines().enumerate().peekable();
    let (_, head) = lines.next().ok_or("empty table")?;
    let mut message = parse_head(head).map_err(|why| format!("line 1: {why}"))?;
    message.fields = parse_fields(&mut lines, 1)?;
    while let Some((number, line)) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let ["struct", name, versions] = words[..] else {
            return Err(format!("line {}: expected `struct NAME VERSIONS`", number + 1));
        };
        let (name, versions) = (name.to_owned(), versions.parse()?);
        let fields = parse_fields(&mut lines, 1)?;
        message.shared.push(Shared { name, versions, fields });
    }
    Ok(message)
}

fn parse_head(line: &str) -> Result<Message, String> {
    let mut words = line.split(' ');
    let mut next = || words.next().ok_or("line ends early");
    let (kind, name) = (next()?.to_owned(), next()?.to_owned());
    let versions = Versions { first: 0, last: 0 };
    let mut message = Message {
        kind,
        name,
        key: None,
        versions,
        flexible: None,
        deprecated: None,
        latest_unstable: false,
        listeners: Vec::new(),
        fields: Vec::new(),
        shared: Vec::new(),
    };
    while let Ok(word) = next() {
        match word {
            "key" => message.key = Some(next()?.parse().map_err(|_| "key")?),
            "versions" => message.versions = next()?.parse()?,
            "flexible" => message.flexible = Some(next()?.parse()?),
            "deprecated" => message.deprecated = Some(next()?.parse()?),
            "latest-unstable" => message.latest_unstable = true,
            "listeners" => message.listeners = next()?.split(',').map(str::to_owned).collect(),
            other => return Err(format!("word `{other}`")),
        }
    }
    Ok(message)
}

type Lines<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>;

fn parse_fields(lines: &mut Lines<'_>, depth: usize) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    while let Some(&(number, line)) = lines.peek() {
        let words = line.trim_start_matches(' ');
        if line.len() - words.len() != 2 * depth {
            break;
        }
        lines.next();
        let mut field = parse_field(words).map_err(|why| format!("line {}: {why}", number + 1))?;
        field.fields = parse_fields(lines, depth + 1)?;
        fields.push(field);
    }
    Ok(fields)
}

fn parse_field(line: &str) -> Result<Field, String> {
    let mut words = line.split(' ');
    let mut next = || words.next().ok_or("line ends early");
    let mut field = Field {
        name: next()?.to_owned(),
        ty: next()?.parse()?,
        versions: next()?.parse()?,
        nullable: None,
        tag: None,
        default: None,
        ignorable: false,
        rigid: false,
        map_key: false,
        entity: None,
        fields: Vec::new(),
    };
    while let Ok(word) = next() {
        match word {
            "tag" => field.tag = Some(next()?.parse().map_err(|_| "tag")?),
            "nullable" => field.nullable = Some(next()?.parse()?),
            "default" => field.default = Some(next()?.to_owned()),
            "entity" => field.entity = Some(next()?.to_owned()),
            "ignorable" => field.ignorable = true,
            "rigid" => field.rigid = true,
            "map-key" => field.map_key = true,
            other => return Err(format!("word `{other}`")),
        }
    }
    Ok(field)
}
