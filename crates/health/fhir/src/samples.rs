//! Fictional patients that are part of the program, for demonstrations.
//!
//! Owns: the list. The bundles are `samples/*.json`; to add one, add the file and a line here.

/// One FHIR R4 transaction bundle.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// File name without its ending.
    pub name: &'static str,
    pub bundle: &'static str,
}

pub const fn samples() -> &'static [Sample] {
    SAMPLES
}

macro_rules! sample {
    ($name:literal) => {
        Sample { name: $name, bundle: include_str!(concat!("../samples/", $name, ".json")) }
    };
}

const SAMPLES: &[Sample] = &[
    sample!("allergy-reaction"),
    sample!("diabetes-follow-up"),
    sample!("hospital-stay"),
    sample!("hypertension-visit"),
    sample!("imaging-prior-authorization"),
];
