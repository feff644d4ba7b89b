//! The Rust text of one message: its structs, and how each is read and written.
//!
//! Owns: names, types, defaults and version conditions. The text is not yet formatted.
//! Reading order: [`message`] -> `structs` -> `definition`, `default`, `read`, `write`, `size_min`.

use crate::wire::table::{Field, Message, Type, Versions};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;

/// The field in which a response tells its client to rest.
const THROTTLE_TIME: &str = "ThrottleTimeMs";

/// A struct to be written: the message itself, one that a field defines, or a shared one.
struct Struct<'a> {
    name: &'a str,
    versions: Versions,
    fields: &'a [Field],
    /// The message's name for the message's own struct.
    is_top: bool,
}

/// What is asked of all structs of one message.
struct Context<'a> {
    message: &'a Message,
    structs: Vec<Struct<'a>>,
}

pub(super) fn headline(message: &Message) -> String {
    let mut line = format!("`{}` ({}), v{}", message.name, message.kind, message.versions);
    if let Some(from) = flexible_from_number(message) {
        write!(line, ", flexible from v{from}").unwrap_or_default();
    }
    line + "."
}

/// The imports, structs and trait implementations of a message.
pub(super) fn message(message: &Message) -> Result<String> {
    let context = Context { message, structs: structs(message)? };
    let mut text = "use crate::codec::prelude::*;\n\n".to_owned();
    for it in &context.structs {
        text += &definition(&context, it)?;
        text += &default(&context, it)?;
        if it.is_top {
            text += &impl_message(message)?;
        }
        text += &impl_field(&context, it)?;
        text += &impl_debug(&context, it)?;
    }
    Ok(text)
}

/// The message's struct first, then the others in the order in which a reader meets them.
fn structs(message: &Message) -> Result<Vec<Struct<'_>>> {
    fn walk<'a>(fields: &'a [Field], within: Versions, found: &mut Vec<Struct<'a>>) {
        for field in fields {
            let Some(versions) = field.versions.and(within) else { continue };
            if let (Some(name), false) = (field.ty.struct_name(), field.fields.is_empty()) {
                found.push(Struct { name, versions, fields: &field.fields, is_top: false });
                walk(&field.fields, versions, found);
            }
        }
    }
    let (name, versions) = (message.name.as_str(), message.versions);
    let mut found = vec![Struct { name, versions, fields: &message.fields, is_top: true }];
    walk(&message.fields, versions, &mut found);
    for it in &message.shared {
        let versions = it.versions.and(versions).context("a shared struct of no version")?;
        found.push(Struct { name: &it.name, versions, fields: &it.fields, is_top: false });
        walk(&it.fields, versions, &mut found);
    }
    for (index, it) in found.iter().enumerate() {
        if found.iter().skip(index + 1).any(|other| other.name == it.name) {
            bail!("two structs are called {}", it.name);
        }
    }
    Ok(found)
}

impl Context<'_> {
    fn is_ever_flexible(&self) -> bool {
        flexible_from_number(self.message).is_some()
    }
}

impl<'a> Struct<'a> {
    /// Fields that some version of the struct carries.
    fn carried(&self) -> impl Iterator<Item = &'a Field> {
        let versions = self.versions;
        self.fields.iter().filter(move |field| field.versions.and(versions).is_some())
    }
    fn tagged(&self) -> Vec<&'a Field> {
        self.carried().filter(|field| field.tag.is_some()).collect()
    }
    /// `Debug` would print bytes, which may be anything.
    fn has_bytes(&self) -> bool {
        self.carried().any(|field| is_bytes(&field.ty))
    }
}

fn definition(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    let prints_bytes = it.has_bytes();
    let is_plain = it.carried().all(|field| default_value(field, it).is_none());
    let mut derives = vec!["Clone", "PartialEq"];
    if !prints_bytes {
        derives.insert(0, "Debug");
    }
    if is_plain {
        derives.push("Default");
    }
    let mut text = String::new();
    if it.is_top {
        writeln!(text, "/// {}", headline(context.message))?;
    }
    writeln!(text, "#[derive({})]\npub struct {} {{", derives.join(", "), it.name)?;
    for field in it.carried() {
        if let Some(note) = note(field, it) {
            writeln!(text, "/// {note}")?;
        }
        writeln!(text, "pub {}: {},", ident(&field.name), field_type(field, it)?)?;
    }
    if context.is_ever_flexible() {
        writeln!(text, "pub unknown_tagged_fields: TaggedFields,")?;
    }
    text += "}\n\n";
    Ok(text)
}

/// What the type does not say about a field.
fn note(field: &Field, it: &Struct<'_>) -> Option<String> {
    let mut words = Vec::new();
    let versions = field.versions.and(it.versions)?;
    if versions != it.versions {
        words.push(format!("v{}", field.versions));
    }
    if let Some(tag) = field.tag {
        words.push(format!("tag {tag}"));
    }
    let nullable = field.nullable.and_then(|nullable| nullable.and(versions));
    if nullable.is_some_and(|nullable| nullable != versions) {
        words.extend(field.nullable.map(|it| format!("null in v{it}")));
    }
    if let Some(default) = field.default.as_ref().filter(|it| *it != "null") {
        words.push(format!("default {default}"));
    }
    if field.ignorable && versions != it.versions {
        words.push("dropped elsewhere".to_owned());
    }
    (!words.is_empty()).then(|| words.join(", ") + ".")
}

fn default(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    if it.carried().all(|field| default_value(field, it).is_none()) {
        return Ok(String::new());
    }
    let name = it.name;
    let mut text = format!("impl Default for {name} {{\nfn default() -> Self {{\nSelf {{\n");
    for field in it.carried() {
        writeln!(text, "{}: {},", ident(&field.name), default_expression(field, it))?;
    }
    if context.is_ever_flexible() {
        writeln!(text, "unknown_tagged_fields: TaggedFields::default(),")?;
    }
    text += "}\n}\n}\n\n";
    Ok(text)
}

fn impl_message(message: &Message) -> Result<String> {
    let name = &message.name;
    let (first, last) = (message.versions.first, message.versions.last);
    let flexible = flexible_from(message);
    let mut text = format!(
        "impl Message for {name} {{\nconst NAME: &'static str = \"{name}\";\n\
         const VERSIONS: RangeInclusive<i16> = {first}..={last};\n\
         const FLEXIBLE_FROM: Option<i16> = {flexible};\n"
    );
    if let Some(field) = message.fields.iter().find(|it| it.name == THROTTLE_TIME) {
        let field = ident(&field.name);
        write!(
            text,
            "\nfn set_throttle_time_ms(&mut self, millis: i32) {{\nself.{field} = millis;\n}}\n"
        )?;
    }
    text += "}\n\n";
    if let (Some(api), "request") = (name.strip_suffix("Request"), message.kind.as_str()) {
        writeln!(
            text,
            "impl Request for {name} {{\nconst API: ApiKey = ApiKey::{api};\n\
             type Response = super::{api}Response;\n}}\n"
        )?;
    }
    Ok(text)
}

fn impl_field(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    let (name, size) = (it.name, size_min(context, it)?);
    let (read, write) = (read(context, it)?, write(context, it)?);
    Ok(format!(
        "impl Field for {name} {{\nconst SIZE_MIN: usize = {size};\n\n\
         fn read(r: &mut Reader, f: Form) -> Result<Self, DecodeError> {{\n{read}}}\n\n\
         fn write(&self, w: &mut Writer, f: Form) -> Result<(), EncodeError> {{\n{write}Ok(())\n}}\n}}\n\n"
    ))
}

fn read(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    let tagged = it.tagged();
    let mut text = String::new();
    let is_late = !tagged.is_empty();
    text += if is_late { "let mut it = Self {\n" } else { "Ok(Self {\n" };
    for field in it.carried() {
        let name = ident(&field.name);
        let default = default_expression(field, it);
        let value = match condition(field.versions, it.versions) {
            _ if field.tag.is_some() => default,
            None => read_expression(field, it),
            Some(if_carried) => {
                let read = read_expression(field, it);
                format!("if {if_carried} {{ {read} }} else {{ {default} }}")
            }
        };
        writeln!(text, "{name}: {value},")?;
    }
    if !is_late {
        if context.is_ever_flexible() {
            text += "unknown_tagged_fields: r.tags(f, |_, _| Ok(false))?,\n";
        }
        return Ok(text + "})\n");
    }
    text += "unknown_tagged_fields: TaggedFields::default(),\n};\n";
    text += "it.unknown_tagged_fields = r.tags(f, |r, tag| {\nmatch tag {\n";
    for field in tagged {
        let guard = tag_guard(context, field, it).map(|it| format!(" if {it}")).unwrap_or_default();
        let tag = field.tag.context("tagged")?;
        let (name, read) = (ident(&field.name), read_expression(field, it));
        writeln!(text, "{tag}{guard} => it.{name} = {read},")?;
    }
    text += "_ => return Ok(false),\n}\nOk(true)\n})?;\nOk(it)\n";
    Ok(text)
}

fn write(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    let mut text = String::new();
    for field in it.carried().filter(|field| field.tag.is_none()) {
        let write = write_expression(field, it);
        match condition(field.versions, it.versions) {
            None => writeln!(text, "{write}?;")?,
            Some(if_carried) => {
                let otherwise = absent(field, it);
                writeln!(text, "if {if_carried} {{ {write}?; }} {otherwise}")?;
            }
        }
    }
    let tagged = it.tagged();
    if tagged.is_empty() {
        if context.is_ever_flexible() {
            text += "w.unknown_tags(&self.unknown_tagged_fields, f)?;\n";
        }
        return Ok(text);
    }
    let (mut known, mut lost) = (String::new(), String::new());
    for field in tagged {
        let is_set = is_set(field, it);
        let guard = tag_guard(context, field, it);
        let is_set = guard.map_or(is_set.clone(), |it| format!("{it} && ({is_set})"));
        let write = write_expression(field, it);
        writeln!(known, "tags.add({}, {is_set}, |w, f| {write})?;", field.tag.context("tagged")?)?;
        lost += absent(field, it).strip_prefix("else ").unwrap_or_default();
    }
    writeln!(
        text,
        "if f.flexible {{\nlet mut tags = TagWriter::new(f);\n{known}\
         tags.finish(&self.unknown_tagged_fields, w)?;\n}} else {{\n{lost}\
         w.unknown_tags(&self.unknown_tagged_fields, f)?;\n}}"
    )?;
    Ok(text)
}

/// What happens in a version without the field.
fn absent(field: &Field, it: &Struct<'_>) -> String {
    if field.ignorable {
        return String::new();
    }
    let (is_set, owner, name) = (is_set(field, it), it.name, ident(&field.name));
    let name = name.trim_start_matches("r#");
    format!("else {{ w.absent({is_set}, f, \"{owner}.{name}\")?; }}")
}

/// The versions of a tagged field, where they are fewer than the flexible ones.
fn tag_guard(context: &Context<'_>, field: &Field, it: &Struct<'_>) -> Option<String> {
    let flexible = context.message.flexible.and_then(|flexible| flexible.and(it.versions))?;
    condition(field.versions, flexible)
}

/// Structs whose `Debug` would print bytes get their own, that prints sizes.
fn impl_debug(context: &Context<'_>, it: &Struct<'_>) -> Result<String> {
    if !it.has_bytes() {
        return Ok(String::new());
    }
    let name = it.name;
    let mut text = format!(
        "impl fmt::Debug for {name} {{\n\
         fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n\
         f.debug_struct(\"{name}\")\n"
    );
    for field in it.carried() {
        let name = ident(&field.name);
        let value = match (is_bytes(&field.ty), is_nullable(field, it)) {
            (true, true) => format!("&BySize(self.{name}.as_ref())"),
            (true, false) => format!("&BySize(Some(&self.{name}))"),
            (false, _) => format!("&self.{name}"),
        };
        writeln!(text, ".field(\"{}\", {value})", name.trim_start_matches("r#"))?;
    }
    if context.is_ever_flexible() {
        text += ".field(\"unknown_tagged_fields\", &self.unknown_tagged_fields)\n";
    }
    text += ".finish()\n}\n}\n\n";
    Ok(text)
}

fn is_bytes(ty: &Type) -> bool {
    matches!(ty, Type::Bytes | Type::Records)
}

/// Fewest bytes of the struct over the versions that have it.
fn size_min(context: &Context<'_>, it: &Struct<'_>) -> Result<usize> {
    let last = it.versions.last.min(context.message.versions.last);
    let sizes = (it.versions.first..=last).map(|version| size_in(context, it, version));
    sizes.min().context("a struct of no version")
}

fn size_in(context: &Context<'_>, it: &Struct<'_>, version: i16) -> usize {
    let is_flexible = context.message.is_flexible(version);
    let carried =
        it.carried().filter(|field| field.tag.is_none() && field.versions.contains(version));
    let sizes = carried.map(|field| match &field.ty {
        Type::Bool | Type::Int8 => 1,
        Type::String | Type::Bytes | Type::Records | Type::Array(_)
            if is_flexible && !field.rigid =>
        {
            1
        }
        Type::Int16 | Type::Uint16 | Type::String => 2,
        Type::Int32 | Type::Uint32 | Type::Bytes | Type::Records | Type::Array(_) => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::Struct(_) if field.nullable.is_some_and(|it| it.contains(version)) => 1,
        Type::Struct(name) => {
            let inner = context.structs.iter().find(|it| it.name == name);
            inner.map_or(0, |it| size_in(context, it, version))
        }
    });
    sizes.sum::<usize>() + usize::from(is_flexible)
}

fn is_nullable(field: &Field, it: &Struct<'_>) -> bool {
    let carried = field.versions.and(it.versions);
    carried.is_some_and(|versions| field.nullable.is_some_and(|it| it.and(versions).is_some()))
}

fn field_type(field: &Field, it: &Struct<'_>) -> Result<String> {
    let ty = rust_type(&field.ty)?;
    Ok(if is_nullable(field, it) { format!("Option<{ty}>") } else { ty })
}

fn rust_type(ty: &Type) -> Result<String> {
    Ok(match ty {
        Type::Bool => "bool".to_owned(),
        Type::Int8 => "i8".to_owned(),
        Type::Int16 => "i16".to_owned(),
        Type::Uint16 => "u16".to_owned(),
        Type::Int32 => "i32".to_owned(),
        Type::Uint32 => "u32".to_owned(),
        Type::Int64 => "i64".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "Str".to_owned(),
        Type::Bytes | Type::Records => "Bytes".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => match **element {
            Type::Array(_) | Type::Bytes | Type::Records => bail!("an array of {element}"),
            _ => format!("Vec<{}>", rust_type(element)?),
        },
    })
}

/// The default as an expression, where it is not the Rust type's own.
fn default_value(field: &Field, it: &Struct<'_>) -> Option<String> {
    if is_nullable(field, it) {
        let is_null = field.ty == Type::Records || field.default.as_deref() == Some("null");
        return (!is_null).then(|| match &field.default {
            Some(text) => format!("Some(Str::from_static(\"{text}\"))"),
            None => "Some(Default::default())".to_owned(),
        });
    }
    field.default.as_ref().map(|text| match field.ty {
        Type::String => format!("Str::from_static(\"{text}\")"),
        _ if text == "2147483647" => "i32::MAX".to_owned(),
        _ if text == "-2147483648" => "i32::MIN".to_owned(),
        _ if text == "9223372036854775807" => "i64::MAX".to_owned(),
        _ => text.clone(),
    })
}

fn default_expression(field: &Field, it: &Struct<'_>) -> String {
    default_value(field, it).unwrap_or_else(|| match field.ty {
        _ if is_nullable(field, it) => "None".to_owned(),
        Type::Bool => "false".to_owned(),
        Type::Float64 => "0.0".to_owned(),
        Type::Uuid => "Uuid::ZERO".to_owned(),
        Type::String => "Str::new()".to_owned(),
        Type::Bytes | Type::Records => "Bytes::new()".to_owned(),
        Type::Struct(ref name) => format!("{name}::default()"),
        Type::Array(_) => "Vec::new()".to_owned(),
        _ => "0".to_owned(),
    })
}

/// An expression of `self.name` that is true when the value is not the default.
fn is_set(field: &Field, it: &Struct<'_>) -> String {
    let name = format!("self.{}", ident(&field.name));
    let default = default_expression(field, it);
    match field.ty {
        _ if default == "None" => format!("{name}.is_some()"),
        Type::String | Type::Bytes | Type::Records | Type::Array(_) if is_nullable(field, it) => {
            format!("{name}.as_ref().is_none_or(|it| !it.is_empty())")
        }
        _ if is_nullable(field, it) => format!("{name} != {default}"),
        Type::Bool if default == "true" => format!("!{name}"),
        Type::Bool => name,
        Type::Uuid => format!("!{name}.is_zero()"),
        Type::Bytes | Type::Records | Type::Array(_) => format!("!{name}.is_empty()"),
        Type::String if default == "Str::new()" => format!("!{name}.is_empty()"),
        _ => format!("{name} != {default}"),
    }
}

fn read_expression(field: &Field, it: &Struct<'_>) -> String {
    let form = if field.rigid { "f.rigid()" } else { "f" };
    if !is_nullable(field, it) {
        return format!("r.field({form})?");
    }
    match nullable_condition(field, it) {
        None => format!("r.nullable({form})?"),
        Some(condition) => {
            format!("if {condition} {{ r.nullable({form})? }} else {{ Some(r.field({form})?) }}")
        }
    }
}

fn write_expression(field: &Field, it: &Struct<'_>) -> String {
    let form = if field.rigid { "f.rigid()" } else { "f" };
    let name = ident(&field.name);
    if !is_nullable(field, it) {
        return format!("w.field(&self.{name}, {form})");
    }
    let nullable = format!("w.nullable(self.{name}.as_ref(), {form})");
    match nullable_condition(field, it) {
        None => nullable,
        Some(condition) => format!(
            "if {condition} {{ {nullable} }} else {{ \
             w.required(self.{name}.as_ref(), {form}, \"{}.{name}\") }}",
            it.name
        ),
    }
}

/// Where a field that is carried may be null, unless that is everywhere.
fn nullable_condition(field: &Field, it: &Struct<'_>) -> Option<String> {
    condition(field.nullable?, field.versions.and(it.versions)?)
}

/// A test of `f.version` for `versions`, given that it lies in `within`.
fn condition(versions: Versions, within: Versions) -> Option<String> {
    let from = (versions.first > within.first).then_some(versions.first);
    let until = (versions.last < within.last).then_some(versions.last);
    match (from, until) {
        (None, None) => None,
        (Some(from), None) => Some(format!("f.version >= {from}")),
        (None, Some(until)) => Some(format!("f.version <= {until}")),
        (Some(from), Some(until)) if from == until => Some(format!("f.version == {from}")),
        (Some(from), Some(until)) => Some(format!("({from}..={until}).contains(&f.version)")),
    }
}

fn flexible_from_number(message: &Message) -> Option<i16> {
    let first = message.flexible?.first;
    (first <= message.versions.last).then_some(first)
}

pub(super) fn flexible_from(message: &Message) -> String {
    option(flexible_from_number(message))
}

pub(super) fn option(number: Option<i16>) -> String {
    number.map_or("None".to_owned(), |it| format!("Some({it})"))
}

/// `ThrottleTimeMs` to `throttle_time_ms`, `KRaftVersion` to `k_raft_version`.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, char) in chars.iter().enumerate() {
        let starts_word = char.is_ascii_uppercase()
            && index > 0
            && (!chars[index - 1].is_ascii_uppercase()
                || chars.get(index + 1).is_some_and(char::is_ascii_lowercase));
        if starts_word {
            text.push('_');
        }
        text.push(char.to_ascii_lowercase());
    }
    text
}

fn ident(name: &str) -> String {
    match snake(name).as_str() {
        keyword @ ("type" | "match") => format!("r#{keyword}"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rust() {
        assert_eq!(snake("ThrottleTimeMs"), "throttle_time_ms");
        assert_eq!(snake("LastKnownElr"), "last_known_elr");
        assert_eq!(snake("KRaftVersion"), "k_raft_version");
        assert_eq!(ident("Type"), "r#type");
    }

    #[test]
    fn a_condition_says_only_what_is_not_known() {
        let versions = |text: &str| text.parse().unwrap();
        assert_eq!(condition(versions("0+"), versions("4-9")), None);
        assert_eq!(condition(versions("5+"), versions("4-9")).unwrap(), "f.version >= 5");
        assert_eq!(condition(versions("0-5"), versions("4-9")).unwrap(), "f.version <= 5");
        assert_eq!(condition(versions("5"), versions("4-9")).unwrap(), "f.version == 5");
        assert_eq!(
            condition(versions("5-6"), versions("4-9")).unwrap(),
            "(5..=6).contains(&f.version)"
        );
    }
}
