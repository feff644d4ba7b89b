//! One entry of a bundle, or one bare resource, read in memory.
//!
//! Owns: which members matter and what kind of value they hold. Does not own: what becomes of an
//! entry ([`crate::draft`]).

use crate::json::{Fault, Kind, Mark, Parser};
use crate::problem::Reason;
use crate::reference::{self, Candidate};
use crate::resource_type::{self, ResourceType};
use std::borrow::Cow;

/// `Bundle.entry[i]`.
#[derive(Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) full_url: Option<Cow<'a, str>>,
    pub(crate) resource: Option<Resource<'a>>,
    pub(crate) request: Option<Request<'a>>,
    pub(crate) has_response: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) url: Cow<'a, str>,
}

#[derive(Debug)]
pub(crate) struct Resource<'a> {
    /// Exactly as in the input.
    pub(crate) raw: &'a [u8],
    pub(crate) kind: &'static ResourceType,
    pub(crate) id: Option<Cow<'a, str>>,
    /// `meta.lastUpdated` as it stands.
    pub(crate) last_updated: Option<Cow<'a, str>>,
    /// Who may be the patient, most likely first.
    pub(crate) candidates: Vec<Candidate>,
    /// Of a Patient: `Patient?identifier=<system>|<value>` for each.
    pub(crate) identifiers: Vec<String>,
}

/// An entry of a bundle.
pub(crate) fn read(text: &[u8]) -> Result<Entry<'_>, Fault> {
    let mut parser = Parser::new(text);
    let mut it = Entry::default();
    parser.kind()?;
    parser.object(|parser, name| {
        match name {
            "fullUrl" => it.full_url = Some(parser.short_string(reference::URL_MAX)?),
            "resource" => it.resource = Some(Resource::read(parser)?),
            "request" => it.request = Some(Request::read(parser)?),
            "response" => {
                it.has_response = true;
                parser.skip()?;
            }
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    parser.end()?;
    Ok(it)
}

/// A resource that stands alone.
pub(crate) fn read_bare(text: &[u8]) -> Result<Entry<'_>, Fault> {
    let mut parser = Parser::new(text);
    let resource = Resource::read(&mut parser)?;
    parser.end()?;
    Ok(Entry { resource: Some(resource), ..Entry::default() })
}

impl<'a> Request<'a> {
    fn read(parser: &mut Parser<'a>) -> Result<Self, Fault> {
        let mut it = Self::default();
        parser.object(|parser, name| {
            match name {
                "method" => it.method = parser.string()?,
                "url" => it.url = parser.short_string(reference::URL_MAX)?,
                _ => parser.skip()?,
            }
            Ok(())
        })?;
        Ok(it)
    }
}

/// Members that are read again once the type is known, which may stand behind them.
#[derive(Debug, Default)]
struct Marks<'a> {
    patient: Vec<(String, Mark<'a>)>,
    identifier: Option<Mark<'a>>,
}

impl<'a> Resource<'a> {
    fn read(parser: &mut Parser<'a>) -> Result<Self, Fault> {
        if parser.kind()? != Kind::Object {
            return Err(parser.wrong_kind("a resource, which is an object"));
        }
        let start = parser.at();
        let (mut kind, mut id, mut last_updated) = (None, None, None);
        let mut marks = Marks::default();
        parser.object(|parser, name| {
            match name {
                "resourceType" => kind = Some(read_type(parser)?),
                "id" => id = Some(read_id(parser)?),
                "meta" => last_updated = read_last_updated(parser)?,
                "identifier" => {
                    marks.identifier = parser.mark();
                    parser.skip()?;
                }
                _ => {
                    if resource_type::may_name_a_patient(name) {
                        let mark = parser.mark().map(|mark| (name.to_owned(), mark));
                        marks.patient.extend(mark);
                    }
                    parser.skip()?;
                }
            }
            Ok(())
        })?;
        let missing = || parser.fault_at(start, Reason::MissingResourceType);
        let kind: &ResourceType = kind.ok_or_else(missing)?;
        let raw = parser.since(start);
        let candidates = read_candidates(parser, kind, &marks)?;
        let identifiers = match marks.identifier {
            Some(mark) if kind.name == "Patient" => read_identifiers(parser, mark)?,
            _ => Vec::new(),
        };
        Ok(Self { raw, kind, id, last_updated, candidates, identifiers })
    }
}

fn read_type(parser: &mut Parser<'_>) -> Result<&'static ResourceType, Fault> {
    parser.kind()?;
    let start = parser.at();
    let name = parser.string()?;
    resource_type::find(&name).ok_or_else(|| {
        let reason = match resource_type::find_newer(&name) {
            Some(name) => Reason::NewerResourceType { name },
            None => Reason::UnknownResourceType,
        };
        parser.fault_at(start, reason)
    })
}

fn read_id<'a>(parser: &mut Parser<'a>) -> Result<Cow<'a, str>, Fault> {
    parser.kind()?;
    let start = parser.at();
    let id = parser.string()?;
    if reference::is_id(&id) {
        Ok(id)
    } else {
        let expected = "an id: 1 to 64 letters, digits, hyphens and dots";
        Err(parser.fault_at(start, Reason::WrongKind { expected }))
    }
}

fn read_last_updated<'a>(parser: &mut Parser<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    let mut last_updated = None;
    parser.object(|parser, name| {
        match name {
            "lastUpdated" => last_updated = Some(parser.string()?),
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    Ok(last_updated)
}

fn read_candidates<'a>(
    parser: &mut Parser<'a>,
    kind: &ResourceType,
    marks: &Marks<'a>,
) -> Result<Vec<Candidate>, Fault> {
    let mut found = Vec::new();
    for path in kind.patient_paths {
        let (first, second) =
            path.split_once('.').map_or((*path, None), |(first, second)| (first, Some(second)));
        for (_, mark) in marks.patient.iter().filter(|(name, _)| name == first) {
            parser.revisit(*mark, |it| read_path(it, first, second, &mut found))?;
        }
    }
    Ok(found)
}

fn read_path(
    parser: &mut Parser<'_>,
    first: &str,
    second: Option<&str>,
    found: &mut Vec<Candidate>,
) -> Result<(), Fault> {
    let Some(second) = second else {
        let only_patients = ["patient", "beneficiary", "candidate", "individual"].contains(&first);
        return reference::read(parser, only_patients, found);
    };
    match parser.kind()? {
        Kind::Array => parser.array(|it| read_path(it, first, Some(second), found)),
        _ => parser.object(|it, name| {
            if name == second { reference::read(it, false, found) } else { it.skip() }
        }),
    }
}

fn read_identifiers<'a>(parser: &mut Parser<'a>, mark: Mark<'a>) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    parser.revisit(mark, |it| {
        it.array(|it| {
            found.extend(reference::read_identifier(it)?);
            Ok(())
        })
    })?;
    Ok(found)
}
