//! What a FHIR reference says about a patient.
//!
//! Owns: the forms of a reference and of a full URL. Does not own: which full URLs a bundle has
//! ([`crate::patients`]).
//!
//! # Source  FHIR R4, "Resource References" (2.3) and "Bundle: resolving references" (2.36.4)

use crate::json::{Fault, Kind, Parser};
use crate::resource_type;
use systole_kit::ByteSize;

/// The longest reference, full URL, or part of an identifier.
pub(crate) const URL_MAX: ByteSize = ByteSize::kib(2);

/// One place that may name the patient of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// `Patient/<id>`.
    Patient(String),
    /// `Patient?identifier=<system>|<value>`: known by identifier, resolved if the bundle has that
    /// patient before it.
    ByIdentifier(String),
    /// A full URL (`urn:uuid:…`) of an entry of the same bundle, which may still come, or something
    /// that nobody can resolve.
    InBundle(String),
}

impl Candidate {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Patient(it) | Self::ByIdentifier(it) | Self::InBundle(it) => it.len(),
        }
    }
}

/// Reads one `Reference`, or every one of an array. `only_patients`: the element cannot refer to
/// anything else, so a reference without a type is one to a patient.
pub(crate) fn read(
    parser: &mut Parser<'_>,
    only_patients: bool,
    found: &mut Vec<Candidate>,
) -> Result<(), Fault> {
    match parser.kind()? {
        Kind::Array => parser.array(|it| read(it, only_patients, found)),
        Kind::Object => {
            let parts = Parts::read(parser)?;
            found.extend(parts.candidate(only_patients));
            Ok(())
        }
        _ => Err(parser.wrong_kind("a reference, which is an object")),
    }
}

#[derive(Debug, Default)]
struct Parts {
    reference: Option<String>,
    type_: Option<String>,
    identifier: Option<String>,
}

impl Parts {
    fn read(parser: &mut Parser<'_>) -> Result<Self, Fault> {
        let mut it = Self::default();
        parser.object(|parser, name| {
            match name {
                "reference" => it.reference = Some(parser.short_string(URL_MAX)?.into_owned()),
                "type" => it.type_ = Some(parser.short_string(URL_MAX)?.into_owned()),
                "identifier" => it.identifier = read_identifier(parser)?,
                _ => parser.skip()?,
            }
            Ok(())
        })?;
        Ok(it)
    }

    fn candidate(self, only_patients: bool) -> Option<Candidate> {
        let is_patient = only_patients || self.type_.as_deref() == Some("Patient");
        match self.reference {
            Some(reference) => classify(reference),
            None if is_patient => self.identifier.map(Candidate::ByIdentifier),
            None => None,
        }
    }
}

/// `Patient?identifier=<system>|<value>` from an `Identifier`, `None` without a value.
pub(crate) fn read_identifier(parser: &mut Parser<'_>) -> Result<Option<String>, Fault> {
    let (mut system, mut value) = (None, None);
    parser.object(|parser, name| {
        match name {
            "system" => system = Some(parser.short_string(URL_MAX)?),
            "value" => value = Some(parser.short_string(URL_MAX)?),
            _ => parser.skip()?,
        }
        Ok(())
    })?;
    let system = system.unwrap_or_default();
    Ok(value.map(|value| format!("Patient?identifier={system}|{value}")))
}

fn classify(reference: String) -> Option<Candidate> {
    if reference.starts_with('#') {
        return None; // a contained resource has no identity of its own
    }
    if reference.starts_with("Patient?identifier=") {
        return Some(Candidate::ByIdentifier(reference));
    }
    let is_open = is_full_url(&reference) || reference.starts_with("Patient");
    match Identity::of_url(&reference) {
        Some(it) if it.type_name == "Patient" => Some(Candidate::Patient(it.to_string())),
        // Whatever else it says about a patient: nobody but the bundle could know.
        None if is_open => Some(Candidate::InBundle(reference)),
        _ => None,
    }
}

fn is_full_url(reference: &str) -> bool {
    reference.starts_with("urn:") || reference.contains("://")
}

/// `<type>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub(crate) type_name: &'static str,
    pub(crate) id: &'a str,
}

impl<'a> Identity<'a> {
    /// From `Patient/1`, `https://host/base/Patient/1`, each perhaps with `/_history/2`.
    pub(crate) fn of_url(url: &'a str) -> Option<Self> {
        let url = url.split_once("/_history/").map_or(url, |(before, _)| before);
        let (before, id) = url.rsplit_once('/')?;
        let name = before.rsplit_once('/').map_or(before, |(_, name)| name);
        let type_name = resource_type::find(name)?.name;
        is_id(id).then_some(Self { type_name, id })
    }
}

impl std::fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.type_name, self.id)
    }
}

/// The id that a full URL gives: the tail of a RESTful URL, or what a `urn:` names.
pub(crate) fn id_of_full_url(full_url: &str) -> Option<&str> {
    let urn = full_url.strip_prefix("urn:uuid:").or_else(|| full_url.strip_prefix("urn:oid:"));
    match urn {
        Some(id) => is_id(id).then_some(id),
        None => Identity::of_url(full_url).map(|it| it.id),
    }
}

/// FHIR's type `id`.
pub(crate) fn is_id(text: &str) -> bool {
    const LENGTH_MAX: usize = 64;
    (1..=LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_form_of_a_reference_says_what_it_knows() {
        let references = [
            "Patient/1",
            "Patient/1/_history/3",
            "https://fhir.example/r4/Patient/1",
            "https://fhir.example/r4/Patient/1/_history/3",
            "urn:uuid:0c5f",
            "urn:oid:1.2.3",
            "https://fhir.example/people/1",
            "Patient?identifier=http://mrn.example|7",
            "Patient?family=Doe",
            "Practitioner?identifier=http://npi.example|7",
            "Group/1",
            "#p1",
            "Patient/not an id",
            "Patient/",
            "Patient",
            "",
        ];
        let row = |it: &str| format!("{it}: {:?}\n", classify(it.to_owned()));
        expect![[r#"
            Patient/1: Some(Patient("Patient/1"))
            Patient/1/_history/3: Some(Patient("Patient/1"))
            https://fhir.example/r4/Patient/1: Some(Patient("Patient/1"))
            https://fhir.example/r4/Patient/1/_history/3: Some(Patient("Patient/1"))
            urn:uuid:0c5f: Some(InBundle("urn:uuid:0c5f"))
            urn:oid:1.2.3: Some(InBundle("urn:oid:1.2.3"))
            https://fhir.example/people/1: Some(InBundle("https://fhir.example/people/1"))
            Patient?identifier=http://mrn.example|7: Some(ByIdentifier("Patient?identifier=http://mrn.example|7"))
            Patient?family=Doe: Some(InBundle("Patient?family=Doe"))
            Practitioner?identifier=http://npi.example|7: Some(InBundle("Practitioner?identifier=http://npi.example|7"))
            Group/1: None
            #p1: None
            Patient/not an id: Some(InBundle("Patient/not an id"))
            Patient/: Some(InBundle("Patient/"))
            Patient: Some(InBundle("Patient"))
            : None
        "#]]
        .assert_eq(&references.map(row).concat());
    }
}
