//! What holds for any input.

use crate::{options, outline, read_all};
use proptest::prelude::*;
use std::io::Read;
use systole_fhir::{Format, Options};

/// Gives at most so many bytes per read as the list says, round and round.
struct Pieces<'a>(&'a [u8], Vec<usize>, usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.2 += 1;
        let most = self.1[self.2 % self.1.len()];
        (&mut self.0).take(most as u64).read(buffer)
    }
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    " ",
    "1",
    "-",
    "e5",
    "true",
    "null",
    "\u{e9}",
    "\"resourceType\":\"Bundle\",",
    "\"entry\":[",
    "{\"resource\":",
    "\"resourceType\":\"Patient\"",
    "{\"resourceType\":\"Flag\",\"subject\":{\"reference\":\"urn:uuid:1\"}}",
    "\"fullUrl\":\"urn:uuid:1\",",
    "\"request\":{\"method\":\"PUT\",\"url\":\"Patient/1\"},",
    "\"id\":\"a\",",
    "\"subject\":",
    "{\"reference\":\"Patient/1\"}",
];

/// Something between FHIR and noise.
fn nearly_fhir() -> impl Strategy<Value = Vec<u8>> {
    let token = proptest::sample::select(TOKENS).prop_map(|it| it.as_bytes().to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 0..4);
    let part = prop_oneof![12 => token, 1 => noise];
    proptest::collection::vec(part, 0..60).prop_map(|it| it.concat())
}

fn any_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(&[Format::Auto, Format::Json, Format::Ndjson][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn how_the_input_is_cut_into_reads_changes_nothing(
        input in nearly_fhir(),
        format in any_format(),
        pieces in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        let options = || Options { format, ..options() };
        let whole = read_all(&input[..], options());
        let cut = read_all(Pieces(&input, pieces, 0), options());
        prop_assert_eq!(format!("{:?}", whole), format!("{:?}", cut));
    }

    #[test]
    fn garbage_ends_and_never_panics(
        input in proptest::collection::vec(any::<u8>(), 0..300),
        format in any_format(),
    ) {
        read_all(&input[..], Options { format, ..options() });
    }

    /// `serde_json` is the oracle for syntax: a resource is refused exactly if it is not JSON.
    #[test]
    fn syntax_is_judged_as_serde_json_does(
        tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..8),
    ) {
        let middle = tokens.concat();
        let input = format!("{{\"resourceType\":\"Location\",\n\"extension\":[{middle}]}}");
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&input).is_ok();
        let outline = outline(input.as_bytes(), options());
        let is_duplicate = outline.contains("[SYS-5004]");
        let is_refused = outline.contains("[SYS-");
        prop_assert!(is_duplicate || is_refused != is_json, "{}\n{}", input, outline);
    }
}
